"""Which calls are handed over when: at silence, a few at a time, and all of them before the time is up."""

from __future__ import annotations

from holdfast_bridge.core import drain
from holdfast_bridge.core.drain import Carried


def test_only_silent_calls_move_before_the_end_is_near() -> None:
    calls = [Carried(call="a", silent=True), Carried(call="b", silent=False)]
    assert drain.due(calls, now=100.0, forced_at=690.0) == ("a",)
    assert drain.due(calls, now=690.0, forced_at=690.0) == ("a", "b")


def test_a_call_on_its_way_is_not_moved_twice() -> None:
    calls = [Carried(call="a", silent=True, moving=True)]
    assert drain.due(calls, now=700.0, forced_at=690.0) == ()


def test_a_failed_move_is_tried_again_after_a_pause() -> None:
    calls = [Carried(call="a", silent=True, tried_at=100.0)]
    assert drain.due(calls, now=101.9, forced_at=690.0) == ()
    assert drain.due(calls, now=102.0, forced_at=690.0) == ("a",)


def test_the_carrier_is_not_asked_more_than_a_few_things_at_once() -> None:
    calls = [Carried(call=str(n), silent=True, moving=n < 4) for n in range(30)]
    assert len(drain.due(calls, now=1.0, forced_at=690.0)) == drain.AT_ONCE - 4


def test_the_end_is_near_ten_seconds_or_half_the_time_before_it() -> None:
    assert drain.forced_from(0.0, 600.0) == 590.0
    assert drain.forced_from(0.0, 8.0) == 4.0
