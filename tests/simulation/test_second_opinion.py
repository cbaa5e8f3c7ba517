"""The second opinion on plans: silent on what the core decides, and loud on each way of being wrong."""

from dataclasses import replace

import pytest
from core_builders import (
    DOWN,
    FENCE,
    UP,
    all_say,
    back,
    cordoned,
    joined,
    loads,
    origins,
    out,
    raised,
    regions,
    said,
    view,
    zone,
)

from holdfast.core import failover
from holdfast.core.plans import Move, Overridden, Plan, ReadBack, SetOrigin, StoreMemory
from holdfast.core.values import (
    Cause,
    Load,
    Observation,
    Override,
    Reason,
    RegionMemory,
    Shift,
    Tier,
    Withdrawal,
)
from holdfast_gameday.invariants import Invariant
from holdfast_gameday.simulation.second_opinion import SecondOpinion

THREE = zone(("fra", "ams", "par"), ())
LOST = {"fra": DOWN}
WHY = Reason("Test", "why")


def broken(seen, plan):
    """The invariants that a plan breaks, each once."""
    found = []
    SecondOpinion(lambda invariant, _words: found.append(invariant)).judge(seen, plan)
    return sorted(set(found), key=lambda each: each.name)


def stored(seen, **changed):
    return StoreMemory(FENCE, {**seen.memory, **changed})


def moving(seen, *moves, **changed):
    """A plan that makes these moves and stores what follows from them."""
    return Plan(steps=(stored(seen, **changed),), moves=moves)


def off(name="fra", key="eu/7/edge/fra/off"):
    return (SetOrigin("edge", name, False, FENCE, key, WHY), ReadBack("edge", name, False))


@pytest.mark.parametrize("seen", [
    view(),
    view(verdicts=LOST),
    view(verdicts={"fra": DOWN, "ams": DOWN}),
    view(verdicts=LOST, memory=joined(zone(), fra=cordoned())),
    view(memory=joined(zone(), fra=cordoned()), routes=origins(zone(), off=["fra"])),
    view(memory=joined(zone(), fra=cordoned(ago_s=100.0)), routes=origins(zone(), off=["fra"])),
    view(regions=regions(zone(), abroad=["fra"])),
    view(regions=regions(zone(), abroad=["fra", "ams"])),
    view(shifts=(Shift("fra", Cause.GAME_DAY, 60.0, "a rehearsal", "ams"),), loads=loads(zone())),
    view(verdicts=LOST, fence=None),
    view(verdicts=LOST, last_ack_age_s=4.0, regions=regions(zone(), abroad=["ams"])),
], ids=str)
def test_what_the_core_decides_breaks_nothing(seen):
    assert broken(seen, failover.decide(seen, 0.0)) == []


def test_a_region_is_not_lost_on_the_word_of_one():
    seen = view(observations=[said("iad", "fra", DOWN), said("ams", "fra", UP), said("fra", "ams", UP)])

    assert broken(seen, moving(seen, out(), fra=cordoned(ago_s=0.0))) == [Invariant.QUORUM]


@pytest.mark.parametrize("changed", [
    {"heard_age_s": 3.5}, {"self_doubt": True}, {"observer": "fra"}, {"observer": "syd"}, {"tier": Tier.PROVIDER},
])
def test_a_voice_that_does_not_count_makes_no_quorum(changed):
    heard = [said("iad", "fra", DOWN), replace(said("ams", "fra", DOWN), **changed), said("iad", "ams", UP)]
    seen = view(observations=heard)

    assert broken(seen, moving(seen, out(), fra=cordoned(ago_s=0.0))) == [Invariant.QUORUM]


def test_nothing_is_taken_out_while_no_other_is_seen_up():
    seen = view(verdicts={"fra": DOWN, "ams": DOWN})

    assert broken(seen, moving(seen, out(), fra=cordoned(ago_s=0.0))) == [Invariant.MIN_HEALTHY]


