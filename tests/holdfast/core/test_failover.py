"""What is decided about losses, whole plans where they are short. Returns, shifts and worlds: the other files."""

from __future__ import annotations

import time
from dataclasses import replace

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
    origins,
    regions,
    said,
    view,
    zone,
)

from holdfast.core import failover, reasons
from holdfast.core.fallback import Fallback
from holdfast.core.means import Carrier
from holdfast.core.plans import Move, Plan, ReadBack, Refusal, SetOrigin, StoreMemory, Turn, View
from holdfast.core.values import Cause, Cordon, OriginState, Reason, RegionMemory, Withdrawal

LOST = {"fra": DOWN}
SEEN_DOWN = "2 of 2 observers see fra down, 2 are needed (ams; iad)"
SEEN_UP = "2 of 2 observers see fra up, 2 are needed (ams; iad)"
TO_AMS = Fallback("ams", apart=True, reason=Reason(
    reasons.SEPARATE_REGION, "the fallback URL leads to ams, the edge tries fra first"
))
ONLY_AMS = Fallback("ams", apart=False, reason=Reason(
    reasons.NO_OTHER_REGION, "only ams serves, so the fallback URL leads to the same region as the edge"
))
THREE = zone(("fra", "ams", "iad"), ("lon",))


def decided(seen: View) -> Plan:
    return failover.decide(seen, 50.0)


def refused(plan: Plan) -> list[str]:
    return [refusal.reason.code for refusal in plan.refusals]


def moved(plan: Plan) -> list[tuple[str, Turn, Cause]]:
    return [(move.region, move.turn, move.cause) for move in plan.moves]


def written(plan: Plan) -> list[tuple[str, str, bool]]:
    return [(step.lever, step.region, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)]


def stored(plan: Plan) -> dict[str, RegionMemory]:
    assert isinstance(plan.steps[0], StoreMemory)
    return dict(plan.steps[0].memory)


def test_nothing_is_done_while_all_is_well():
    assert decided(view()) == Plan(weights={"fra": 50, "ams": 50}, fallback=TO_AMS)


def test_a_lost_region_is_cordoned_stored_first_written_then_read_back():
    why = Reason(reasons.REGION_LOST, SEEN_DOWN)
    assert decided(view(verdicts=LOST)) == Plan(
        steps=(
            StoreMemory(FENCE, joined(zone(), fra=cordoned(Cause.LOST, 0.0, 1, SEEN_DOWN)), {}, "eu/7/memory"),
            SetOrigin("edge", "fra", False, FENCE, "eu/7/edge/fra/off", why, 0),
            ReadBack("edge", "fra", False),
        ),
        moves=(Move("fra", Turn.OUT, Cause.LOST, why),),
        weights={"fra": 0, "ams": 50},
        fallback=TO_AMS,
    )


def test_it_is_cordoned_at_every_lever_where_it_has_an_origin():
    of = zone(levers=("edge", "second", "third"))
    fra = replace(regions(of)["fra"], origins={"edge": "a", "third": "b"})
    plan = decided(view(of, LOST, regions={**regions(of), "fra": fra}))
    assert written(plan) == [("edge", "fra", False), ("third", "fra", False)]


def test_a_region_without_origins_is_still_moved_in_the_fleets_mind():
    bare = replace(regions(zone())["fra"], origins={})
    plan = decided(view(verdicts=LOST, regions={**regions(zone()), "fra": bare}))
    assert moved(plan) == [("fra", Turn.OUT, Cause.LOST)]
    assert [type(step) for step in plan.steps] == [StoreMemory]


def test_a_follower_tells_weights_and_what_it_would_want_and_does_nothing():
    plan = decided(view(verdicts=LOST, fence=None))
    why = Reason(reasons.NO_QUORUM, "this operator does not hold a majority of the votes")
    wish = Move("fra", Turn.OUT, Cause.LOST, Reason(reasons.REGION_LOST, SEEN_DOWN))
    assert plan == Plan(refusals=(Refusal(wish, why),), weights={"fra": 0, "ams": 50}, fallback=TO_AMS)


