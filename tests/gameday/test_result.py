"""The verdict of a game day: what passes, what fails, and what proves nothing."""

import gameday_builders as build
import pytest

from holdfast_gameday import result
from holdfast_gameday.scenario import Expectations


def _verdict(calls, **changes):
    facts = {"read_back_seconds": 6.0, "operators_off": False, "residency": build.residency()} | changes
    return result.verdict(Expectations(), calls=tuple(calls), **facts)


def _broken(claims):
    return [claim.name for claim in claims if not claim.held]


def test_a_run_in_which_all_calls_go_on_passes():
    claims, outcome = _verdict([build.moved_call(1), build.still_call(2), build.new_call(3)])

    assert outcome is result.Outcome.PASSED
    assert _broken(claims) == []


def test_a_call_that_forgot_the_fact_is_a_lost_call():
    claims, outcome = _verdict([build.moved_call(1), build.moved_call(2, fact_kept=False)])

    assert outcome is result.Outcome.FAILED
    assert _broken(claims) == ["no call is lost"]


def test_a_call_that_did_not_end_cleanly_is_a_lost_call():
    claims, _ = _verdict([build.moved_call(1, ended_cleanly=False)])

    assert _broken(claims) == ["no call is lost"]


def test_a_disturbed_bystander_fails_the_run():
    disturbed = build.still_call(2, bystander=True).model_copy(update={"ended_cleanly": False})

    assert _verdict([build.moved_call(1), disturbed])[1] is result.Outcome.FAILED


@pytest.mark.parametrize(("gap_ms", "held"), [(4000.0, True), (4001.0, False)])
def test_the_gap_is_judged_at_its_threshold(gap_ms, held):
    assert (_verdict([build.moved_call(1, gap_ms=gap_ms)])[1] is result.Outcome.PASSED) is held


def test_a_cordon_that_was_never_read_back_fails_the_run():
    claims, outcome = _verdict([build.moved_call(1)], read_back_seconds=None)

    assert outcome is result.Outcome.FAILED
    assert _broken(claims) == ["the region is cordoned and read back"]


def test_with_the_operators_off_no_cordon_is_asked_for():
    assert _verdict([build.moved_call(1)], read_back_seconds=None, operators_off=True)[1] is result.Outcome.PASSED


def test_a_breach_of_residency_fails_the_run():
    claims, _ = _verdict([build.moved_call(1)], residency=build.residency(held=False, breaches=("fra to iad",)))

    assert _broken(claims) == ["nothing left the zone"]


def test_a_new_call_that_was_not_answered_fails_the_run():
    claims, _ = _verdict([build.moved_call(1), build.new_call(2, setup_seconds=None), build.new_call(3)])

    assert _broken(claims) == ["new calls are answered"]


def test_a_run_in_which_no_call_had_to_move_proves_nothing():
    assert _verdict([build.still_call(1)])[1] is result.Outcome.INCONCLUSIVE


def test_percentiles_are_values_that_were_seen():
    values = [100.0, 200.0, 300.0, 400.0]

    assert [result.percentile(values, share) for share in (0.5, 0.95, 1.0)] == [200.0, 400.0, 400.0]
    assert result.percentile([], 0.95) is None
