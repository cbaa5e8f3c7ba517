"""How a region comes back: after its dwell, step by step, where calls fit, or at once when nothing else is able."""

from __future__ import annotations

import pytest
from core_builders import (
    DEGRADED,
    DOWN,
    FENCE,
    UNKNOWN,
    UP,
    all_say,
    cordoned,
    joined,
    loads,
    origins,
    regions,
    said,
    view,
    zone,
)

from holdfast.core import failover, reasons
from holdfast.core.plans import Move, Overridden, Plan, ReadBack, SetOrigin, StoreMemory, Turn, View
from holdfast.core.values import Budget, Cause, Cordon, Load, Override, Reason, RegionMemory

SEEN_UP = "2 of 2 observers see fra up, 2 are needed (ams; iad)"
FRA_OFF = origins(zone(), off=["fra"])
WEIGHTED = zone(weighted=["edge"])


def decided(seen: View) -> Plan:
    return failover.decide(seen, 50.0)


def out(ago_s: float | None, flaps: int = 1, cause: Cause = Cause.LOST, **more) -> View:
    return view(memory=joined(zone(), fra=cordoned(cause, ago_s, flaps, "lost")), routes=FRA_OFF, **more)


def climbing(step: int, stepped_ago_s: float, **more) -> View:
    return view(memory=joined(zone(), fra=RegionMemory({}, step, stepped_ago_s)), **more)


def refused(plan: Plan) -> list[str]:
    return [refusal.reason.code for refusal in plan.refusals]


def stored(plan: Plan) -> RegionMemory:
    assert isinstance(plan.steps[0], StoreMemory)
    return plan.steps[0].memory["fra"]


def turns(plan: Plan) -> list[tuple[str, Turn]]:
    return [(move.region, move.turn) for move in plan.moves]


def test_a_region_comes_back_after_its_dwell_at_the_first_step_of_the_ramp():
    plan = decided(out(300.0))
    healed = cordoned(Cause.LOST, 0.0, 1, SEEN_UP, stands=False, step=0)
    why = Reason(reasons.REGION_RECOVERED, SEEN_UP)
    assert plan.moves == (Move("fra", Turn.BACK, Cause.LOST, why),)
    assert plan.steps == (
        StoreMemory(FENCE, joined(zone(), fra=healed), {}, "eu/7/memory"),
        SetOrigin("edge", "fra", True, FENCE, "eu/7/edge/fra/on-5", why, 5),
        ReadBack("edge", "fra", True),
    )
    assert plan.wake_at == 150.0


def test_until_then_the_plan_names_the_moment_to_look_again():
    plan = decided(out(100.0))
    assert (plan.steps, refused(plan), plan.wake_at) == ((), [reasons.DWELL], 250.0)


def test_the_moment_is_put_off_while_it_has_not_been_well_for_as_long():
    well = [said(observer, "fra", UP, held_s=20.0) for observer in ("ams", "iad")]
    assert decided(out(100.0, observations=[*well, *all_say(zone())[2:]])).wake_at == 50.0 + 280.0


def test_the_moment_follows_the_flaps():
    assert decided(out(100.0, flaps=3)).wake_at == 50.0 + 1100.0


def test_a_region_that_stays_down_names_no_moment():
    plan = decided(out(100.0, verdicts={"fra": DOWN}))
    assert (plan.steps, plan.wake_at) == ((), None)


def test_of_several_moments_the_first_is_named():
    of = zone(("fra", "ams", "iad"), ("lon",))
    memory = joined(of, fra=cordoned(ago_s=100.0), ams=RegionMemory({}, 1, 60.0))
    assert decided(view(of, memory=memory, routes=origins(of, off=["fra"]))).wake_at == 90.0


def test_a_moment_that_has_passed_is_none():
    """The move was refused for something else, which time does not heal."""
    full = {"fra": Load(2, 0, 0), "ams": Load(2, 9, 90)}
    plan = decided(out(300.0, loads=full))
    assert (refused(plan), plan.wake_at) == ([reasons.CAPACITY], None)


def test_the_end_of_a_shift_is_such_a_moment_whether_the_region_is_well_or_not():
    memory = joined(zone(), fra=cordoned(Cause.HUMAN, 9.0, remaining_s=33.0, told_by="fra"))
    seen = view(verdicts={"fra": DOWN}, memory=memory, routes=FRA_OFF, heard_ago_s={})
    assert decided(seen).wake_at == 83.0


@pytest.mark.parametrize("cause", [Cause.ILLEGAL, Cause.ABSENT, Cause.HUMAN])
def test_what_does_not_dwell_waits_for_no_moment(cause: Cause):
    seen = view(memory=joined(zone(), fra=cordoned(cause, 100.0)), routes=FRA_OFF, fence=None)
    assert decided(seen).wake_at is None


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.FOUND_OFF, Cause.WITHDRAWN, Cause.DEGRADED])
def test_what_dwells_does(cause: Cause):
    assert decided(out(100.0, cause=cause)).wake_at == 250.0


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.FOUND_OFF, Cause.WITHDRAWN, Cause.DEGRADED, Cause.ILLEGAL])
def test_every_return_begins_at_the_first_step(cause: Cause):
    assert (stored(decided(out(300.0, cause=cause))).step, stored(decided(out(300.0, cause=cause))).standing) == (0, ())