def test_a_leader_whose_majority_is_too_old_is_a_follower():
    plan = decided(view(verdicts=LOST, last_ack_age_s=3.3))
    assert (plan.steps, plan.moves, refused(plan)) == ((), (), [reasons.NO_QUORUM])


def test_a_suspicion_that_is_not_confirmed_is_told_and_held():
    plan = decided(view(observations=[said("ams", "fra", DOWN), said("iad", "fra", UP)]))
    assert (plan.steps, refused(plan)) == ((), [reasons.NOT_CONFIRMED])


def test_the_word_of_a_doubting_observer_is_told_and_held():
    told = [said("ams", "fra", DOWN, self_doubt=True), said("iad", "fra", UP)]
    assert refused(decided(view(observations=told))) == [reasons.NOT_CONFIRMED]


def test_everything_is_held_when_all_look_ill():
    plan = decided(view(verdicts={"fra": DOWN, "ams": DOWN}))
    assert (plan.steps, refused(plan)) == ((), [reasons.EVERYTHING_ILL, reasons.EVERYTHING_ILL])
    assert plan.weights == {"fra": 50, "ams": 50}


def test_an_unknown_verdict_is_never_ill():
    plan = decided(view(verdicts={"fra": UNKNOWN}))
    assert (plan.steps, plan.moves, plan.refusals) == ((), (), ())


def test_of_two_lost_regions_both_go_while_one_serves():
    of = zone(("fra", "ams", "iad"), ("lon", "par"))
    assert moved(decided(view(of, {"fra": DOWN, "ams": DOWN}))) == [
        ("fra", Turn.OUT, Cause.LOST), ("ams", Turn.OUT, Cause.LOST),
    ]


def test_each_wish_is_judged_in_the_light_of_those_granted_before_it():
    """Two people cordon a region each; with maxCordoned 1 the second must wait."""
    asked = tuple(Withdrawal(name, Reason("PodsNotReady", "none ready"), 0.5) for name in ("fra", "ams"))
    plan = decided(view(THREE, withdrawals=asked))
    assert moved(plan) == [("fra", Turn.OUT, Cause.WITHDRAWN)]
    assert refused(plan) == [reasons.MAX_CORDONED]


def test_one_granted_cause_makes_the_milder_needless():
    """Else a region would have to come back for several causes that were never more than one fault."""
    observations = [said("ams", "fra", DOWN), said("iad", "fra", DOWN), said("lon", "fra", DEGRADED)]
    others = [seen for seen in all_say(THREE) if seen.target != "fra"]
    asked = (Withdrawal("fra", Reason("PodsNotReady", "none ready"), 0.5),)
    plan = decided(view(THREE, observations=[*observations, *others], withdrawals=asked))
    assert (moved(plan), plan.refusals) == ([("fra", Turn.OUT, Cause.LOST)], ())


def test_a_loss_that_is_not_confirmed_does_not_hide_a_degradation_that_is():
    observations = [said("ams", "fra", DOWN), said("iad", "fra", DEGRADED), *all_say(zone())[2:]]
    plan = decided(view(observations=observations))
    assert moved(plan) == [("fra", Turn.OUT, Cause.DEGRADED)]
    assert refused(plan) == [reasons.NOT_CONFIRMED]
    assert plan.reasons[0].message == "2 of 2 observers see fra ill, 2 are needed (ams; iad)"


@pytest.mark.parametrize("cause", [Cause.WITHDRAWN, Cause.DEGRADED])
@pytest.mark.parametrize("stands", [True, False], ids=["out", "back just now"])
def test_a_mild_repair_never_delays_a_grave_one(cause: Cause, stands: bool):
    memory = joined(zone(), fra=cordoned(cause, 1.0, 4, stands=stands))
    plan = decided(view(verdicts=LOST, memory=memory))
    assert moved(plan) == [("fra", Turn.OUT, Cause.LOST)]
    assert stored(plan)["fra"].cordons == {
        cause: Cordon(stands, 1.0, 4), Cause.LOST: Cordon(True, 0.0, 1, SEEN_DOWN),
    }


