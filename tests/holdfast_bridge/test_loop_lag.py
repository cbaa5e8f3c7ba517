"""When an event loop runs too late to carry more calls."""

from __future__ import annotations

import asyncio
import time

import pytest

from holdfast_bridge.core.loop_lag import TICK_S, LoopLag
from holdfast_bridge.loop_watch import watch


def ticks(lag: LoopLag, lag_s: float, *, since: float, seconds: float) -> float:
    """A tick each 50 ms, each so late; returns when they end."""
    count = round(seconds * 20)
    for tick in range(count):
        lag.add(lag_s, since + tick / 20)
    return since + count / 20


def test_before_the_first_tick_nothing_is_late() -> None:
    lag = LoopLag()
    assert (lag.p99_s, lag.late, lag.too_late) == (0.0, False, False)


def test_one_hiccup_in_five_seconds_is_no_reason_to_send_calls_away() -> None:
    lag = LoopLag()
    now = ticks(lag, 0.001, since=0.0, seconds=5.0)
    lag.add(0.049, now)
    assert lag.p99_s == pytest.approx(0.001)
    assert not lag.late


def test_ticks_that_were_due_while_the_loop_stood_still_count() -> None:
    """A loop that stands still for 400 ms ticks once after it; the callers heard nothing eight times."""
    lag = LoopLag()
    now = ticks(lag, 0.001, since=0.0, seconds=4.5)
    lag.add(0.4, now)
    assert lag.p99_s == pytest.approx(0.35)
    assert lag.too_late


@pytest.mark.parametrize(("lag_s", "late", "too_late"), [(0.05, False, False), (0.06, True, False), (0.25, True, True)])
def test_the_lines_are_drawn_at_50_and_at_200_ms(lag_s: float, late: bool, too_late: bool) -> None:
    lag = LoopLag()
    ticks(lag, lag_s, since=0.0, seconds=1.0)
    assert (lag.late, lag.too_late) == (late, too_late)


def test_a_late_loop_is_well_again_only_below_half_of_the_line() -> None:
    lag = LoopLag()
    now = ticks(lag, 0.06, since=0.0, seconds=5.0)
    now = ticks(lag, 0.04, since=now, seconds=6.0)
    assert lag.late
    ticks(lag, 0.02, since=now, seconds=6.0)
    assert not lag.late


def test_what_was_more_than_five_seconds_ago_does_not_count() -> None:
    lag = LoopLag()
    now = ticks(lag, 0.5, since=0.0, seconds=1.0)
    lag.add(0.0, now + 5.0)
    assert lag.p99_s == 0.0


async def test_the_watch_sees_a_loop_that_stood_still() -> None:
    lag = LoopLag()
    watching = asyncio.create_task(watch(lag))
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - the loop has to stand still
    await asyncio.sleep(TICK_S)  # Later than the tick that was due meanwhile.
    watching.cancel()
    assert lag.late
    assert lag.p99_s >= 0.2