def test_the_second_of_two_losses_is_judged_in_the_light_of_the_first():
    seen = view(THREE, {"fra": DOWN, "ams": DOWN}, observations=None)
    plan = moving(seen, out("fra"), out("ams"), out("par", Cause.HUMAN))

    assert Invariant.MIN_HEALTHY in broken(seen, plan)


def test_one_region_at_a_time_is_set_aside_for_less_than_a_loss():
    of = zone(("fra", "ams", "par", "mad"), ())
    seen = view(of, memory=joined(of, par=cordoned(Cause.HUMAN)), loads=loads(of))

    assert broken(seen, moving(seen, out("fra", Cause.HUMAN))) == [Invariant.MIN_HEALTHY]


def test_an_order_lifts_the_guard_that_it_names():
    of = zone(("fra", "ams", "par", "mad"), ())
    seen = view(of, memory=joined(of, par=cordoned(Cause.HUMAN)), loads=loads(of))
    move = out("fra", Cause.HUMAN)
    lifted = Overridden(move, Reason("MaxCordoned", "two"), Override("fra", "MaxCordoned", 60.0, "we know"))

    assert broken(seen, replace(moving(seen, move), overridden=(lifted,))) == []


@pytest.mark.parametrize(("lifted", "named"), [("LastServing", "LastServing"), ("Dwell", "Capacity")])
def test_an_order_lifts_nothing_else(lifted, named):
    given = Overridden(out(), Reason(lifted, "no"), Override("fra", named, 60.0, "we know"))
    seen = view(verdicts=LOST)

    assert broken(seen, replace(failover.decide(seen, 0.0), overridden=(given,))) == [Invariant.ORDERS]


def test_the_others_must_have_room_for_a_region_that_leaves_by_choice():
    seen = view(loads={"fra": Load(2, 60, 40), "ams": Load(2, 60, 40)})

    assert broken(seen, moving(seen, out("fra", Cause.HUMAN))) == [Invariant.CAPACITY]


@pytest.mark.parametrize("asked", [
    (), (Withdrawal("fra", WHY, 0.5, agents=1, of_agents=2),), (Withdrawal("fra", WHY, 0.5, ill=("realtime",)),),
])
def test_a_region_leaves_for_what_ails_it_alone_and_wholly(asked):
    elsewhere = Observation("ams", "realtime", DOWN, 0.5, tier=Tier.PROVIDER)
    seen = view(observations=(*all_say(zone()), elsewhere), withdrawals=asked)

    assert broken(seen, moving(seen, out("fra", Cause.WITHDRAWN))) == [Invariant.ISOLATION]


@pytest.mark.parametrize(("ago_s", "flaps", "held_s"), [
    (200.0, 1, 1000.0), (None, 1, 1000.0), (500.0, 2, 1000.0), (1000.0, 1, 200.0),
])
def test_a_region_comes_back_after_its_dwell_and_well_all_that_time(ago_s, flaps, held_s):
    seen = view(
        memory=joined(zone(), fra=cordoned(ago_s=ago_s, flaps=flaps)),
        observations=[replace(each, held_s=held_s) for each in all_say(zone())],
    )

    assert broken(seen, moving(seen, back(), fra=RegionMemory(step=0))) == [Invariant.DWELL]


def test_a_region_does_not_come_back_on_a_rewound_memory():
    seen = view(memory=joined(zone(), fra=cordoned()), rewound=True)

    assert broken(seen, moving(seen, back(), fra=RegionMemory(step=0))) == [Invariant.DWELL]


def test_a_region_does_not_come_back_while_a_quorum_sees_it_down():
    seen = view(verdicts=LOST, memory=joined(zone(), fra=cordoned(Cause.HUMAN)))

    assert broken(seen, moving(seen, back(cause=Cause.HUMAN), fra=RegionMemory(step=0))) == [Invariant.QUORUM]