def test_a_region_seen_well_joins_and_is_remembered():
    assert decided(view(memory={})).steps == (StoreMemory(FENCE, joined(zone()), {}, "eu/7/memory"),)


def test_one_voice_is_not_enough_to_join():
    observations = [said("ams", "fra", UP), *all_say(zone())[2:]]
    assert decided(view(memory={"ams": RegionMemory()}, observations=observations)).steps == ()


def test_a_region_abroad_does_not_join_and_is_taken_out_however_well_it_is():
    plan = decided(view(memory={"ams": RegionMemory()}, regions=regions(zone(), abroad=["fra"])))
    words = "fra lies in us, calls of eu stay in eu"
    assert stored(plan) == joined(zone(), fra=cordoned(Cause.ILLEGAL, 0.0, 1, words))
    assert written(plan) == [("edge", "fra", False)]


def test_a_zone_without_a_legal_region_is_emptied_and_nothing_leads_round_it():
    plan = decided(view(regions=regions(zone(), abroad=["fra", "ams"]), paused="we move house"))
    assert moved(plan) == [("fra", Turn.OUT, Cause.ILLEGAL), ("ams", Turn.OUT, Cause.ILLEGAL)]
    assert written(plan) == [("edge", "fra", False), ("edge", "ams", False)]
    assert (plan.weights, plan.fallback, plan.refusals) == ({"fra": 0, "ams": 0}, None, ())


def test_a_region_that_is_out_is_taken_out_for_residency_too():
    memory = joined(zone(), fra=cordoned(Cause.HUMAN, 9.0, remaining_s=60.0, told_by="ams"))
    plan = decided(view(verdicts=LOST, memory=memory, regions=regions(zone(), abroad=["fra"])))
    assert stored(plan)["fra"].standing == (Cause.ILLEGAL, Cause.HUMAN)


def test_a_region_that_never_was_up_is_absent_and_joins_without_dwell_or_ramp():
    plan = decided(view(verdicts=LOST, memory={"ams": RegionMemory()}))
    words = f"{SEEN_DOWN}; it was never seen well"
    absent = cordoned(Cause.ABSENT, 0.0, 1, words)
    assert moved(plan) == [("fra", Turn.OUT, Cause.ABSENT)]
    assert stored(plan)["fra"] == absent
    later = decided(view(memory=joined(zone(), fra=absent), routes=origins(zone(), off=["fra"])))
    assert moved(later) == [("fra", Turn.BACK, Cause.ABSENT)]
    assert stored(later)["fra"] == cordoned(Cause.ABSENT, 0.0, 1, SEEN_UP, stands=False)
    assert written(later) == [("edge", "fra", True)]


def test_an_unknown_origin_is_read_before_anything_leans_on_it():
    plan = decided(view(verdicts=LOST, routes=origins(zone(), unknown=["ams"])))
    assert plan.steps == (ReadBack("edge", "ams"),)
    assert refused(plan) == [reasons.NEVER_EMPTY]


def test_an_origin_never_read_is_unknown_and_reading_stores_nothing():
    assert decided(view(routes=[])).steps == (ReadBack("edge", "fra"), ReadBack("edge", "ams"))


def test_a_write_that_did_not_come_about_is_written_again_with_the_memory_as_fence():
    memory = joined(zone(), fra=cordoned(Cause.LOST, 2.0, 1, "lost"))
    plan = decided(view(verdicts=LOST, memory=memory))
    assert plan.steps == (
        StoreMemory(FENCE, memory, {}, "eu/7/memory"),
        SetOrigin("edge", "fra", False, FENCE, "eu/7/edge/fra/off", Reason(reasons.REGION_LOST, "lost"), 0),
        ReadBack("edge", "fra", False),
    )
    assert plan.moves == ()


def test_an_off_write_that_would_empty_the_lever_is_refused_on_its_own():
    memory = joined(zone(), fra=cordoned(Cause.LOST, 2.0, 1, "lost"))
    plan = decided(view(verdicts={"fra": UNKNOWN, "ams": DOWN}, memory=memory))
    assert (plan.steps, refused(plan)) == ((), [reasons.EVERYTHING_ILL, reasons.EVERYTHING_ILL])


