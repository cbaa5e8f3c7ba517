"""A seed as a plan of harm: first the mix and the manners of the faults are drawn, then when each strikes and heals.

Faults come alone or in bursts, and those of a burst are healed in random order. After `calm_from_s` nothing is wrong
any more, so that it can be judged whether the fleet comes to rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from holdfast.core import reasons
from holdfast_gameday.faults import LEADER, Fault, Group, Kind
from holdfast_gameday.simulation import topology
from holdfast_gameday.simulation.topology import Topology

FIRST_FAULT_S = 90.0
LAST_FAULT_S = 1140.0
CALM_FROM_S = 1320.0
CALM_S = 480.0
QUIET_AROUND_CLEAN_LOSS_S = 90.0
OVERRIDABLE = (reasons.DWELL, reasons.CAPACITY, reasons.MAX_CORDONED)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that a seed decides beforehand; the rest it decides as it goes."""

    seed: int
    topology: Topology
    faults: tuple[Fault, ...]
    calm_from_s: float = CALM_FROM_S
    calm_s: float = CALM_S

    def without(self, fault: Fault) -> Schedule:
        return replace(self, faults=tuple(each for each in self.faults if each is not fault))


def draw(seed: int) -> Schedule:
    dice = random.Random(f"holdfast schedule {seed}")
    fleet = topology.draw(dice)
    groups = dice.sample(list(Group), dice.randint(2, 5))
    kinds = [kind for kind in Kind if kind.group in groups and _possible(kind, fleet)]
    kinds = dice.sample(kinds, min(len(kinds), dice.randint(3, 7)))
    faults = _clean_loss(fleet, dice) if dice.random() < 0.5 else []
    if dice.random() < 0.1:
        # A region that is not there yet when the zone first names it.
        absent = Fault(Kind.ENTRY_DOWN, dice.choice(fleet.zone.members), 0.0, round(dice.uniform(20.0, 60.0), 1))
        faults.append(absent)
    clean_until_s = max((fault.until_s + QUIET_AROUND_CLEAN_LOSS_S for fault in faults), default=FIRST_FAULT_S)
    wanted = dice.randint(4, 9)
    while len(faults) < wanted or len({fault.kind for fault in faults}) < 2:
        faults += _burst(kinds, fleet, dice, clean_until_s)
    return Schedule(seed, fleet, tuple(sorted(faults, key=lambda fault: fault.at_s)))


def _possible(kind: Kind, fleet: Topology) -> bool:
    return not (kind is Kind.LIAR and len(fleet.zone.voters) < 3)


def _clean_loss(fleet: Topology, dice: random.Random) -> list[Fault]:
    """One region lost in plain sight, with nothing else wrong: the case that has to be fast."""
    region = dice.choice(fleet.zone.members)
    kind = dice.choice((Kind.KILL, Kind.BLACKHOLE))
    return [Fault(kind, region, round(dice.uniform(FIRST_FAULT_S, 150.0), 1), round(dice.uniform(40.0, 90.0), 1))]


def _burst(kinds: list[Kind], fleet: Topology, dice: random.Random, from_s: float) -> list[Fault]:
    start_s = dice.uniform(from_s, LAST_FAULT_S)
    count = dice.choice((1, 1, 2, 3))
    drawn = [_fault(dice.choice(kinds), fleet, dice, start_s + dice.uniform(0.0, 6.0)) for _ in range(count)]
    ends_s = [fault.until_s for fault in drawn]
    dice.shuffle(ends_s)  # Swizzled: what broke first need not be mended first.
    swizzled = [
        replace(fault, for_s=round(max(end_s - fault.at_s, fault.for_s / 4, 1.0), 1)) if fault.for_s else fault
        for fault, end_s in zip(drawn, ends_s, strict=True)
    ]
    company = [other for fault in swizzled for other in _company(fault, fleet, dice)]
    return [*swizzled, *(each for each in company if each.until_s < CALM_FROM_S)]


