"""From the totals that pods tell to what happened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import reports
from holdfast.core.providers import Failure
from holdfast.core.reports import Failed, Outcome, Report
from holdfast.core.results import Tally

OUTCOMES = st.lists(st.tuples(st.sampled_from([None, *Failure]), st.floats(0, 100)), max_size=30)


def tally(ok: int = 0, ok_ago_s: float | None = None, **failed: int) -> Tally:
    return Tally(ok, ok_ago_s, {Failure[name.upper()]: Failed(count) for name, count in failed.items()})


def test_what_is_new_is_the_difference_of_two_totals():
    assert reports.outcomes(tally(error=3), tally(error=5, stall=1)) == (
        Outcome(Failure.ERROR), Outcome(Failure.ERROR), Outcome(Failure.STALL),
    )  # fmt: skip
    assert reports.outcomes(tally(error=3), tally(error=3)) == ()


def test_outcomes_come_in_the_order_in_which_they_happened():
    after = Tally(1, 1.0, {Failure.ERROR: Failed(1, ago_s=4.0)})
    assert reports.outcomes(Tally(), after) == (Outcome(Failure.ERROR), Outcome())
    after = Tally(1, 4.0, {Failure.ERROR: Failed(1, ago_s=1.0)})
    assert reports.outcomes(Tally(), after) == (Outcome(), Outcome(Failure.ERROR))


def test_totals_that_fell_are_those_of_a_pod_that_began_anew():
    assert reports.outcomes(tally(ok=9, ok_ago_s=0.0, error=7), tally(error=1)) == (Outcome(Failure.ERROR),)
    assert reports.outcomes(tally(error=7), tally(stall=1)) == (Outcome(Failure.STALL),)


@pytest.mark.parametrize(("ago_s", "count"), [(30.0, 1), (30.1, 0)])
def test_of_a_pod_that_was_never_heard_only_the_latest_counts(ago_s: float, count: int):
    after = Tally(0, None, {Failure.ERROR: Failed(800, ago_s)})
    assert len(reports.outcomes(None, after)) == count


def test_what_the_provider_asks_us_to_wait_comes_along():
    after = Tally(0, None, {Failure.RATE_LIMITED: Failed(1, 0.0, 20.0)})
    assert reports.outcomes(Tally(), after) == (Outcome(Failure.RATE_LIMITED, 20.0),)


@given(OUTCOMES, OUTCOMES)
def test_totals_tell_the_same_however_often_they_are_read(
    first: list[tuple[Failure | None, float]], then: list[tuple[Failure | None, float]]
):
    def counted(drawn: list[tuple[Failure | None, float]]) -> Tally:
        failures = [failure for failure, _ in drawn if failure is not None]
        failed = {each: Failed(failures.count(each)) for each in Failure if each in failures}
        return Tally(len(drawn) - len(failures), 0.0, failed)

    middle, end = counted(first), counted([*first, *then])
    once = [each.failure for each in reports.outcomes(Tally(), end) if each.failure]
    twice = [
        each.failure
        for each in (*reports.outcomes(Tally(), middle), *reports.outcomes(middle, end))
        if each.failure
    ]
    for failure in Failure:
        assert min(twice.count(failure), reports.MOST_AT_ONCE) == once.count(failure)


def test_news_is_what_a_pod_added_to_its_own_last_report():
    two, five = Report(1, {"openai": tally(error=2)}), Report(1, {"openai": tally(error=5)})
    assert reports.news(two, five, "openai") == (Outcome(Failure.ERROR),) * 3
    assert reports.news(two, five, "azure") == ()


def test_a_pod_that_began_anew_counts_from_nothing():
    """A container restarts in its pod and keeps the name: its two failures are two more, not seven fewer."""
    nine, two = Report(1, {"openai": tally(error=9)}), Report(2, {"openai": tally(error=2)})
    assert reports.news(nine, two, "openai") == (Outcome(Failure.ERROR),) * 2


def test_a_name_that_the_pod_did_not_know_before_counts_whole_and_that_of_an_unknown_pod_once():
    now = Report(1, {"azure": tally(error=3)})
    assert len(reports.news(Report(1), now, "azure")) == 3
    assert len(reports.news(None, now, "azure")) == 1
