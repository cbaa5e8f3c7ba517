"""Connection overrides: the fragment decides how long a dead region is waited for, and is never sent or signed."""

from __future__ import annotations

from holdfast_gameday.world.twilio_webhook import Overrides, split_overrides


def test_defaults_hold_without_a_fragment() -> None:
    assert split_overrides("https://h/voice?a=b") == (
        "https://h/voice?a=b",
        Overrides(connect_ms=5000, read_ms=15000, total_ms=15000, retries=1, retry_on=frozenset({"ct"})),
    )


def test_a_fragment_overrides_and_is_cut_off() -> None:
    bare, overrides = split_overrides("https://h/voice#ct=1000&rt=3000&tt=8000&rc=2&rp=5xx,rt")
    assert bare == "https://h/voice"
    assert overrides == Overrides(1000, 3000, 8000, 2, frozenset({"5xx", "rt"}))


def test_values_out_of_bounds_are_moved_to_the_bound() -> None:
    assert split_overrides("https://h/#ct=1&rt=99999&rc=9&tt=x")[1] == Overrides(100, 15000, 15000, 5)