def test_a_ramp_of_one_step_is_none():
    of = zone(ramp=(100,))
    plan = decided(view(of, memory=joined(of, fra=cordoned(ago_s=300.0)), routes=FRA_OFF))
    assert stored(plan).step is None
    two = zone(ramp=(50, 100))
    plan = decided(view(two, memory=joined(two, fra=cordoned(ago_s=300.0)), routes=FRA_OFF))
    assert stored(plan).step == 0


def test_a_region_serves_only_when_its_last_cause_fell_silent():
    both = {Cause.LOST: Cordon(True, 300.0, 1, "lost"), Cause.DEGRADED: Cordon(True, 200.0, 1, "errors")}
    plan = decided(view(memory=joined(zone(), fra=RegionMemory(both)), routes=FRA_OFF))
    assert refused(plan) == [reasons.DWELL]
    assert stored(plan) == RegionMemory({
        Cause.LOST: Cordon(False, 0.0, 1, SEEN_UP), Cause.DEGRADED: Cordon(True, 200.0, 1, "errors"),
    })
    assert [type(step) for step in plan.steps] == [StoreMemory]


@pytest.mark.parametrize(
    ("step", "following", "words"),
    [
        (0, 1, "fra goes on from 5 % to 25 % of its weight"),
        (1, 2, "fra goes on from 25 % to 50 % of its weight"),
        (2, None, "fra goes on from 50 % to 100 % of its weight"),
        (7, None, "fra goes on from 100 % to 100 % of its weight"),
    ],
)
def test_step_by_step_up_to_its_whole_weight(step: int, following: int | None, words: str):
    plan = decided(climbing(step, 100.0))
    assert plan.moves == (Move("fra", Turn.RAISE, Cause.LOST, Reason(reasons.REGION_RAISED, words)),)
    assert stored(plan) == RegionMemory({}, following, 0.0)


def test_a_raise_keeps_what_is_remembered_besides():
    cordons = {Cause.LOST: Cordon(False, 400.0, 2, "up")}
    memory = joined(zone(), fra=RegionMemory(cordons, 1, 100.0))
    assert stored(decided(view(memory=memory))) == RegionMemory(cordons, 2, 0.0)


def test_a_raise_is_told_to_a_lever_that_takes_a_share():
    memory = joined(WEIGHTED, fra=RegionMemory({}, 0, 100.0))
    plan = decided(view(WEIGHTED, memory=memory))
    assert [step.key for step in plan.steps if isinstance(step, SetOrigin)] == [
        "eu/7/edge/fra/on-25", "eu/7/edge/ams/on",
    ]


def test_until_the_step_has_lasted_the_plan_names_the_moment():
    plan = decided(climbing(0, 60.0))
    assert (plan.steps, refused(plan), plan.wake_at) == ((), [reasons.RAMP], 90.0)


def test_a_step_waits_also_for_having_been_well():
    well = [said(observer, "fra", UP, held_s=30.0) for observer in ("ams", "iad")]
    assert decided(climbing(0, 60.0, observations=[*well, *all_say(zone())[2:]])).wake_at == 120.0


def test_a_region_that_falls_while_it_climbs_begins_anew():
    memory = joined(zone(), fra=RegionMemory({}, 2, 60.0))
    plan = decided(view(verdicts={"fra": DOWN}, memory=memory))
    assert (stored(plan).step, stored(plan).standing) == (None, (Cause.LOST,))


def test_a_step_is_not_taken_where_calls_would_not_fit():
    full = {"fra": Load(2, 5, 0), "ams": Load(2, 95, 0)}
    plan = decided(climbing(0, 100.0, loads=full))
    assert plan.moves == ()
    assert [refusal.reason.message for refusal in plan.refusals] == [
        "at 25 % fra would get 20 calls and has room for 4"
    ]


def test_a_return_waits_for_room_and_a_person_may_waive_it():
    full = {"fra": Load(2, 0, 0), "ams": Load(2, 90, 10)}
    waived = Override("fra", reasons.CAPACITY, 60.0, "pods are on their way")
    plan = decided(out(300.0, loads=full, overrides=(waived,)))
    guard = Reason(reasons.CAPACITY, "at 5 % fra would get 4 calls and has room for 0")
    assert turns(plan) == [("fra", Turn.BACK)]
    assert plan.overridden == (Overridden(plan.moves[0], guard, waived),)


def test_an_override_of_the_dwell_brings_it_back_at_once_and_is_told():
    waived = Override("fra", reasons.DWELL, 60.0, "we know what it was")
    plan = decided(out(1.0, overrides=(waived,)))
    assert turns(plan) == [("fra", Turn.BACK)]
    assert [(each.guard.message, each.override) for each in plan.overridden] == [
        ("fra was moved less than 300 s ago", waived)
    ]


