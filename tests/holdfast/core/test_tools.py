"""A webhook is judged by what live calls met there, as everything else is: by streaks and by counts."""

from __future__ import annotations

import pytest

from holdfast.core import tools
from holdfast.core.evidence import History
from holdfast.core.reports import Outcome
from holdfast.core.tools import ToolFailure
from holdfast.core.values import Verdict

UP, DOWN, DEGRADED, UNKNOWN = Verdict.UP, Verdict.DOWN, Verdict.DEGRADED, Verdict.UNKNOWN
WELL, TIMEOUT = None, ToolFailure.TIMEOUT


def after(*met: ToolFailure | None) -> History:
    history = History(since=0.0)
    for number, failure in enumerate(met):
        history = tools.observe(history, Outcome(failure), now=30.0 * number)
    return history


def test_two_calls_in_a_row_make_a_verdict_and_two_others_end_it():
    assert after(WELL).verdict is UNKNOWN
    assert after(WELL, WELL).verdict is UP
    assert after(WELL, WELL, TIMEOUT).verdict is UP
    assert after(WELL, WELL, TIMEOUT, TIMEOUT).verdict is DOWN
    assert after(WELL, WELL, TIMEOUT, TIMEOUT, WELL).verdict is DOWN
    assert after(WELL, WELL, TIMEOUT, TIMEOUT, WELL, WELL).verdict is UP


def test_one_that_fails_now_and_then_is_found_by_counting():
    seen = after(WELL, WELL, TIMEOUT, WELL, TIMEOUT, WELL, TIMEOUT, WELL)
    assert seen.verdict is DEGRADED
    assert seen.detail == "3 of the last 8 answers were bad"


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (ToolFailure.ERROR, DOWN), (ToolFailure.TIMEOUT, DOWN), (ToolFailure.UNREACHABLE, DOWN),
        (ToolFailure.TOO_LONG, DOWN), (ToolFailure.RATE_LIMITED, DEGRADED), (ToolFailure.REFUSED, UNKNOWN),
        (ToolFailure.FORBIDDEN, UNKNOWN), (ToolFailure.UNSIGNED, UNKNOWN),
    ],
)  # fmt: skip
def test_each_failure_counts_as_what_it_says_of_the_webhook_and_keeps_its_word(failure, verdict):
    seen = after(WELL, WELL, failure, failure)
    assert (seen.verdict, seen.detail) == (verdict, failure.value)


def test_every_kind_that_a_pod_may_tell_is_known_here():
    from holdfast_bridge.tools import ToolFailure as Told

    assert {each.value for each in Told} == {each.value for each in ToolFailure}
