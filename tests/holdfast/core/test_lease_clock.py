"""Time in the vote: only durations count, each on one clock, and time asleep is time."""

from __future__ import annotations

import pytest
from core_elections import drive, leader, newcomer, read
from core_votes import Fleet

from holdfast.core.lease import Acked, Candidate, Failed, Follower, LeaseView, Read, RenewNow, Tick, wakes_at

VOTERS = ("fra", "ams", "iad")


def leads_at(true_s: float, *, slow: float) -> bool:
    """Whether one whose clock is slow by that part still leads so long after it sent what a majority acknowledged."""
    return leader().fence(10.1 + true_s * (1 - slow)) is not None


def follows_at(true_s: float, *, fast: float) -> bool:
    """Whether one whose clock is fast by that part stands so long after it saw the last renewals, at no distance."""
    state, _ = drive(newcomer(), (10.0, Tick()), *((10.0, read(name, holder="other")) for name in VOTERS))
    state, _ = drive(state, (10.0 + true_s * (1 + fast), Tick()))
    return isinstance(state.phase, Candidate)


@pytest.mark.parametrize("drift", [0.0, 0.02, 0.1, 0.2])
def test_clocks_may_drift_apart_by_a_fifth(drift: float):
    moments = [number / 100 for number in range(600)]
    ended = next(moment for moment in moments if not leads_at(moment, slow=drift))
    began = next(moment for moment in moments if follows_at(moment, fast=drift))
    assert ended <= began


def test_at_21_percent_the_margin_is_gone():
    """1.7 s of margin over 8.3 s of both: 20.4 %."""
    assert leads_at(4.15, slow=0.21)
    assert follows_at(4.15, fast=0.21)


@pytest.mark.parametrize("seed", range(10))
def test_two_percent_of_drift_each_way_never_makes_two_leaders(seed: int):
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.rate = {"fra": 0.98, "ams": 1.02, "iad": 1.0}
    for _ in range(8):
        fleet.run(fleet.random.uniform(2.0, 8.0))
        fleet.cut = {(fence.holder, name) for fence in fleet.fences() for name in VOTERS}
        fleet.run(fleet.random.uniform(2.0, 8.0))
        fleet.heal()
    fleet.run_until(fleet.fences, within_s=15.0)
    assert len(fleet.leading) >= 3


def test_a_fleet_whose_clocks_drift_by_half_is_caught_with_two_leaders():
    """The check of the tests above can fail: here the margins are gone, and it sees that."""

    fleet = Fleet(1, candidates=VOTERS)
    fleet.rate = {"fra": 0.5, "ams": 1.5, "iad": 1.5}
    fleet.frozen = {"ams": fleet.now + 5.0, "iad": fleet.now + 5.0}
    fleet.run(10.0)
    fleet.cut = {("fra", name) for name in VOTERS}
    with pytest.raises(AssertionError, match=r"Fence.*Fence"):
        fleet.run(10.0)


def test_a_suspended_leader_wakes_up_as_none_and_gives_back_what_it_holds():
    """CLOCK_BOOTTIME went on while the machine slept."""
    state = leader()
    assert state.fence(3610.0) is None
    state, commands = drive(state, (3610.0, Tick()))
    assert isinstance(state.phase, Follower)
    assert {type(command).__name__ for command in commands} == {"Release", "Read"}


def test_an_answer_from_before_the_sleep_renews_nothing():
    state, _ = drive(leader(), (11.3, Tick()))
    told = [(3610.0, Acked(name, 11.3, LeaseView("me", "3", 5))) for name in ("fra", "ams")]
    state, _ = drive(state, *told)
    assert state.fence(3610.0) is None
    assert isinstance(state.phase, Follower)


def test_a_wish_to_store_does_not_wake_a_leadership_that_ended_asleep():
    state, _ = drive(leader(), (3610.0, RenewNow()))
    assert state.fence(3610.0) is None
    assert isinstance(state.phase, Follower)


def test_a_suspended_follower_cannot_take_what_was_renewed_meanwhile():
    """Its old views look long expired; compare-and-set refuses them, and it has lost the first vote."""
    fleet = Fleet(1, candidates=("fra", "ams"))
    fleet.run(5.0)
    (leading,) = fleet.fences()
    sleeper = next(name for name in ("fra", "ams") if name != leading.holder)
    fleet.frozen[sleeper] = fleet.now + 600.0
    fleet.run(630.0)
    assert fleet.fences() == [leading]
    assert not any(register.lease.holder == sleeper for register in fleet.registers.values())


def test_a_clock_that_is_hours_ahead_of_the_others_changes_nothing():
    """No two clocks are compared: each machine boots at its own zero."""
    fleet = Fleet(2, candidates=VOTERS)
    fleet.offset = {"fra": -90.0, "ams": 36_000.0, "iad": 0.0}
    fleet.run_until(fleet.fences, within_s=3.0)
    first = fleet.fences()[0].holder
    fleet.cut = {(first, name) for name in VOTERS}
    took_s = fleet.run_until(lambda: any(fence.holder != first for fence in fleet.fences()), within_s=7.5)
    assert took_s > 3.9


def test_it_wakes_for_whatever_comes_first():
    state, _ = drive(newcomer(), (10.0, Tick()))
    assert wakes_at(state) == float("inf"), "three answers are under way"
    state, _ = drive(state, (10.1, read("fra", holder="other")), (10.1, Failed("ams")), (10.1, Failed("iad")))
    assert wakes_at(state) == 11.0, "the next reads"
    state, _ = drive(state, (14.5, Tick()), (14.6, read("iad")), (14.6, read("fra", holder="other")))
    assert wakes_at(state) == 15.1, "iad is free, and so is fra 5 s after it was seen first"
    assert wakes_at(leader()) == 11.0, "the next read of iad"
    state, commands = drive(leader(), (11.0, Tick()))
    assert commands == (Read("iad"),)
    state, _ = drive(state, (11.3, Tick()))
    assert wakes_at(state) == pytest.approx(13.4), "the end, while all answers are awaited"
