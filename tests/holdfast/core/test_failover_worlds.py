"""What is never broken whatever happens, at any prefix of any plan; and that all comes right when it is over."""

from __future__ import annotations

import random

from core_builders import DOWN, UP, zone
from core_world import AT_EASE, DWELL_S, Outcome, World
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.values import Cause, Load, Verdict

Event = tuple[str, object, object]


def happen(world: World, event: Event) -> None:
    match event:
        case ("verdict", str(region), Verdict() as verdict):
            world.set(region, verdict)
        case ("silent" | "doubting" | "misled" | "obedient" | "asking" | "abroad" | "paused" as which, str(who), yes):
            (getattr(world, which).add if yes else getattr(world, which).discard)(who)
        case ("load", str(region), Load() as load):
            world.loads[region] = load
        case ("human" | "game-day" as by, (str(region), str(told_by)), float(for_s)):
            world.shift(region, Cause(by), for_s, told_by)
        case ("turn", Outcome() as outcome, int(stop_after)):
            world.turn(outcome=outcome, stop_after=stop_after)
        case ("time", _, int(steps)):
            world.now += 10.0 * steps
        case ("leader", _, True):
            world.take_over()
        case ("leader", _, _):
            world.epoch = None
        case ("unreadable", _, _):
            world.undated = True
        case _:
            raise AssertionError(event)


def settle(world: World) -> None:
    """After the last fault routing comes back by itself, and then nothing more is written."""
    world.take_over()
    for faults in (world.silent, world.doubting, world.misled, world.asking, world.abroad, world.paused):
        faults.clear()
    world.shifts.clear()
    for region in world.zone.members:
        world.set(region, UP)
        world.loads[region] = AT_EASE
    for _ in range(100):
        world.now += 10.0
        world.turn()
    assert world.turned_off() == set(), "all is well again, and routing has not come back"
    assert {share for (lever, _), (_, share) in world.actual.items() if lever == "edge"} == {100}, "not at full weight"
    assert world.turn().steps == (), "at rest, something is still written"


