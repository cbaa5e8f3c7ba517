"""Every kind of fault changes something: one that did not would be counted and prove nothing.

Each is let loose on the same fleet under the same seed, beside the trouble in which it matters, and the story without
it is compared with the story with it.
"""

from __future__ import annotations

import pytest
from simulated import fleet, schedule

from holdfast_gameday.faults import LIVE, Fault, Group, Kind
from holdfast_gameday.simulation import injection, run

LOSS = Fault(Kind.KILL, "ams", 100.0, 60.0)
CORDON = Fault(Kind.CORDON, "par", 95.0, 60.0)
LEADERLESS = Fault(Kind.RESTART, "fra", 109.0, 15.0)

# What each strikes in a zone of fra, ams and par that fra leads, and beside what; unnamed kinds strike ams, by itself.
CASES: dict[Kind, tuple[Fault, tuple[Fault, ...]]] = {
    Kind.FLAP: (Fault(Kind.FLAP, "ams", 110.0, 60.0, level=15.0), ()),
    Kind.GRAY: (Fault(Kind.GRAY, "ams", 110.0, 60.0, level=0.5), ()),
    Kind.CAPACITY: (Fault(Kind.CAPACITY, "fra", 90.0, 120.0, level=0.25), (LOSS,)),
    Kind.CUT: (Fault(Kind.CUT, "fra", 110.0, 60.0, "ams"), (LOSS, LEADERLESS)),
    Kind.REPLIES_LOST: (Fault(Kind.REPLIES_LOST, "fra", 90.0, 60.0, "par"), (LOSS,)),
    Kind.DUPLICATES: (Fault(Kind.DUPLICATES, "fra", 90.0, 60.0, "par"), (LOSS,)),
    Kind.SPLIT: (Fault(Kind.SPLIT, "fra", 110.0, 60.0, "par"), ()),
    Kind.LOSS: (Fault(Kind.LOSS, "fra", 110.0, 60.0, level=0.3), ()),
    # Alone it would change nothing: an API server out of reach is unknown, never ill.
    Kind.API_DOWN: (Fault(Kind.API_DOWN, "fra", 90.0, 60.0), (LOSS,)),
    Kind.API_READS_ONLY: (Fault(Kind.API_READS_ONLY, "par", 90.0, 60.0), (LOSS,)),
    Kind.VENDOR_CUT: (Fault(Kind.VENDOR_CUT, "LEADER", 90.0, 60.0, "edge"), (LOSS,)),
    Kind.PROBE_CUT: (Fault(Kind.PROBE_CUT, "fra", 110.0, 60.0, "ams"), ()),
    Kind.SLOW_PROBES: (Fault(Kind.SLOW_PROBES, "fra", 110.0, 60.0, level=0.5), ()),
    Kind.LIAR: (Fault(Kind.LIAR, "par", 110.0, 60.0, "ams"), ()),
    Kind.FLATTERER: (Fault(Kind.FLATTERER, "par", 90.0, 60.0), (LOSS,)),
    Kind.EGRESS: (Fault(Kind.EGRESS, "par", 90.0, 60.0), (LOSS,)),
    **{
        kind: (Fault(kind, "edge", 90.0, 60.0, level=6.0), (LOSS,))
        for kind in Kind
        if kind.group is Group.LEVER
    },
    Kind.LOCK_OUT: (Fault(Kind.LOCK_OUT, "edge", 90.0, 60.0, level=60.0), (LOSS,)),
    Kind.DRIFT: (Fault(Kind.DRIFT, "LEADER", 90.0, 200.0, level=0.02), (LOSS,)),
    Kind.WALL_JUMP: (Fault(Kind.WALL_JUMP, "LEADER", 110.0, 60.0, level=600.0), (CORDON,)),
    Kind.EDIT: (Fault(Kind.EDIT, "ams", 110.0, 0.0, "edge"), ()),
    Kind.MARK_LOST: (Fault(Kind.MARK_LOST, "ams", 90.0, 60.0, "edge"), (LOSS,)),
    Kind.GARBLED: (Fault(Kind.GARBLED, "par", 112.0), (LOSS, Fault(Kind.RESTART, "the leader", 111.7, 12.0))),
    Kind.LEASE_DELETED: (Fault(Kind.LEASE_DELETED, "par", 112.0), (LOSS, LEADERLESS)),
    Kind.LEASES_DELETED: (
        Fault(Kind.LEASES_DELETED, "par", 112.0), (LOSS, Fault(Kind.RESTART, "the leader", 111.7, 12.0)),
    ),
    Kind.RESTORED: (Fault(Kind.RESTORED, "par", 112.0, level=30.0), (LOSS, LEADERLESS)),
    Kind.PAUSE: (Fault(Kind.PAUSE, "the leader", 110.0, 30.0), ()),
    Kind.RESTART: (Fault(Kind.RESTART, "the leader", 110.0, 30.0), ()),
    Kind.CARRIER: (Fault(Kind.CARRIER, "twilio", 110.0, 60.0), ()),
    Kind.OVERRIDE: (Fault(Kind.OVERRIDE, "ams", 125.0, 60.0, "Dwell"), (Fault(Kind.ENTRY_DOWN, "ams", 100.0, 20.0),)),
    Kind.FREEZE: (Fault(Kind.FREEZE, "ams", 90.0, 60.0), (LOSS,)),
}


def _told(*faults: Fault) -> list[str]:
    """The story without what the simulator itself announces, and what was counted on the way."""
    world = run.watch(schedule(*faults, of=fleet("3", carriers=2)))
    lines = [str(line) for line in world.story.lines if line.who not in ("fault", "healed")]
    counted = [f"{name} {count}" for name, count in sorted(world.sometimes.items()) if not name.startswith("fault ")]
    return [*lines, *counted]


def _struck(fault: Fault) -> Fault:
    leader = run.watch(schedule(of=fleet("3", carriers=2), calm_from_s=90.0)).leader()
    target = leader.name if leader and fault.target == "LEADER" else fault.target
    return Fault(fault.kind, target, fault.at_s, fault.for_s, fault.other, fault.level)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.word)
def test_a_fault_changes_the_story(kind):
    fault, beside = CASES.get(kind, (Fault(kind, "ams", 110.0, 60.0), ()))

    assert _told(*beside, _struck(fault)) != _told(*beside)


def test_every_kind_can_be_done_and_undone():
    assert set(injection.DEEDS) == set(Kind)


def test_what_live_game_days_do_is_part_of_the_same_vocabulary():
    assert set(LIVE) <= set(Kind)
