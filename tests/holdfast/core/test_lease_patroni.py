"""What Patroni's users met when its store failed, one test for each issue: here, a vote is that store.

The lesson of all seven: every error and every slow answer means "no vote", and nothing else changes.
"""

from __future__ import annotations

import pytest
from core_elections import drive, leader, newcomer, read
from core_votes import Fleet

from holdfast.core.lease import Acked, Failed, Follower, LeaseView, Refused, Renew, RenewNow, Tick, TryAcquire
from holdfast.core.values import Fence

VOTERS = ("fra", "ams", "iad")


def leading_for_10_s(seed: int) -> tuple[Fleet, Fence]:
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.run(10.0)
    (fence,) = fleet.fences()
    return fleet, fence


def test_3035_a_conflict_over_a_lease_that_is_still_ours_is_not_the_end():
    state, _ = drive(leader(), (11.3, Tick()))
    state, commands = drive(state, (11.4, Refused("fra", LeaseView("me", "3", 5))))
    assert commands == (Renew("fra", "3", 5),)
    assert state.fence(11.4) == Fence("eu", 5, "me")


def test_3035_a_server_that_refuses_every_renewal_is_asked_once_a_second_and_keeps_nobody_in_power():
    state, sent = leader(), 0
    for tenth in range(104, 140):
        state, commands = drive(state, (tenth / 10, Tick()))
        for command in commands:
            sent += 1
            lost = isinstance(command, Renew)
            event = Refused(command.cluster, LeaseView("me", "2", 5)) if lost else Failed(command.cluster)
            state, more = drive(state, (tenth / 10, event))
            assert more == (), "no second attempt at once"
    assert sent <= 15
    assert state.fence(13.4) is None


def test_3035_a_server_that_refuses_to_give_a_free_vote_does_not_stop_the_election():
    """Nobody was faster: the Lease it shows is the very one that was named. So this is no lost vote, but a dead one."""
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams")), (10.1, read("iad")))
    state, commands = drive(state, (10.2, Refused("fra", LeaseView("", "1", 4))))
    assert commands == (TryAcquire("ams", "1", 5),)
    for seed in range(5):
        fleet = Fleet(seed, candidates=VOTERS)
        fleet.registers["fra"].refuses = True
        fleet.run_until(fleet.fences, within_s=6.0)


def test_3344_a_renewal_without_an_answer_extends_nothing():
    state, _ = drive(leader(), (11.3, Tick()), (11.9, Failed("fra")), (11.9, Failed("ams")))
    assert state.fence(13.3) == Fence("eu", 5, "me")
    assert state.fence(13.4) is None


@pytest.mark.parametrize("seed", range(5))
def test_3462_a_server_that_reads_but_does_not_write_is_no_vote(seed: int):
    """The half-alive store: one is passed over, and a majority of them leaves nobody in power."""
    fleet, fence = leading_for_10_s(seed)
    fleet.registers["fra"].read_only = True
    fleet.run(30.0)
    assert fleet.fences() == [fence]
    fleet.registers["ams"].read_only = True
    fleet.run_until(lambda: not fleet.fences(), within_s=3.4)
    fleet.run(30.0)
    assert fleet.fences() == []
    fleet.heal()
    fleet.run_until(fleet.fences, within_s=15.0)


def test_3462_a_server_that_fails_two_minutes_later_ends_nothing_but_its_own_vote():
    fleet, fence = leading_for_10_s(1)
    fleet.run(120.0)
    fleet.registers["ams"].down_until = float("inf")
    fleet.run(120.0)
    assert fleet.fences() == [fence]


def test_3572_there_is_one_kind_of_failure_whatever_its_words():
    """The machine never sees an error's text or kind. What each becomes is claimed in `test_fleet_faults`."""
    assert list(Failed.__dataclass_fields__) == ["cluster"]


def test_3403_all_stores_down_at_once_for_a_moment_changes_nothing():
    for seed in range(5):
        fleet, fence = leading_for_10_s(seed)
        for register in fleet.registers.values():
            register.down_until = fleet.now + 1.5
        fleet.run(10.0)
        assert fleet.fences() == [fence]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("down_s", [3.0, 3.3, 4.0, 5.0, 6.0, 30.0])
def test_3403_all_stores_down_at_once_for_longer_ends_in_one_leader(seed: int, down_s: float):
    """Around the moments at which a leadership ends and a vote is free, too."""
    fleet, fence = leading_for_10_s(seed)
    for register in fleet.registers.values():
        register.down_until = fleet.now + down_s
    fleet.run(down_s)
    took_s = fleet.run_until(fleet.fences, within_s=15.0)
    assert took_s < 8.0
    assert fleet.fences()[0].epoch >= fence.epoch


@pytest.mark.parametrize("seed", range(5))
def test_3550_sites_far_apart_elect_and_keep_a_leader(seed: int):
    """Nearly a second for each answer, and a deadline that allows for it."""
    fleet = Fleet(seed, candidates=VOTERS, delay_s=(0.35, 0.47), deadline_s=1.5)
    fleet.run(20.0)
    (fence,) = fleet.fences()
    fleet.run(300.0)
    assert fleet.fences() == [fence]


def test_3248_memory_and_epoch_survive_a_takeover():
    """Patroni lost replication slots when it entered failsafe; we keep what was decided, and never count back."""
    fleet, old = leading_for_10_s(4)
    fleet.store(old.holder, "ams is out since 12 s")
    fleet.run(1.0)
    fleet.frozen[old.holder] = float("inf")
    fleet.registers[old.holder].down_until = float("inf")
    fleet.run(7.5)
    (new,) = fleet.fences()
    assert new.epoch > old.epoch
    assert fleet.memory[new.holder] == "ams is out since 12 s"


def test_3248_a_memory_stays_on_a_vote_that_is_taken_released_and_taken_again():
    state, _ = drive(newcomer("fra"), (10.0, Tick()), (10.1, Acked("fra", 10.0, LeaseView("", "1", 4, "known"))))
    state, _ = drive(state, (10.2, Acked("fra", 10.1, LeaseView("me", "2", 5, "known"))))
    assert state.memories(12.2) == (("known", 2.0),)
    state, _ = drive(state, (20.0, RenewNow()))
    assert isinstance(state.phase, Follower)
    assert [text for text, _ in state.memories(20.0)] == ["known"]