def _company(fault: Fault, fleet: Topology, dice: random.Random) -> list[Fault]:
    """What makes a fault bite: memory is only missed by the next leader, a guard only overridden while it binds."""

    def beside(kind: Kind, target: str, before_s: float, for_s: float) -> Fault:
        return Fault(kind, target, round(fault.at_s - before_s, 1), round(for_s, 1))

    others = [name for name in fleet.zone.members if name != fault.target]
    match fault.kind:
        case Kind.GARBLED:
            back = beside(Kind.ENTRY_DOWN, dice.choice(fleet.zone.members), 32.0, 28.0)
            return [back, beside(Kind.RESTART, LEADER, 0.3, dice.uniform(8.0, 20.0))]
        case Kind.LEASES_DELETED:
            lost = beside(Kind.ENTRY_DOWN, dice.choice(fleet.zone.members), 25.0, dice.uniform(50.0, 90.0))
            return [lost, beside(Kind.RESTART, LEADER, 0.3, dice.uniform(8.0, 20.0))]
        case Kind.OVERRIDE:
            return [beside(Kind.ENTRY_DOWN, fault.target, 20.0, dice.uniform(12.0, 18.0))]
        case Kind.PROVIDER if fault.for_s > 60.0 and dice.random() < 0.5:
            # Asked for while the fleet is held, and seen elsewhere before it is let go.
            late = beside(Kind.PROVIDER, dice.choice(others), -26.0, 50.0)
            return [beside(Kind.FREEZE, fault.target, -5.0, 48.0), late]
        case Kind.GAME_DAY if dice.random() < 0.4:
            return [beside(Kind.ENTRY_DOWN, dice.choice(others), 12.0, dice.uniform(20.0, 40.0))]
        case _:
            return []


def _fault(kind: Kind, fleet: Topology, dice: random.Random, at_s: float) -> Fault:
    target, other = _whom(kind, fleet, dice)
    level_of, longest_s = MANNERS.get(kind, (_none, 180.0))
    for_s = dice.uniform(10.0, longest_s) if longest_s else 0.0
    level = round(level_of(dice), 3)
    if kind is Kind.LOCK_OUT:
        for_s = level
    for_s = round(min(for_s, CALM_FROM_S - at_s - 1.0), 1)
    return Fault(kind, target, round(at_s, 1), for_s, other, for_s if kind is Kind.LOCK_OUT else level)


def _whom(kind: Kind, fleet: Topology, dice: random.Random) -> tuple[str, str]:
    zone = fleet.zone
    target, other = dice.sample(zone.voters, 2)
    member = dice.choice(zone.members)
    lever = dice.choice(zone.levers).name
    match kind:
        case Kind.CUT | Kind.REPLIES_LOST | Kind.DUPLICATES | Kind.SPLIT:
            return target, other
        case Kind.PROBE_CUT | Kind.LIAR:
            return dice.choice(zone.observers_of(member)), member
        case Kind.VENDOR_CUT:
            return target, lever
        case Kind.EDIT | Kind.MARK_LOST:
            return member, lever
        case Kind.OVERRIDE:
            return member, dice.choice(OVERRIDABLE)
        case Kind.CARRIER:
            return dice.choice(zone.carriers).name, ""
        case Kind.PAUSE | Kind.RESTART if dice.random() < 0.4:
            return LEADER, ""
        case _ if kind.group is Group.LEVER:
            return lever, ""
        case _ if kind.group in (Group.PROCESS, Group.PROBE) or kind in OF_VOTERS:
            return target, ""
        case _:
            return member, ""


def _none(_dice: random.Random) -> float:
    return 0.0


OF_VOTERS = (
    Kind.API_DOWN, Kind.API_READS_ONLY, Kind.GARBLED, Kind.LEASE_DELETED, Kind.LEASES_DELETED, Kind.RESTORED, Kind.LOSS
)

# How strong, and for how long at most; a fault of no length is over as soon as it is done.
MANNERS: dict[Kind, tuple[Callable[[random.Random], float], float]] = {
    Kind.FLAP: (lambda dice: dice.choice((6.0, 15.0, 25.0, 40.0)), 240.0),
    Kind.GRAY: (lambda dice: dice.choice((0.3, 0.5)), 180.0),
    Kind.CAPACITY: (lambda dice: dice.choice((0.25, 0.5)), 240.0),
    Kind.LOSS: (lambda dice: dice.choice((0.02, 0.1, 0.3)), 180.0),
    Kind.SLOW_PROBES: (lambda dice: dice.choice((0.02, 0.2, 0.5)), 240.0),
    Kind.LATE: (lambda dice: dice.choice((1.0, 6.0, 12.0)), 120.0),
    Kind.STALE_READS: (lambda dice: dice.choice((5.0, 20.0)), 120.0),
    Kind.LOCK_OUT: (lambda dice: dice.choice((60.0, 300.0)), 0.0),
    Kind.PAUSE: (_none, 60.0),
    Kind.RESTART: (_none, 20.0),
    Kind.DRIFT: (lambda dice: dice.choice((-0.02, 0.02)), 300.0),
    Kind.WALL_JUMP: (lambda dice: dice.choice((-600.0, 600.0, 90.0)), 120.0),
    Kind.RESTORED: (lambda dice: dice.choice((30.0, 300.0)), 0.0),
    Kind.EDIT: (_none, 0.0),
    Kind.GARBLED: (_none, 0.0),
    Kind.LEASE_DELETED: (_none, 0.0),
    Kind.LEASES_DELETED: (_none, 0.0),
    Kind.FREEZE: (_none, 90.0),
}
