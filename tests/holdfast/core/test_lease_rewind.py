"""Leases that are not what they were: restored from a backup, deleted, edited by hand, garbled, borne by a twin."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_elections import drive, leader, newcomer, read
from core_votes import Fleet

from holdfast.core import lease
from holdfast.core.lease import (
    EPOCH_LIMIT,
    Acked,
    Candidate,
    Follower,
    Leader,
    LeaseView,
    Read,
    Refused,
    Release,
    Renew,
    Tick,
    TryAcquire,
)
from holdfast.core.values import Fence

VOTERS = ("fra", "ams", "iad")
OLD_S = 150.0


def some_elections(seed: int, *, marks: bool = False) -> Fleet:
    """A fleet that has changed leaders now and then for some minutes."""
    fleet = Fleet(seed, candidates=VOTERS, marks=marks)
    for _ in range(4):
        fleet.run(40.0)
        fleet.cut = {(fence.holder, name) for fence in fleet.fences() for name in VOTERS}
        fleet.run(12.0)
        fleet.heal()
    fleet.run(10.0)
    return fleet


@pytest.mark.parametrize("seed", range(3))
def test_one_cluster_restored_from_an_old_backup_does_not_cost_the_leader(seed: int):
    fleet = some_elections(seed)
    (leading,) = fleet.fences()
    back = next(name for name in VOTERS if name != leading.holder)
    fleet.registers[back].down_until = fleet.now + 5.0
    fleet.rewind(back, to=fleet.now - OLD_S)
    assert (fleet.registers[back].lease.epoch or 0) < leading.epoch
    fleet.run(15.0)
    assert fleet.fences() == [leading]
    assert fleet.registers[back].lease.epoch == leading.epoch, "and its vote was taken back"


@pytest.mark.parametrize("seed", range(3))
def test_a_majority_restored_is_lifted_by_who_remembers(seed: int):
    fleet = some_elections(seed)
    (leading,) = fleet.fences()
    for name in VOTERS[:2]:
        fleet.registers[name].down_until = fleet.now + 5.0
        fleet.rewind(name, to=fleet.now - OLD_S)
    fleet.run(20.0)
    (after,) = fleet.fences()
    assert after.epoch > leading.epoch


@pytest.mark.parametrize("seed", range(3))
def test_a_majority_restored_and_all_operators_new_is_lifted_by_the_marks_at_the_vendors(seed: int):
    fleet = some_elections(seed, marks=True)
    (leading,) = fleet.fences()
    for name in VOTERS:
        fleet.registers[name].down_until = fleet.now + 5.0
        fleet.rewind(name, to=fleet.now - OLD_S)
        fleet.nodes[name] = lease.Election("eu", name, VOTERS)
    fleet.run(20.0)
    (after,) = fleet.fences()
    assert after.epoch > leading.epoch


def test_a_vote_that_lost_its_epoch_is_waited_for_although_nobody_holds_it():
    """A release keeps the epoch. Without it the Lease was restored or deleted, and its holder may still lead."""
    watching, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("fra", holder="other", epoch=5)),
        (10.1, read("ams", holder="other", epoch=5)), (10.1, read("iad", epoch=4)), (11.2, Tick()),
        (11.3, read("fra", holder="other", epoch=5, stamp="2")), (11.3, read("ams", holder="", stamp="9", epoch=0)),
    )
    assert isinstance(watching.phase, Follower)
    assert watching.epoch_seen() == 5
    released, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("ams", holder="other", epoch=5)), (10.1, read("iad", epoch=4)),
        (11.2, Tick()), (11.3, read("ams", holder="", stamp="9", epoch=5)),
    )
    assert isinstance(released.phase, Candidate)


def test_a_lease_that_changes_under_the_same_stamp_has_changed():
    """After a restore a version may come a second time."""
    state, _ = drive(
        newcomer("fra"), (10.0, Tick()), (10.1, read("fra", holder="other", stamp="7")),
        (14.0, Tick()), (14.1, read("fra", holder="third", stamp="7")), (15.2, Tick()),
    )
    assert isinstance(state.phase, Follower)


@pytest.mark.parametrize("seed", range(3))
def test_a_deleted_lease_is_taken_anew_while_the_others_hold(seed: int):
    fleet = some_elections(seed)
    (leading,) = fleet.fences()
    fleet.registers["fra"].put(LeaseView(), fleet.now)
    for _ in range(80):
        fleet.run(0.1)
        assert fleet.fences() == [leading]
    assert fleet.registers["fra"].lease.holder == leading.holder


def test_a_lease_that_is_not_there_is_taken_no_sooner_than_a_held_one():
    state, _ = drive(newcomer("fra"), (10.0, Tick()), (10.1, read("fra", stamp="", epoch=0)))
    state, _ = drive(state, (15.0, Tick()), (15.05, read("fra", stamp="", epoch=0)))
    assert isinstance(state.phase, Follower)
    state, commands = drive(state, (15.1, Tick()))
    assert commands == (TryAcquire("fra", "", 1),)


@pytest.mark.parametrize("seed", range(10))
def test_who_starts_while_all_leases_are_deleted_does_not_lead_beside_the_one_who_still_does(seed: int):
    fleet = Fleet(seed, marks=True)
    fleet.frozen["ams"] = float("inf")
    fleet.run_until(fleet.fences, within_s=3.0)
    fleet.frozen = {"fra": fleet.now + 3.0}
    for register in fleet.registers.values():
        register.delete(fleet.now)
    fleet.run(20.0)
    assert [(holder, epoch) for _, holder, epoch in fleet.leading] == [("fra", 1), ("ams", 2)]


def test_a_lease_edited_to_bear_another_name_is_lost_and_taken_back_when_that_name_is_silent():
    state, _ = drive(leader(), (11.3, Tick()), (11.4, Acked("fra", 11.3, LeaseView("me", "3", 5))))
    state, _ = drive(state, (11.4, Refused("ams", LeaseView("kubectl", "9", 5))))
    assert state.fence(11.4) is None, "one vote of three is no majority"
    assert isinstance(state.phase, Follower)


def test_a_label_put_on_our_lease_costs_one_more_renewal():
    state, _ = drive(leader(), (11.3, Tick()))
    state, commands = drive(state, (11.4, Refused("fra", LeaseView("me", "9", 5))))
    assert commands == (Renew("fra", "9", 5),)
    assert state.fence(11.4) == Fence("eu", 5, "me")


@pytest.mark.parametrize("typed", [EPOCH_LIMIT, 10**15, 10**400])
def test_an_epoch_beyond_all_counting_makes_the_vote_unusable_and_carries_nothing_away(typed: int):
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("fra", epoch=typed)), (10.1, read("ams", epoch=7)))
    assert isinstance(state.phase, Follower)
    state, commands = drive(state, (10.1, read("iad", epoch=4)))
    assert commands == (TryAcquire("ams", "1", 8),)


@pytest.mark.parametrize("nines", range(1, 16))
def test_from_any_row_of_nines_one_can_count_on_or_it_is_no_epoch(nines: int):
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("fra", epoch=int("9" * nines))))
    state, _ = drive(state, (10.1, read("ams", epoch=7)), (10.1, read("iad", epoch=7)))
    assert isinstance(state.phase, Candidate)
    assert state.phase.epoch < EPOCH_LIMIT - 10**14 or state.phase.epoch == 8


def test_an_epoch_raised_by_hand_in_one_lease_lifts_the_leader_above_it():
    fleet = some_elections(1)
    (leading,) = fleet.fences()
    edited = fleet.registers["fra"]
    edited.put(replace(edited.lease, epoch=1000), fleet.now)
    fleet.run(3.0)
    assert fleet.fences() == [replace(leading, epoch=1001)]


def test_a_twin_that_bears_our_name_takes_the_next_epoch_and_our_next_renewal_ends_us():
    """Two pods with one uid cannot be; two processes of one misconfigured pod could. Epochs still tell them apart."""
    state, _ = drive(leader(), (11.3, Tick()))
    state, _ = drive(state, (11.4, Refused("fra", LeaseView("me", "9", 6))))
    assert state.fence(11.4) is None
    assert not isinstance(state.phase, Leader)


def test_what_a_former_life_left_is_given_back_while_no_majority_is_free():
    state, commands = drive(newcomer(), (10.0, Tick()), (10.1, read("fra", holder="me", stamp="3")))
    assert commands == (Release("fra", "3"),)
    assert drive(state, (10.2, Refused("fra", LeaseView("me", "3", 4))))[1] == (), "this server refuses everything"


def test_an_unreadable_lease_is_watched_and_counts_again_when_it_is_mended():
    state, _ = drive(newcomer("fra"), (10.0, Tick()), (10.1, read("fra", epoch=None)))
    state, commands = drive(state, (11.0, Tick()))
    assert commands == (Read("fra"),)
    state, commands = drive(state, (11.1, read("fra", stamp="2", epoch=3)))
    assert commands == (TryAcquire("fra", "2", 4),)


def test_the_highest_epoch_known_counts_marks_and_what_a_lease_has_forgotten():
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("fra", epoch=9)), (11.1, Tick()), (11.2, read("fra")))
    assert state.epoch_seen() == 9
    assert replace(state, floor=12).epoch_seen() == 12
