"""Whole elections over a network that fails: never two leaders, no epoch twice, nothing stored is lost, soon one again.

`Fleet` checks the first three after every single event.
"""

from __future__ import annotations

import pytest
from core_votes import Fleet

from holdfast.core import lease
from holdfast.core.lease import Withdraw

VOTERS = ("fra", "ams", "iad")
MANY = tuple(f"r{number}" for number in range(9))


@pytest.mark.parametrize("seed", range(20))
def test_three_candidates_that_start_at_once_elect_one_within_3_s(seed: int):
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.run(3.0)
    assert len(fleet.fences()) == 1


@pytest.mark.parametrize("voters", [2, 3, 4, 5, 6, 7, 8, 9])
def test_as_many_candidates_as_voters_elect_one_within_6_s(voters: int):
    for seed in range(5):
        fleet = Fleet(seed, clusters=MANY[:voters], candidates=MANY[:voters])
        fleet.run_until(fleet.fences, within_s=6.0)


@pytest.mark.parametrize("seed", range(10))
def test_a_leader_soon_holds_every_vote_whoever_stood_against_it(seed: int):
    """Leading by a bare majority, the loss of one cluster would end it just when it is needed."""
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.run(8.0)
    (fence,) = fleet.fences()
    assert [register.lease.holder for register in fleet.registers.values()] == [fence.holder] * 3


@pytest.mark.parametrize("seed", range(20))
def test_a_leader_that_dies_with_its_cluster_is_followed_within_7_5_s(seed: int):
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.run(10.0)
    dead = fleet.fences()[0].holder
    fleet.frozen[dead] = float("inf")
    fleet.registers[dead].down_until = float("inf")
    fleet.run(7.5)
    assert [fence.holder != dead for fence in fleet.fences()] == [True]


@pytest.mark.parametrize("seed", range(10))
def test_nobody_follows_sooner_than_the_old_leader_has_ended(seed: int):
    """Leading ends 3.3 s after the last renewal was sent, following begins 5 s after it was seen."""
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.run(10.0)
    dead = fleet.fences()[0].holder
    fleet.cut = {(dead, cluster) for cluster in VOTERS}
    ended_s = fleet.run_until(lambda: not fleet.fences(), within_s=3.4)
    followed_s = ended_s + fleet.run_until(fleet.fences, within_s=4.5)
    assert 2.1 <= ended_s <= 3.4
    assert 4.0 <= followed_s <= 7.5


@pytest.mark.parametrize("seed", range(5))
def test_a_leader_that_withdraws_is_followed_within_2_s(seed: int):
    fleet = Fleet(seed)
    fleet.run(10.0)
    gone = fleet.fences()[0].holder
    fleet.tell(gone, Withdraw())
    fleet.run(2.0)
    assert [fence.holder != gone for fence in fleet.fences()] == [True]


@pytest.mark.parametrize("seed", range(5))
def test_a_leader_cut_off_from_the_other_votes_ends_before_its_follower_begins(seed: int):
    fleet = Fleet(seed)
    fleet.run(10.0)
    old = fleet.fences()[0].holder
    fleet.cut = {(old, name) for name in VOTERS if name != old}
    fleet.run(4.5)
    assert fleet.fences() == []
    fleet.run(4.0)
    assert [fence.holder != old for fence in fleet.fences()] == [True]


@pytest.mark.parametrize("seed", range(5))
def test_a_leader_whose_answers_are_lost_ends_although_its_renewals_take_effect(seed: int):
    """A one-way partition: the others see it renew until it stops by itself."""
    fleet = Fleet(seed, candidates=VOTERS)
    fleet.run(10.0)
    old = fleet.fences()[0].holder
    fleet.deaf = {(old, cluster) for cluster in VOTERS}
    fleet.run_until(lambda: not fleet.fences(), within_s=3.4)
    fleet.run_until(fleet.fences, within_s=6.5)
    assert fleet.fences()[0].holder != old


def test_of_two_halves_of_an_even_fleet_neither_leads():
    """Two regions without a witness have no majority when they part; nor have four that part in the middle."""
    for voters in (2, 4):
        names = MANY[:voters]
        fleet = Fleet(voters, clusters=names, candidates=names)
        fleet.run(10.0)
        half = voters // 2
        fleet.cut = {(a, b) for i, a in enumerate(names) for j, b in enumerate(names) if (i < half) is not (j < half)}
        fleet.run_until(lambda fleet=fleet: not fleet.fences(), within_s=3.4)
        led = len(fleet.leading)
        fleet.run(60.0)
        assert len(fleet.leading) == led
        fleet.heal()
        fleet.run_until(fleet.fences, within_s=15.0)


def test_every_region_alone_with_the_witness_leads_when_the_rest_is_gone():
    for seed in range(5):
        fleet = Fleet(seed)
        fleet.run(5.0)
        fleet.frozen["fra"] = fleet.registers["fra"].down_until = float("inf")
        fleet.run_until(lambda fleet=fleet: [fence.holder for fence in fleet.fences()] == ["ams"], within_s=7.5)