def test_what_is_turned_on_is_not_leaned_on_before_it_was_read_back():
    plan = decided(view(verdicts=LOST, routes=origins(zone(), off=["ams"])))
    assert (written(plan), refused(plan)) == ([("edge", "ams", True)], [reasons.NEVER_EMPTY])


def test_a_lost_region_is_not_turned_on():
    seen = view(verdicts={"fra": DOWN, "ams": DOWN}, routes=origins(zone(), off=["fra"]))
    assert refused(decided(seen))[-1] == reasons.TARGET_LOST


FOUND = "found off, with no record of why"


def test_a_region_found_off_without_a_record_counts_as_cordoned_just_now():
    plan = decided(view(memory={"ams": RegionMemory()}, routes=origins(zone(), off=["fra"])))
    found = joined(zone(), fra=cordoned(Cause.FOUND_OFF, 0.0, 0, FOUND))
    assert plan.steps == (StoreMemory(FENCE, found, {}, "eu/7/memory"),)
    assert refused(plan) == [reasons.UNKNOWN_HISTORY]
    assert plan.wake_at == 50.0 + 300.0


def test_after_a_rewind_what_is_off_though_it_should_serve_was_turned_off_for_a_reason():
    healed = {Cause.LOST: Cordon(stands=False, changed_ago_s=9.0)}
    memory = joined(zone(), fra=RegionMemory(healed))
    plan = decided(view(memory=memory, routes=origins(zone(), off=["fra"]), rewound=True))
    assert stored(plan)["fra"].cordons == {**healed, Cause.FOUND_OFF: Cordon(True, 0.0, 0, FOUND)}
    assert refused(plan) == [reasons.REWOUND_HISTORY]


def test_what_is_known_to_be_out_is_not_found_off():
    memory = joined(zone(), fra=cordoned(Cause.LOST, 9.0))
    plan = decided(view(verdicts=LOST, memory=memory, routes=origins(zone(), off=["fra"]), rewound=True))
    assert plan.steps == ()


def test_a_serving_region_found_off_is_turned_on_again():
    assert written(decided(view(routes=origins(zone(), off=["fra"])))) == [("edge", "fra", True)]


def test_a_zone_found_all_off_is_turned_on_at_once():
    plan = decided(view(memory={}, routes=origins(zone(), off=["fra", "ams"])))
    assert written(plan) == [("edge", "fra", True), ("edge", "ams", True)]
    assert stored(plan) == joined(zone())


def test_a_region_partly_off_without_a_record_is_taken_for_serving():
    of = zone(levers=("edge", "second"))
    routes = [OriginState("edge", "fra", False), OriginState("second", "fra", True),
              *(state for state in origins(of) if state.region != "fra")]
    assert written(decided(view(of, memory={}, routes=routes))) == [("edge", "fra", True)]


def test_a_region_off_at_one_lever_and_unread_at_another_is_not_found_off():
    of = zone(levers=("edge", "second"))
    routes = [OriginState("edge", "fra", False), *(state for state in origins(of) if state.region != "fra")]
    assert stored(decided(view(of, memory={}, routes=routes))) == joined(of)


def test_a_region_without_origins_is_not_found_off():
    assert stored(decided(view(zone(levers=()), memory={}))) == joined(zone())


def test_unknown_history_begins_to_age_when_it_is_found():
    memory = joined(
        zone(),
        fra=RegionMemory({Cause.LOST: Cordon(True, None, 2, "lost"), Cause.DEGRADED: Cordon(False, 70.0)}, None, 9.0),
        ams=RegionMemory({}, 1, None),
    )
    plan = decided(view(memory=memory, routes=origins(zone(), off=["fra"])))
    assert plan.steps == (StoreMemory(FENCE, {
        "fra": RegionMemory({Cause.LOST: Cordon(True, 0.0, 2, "lost"), Cause.DEGRADED: Cordon(False, 70.0)}, None, 9.0),
        "ams": RegionMemory({}, 1, 0.0),
    }, {}, "eu/7/memory"),)
    assert refused(plan) == [reasons.UNKNOWN_HISTORY, reasons.RAMP]


