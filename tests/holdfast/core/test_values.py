"""The few things the values can tell of themselves."""

from __future__ import annotations

import pytest
from core_builders import cordoned, zone

from holdfast.core.values import NEVER_S, AgentRef, Cause, Cordon, Intent, Load, RegionMemory


@pytest.mark.parametrize(("members", "witnesses", "majority"), [(1, 0, 1), (2, 0, 2), (2, 1, 2), (3, 0, 2), (3, 2, 3)])
def test_a_majority_is_more_than_half_of_all_voters(members: int, witnesses: int, majority: int):
    of = zone([f"r{number}" for number in range(members)], [f"w{number}" for number in range(witnesses)])
    assert of.majority == majority
    assert len(of.voters) == members + witnesses


def test_voters_are_the_regions_in_the_edges_order_and_then_the_witnesses():
    assert zone().voters == ("fra", "ams", "iad")
    assert zone().members == ("fra", "ams")


def test_a_region_does_not_observe_itself_and_a_witness_observes_all():
    assert zone().observers_of("fra") == ("ams", "iad")
    assert zone().observers_of("iad") == ("fra", "ams")


def test_an_agent_is_called_by_namespace_and_name():
    assert str(AgentRef("clinic", "front-desk")) == "clinic/front-desk"


def test_a_regions_capacity_is_what_it_holds_and_what_it_has_room_for():
    assert Load(2, 40, 60).capacity == 100


def test_a_region_without_a_cordon_serves_and_was_never_moved():
    fresh = RegionMemory()
    assert (fresh.standing, fresh.intent, fresh.changed_ago_s, fresh.reason) == ((), Intent.SERVING, NEVER_S, "")


def test_causes_are_told_the_gravest_first():
    assert [cause.value for cause in Cause] == [
        "illegal", "lost", "absent", "found-off", "withdrawn", "degraded", "human", "game-day",
    ]
    backwards = RegionMemory({cause: Cordon(stands=True, changed_ago_s=1.0) for cause in reversed(Cause)})
    assert backwards.standing == tuple(Cause)


def test_any_standing_cause_keeps_a_region_out_and_one_that_fell_silent_does_not():
    both = RegionMemory({Cause.LOST: Cordon(stands=False, changed_ago_s=5.0), Cause.HUMAN: Cordon(True, 9.0)})
    assert (both.standing, both.intent) == ((Cause.HUMAN,), Intent.CORDONED)
    assert cordoned(stands=False).intent is Intent.SERVING


def test_its_last_move_is_that_of_any_cause_and_unknown_if_one_is():
    moved = {Cause.LOST: Cordon(stands=False, changed_ago_s=50.0), Cause.HUMAN: Cordon(True, 9.0)}
    assert RegionMemory(moved).changed_ago_s == 9.0
    assert RegionMemory({**moved, Cause.DEGRADED: Cordon(stands=False, changed_ago_s=None)}).changed_ago_s is None


def test_the_reason_is_that_of_the_gravest_cause_that_stands():
    lost, person = Cordon(True, 50.0, reason="lost"), Cordon(True, 9.0, reason="person")
    assert RegionMemory({Cause.HUMAN: person, Cause.LOST: lost}).reason == "lost"


def test_or_that_of_the_last_to_fall_silent():
    older, newer = Cordon(False, 50.0, reason="older"), Cordon(False, 9.0, reason="newer")
    assert RegionMemory({Cause.LOST: older, Cause.HUMAN: newer}).reason == "newer"
    unknown = Cordon(stands=False, changed_ago_s=None, reason="just now, for all we know")
    assert RegionMemory({Cause.LOST: newer, Cause.HUMAN: unknown}).reason == "just now, for all we know"
