"""What a view can tell of itself, and how a plan and a move say what they are."""

from __future__ import annotations

import pytest
from core_builders import DEGRADED, DOWN, UNKNOWN, back, cordoned, joined, origins, out, raised, regions, view, zone

from holdfast.core.plans import CarrierMove, Move, Plan, Turn
from holdfast.core.values import Budget, Cause, Intent, OriginState, Reason, RegionMemory

THREE = zone(("fra", "ams", "iad"), ())


def test_a_move_says_what_the_region_is_meant_to_do_then():
    assert [move.intent for move in (out(), back(), raised())] == [Intent.CORDONED, Intent.SERVING, Intent.SERVING]


def test_the_reasons_of_a_plan_are_those_of_its_moves_then_of_its_carriers():
    first, second = Reason("RegionLost", "a"), Reason("CarrierIll", "b")
    plan = Plan(moves=(Move("fra", Turn.OUT, Cause.LOST, first),),
                carrier_moves=(CarrierMove("twilio", Turn.OUT, second),))
    assert plan.reasons == (first, second)
    assert Plan().reasons == ()


def test_all_regions_are_counted_at_the_first_question_and_then_no_more():
    seen = view(verdicts={"fra": DOWN})
    assert seen.counted == {}
    assert seen.tally("fra").lost
    assert set(seen.counted) == {"fra", "ams"}
    assert seen.tally("fra") is seen.counted["fra"]


def test_a_copy_keeps_the_tallies_and_changes_nothing_in_the_original():
    seen = view()
    tally = seen.tally("fra")
    changed = seen.with_memory("fra", cordoned())
    assert changed.tally("fra") is tally
    assert changed.remembered("fra") == cordoned()
    assert seen.remembered("fra") == RegionMemory()
    changed.counted.clear()
    assert seen.tally("fra") is tally


def test_a_region_that_was_never_seen_well_has_not_joined():
    seen = view(memory={"ams": RegionMemory()})
    assert (seen.joined("ams"), seen.joined("fra")) == (True, False)
    assert seen.remembered("fra") == RegionMemory()


def test_legal_is_who_is_known_to_lie_in_the_residency():
    of = zone()
    assert view(of).legal("fra")
    assert not view(of, regions=regions(of, abroad=["fra"])).legal("fra")
    assert not view(of, regions={}).legal("fra")


def test_serving_are_the_legal_that_nothing_keeps_out():
    seen = view(THREE, {"ams": DOWN}, memory=joined(THREE, fra=cordoned()), regions=regions(THREE, abroad=["iad"]))
    assert seen.serving() == ("ams",)


@pytest.mark.parametrize(("verdict", "able"), [(DOWN, False), (UNKNOWN, False), (DEGRADED, True)])
def test_able_are_the_serving_that_somebody_sees_answer(verdict, able: bool):
    assert ("fra" in view(verdicts={"fra": verdict}).able()) is able
    assert view(memory=joined(zone(), ams=cordoned())).able() == ("fra",)


@pytest.mark.parametrize(("step", "share"), [(None, 100), (0, 5), (1, 25), (2, 50), (3, 100), (4, 100)])
def test_the_share_is_that_of_the_step(step: int | None, share: int):
    assert view(memory=joined(zone(), fra=RegionMemory({}, step))).share("fra") == share


def test_levers_are_those_where_the_region_has_an_origin_in_the_policys_order():
    of = zone(levers=("edge", "second", "third"))
    partly = {**regions(of), "fra": regions(zone(levers=("third", "edge", "foreign")))["fra"]}
    assert view(of, regions=partly).levers_of("fra") == ("edge", "third")
    assert view(of).levers_of("ams") == ("edge", "second", "third")
    assert view(of, regions={}).levers_of("fra") == ()


def test_an_origin_is_that_of_its_lever_and_region_and_unknown_until_it_was_read():
    of = zone(levers=("edge", "second"))
    routes = [OriginState("second", "fra", False), OriginState("edge", "ams", False), OriginState("edge", "fra", True)]
    seen = view(of, routes=routes)
    assert seen.origin("edge", "fra") == OriginState("edge", "fra", True)
    assert seen.origin("second", "ams") == OriginState("second", "ams", None)
    assert (seen.enabled("edge", "fra"), seen.enabled("second", "fra"), seen.enabled("second", "ams")) == (
        True, False, None,
    )


def test_an_origin_is_replaced_and_the_others_stay():
    of = zone(levers=("edge", "second"))
    seen = view(of, routes=origins(of)).with_origin("edge", "fra", enabled=None)
    assert len(seen.origins) == 4
    assert seen.enabled("edge", "fra") is None
    assert [seen.enabled(*each) for each in (("edge", "ams"), ("second", "fra"), ("second", "ams"))] == [True] * 3


def test_a_request_is_taken_from_its_levers_budget_only():
    seen = view(budgets={"edge": Budget(3, 2), "second": Budget(9, 1)}).with_spent("edge")
    assert seen.budgets == {"edge": Budget(2, 2), "second": Budget(9, 1)}
    assert seen.with_spent("third") is seen