def test_with_nothing_else_able_one_voice_brings_back_unless_another_is_against_it():
    lonely = [said("iad", "fra", UP), said("iad", "ams", DOWN), said("fra", "ams", DOWN)]
    alone = view(observations=lonely, memory=joined(zone(), fra=cordoned(ago_s=1.0)))
    doubted = replace(alone, observations=(*lonely, said("ams", "fra", DOWN)))

    assert broken(alone, moving(alone, back(), fra=RegionMemory(step=0))) == []
    assert broken(doubted, moving(doubted, back(), fra=RegionMemory(step=0))) == [Invariant.QUORUM]


def test_a_region_comes_back_at_the_first_step_of_its_ramp():
    seen = view(memory=joined(zone(), fra=cordoned()))

    assert broken(seen, moving(seen, back(), fra=RegionMemory())) == [Invariant.CAPACITY]
    assert broken(seen, moving(seen, back(), fra=RegionMemory(step=0))) == []


def test_a_step_of_a_ramp_lasts_its_share_of_a_dwell():
    early = view(memory=joined(zone(), fra=RegionMemory(step=0, stepped_ago_s=90.0)))
    due = view(memory=joined(zone(), fra=RegionMemory(step=0, stepped_ago_s=100.0)))

    assert broken(early, moving(early, raised())) == [Invariant.DWELL]
    assert broken(due, moving(due, raised())) == []


def test_what_a_person_holds_is_held_but_for_residency():
    seen = view(verdicts=LOST, paused="we repair the edge")
    abroad = view(regions=regions(zone(), abroad=["fra"]), paused="we repair the edge")

    assert broken(seen, moving(seen, out())) == [Invariant.ORDERS]
    assert broken(abroad, failover.decide(abroad, 0.0)) == []


def test_nobody_rehearses_in_an_incident():
    seen = view(THREE, {"ams": DOWN}, memory=joined(THREE, ams=cordoned()), loads=loads(THREE))

    assert Invariant.ORDERS in broken(seen, moving(seen, out("fra", Cause.GAME_DAY)))


def test_a_write_follows_its_memory_and_is_read_back():
    seen = view(verdicts=LOST, memory=joined(zone(), fra=cordoned()))
    write, read = off()

    assert broken(seen, Plan(steps=(stored(seen), write, read))) == []
    assert broken(seen, Plan(steps=(write, read))) == [Invariant.FENCED]
    assert broken(seen, Plan(steps=(write, read, stored(seen)))) == [Invariant.FENCED]
    assert broken(seen, Plan(steps=(stored(seen), write))) == [Invariant.TRUTHFUL]
    assert broken(seen, Plan(moves=(Move("fra", out().turn, Cause.LOST, WHY),))) == [Invariant.FENCED]


def test_nothing_leans_on_an_origin_that_was_not_read():
    hidden = view(verdicts=LOST, memory=joined(zone(), fra=cordoned()), routes=origins(zone(), unknown=["ams"]))

    assert broken(hidden, Plan(steps=(stored(hidden), *off()))) == [Invariant.NEVER_EMPTY]


def test_two_epochs_never_use_one_key():
    found = []
    opinion = SecondOpinion(lambda invariant, _words: found.append(invariant))
    seen = view(verdicts=LOST, memory=joined(zone(), fra=cordoned()))
    write, read = off(key="eu/edge/fra/off")

    opinion.judge(seen, Plan(steps=(stored(seen), write, read)))
    opinion.judge(seen, Plan(steps=(stored(seen), replace(write, fence=replace(FENCE, epoch=8)), read)))

    assert found == [Invariant.ONCE]


def test_what_lies_abroad_gets_no_calls_and_is_turned_off_at_once():
    seen = view(regions=regions(zone(), abroad=["fra"]))

    assert broken(seen, Plan()) == [Invariant.RESIDENCY]
    assert broken(seen, replace(failover.decide(seen, 0.0), weights={"fra": 50, "ams": 50})) == [Invariant.RESIDENCY]
