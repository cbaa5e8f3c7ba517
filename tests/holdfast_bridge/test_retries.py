"""When a tool is asked again: by what was met, by what asking twice may do, by the time left and by a budget."""

from __future__ import annotations

import pytest

from holdfast_bridge.core import retries
from holdfast_bridge.core.retries import Budget, Met, Tried, pause_s, wait_s


def pause(met: Met, *, number: int = 1, side_effects: bool = False, left_s: float = 2.0, wait: float | None = None,
          die: float = 0.5) -> float | None:  # fmt: skip
    return pause_s(Tried(met, number, wait), left_s=left_s, side_effects=side_effects, die=die)


@pytest.mark.parametrize(
    ("met", "without", "with_effects"),
    [(Met.NOT_CONNECTED, True, True), (Met.LOST, True, False), (Met.BUSY, True, False), (Met.OTHER, False, False)],
)
def test_what_may_have_had_an_effect_is_not_asked_again(met: Met, without: bool, with_effects: bool) -> None:
    assert (pause(met) is not None) is without
    assert (pause(met, side_effects=True) is not None) is with_effects


def test_pauses_double_and_are_varied_by_half() -> None:
    assert [pause(Met.BUSY, number=number) for number in (1, 2, 3)] == [0.1, 0.2, None]
    assert [pause(Met.BUSY, die=die) for die in (0.0, 0.999)] == [0.05, pytest.approx(0.15, abs=0.001)]


def test_the_service_is_not_asked_before_the_time_that_it_named() -> None:
    assert pause(Met.BUSY, wait=1.0) == 1.1


def test_what_would_come_too_late_is_not_asked() -> None:
    assert pause(Met.BUSY, left_s=0.16) == 0.1
    assert pause(Met.BUSY, left_s=0.15) is None
    assert pause(Met.BUSY, wait=2.0) is None
    assert pause(Met.BUSY, wait=float("inf")) is None


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("0", 0.0), ("3", 3.0)])
def test_retry_after_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert wait_s(text) == seconds


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "soon", "٣"])
def test_a_date_or_nonsense_is_too_late_to_wait_for(text: str) -> None:
    assert wait_s(text) == float("inf")


def test_a_webhook_that_is_down_is_asked_a_tenth_more_often_and_not_three_times_as_often() -> None:
    budget, again = Budget(), 0
    for _ in range(1_000):
        budget.earn()
        again += sum(budget.spend() for _ in range(retries.TRIES - 1))
    assert 100 <= again <= 105


def test_a_quiet_pod_does_not_save_for_a_storm() -> None:
    budget = Budget()
    for _ in range(1_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 5