def test_an_override_that_is_not_needed_is_not_told():
    waived = Override("fra", reasons.DWELL, 60.0, "we know what it was")
    assert decided(out(300.0, overrides=(waived,))).overridden == ()


def test_overrides_of_writes_are_told_after_those_of_moves():
    named = (Override("fra", reasons.DWELL, 60.0, ""), Override("fra", reasons.BUDGET, 60.0, ""))
    plan = decided(out(1.0, overrides=named, budgets={"edge": Budget(0)}))
    assert [each.guard.code for each in plan.overridden] == [reasons.DWELL, reasons.BUDGET]


@pytest.mark.parametrize(
    "nothing_else", [{"verdicts": {"ams": DOWN}}, {"verdicts": {"ams": UNKNOWN}}], ids=["lost", "unknown"]
)
def test_when_nothing_else_is_able_a_region_returns_at_once(nothing_else: dict[str, object]):
    """No dwell, no capacity: a poor answer is better than none."""
    full = loads(zone(), calls=100, room=0)
    plan = decided(out(1.0, 4, loads=full, **nothing_else))
    assert turns(plan) == [("fra", Turn.BACK)]
    assert [(step.region, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)] == [("fra", True)]


def test_also_on_the_word_of_all_who_are_heard():
    plan = decided(out(1.0, observations=[said("iad", "fra", UP), said("iad", "ams", DOWN)]))
    assert turns(plan) == [("fra", Turn.BACK)]


@pytest.mark.parametrize("against", [DOWN, DEGRADED])
def test_but_not_against_any_word(against):
    told = [said("iad", "fra", UP), said("ams", "fra", against), said("iad", "ams", DOWN)]
    plan = decided(out(1.0, observations=told))
    assert plan.moves == ()
    assert reasons.NOT_CONFIRMED in refused(plan)


def test_of_two_that_could_return_only_the_first_is_needed():
    memory = joined(zone(), fra=cordoned(ago_s=1.0), ams=cordoned(ago_s=1.0))
    plan = decided(view(memory=memory, routes=origins(zone(), off=["fra", "ams"])))
    assert turns(plan) == [("fra", Turn.BACK)]
    assert refused(plan) == [reasons.DWELL]


def test_a_degraded_region_that_answers_keeps_the_others_waiting():
    plan = decided(out(1.0, verdicts={"ams": DEGRADED}))
    assert turns(plan) == []
    assert reasons.DWELL in refused(plan)


def test_returns_come_before_losses_which_they_make_bearable():
    """fra may come back, and only then may ams go."""
    memory = joined(zone(), fra=cordoned(ago_s=900.0))
    plan = decided(view(verdicts={"ams": DOWN}, memory=memory))
    assert turns(plan) == [("fra", Turn.BACK), ("ams", Turn.OUT)]


def test_a_region_that_lies_in_the_zone_again_comes_back_without_dwell():
    assert turns(decided(out(1.0, cause=Cause.ILLEGAL))) == [("fra", Turn.BACK)]
    abroad = regions(zone(), abroad=["fra"])
    assert decided(out(1.0, cause=Cause.ILLEGAL, regions=abroad)).moves == ()


def test_a_region_that_is_out_abroad_is_not_even_turned_on_for_want_of_others():
    plan = decided(out(900.0, cause=Cause.ILLEGAL, regions=regions(zone(), abroad=["fra"]), verdicts={"ams": DOWN}))
    assert (plan.moves, plan.steps) == ((), ())


STANDBY = zone(("fra", "ams", "par"), weights={"par": 0})


def all_in_par(room: int, *, ams_out_s: float = 600.0, calls: int = 60) -> View:
    """fra and ams are out and well, par carries the calls of both and has room for more."""
    memory = joined(STANDBY, fra=cordoned(ago_s=600.0), ams=cordoned(ago_s=ams_out_s))
    told = {"fra": Load(2, 0, room), "ams": Load(2, 0, room), "par": Load(2, calls, calls)}
    return view(STANDBY, memory=memory, loads=told, routes=origins(STANDBY, off=["fra", "ams"]))


def test_two_regions_that_have_room_only_beside_each_other_come_back_together():
    """Each waited for the other, and all calls stayed in the standby: simulator, seed 1016 of 2,000."""
    plan = decided(all_in_par(room=40))
    assert turns(plan) == [("fra", Turn.BACK), ("ams", Turn.BACK)]
    assert refused(plan) == []


def test_two_regions_that_lack_room_even_together_stay_out():
    plan = decided(all_in_par(room=30))
    assert (turns(plan), refused(plan)) == ([], [reasons.CAPACITY, reasons.CAPACITY])


def test_a_region_does_not_come_back_beside_one_that_must_still_wait():
    plan = decided(all_in_par(room=40, ams_out_s=100.0))
    assert turns(plan) == []
    assert {(each.action.region, each.reason.code) for each in plan.refusals} == {
        ("fra", reasons.CAPACITY), ("ams", reasons.CAPACITY),
    }
