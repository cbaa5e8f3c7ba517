"""How each kind of fault is done to the simulated world, and undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.core.values import Cause, Region, Verdict
from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.simulation.stores import WrittenOverride, WrittenShift
from holdfast_gameday.simulation.vendors import LOCK_OUT_S, Manner

if TYPE_CHECKING:
    from holdfast_gameday.simulation.world import World

Deed = Callable[["World", Fault, int], None]
"""`by` is 1 when the fault begins and -1 when it is healed; what is over at once is only begun."""


def apply(world: World, fault: Fault, by: int) -> None:
    DEEDS[fault.kind](world, fault, by)


# Regions.


def _kill(world: World, fault: Fault, by: int) -> None:
    world.entries[fault.target].closed += by
    world.clusters[fault.target].down += by
    if by > 0:
        world.stop(fault.target)
    else:
        world.start(fault.target)


def _blackhole(world: World, fault: Fault, by: int) -> None:
    world.entries[fault.target].mute += by
    world.network.silence(fault.target, by)


def _entry_down(world: World, fault: Fault, by: int) -> None:
    world.entries[fault.target].closed += by


def _flap(world: World, fault: Fault, by: int) -> None:
    """Down for one period, up for the next, until the fault is healed."""
    if by < 0:
        return
    entry = world.entries[fault.target]

    def turn(down: bool) -> None:
        entry.closed += 1 if down else -1
        world.something_changed()
        upcoming_s = world.engine.now + fault.level
        if upcoming_s < fault.until_s:
            world.engine.at(upcoming_s, lambda: turn(not down))
        elif down:
            world.engine.at(fault.until_s - 0.001, lambda: turn(False))

    turn(True)


def _gray(world: World, fault: Fault, by: int) -> None:
    world.entries[fault.target].gray = fault.level if by > 0 else 0.0


def _capacity(world: World, fault: Fault, by: int) -> None:
    world.calls.pods[fault.target] = int(world.topology.pods * (fault.level if by > 0 else 1.0))


# Networks.


def _cut(world: World, fault: Fault, by: int) -> None:
    world.network.block(("op", fault.target), ("api", fault.other), by)


def _replies_lost(world: World, fault: Fault, by: int) -> None:
    world.network.block(("api", fault.other), ("op", fault.target), by)


def _duplicates(world: World, fault: Fault, by: int) -> None:
    world.duplicating[fault.target, fault.other] += by


def _split(world: World, fault: Fault, by: int) -> None:
    for one, other in ((fault.target, fault.other), (fault.other, fault.target)):
        world.network.block(("op", one), ("api", other), by)
        world.network.block(("op", one), ("entry", other), by)


def _loss(world: World, fault: Fault, by: int) -> None:
    world.network.lose(fault.target, fault.level if by > 0 else 0.0)


def _api_down(world: World, fault: Fault, by: int) -> None:
    world.clusters[fault.target].down += by


def _api_reads_only(world: World, fault: Fault, by: int) -> None:
    world.clusters[fault.target].reads_only += by


def _vendor_cut(world: World, fault: Fault, by: int) -> None:
    world.network.block(("op", fault.target), ("vendor", fault.other), by)


# Probes.


def _probe_cut(world: World, fault: Fault, by: int) -> None:
    world.network.block(("op", fault.target), ("entry", fault.other), by)


def _slow_probes(world: World, fault: Fault, by: int) -> None:
    world.sights[fault.target].slow = fault.level if by > 0 else 0.0


def _egress(world: World, fault: Fault, by: int) -> None:
    world.sights[fault.target].blind += by
    world.tell(fault.target)


def _liar(world: World, fault: Fault, by: int) -> None:
    world.lie(fault.target, {fault.other: Verdict.DOWN} if by > 0 else {})


def _flatterer(world: World, fault: Fault, by: int) -> None:
    others = [name for name in world.zone.members if name != fault.target]
    world.lie(fault.target, dict.fromkeys(others, Verdict.UP) if by > 0 else {})


# Levers.


def _manner(manner: Manner) -> Deed:
    def deed(world: World, fault: Fault, by: int) -> None:
        manners = world.vendors[fault.target].manners
        if by > 0:
            manners.append((manner, fault.level))
        else:
            manners.remove((manner, fault.level))

    return deed


def _lock_out(world: World, fault: Fault, by: int) -> None:
    if by > 0:
        world.vendors[fault.target].locked_until = world.engine.now + min(fault.level, LOCK_OUT_S)


# Processes.


def _pause(world: World, fault: Fault, by: int) -> None:
    if by > 0:
        world.pause(fault.target, until_s=fault.until_s)


def _restart(world: World, fault: Fault, by: int) -> None:
    if by > 0:
        world.stop(fault.target)
    else:
        world.start(fault.target)


def _drift(world: World, fault: Fault, by: int) -> None:
    world.clocks[fault.target].drift(1.0 + fault.level if by > 0 else 1.0)


def _wall_jump(world: World, fault: Fault, by: int) -> None:
    world.clocks[fault.target].wall_offset_s += by * fault.level


# Stores.


def _edit(world: World, fault: Fault, _by: int) -> None:
    vendor = world.vendors[fault.other]
    origin = vendor.origins[fault.target]
    vendor.edit(fault.target, replace(origin, enabled=not origin.enabled, touched="somebody"))


def _mark_lost(world: World, fault: Fault, by: int) -> None:
    vendor = world.vendors[fault.other]
    vendor.edit(fault.target, replace(vendor.origins[fault.target], marked=by < 0, touched="somebody"))


def _garbled(world: World, fault: Fault, _by: int) -> None:
    world.clusters[fault.target].garble()


def _lease_deleted(world: World, fault: Fault, _by: int) -> None:
    world.clusters[fault.target].delete()


def _leases_deleted(world: World, _fault: Fault, _by: int) -> None:
    for cluster in world.clusters.values():
        cluster.delete()


def _restored(world: World, fault: Fault, _by: int) -> None:
    world.clusters[fault.target].restore(fault.level, world.engine.now)


def _relabelled(world: World, fault: Fault, by: int) -> None:
    region = world.regions[fault.target]
    where = "us" if by > 0 else world.topology.regions[fault.target].jurisdiction
    changed = Region(region.name, region.host, where, region.failure_domain, region.origins)
    world.regions = {**world.regions, fault.target: changed}


# Dependencies.


def _provider(world: World, fault: Fault, by: int) -> None:
    world.local.provider(fault.target, ill=by > 0)


def _provider_everywhere(world: World, _fault: Fault, by: int) -> None:
    for name in world.zone.members:
        world.local.provider(name, ill=by > 0)


def _relay(world: World, fault: Fault, by: int) -> None:
    world.local.relay(fault.target, ill=by > 0)


def _carrier(world: World, fault: Fault, by: int) -> None:
    world.local.carrier(fault.target, ill=by > 0)


def _pods_ill(world: World, fault: Fault, by: int) -> None:
    world.local.pods(fault.target, ill=by > 0)


# People. What they write is written where they are: in the first cluster that answers them.


def _shift(by_whom: Cause, words: str) -> Deed:
    def deed(world: World, fault: Fault, by: int) -> None:
        written = WrittenShift(fault.target, by_whom, fault.until_s + (60.0 if fault.for_s > 60 else 0.0), words)
        shifts = world.clusters[world.zone.members[0]].shifts
        if by > 0:
            shifts.append(written)
        else:
            shifts.remove(written)

    return deed


def _override(world: World, fault: Fault, by: int) -> None:
    written = WrittenOverride(fault.target, fault.other, fault.until_s, "break-glass")
    overrides = world.clusters[world.zone.members[0]].overrides
    if by > 0:
        overrides.append(written)
    else:
        overrides.remove(written)


def _freeze(world: World, _fault: Fault, by: int) -> None:
    for cluster in world.clusters.values():
        cluster.paused += by


DEEDS: dict[Kind, Deed] = {
    Kind.KILL: _kill,
    Kind.BLACKHOLE: _blackhole,
    Kind.ENTRY_DOWN: _entry_down,
    Kind.FLAP: _flap,
    Kind.GRAY: _gray,
    Kind.CAPACITY: _capacity,
    Kind.CUT: _cut,
    Kind.REPLIES_LOST: _replies_lost,
    Kind.DUPLICATES: _duplicates,
    Kind.SPLIT: _split,
    Kind.LOSS: _loss,
    Kind.API_DOWN: _api_down,
    Kind.API_READS_ONLY: _api_reads_only,
    Kind.VENDOR_CUT: _vendor_cut,
    Kind.PROBE_CUT: _probe_cut,
    Kind.SLOW_PROBES: _slow_probes,
    Kind.LIAR: _liar,
    Kind.FLATTERER: _flatterer,
    Kind.EGRESS: _egress,
    Kind.LEVER_ERRORS: _manner(Manner.ERRORS),
    Kind.NO_ANSWER: _manner(Manner.NO_ANSWER),
    Kind.NOT_DONE: _manner(Manner.NOT_DONE),
    Kind.LATE: _manner(Manner.LATE),
    Kind.PARTIAL: _manner(Manner.PARTIAL),
    Kind.STALE_READS: _manner(Manner.STALE),
    Kind.LOCK_OUT: _lock_out,
    Kind.PAUSE: _pause,
    Kind.RESTART: _restart,
    Kind.DRIFT: _drift,
    Kind.WALL_JUMP: _wall_jump,
    Kind.EDIT: _edit,
    Kind.MARK_LOST: _mark_lost,
    Kind.GARBLED: _garbled,
    Kind.LEASE_DELETED: _lease_deleted,
    Kind.LEASES_DELETED: _leases_deleted,
    Kind.RESTORED: _restored,
    Kind.RELABELLED: _relabelled,
    Kind.PROVIDER: _provider,
    Kind.PROVIDER_EVERYWHERE: _provider_everywhere,
    Kind.RELAY: _relay,
    Kind.CARRIER: _carrier,
    Kind.PODS_ILL: _pods_ill,
    Kind.CORDON: _shift(Cause.HUMAN, "a person wants it out"),
    Kind.OVERRIDE: _override,
    Kind.FREEZE: _freeze,
    Kind.GAME_DAY: _shift(Cause.GAME_DAY, "a rehearsal"),
}