MEMBERS, VOTERS = st.sampled_from(("fra", "ams", "iad")), st.sampled_from(("fra", "ams", "iad", "lon"))
LOADS = st.sampled_from((AT_EASE, Load(2, 90, 10), Load(2, 0, 0), Load(0, 0, 0)))
EVENTS = st.one_of(
    st.tuples(st.just("verdict"), MEMBERS, st.sampled_from(list(Verdict))),
    st.tuples(st.sampled_from(("silent", "doubting", "misled")), VOTERS, st.booleans()),
    st.tuples(st.sampled_from(("asking", "abroad")), MEMBERS, st.booleans()),
    st.tuples(st.sampled_from(("human", "game-day")), st.tuples(MEMBERS, VOTERS), st.sampled_from((0.0, 30.0, 300.0))),
    st.tuples(st.just("load"), MEMBERS, LOADS),
    st.tuples(st.just("paused"), st.just("we move house"), st.booleans()),
    st.tuples(st.just("unreadable"), st.just(""), st.just(True)),
    st.tuples(st.just("turn"), st.sampled_from(list(Outcome)), st.integers(0, 6)),
    st.tuples(st.just("time"), st.just(""), st.integers(1, 12)),
    st.tuples(st.just("obedient"), st.sampled_from(("edge", "second")), st.booleans()),
    st.tuples(st.just("leader"), st.just(""), st.booleans()),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_never_broken_at_any_prefix_of_any_plan_whatever_happens(happens: list[Event]):
    """Never empty or abroad, nothing without a fence, a quorum, a dwell or room, held when all look ill: see World."""
    world = World()
    for event in happens:
        happen(world, event)
    settle(world)


def drawn(dice: random.Random, members: tuple[str, ...], voters: tuple[str, ...]) -> Event:
    """Faults that last for a while, with many turns between them."""
    kinds = {"turn": 9, "time": 5, "verdict": 4, "asking": 1, "human": 1, "game-day": 1, "load": 1, "leader": 1,
             "obedient": 1, "misled": 0.3, "abroad": 0.2, "paused": 0.2, "unreadable": 0.2}
    which = dice.choices(list(kinds), list(kinds.values()))[0]
    region, voter = dice.choice(members), dice.choice(voters)
    events: dict[str, Event] = {
        "turn": ("turn", dice.choices(list(Outcome), (5, 1, 2, 1))[0], dice.choice((1, 2, 3, 99, 99, 99))),
        "time": ("time", "", dice.choice((1, 3, 9, 30))),
        "verdict": ("verdict", region, dice.choices((UP, Verdict.DEGRADED, DOWN, Verdict.UNKNOWN), (7, 2, 4, 1))[0]),
        "asking": ("asking", region, dice.random() < 0.5),
        "human": ("human", (region, voter), dice.choice((0.0, 60.0, 600.0))),
        "game-day": ("game-day", (region, voter), dice.choice((0.0, 60.0, 600.0))),
        "load": ("load", region, dice.choice((AT_EASE, AT_EASE, Load(2, 90, 10), Load(0, 0, 0)))),
        "leader": ("leader", "", dice.random() < 0.8),
        "obedient": ("obedient", dice.choice(("edge", "second")), dice.random() < 0.3),
        "misled": ("misled", voter, dice.random() < 0.3),
        "abroad": ("abroad", region, dice.random() < 0.4),
        "paused": ("paused", "we move house", dice.random() < 0.3),
        "unreadable": ("unreadable", "", True),
    }
    return events[which]


def test_never_broken_in_two_regions_that_take_turns_to_fail():
    """The narrowest zone, driven from seeds: whoever is left is needed, and levers fail when they are needed most."""
    cordons = returns = raises = 0
    for seed in range(120):
        dice = random.Random(seed)
        world = World(zone(("fra", "ams"), ("iad", "lon"), ("edge", "second"), dwell_s=DWELL_S, weighted=["edge"]))
        for _ in range(80):
            happen(world, drawn(dice, world.zone.members, world.zone.voters))
        cordons, returns, raises = cordons + world.cordons, returns + world.returns, raises + world.raises
        settle(world)
    assert cordons > 150, "hardly a region was cordoned, so nothing was shown"
    assert returns > 50
    assert raises > 50


def test_every_plan_may_stop_after_every_step():
    """One story, told once for each step at which its plans may end; the next turn takes it up from there."""
    for stop_after in range(7):
        world = World()
        world.turn()
        for verdict, whose in ((DOWN, "fra"), (UP, "fra"), (DOWN, "ams"), (UP, "ams")):
            world.set(whose, verdict)
            for outcome in Outcome:
                world.turn(stop_after=stop_after, outcome=outcome)
                world.now += DWELL_S
            for _ in range(9):
                world.turn()
                world.now += 10.0
        settle(world)


def test_a_whole_loss_and_return_in_the_world():
    world = World()
    world.turn()
    world.turn()
    world.set("fra", DOWN)
    world.turn()
    assert world.turned_off() == {"fra"}
    world.set("fra", UP)
    for _ in range(5):
        world.now += 10.0
        world.turn()
    assert world.turned_off() == {"fra"}
    shares = []
    for _ in range(8):
        world.now += 10.0
        world.turn()
        shares.append(world.actual["edge", "fra"][1])
    assert world.turned_off() == set()
    assert shares == [5, 5, 25, 25, 50, 50, 100, 100]
    assert world.turn().steps == (), "nothing more to do, nothing more is written"


def test_the_world_really_cordons_and_brings_back():
    """Else the invariants above would hold for a decider that does nothing."""
    world = World()
    world.turn()
    for _ in range(3):
        world.set("ams", DOWN)
        world.turn()
        world.set("ams", UP)
        for _ in range(60):
            world.now += 10.0
            world.turn()
    assert (world.cordons, world.returns, world.raises) == (3, 3, 9)
