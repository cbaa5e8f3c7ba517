"""What is decided, and what is never broken whatever happens midway."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from core_builders import DOWN, FENCE, UNKNOWN, UP, origins, regions, said, view, zone
from core_world import DWELL_S, Outcome, World
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import failover, reasons
from holdfast.core.plans import Move, Plan, ReadBack, SetOrigin, StoreMemory, View
from holdfast.core.values import Intent, OriginState, Region, RegionMemory, Verdict

LOST = {"fra": DOWN}


def refused(plan: Plan) -> list[str]:
    return [refusal.reason.code for refusal in plan.refusals]


def test_nothing_is_done_while_all_is_well():
    assert failover.decide(view(), 50.0) == Plan()


def test_a_lost_region_is_cordoned_stored_first_written_then_read_back():
    plan = failover.decide(view(verdicts=LOST), 50.0)
    why = "2 of 2 observers see fra down, 2 are needed (ams; iad)"
    off = plan.steps[1]
    assert plan.steps == (
        StoreMemory(FENCE, {"fra": RegionMemory(Intent.CORDONED, 0.0, 1, why)}), off, ReadBack("edge", "fra", False),
    )
    assert isinstance(off, SetOrigin)
    assert (off.lever, off.region, off.enabled, off.fence) == ("edge", "fra", False, FENCE)
    assert off.key == "eu/7/edge/fra/off"
    assert off.reason == plan.reasons[0]
    assert (off.reason.code, off.reason.message) == (reasons.REGION_LOST, why)


def test_it_is_cordoned_at_every_lever_where_it_has_an_origin():
    of = zone(levers=("edge", "second", "third"))
    seen = view(of, LOST)
    fra = replace(seen.regions["fra"], origins={"edge": "a", "third": "b"})
    plan = failover.decide(replace(seen, regions={**seen.regions, "fra": fra}), 50.0)
    assert [step.lever for step in plan.steps if isinstance(step, SetOrigin)] == ["edge", "third"]


def test_a_region_unknown_to_us_has_no_origin_to_write():
    seen = view(verdicts=LOST)
    plan = failover.decide(replace(seen, regions={"ams": seen.regions["ams"]}), 50.0)
    assert [type(step) for step in plan.steps] == [StoreMemory]


def test_a_follower_only_says_what_it_would_want():
    plan = failover.decide(view(verdicts=LOST, fence=None), 50.0)
    assert (plan.steps, plan.moves, refused(plan)) == ((), (), [reasons.NO_QUORUM])


def test_a_suspicion_that_is_not_confirmed_is_told_and_held():
    plan = failover.decide(view(observations=[said("ams", "fra", DOWN), said("iad", "fra", UP)]), 50.0)
    assert (plan.steps, refused(plan)) == ((), [reasons.NOT_CONFIRMED])


def test_the_word_of_a_doubting_observer_is_told_and_held():
    told = [said("ams", "fra", DOWN, self_doubt=True), said("iad", "fra", UP)]
    assert refused(failover.decide(view(observations=told), 50.0)) == [reasons.NOT_CONFIRMED]


def test_everything_is_held_when_all_look_ill():
    plan = failover.decide(view(verdicts={"fra": DOWN, "ams": DOWN}), 50.0)
    assert (plan.steps, refused(plan)) == ((), [reasons.EVERYTHING_ILL, reasons.EVERYTHING_ILL])


def test_an_unknown_verdict_is_never_ill():
    assert failover.decide(view(verdicts={"fra": UNKNOWN}), 50.0) == Plan()


def test_of_two_lost_regions_both_go_while_one_serves():
    of = zone(("fra", "ams", "iad"), ("lon", "par"))
    plan = failover.decide(view(of, {"fra": DOWN, "ams": DOWN}), 50.0)
    assert [move.region for move in plan.moves] == ["fra", "ams"]


def test_an_unknown_origin_is_read_before_anything_leans_on_it():
    plan = failover.decide(view(verdicts=LOST, routes=origins(zone(), unknown=["ams"])), 50.0)
    assert plan.steps == (ReadBack("edge", "ams"),)
    assert refused(plan) == [reasons.NEVER_EMPTY]


def test_an_origin_never_read_is_unknown():
    assert failover.decide(view(routes=[]), 50.0).steps == (ReadBack("edge", "fra"), ReadBack("edge", "ams"))


def test_a_write_that_did_not_come_about_is_written_again_with_the_memory_as_fence():
    memory = {"fra": RegionMemory(Intent.CORDONED, 2.0, 1, "lost")}
    plan = failover.decide(view(verdicts=LOST, memory=memory), 50.0)
    assert [type(step) for step in plan.steps] == [StoreMemory, SetOrigin, ReadBack]
    assert plan.steps[0] == StoreMemory(FENCE, memory)
    assert plan.moves == ()


def test_an_off_write_that_would_empty_the_lever_is_refused_on_its_own():
    memory = {"fra": RegionMemory(Intent.CORDONED, 2.0, 1, "lost")}
    plan = failover.decide(view(verdicts={"fra": UNKNOWN, "ams": DOWN}, memory=memory), 50.0)
    assert plan.steps == ()
    assert reasons.EVERYTHING_ILL in refused(plan)


def test_a_serving_region_found_off_is_turned_on_again():
    memory = {"fra": RegionMemory(Intent.SERVING, 900.0, 1, "2 of 2 observers see fra up again")}
    plan = failover.decide(view(memory=memory, routes=origins(zone(), off=["fra"])), 50.0)
    assert [(step.region, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)] == [("fra", True)]


def test_what_is_turned_on_is_not_leaned_on_before_it_was_read_back():
    memory = {"ams": RegionMemory(Intent.SERVING, 900.0, 1, "")}
    plan = failover.decide(view(verdicts=LOST, memory=memory, routes=origins(zone(), off=["ams"])), 50.0)
    assert [(step.region, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)] == [("ams", True)]
    assert refused(plan) == [reasons.NEVER_EMPTY]


def test_a_lost_region_is_not_turned_on():
    memory = {"fra": RegionMemory(Intent.SERVING, 900.0)}
    seen = view(verdicts={"fra": DOWN, "ams": DOWN}, memory=memory, routes=origins(zone(), off=["fra"]))
    assert refused(failover.decide(seen, 50.0))[-1] == reasons.TARGET_LOST


def test_a_region_found_off_without_a_record_counts_as_cordoned_just_now():
    plan = failover.decide(view(routes=origins(zone(), off=["fra"])), 50.0)
    found = RegionMemory(Intent.CORDONED, 0.0, 0, "found off, with no record of why")
    assert plan.steps == (StoreMemory(FENCE, {"fra": found}),)
    assert refused(plan) == [reasons.UNKNOWN_HISTORY]


def test_a_zone_found_all_off_is_turned_on_at_once():
    plan = failover.decide(view(routes=origins(zone(), off=["fra", "ams"])), 50.0)
    assert [(step.region, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)] == [
        ("fra", True), ("ams", True),
    ]


def test_a_region_partly_off_without_a_record_is_taken_for_serving():
    of = zone(levers=("edge", "second"))
    routes = [OriginState("edge", "fra", False), *(state for state in origins(of) if state.region != "fra"),
              OriginState("second", "fra", True)]
    plan = failover.decide(view(of, routes=routes), 50.0)
    assert [(step.lever, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)] == [("edge", True)]


def test_unknown_history_begins_to_age_when_it_is_found():
    memory = {"fra": RegionMemory(Intent.CORDONED, None, 2, "lost")}
    plan = failover.decide(view(memory=memory, routes=origins(zone(), off=["fra"])), 50.0)
    assert plan.steps == (StoreMemory(FENCE, {"fra": RegionMemory(Intent.CORDONED, 0.0, 2, "lost")}),)
    assert plan.wake_at == 50.0 + 600.0


def test_a_region_comes_back_after_dwell_and_keeps_its_flaps():
    memory = {"fra": RegionMemory(Intent.CORDONED, 301.0, 1, "lost")}
    plan = failover.decide(view(memory=memory, routes=origins(zone(), off=["fra"])), 50.0)
    assert plan.moves[0].intent is Intent.SERVING
    assert plan.steps[0] == StoreMemory(
        FENCE, {"fra": RegionMemory(Intent.SERVING, 0.0, 1, "2 of 2 observers see fra up again")}
    )
    assert isinstance(plan.steps[1], SetOrigin)
    assert (plan.steps[1].enabled, plan.steps[1].reason.code) == (True, reasons.REGION_RECOVERED)
    assert plan.steps[2] == ReadBack("edge", "fra", True)


def test_until_then_the_plan_names_the_moment_to_look_again():
    memory = {"fra": RegionMemory(Intent.CORDONED, 100.0, 1, "lost")}
    plan = failover.decide(view(memory=memory, routes=origins(zone(), off=["fra"])), 50.0)
    assert (refused(plan), plan.wake_at) == ([reasons.DWELL], 250.0)


def test_a_region_that_stays_down_names_no_moment():
    memory = {"fra": RegionMemory(Intent.CORDONED, 100.0, 1, "lost")}
    plan = failover.decide(view(verdicts=LOST, memory=memory, routes=origins(zone(), off=["fra"])), 50.0)
    assert (plan.steps, plan.wake_at) == ((), None)


@pytest.mark.parametrize(("calm_s", "flaps"), [(10.0, 3), (12 * 300.0, 1), (None, 1)])
def test_flaps_count_up_until_a_long_calm(calm_s: float | None, flaps: int):
    memory = {"fra": RegionMemory(Intent.SERVING, calm_s, 2, "")}
    plan = failover.decide(view(verdicts=LOST, memory=memory), 50.0)
    assert isinstance(plan.steps[0], StoreMemory)
    assert plan.steps[0].memory["fra"].flaps == flaps


def test_lost_are_those_cordoned_and_still_down():
    memory = {"fra": RegionMemory(Intent.CORDONED, 9.0, 1, "lost"), "ams": RegionMemory(Intent.CORDONED, 9.0)}
    of = zone(("fra", "ams", "iad"), ("lon",))
    assert failover.lost(view(of, LOST, memory=memory)) == ("fra",)
    assert failover.lost(view(of, LOST)) == ()


def test_a_whole_loss_and_return_in_the_world():
    world = World()
    world.turn()
    world.set("fra", DOWN)
    world.turn()
    assert world.turned_off() == {"fra"}
    world.set("fra", UP)
    for _ in range(5):
        world.now += 10.0
        world.turn()
    assert world.turned_off() == {"fra"}
    world.now += 10.0
    world.turn()
    assert world.turned_off() == set()
    assert world.turn().steps == (), "nothing more to do, nothing more is written"


def happen(world: World, event: tuple[str, object, object]) -> None:
    match event:
        case ("verdict", str(region), Verdict() as verdict):
            world.set(region, verdict)
        case ("silent" | "doubting" | "misled" | "obedient" as which, str(who), bool(yes)):
            (getattr(world, which).add if yes else getattr(world, which).discard)(who)
        case ("turn", Outcome() as outcome, int(stop_after)):
            world.turn(outcome=outcome, stop_after=stop_after)
        case ("time", _, int(steps)):
            world.now += 10.0 * steps
        case ("leader", _, True):
            world.take_over()
        case ("leader", _, _):
            world.epoch = None


def settle(world: World) -> None:
    """After the last fault routing comes back by itself, and then nothing more is written."""
    world.take_over()
    world.silent, world.doubting, world.misled = set(), set(), set()
    for region in world.zone.members:
        world.set(region, UP)
    for _ in range(100):
        world.now += 10.0
        world.turn()
    assert world.turned_off() == set(), "all is well again, and routing has not come back"
    assert world.turn().steps == (), "at rest, something is still written"


MEMBERS, VOTERS = st.sampled_from(("fra", "ams", "iad")), st.sampled_from(("fra", "ams", "iad", "lon"))
EVENTS = st.one_of(
    st.tuples(st.just("verdict"), MEMBERS, st.sampled_from(list(Verdict))),
    st.tuples(st.sampled_from(("silent", "doubting", "misled")), VOTERS, st.booleans()),
    st.tuples(st.just("turn"), st.sampled_from(list(Outcome)), st.integers(0, 6)),
    st.tuples(st.just("time"), st.just(""), st.integers(1, 12)),
    st.tuples(st.just("obedient"), st.sampled_from(("edge", "second")), st.booleans()),
    st.tuples(st.just("leader"), st.just(""), st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_never_broken_at_any_prefix_of_any_plan_whatever_happens(happens: list[tuple[str, object, object]]):
    """Never empty, never nobody serving, nothing without a fence, dwell, held when all look ill: see World."""
    world = World()
    for event in happens:
        happen(world, event)
    settle(world)


def test_never_broken_in_two_regions_that_take_turns_to_fail():
    """The narrowest zone, driven from seeds: whoever is left is needed, and levers fail when they are needed most."""
    cordons = returns = 0
    for seed in range(150):
        dice = random.Random(seed)
        world = World(zone(("fra", "ams"), ("iad", "lon"), ("edge", "second"), dwell_s=DWELL_S))
        for _ in range(80):
            which = dice.choices(("verdict", "turn", "time", "leader", "obedient", "misled"), (4, 8, 4, 1, 1, 0.3))[0]
            happen(world, {
                "verdict": ("verdict", dice.choice(("fra", "ams")), dice.choices(list(Verdict), (7, 4, 0.5))[0]),
                "turn": ("turn", dice.choices(list(Outcome), (5, 1, 2, 1))[0], dice.choice((1, 2, 99, 99, 99))),
                "time": ("time", "", dice.choice((3, 9, 30))),
                "leader": ("leader", "", dice.random() < 0.7),
                "obedient": ("obedient", dice.choice(("edge", "second")), dice.random() < 0.3),
                "misled": ("misled", dice.choice(("fra", "ams", "iad", "lon")), dice.random() < 0.3),
            }[which])
        cordons, returns = cordons + world.cordons, returns + world.returns
        settle(world)
    assert cordons > 150, "hardly a region was cordoned, so nothing was shown"
    assert returns > 20


def test_the_world_really_cordons_and_brings_back():
    """Else the invariants above would hold for a decider that does nothing."""
    world = World()
    world.turn()
    for _ in range(3):
        world.set("ams", DOWN)
        world.turn()
        world.set("ams", UP)
        for _ in range(30):
            world.now += 10.0
            world.turn()
    assert (world.cordons, world.returns) == (3, 3)


def test_a_decision_over_10_regions_takes_less_than_50_ms():
    of = zone([f"r{number}" for number in range(10)], ("w",), ("edge", "second", "third"))
    seen = view(of, {"r3": DOWN, "r7": DOWN})
    assert isinstance(seen, View)
    failover.decide(seen, 1.0)
    began = time.perf_counter()
    plan = failover.decide(seen, 1.0)
    assert time.perf_counter() - began < 0.05
    assert {move.region for move in plan.moves} == {"r3", "r7"}


def test_the_types_a_shell_needs_are_all_here():
    assert {Move, Plan, ReadBack, SetOrigin, StoreMemory, View} <= {getattr(failover, n) for n in failover.__all__}


def test_a_region_without_origins_is_still_moved_in_the_fleets_mind():
    of = zone()
    bare = {**regions(of), "fra": Region("fra", "fra.voice.example.com", "eu")}
    plan = failover.decide(replace(view(of, LOST), regions=bare), 50.0)
    assert [type(step) for step in plan.steps] == [StoreMemory]