def test_votes_that_part_between_candidates_meet_again():
    """Each reaches only one vote and the last one, so all begin elsewhere; whoever gets no majority gives back."""
    for seed in range(10):
        fleet = Fleet(seed, candidates=VOTERS, cut={("fra", "ams"), ("ams", "fra"), ("iad", "fra")})
        fleet.run(30.0)
        assert fleet.fences(), "fra reaches fra and iad, ams and iad reach ams and iad: somebody has a majority"


def test_what_a_majority_stored_is_what_the_next_leader_reads_although_one_voter_was_down():
    for seed in range(10):
        fleet = Fleet(seed, candidates=VOTERS)
        fleet.run(5.0)
        old = fleet.fences()[0].holder
        missed = next(name for name in VOTERS if name != old)
        fleet.registers[missed].down_until = fleet.now + 4.0
        fleet.store(old, "1")
        fleet.run_until(lambda fleet=fleet: fleet.committed == "1", within_s=1.0)
        fleet.frozen[old] = float("inf")
        fleet.registers[old].down_until = float("inf")
        fleet.run_until(lambda fleet=fleet, old=old: any(f.holder != old for f in fleet.fences()), within_s=12.0)
        assert fleet.memory[fleet.fences()[0].holder] == "1"


@pytest.mark.parametrize("seed", range(10))
def test_one_timer_can_stand_for_all_ticks(seed: int):
    fleet = Fleet(seed, candidates=VOTERS, timer=True)
    fleet.run(3.0)
    (leading,) = fleet.fences()
    fleet.run(60.0)
    assert fleet.fences() == [leading]
    dead = fleet.fences()[0].holder
    fleet.cut = {(dead, cluster) for cluster in VOTERS}
    fleet.run_until(lambda: any(fence.holder != dead for fence in fleet.fences()), within_s=7.5)
    assert fleet.ticks < 4 * 60 * len(VOTERS), "hardly more than one for each command"


def test_before_it_wakes_a_tick_changes_nothing_and_asks_for_nothing():
    """The short cut for idle ticks skips only what the long way would not do either."""
    fleet = Fleet(3, candidates=VOTERS, loss=0.2)
    asked = 0
    for _ in range(600):
        fleet.run(0.05)
        for node in fleet.nodes.values():
            if fleet.now < lease.wakes_at(node) and not isinstance(node.phase, lease.Candidate):
                asked += 1
                assert lease._advance(node, now=fleet.now, retry_at=fleet.now + 0.3) == (node, ())
    assert asked > 500


def _hurt(fleet: Fleet) -> None:
    """One more fault, drawn from the seed."""
    dice, names = fleet.random, fleet.clusters
    one, until = dice.choice(names), fleet.now + dice.uniform(0.5, 12.0)
    links = {(me, name) for me in fleet.candidates for name in names if dice.random() < 0.3}
    match dice.randrange(8):
        case 0:
            fleet.frozen[one] = until
        case 1:
            fleet.cut = links
        case 2:
            fleet.deaf = links
        case 3:
            fleet.registers[one].down_until = until
        case 4:
            fleet.registers[one].read_only = True
        case 5:
            fleet.registers[one].refuses = True
        case 6:
            side = set(dice.sample(names, dice.randrange(1, len(names))))
            fleet.cut = {(me, name) for me in fleet.candidates for name in names if (me in side) is not (name in side)}
        case _:
            fleet.heal()


@pytest.mark.parametrize("voters", [2, 3, 4, 5, 7, 9])
def test_never_two_leaders_and_one_within_15_s_of_the_last_fault(voters: int):
    """Freezes, one-way and partial partitions, loss, dead, half-alive and refusing servers, and news to store."""
    elections = 0
    names = MANY[:voters]
    for seed in range(12):
        loss, slowest_s = 0.05 * (seed % 4), 0.05 + 0.1 * (seed % 3)
        fleet = Fleet(seed, clusters=names, candidates=names, loss=loss, delay_s=(0.005, slowest_s))
        for number in range(10):
            fleet.run(fleet.random.uniform(0.5, 6.0))
            if fences := fleet.fences():
                fleet.store(fences[0].holder, f"{fences[0].epoch:04} {number:02}")
            _hurt(fleet)
        elections += len(fleet.leading)
        fleet.heal()
        fleet.run_until(fleet.fences, within_s=15.0)
    assert elections > 18, "the faults never unseated a leader, so nothing was shown"


@pytest.mark.parametrize("voters", [3, 5])
def test_never_two_leaders_and_no_epoch_twice_while_clusters_are_restored_from_old_backups(voters: int):
    """Coming back takes longer than a leadership lasts; the marks at the vendors know the epoch that was forgotten."""
    names = MANY[:voters]
    restored = 0
    for seed in range(20):
        fleet = Fleet(seed, clusters=names, candidates=names, marks=True, loss=0.05)
        for _ in range(10):
            fleet.run(fleet.random.uniform(3.0, 8.0))
            if fleet.random.random() < 0.5:
                _hurt(fleet)
                continue
            restored += 1
            for cluster in fleet.random.sample(names, fleet.random.randrange(1, voters + 1)):
                fleet.registers[cluster].down_until = fleet.now + 4.0
                fleet.rewind(cluster, to=fleet.now - fleet.random.uniform(1.0, 3600.0))
        fleet.heal()
        fleet.run_until(fleet.fences, within_s=15.0)
    assert restored > 50