def test_a_region_that_left_the_zone_is_forgotten_with_the_next_store():
    """Names come and go over the years; the memory must always fit what a reader takes."""
    plan = decided(view(verdicts=LOST, memory={**joined(zone()), "par": cordoned(remaining_s=9.0, step=1)}))
    assert set(stored(plan)) == {"fra", "ams"}
    assert decided(view(memory={**joined(zone()), "par": cordoned(remaining_s=9.0)})).steps == ()
    assert decided(view(memory={**joined(zone()), "par": cordoned(remaining_s=9.0)})).wake_at is None


@pytest.mark.parametrize(
    ("calm_s", "flaps"), [(10.0, 3), (12 * 300.0 - 0.1, 3), (12 * 300.0, 1), (None, 3)]
)
def test_flaps_count_up_until_a_calm_of_twelve_dwells(calm_s: float | None, flaps: int):
    """Of unknown age is of age 0, so that a lost memory forgives nothing."""
    plan = decided(view(verdicts=LOST, memory=joined(zone(), fra=cordoned(Cause.LOST, calm_s, 2, stands=False))))
    assert stored(plan)["fra"].cordons[Cause.LOST] == Cordon(True, 0.0, flaps, SEEN_DOWN)


def test_each_cause_counts_its_own_flaps():
    memory = joined(zone(), fra=cordoned(Cause.DEGRADED, 9.0, 7, stands=False))
    plan = decided(view(verdicts=LOST, memory=memory))
    assert stored(plan)["fra"].cordons[Cause.LOST].flaps == 1


def test_lost_are_those_cordoned_and_still_down():
    memory = joined(THREE, fra=cordoned(ago_s=9.0), ams=cordoned(ago_s=9.0))
    assert failover.lost(view(THREE, LOST, memory=memory)) == ("fra",)
    assert failover.lost(view(THREE, LOST)) == ()
    assert failover.lost(view(THREE, dict.fromkeys(THREE.members, DOWN), memory=memory)) == ("fra", "ams")


def test_calls_wait_from_the_first_sight_of_a_loss_until_every_lever_reads_as_it_is_wanted():
    out = joined(zone(), fra=cordoned())
    assert not failover.moving(view())
    assert failover.moving(view(verdicts=LOST))
    assert failover.moving(view(verdicts=LOST, memory=out))
    done = origins(zone(), off=("fra",))
    assert not failover.moving(view(verdicts=LOST, memory=out, routes=done))


def test_a_follower_waits_for_no_lever_and_nobody_waits_for_one_on_trial():
    out = joined(zone(), fra=cordoned())
    trial = replace(zone(), levers=(replace(zone().levers[0], dry_run=True),))
    assert not failover.moving(view(verdicts=LOST, memory=out, fence=None))
    assert not failover.moving(view(trial, LOST, memory=out))


def test_carriers_are_ordered_and_remembered_beside_the_regions():
    account = Carrier("twilio", "twilio", "AC1", "", "secret")
    of = replace(zone(), carriers=(account,))
    plan = decided(view(of, LOST, carriers={"twilio": Cordon(stands=False, changed_ago_s=900.0)}))
    assert plan.carriers == ("twilio",)
    assert isinstance(plan.steps[0], StoreMemory)
    assert plan.steps[0].carriers == {"twilio": Cordon(stands=False, changed_ago_s=900.0)}


def test_a_decision_over_10_regions_takes_less_than_50_ms():
    of = zone([f"r{number}" for number in range(10)], ("w",), ("edge", "second", "third"))
    seen = view(of, {"r3": DOWN, "r7": DOWN})
    failover.decide(seen, 1.0)
    began = time.perf_counter()
    plan = failover.decide(seen, 1.0)
    assert time.perf_counter() - began < 0.05
    assert {move.region for move in plan.moves} == {"r3", "r7"}
