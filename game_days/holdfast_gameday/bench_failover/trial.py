"""One trial: calls come in without end, something breaks at a random moment, and what follows is timed from outside.

The fault is drawn from a die that is given. It measures and judges nothing; what it breaks it mends again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from holdfast_gameday.bench_failover import outside
from holdfast_gameday.bench_failover.ground import ZONE, Ground, host
from holdfast_gameday.bench_failover.kinds import Trial, Victim
from holdfast_gameday.bench_failover.records import Record
from holdfast_gameday.lab import names, network
from holdfast_gameday.measure import CordonTimes, FaultTime, cordon_times
from holdfast_gameday.practice import NUMBERS
from holdfast_gameday.world.arrivals import Arrival, Arrivals
from holdfast_gameday.world.callers import Call
from holdfast_gameday.world.callers_script import remember_a_code

PER_SECOND = 10.0
HELD_AT_ONCE = 30
STEADY_S = 1.0
PHASE_S = 5.0
"""A whole round of probes: the fault falls anywhere within it."""
PATIENCE_S = 25.0
LOOK_EVERY_S = 1.0
AFTER_S = 1.0
RESUMED_WITHIN_S = 25.0
UPLINK_LOST_FOR_S = 12.0


@dataclass(slots=True)
class Seen:
    """What a trial has found so far."""

    fault: FaultTime
    victim: str
    times: CordonTimes = field(default_factory=CordonTimes)
    held: list[Call] = field(default_factory=list)
    note: str = ""


async def play(trial: Trial, ground: Ground, *, revision: str, started: str, dice: random.Random) -> Record:
    """Calm before, calm after."""
    await ground.calm()
    victim = await _victim(trial, ground, dice)
    held = await _held(ground, victim, trial.kind.calls)
    arrivals = Arrivals(ground.stage.range.twilio, NUMBERS[ZONE], per_second=PER_SECOND)
    ringing = asyncio.create_task(arrivals.run())
    try:
        phase = dice.uniform(0.0, PHASE_S)
        await asyncio.sleep(STEADY_S + phase)
        seen = Seen(FaultTime(monotonic=time.monotonic(), unix=time.time()), victim, held=held)
        await _break_and_watch(trial, ground, seen)
        await asyncio.sleep(AFTER_S)
    finally:
        ringing.cancel()
    await arrivals.settled()
    record = _record(trial, ground, seen, arrivals.calls, phase=phase, revision=revision, started=started)
    for call in held:
        if not call.over.is_set():
            call.hang_up()
    await _mend(trial, ground, victim)
    return record


async def _victim(trial: Trial, ground: Ground, dice: random.Random) -> str:
    leader = await ground.leader()
    if trial.kind.victim is Victim.LEADER:
        return leader
    others = [name for name in ground.members if name != leader]
    return dice.choice(others if trial.kind.victim is Victim.REGION else ground.members)


async def _held(ground: Ground, victim: str, count: int) -> list[Call]:
    """Calls under way in that region; those that land elsewhere are hung up."""
    kept: list[Call] = []
    callers = ground.stage.range.callers
    while len(kept) < count:
        placed = []
        # Of those that are placed at once, more land elsewhere than here.
        for number in range(min(HELD_AT_ONCE, 2 * (count - len(kept)))):
            placed.append(callers.place(NUMBERS[ZONE], remember_a_code(f"{4000 + number}")))
            await asyncio.sleep(0.04)
        async with asyncio.timeout(20):
            while any(call.host is None and not call.over.is_set() for call in placed):
                await asyncio.sleep(0.05)
        for call in placed:
            if call.host == host(victim) and len(kept) < count:
                kept.append(call)
            elif not call.over.is_set():
                call.hang_up()
    async with asyncio.timeout(30):
        for call in kept:
            await call.settled.wait()
    return kept


async def _break_and_watch(trial: Trial, ground: Ground, seen: Seen) -> None:
    match trial.kind.victim:
        case Victim.REGION | Victim.LEADER:
            await ground.lab.kill(seen.victim)
            await _await_cordon(ground, seen)
        case Victim.SILENT:
            await ground.lab.blackhole(seen.victim)
            await _await_cordon(ground, seen)
            await _await_resumed(seen)
        case Victim.PROVIDER:
            seen.times = await outside.provider(ground, seen.victim, seen.fault)
        case Victim.RELAY:
            seen.times = await outside.relay(ground, seen.fault)
        case Victim.CARRIER:
            seen.times = await outside.carrier(ground, seen.fault)
        case Victim.UPLINK:
            await _cut_operators(ground, seen.victim)
            await asyncio.sleep(UPLINK_LOST_FOR_S)
        case _ as never:
            assert_never(never)


async def _await_cordon(ground: Ground, seen: Seen) -> None:
    """Until the zone's own record, as any survivor shows it, says that every lever was read back."""
    survivors = [name for name in ground.members if name != seen.victim]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while seen.times.read_back is None:
                for name in survivors:
                    policy = await ground.stage.installation.regions[name].read("fop", ZONE)
                    seen.times = cordon_times(policy, region=seen.victim, fault=seen.fault)
                    if seen.times.read_back is not None:
                        break
                # The record tells when; how often it is read changes no figure, and each reading costs the machine.
                await asyncio.sleep(LOOK_EVERY_S)


async def _await_resumed(seen: Seen) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, RESUMED_WITHIN_S - (time.monotonic() - seen.fault.monotonic))):
            while sum(_heard_again(call, seen) for call in seen.held) < len(seen.held):
                await asyncio.sleep(0.2)


def _heard_again(call: Call, seen: Seen) -> bool:
    lost = host(seen.victim)
    return call.report().heard_elsewhere_at(since=seen.fault.monotonic, lost_host=lost) is not None


async def _cut_operators(ground: Ground, region: str) -> None:
    await network.apply(names.REGIONS[region].netns, await _uplink_rules(ground, region))


async def _uplink_rules(ground: Ground, region: str) -> list[str]:
    """What the region's operator pods send out of their cluster is lost; the calls of the region go on."""
    pods = await ground.stage.installation.regions[region].read(
        "pods", "-n", "holdfast-system", "-l", "app.kubernetes.io/name=holdfast-operator"
    )
    addresses = [pod["status"]["podIP"] for pod in pods["items"] if pod["status"].get("podIP")]
    drops = [f"-I {network.FAULT_CHAIN} -s {address} ! -d 10.0.0.0/8 -j DROP" for address in addresses]
    return ["*raw", *drops, "COMMIT"]


async def _mend(trial: Trial, ground: Ground, victim: str) -> None:
    match trial.kind.victim:
        case Victim.UPLINK:
            await network.apply(names.REGIONS[victim].netns, network.undo(await _uplink_rules(ground, victim)))
        case Victim.PROVIDER:
            await outside.mend_provider(ground)
        case Victim.RELAY:
            await outside.mend_relay(ground)
        case Victim.CARRIER:
            await outside.mend_carrier(ground)
        case _:
            await ground.lab.heal(victim)
    await ground.calm()


def _record(
    trial: Trial, ground: Ground, seen: Seen, arrivals: Sequence[Arrival], *, phase: float, revision: str, started: str
) -> Record:
    reports = [call.report() for call in seen.held]
    resumed = [report for report in reports if report.heard_elsewhere_at(
        since=seen.fault.monotonic, lost_host=host(seen.victim)) is not None]  # fmt: skip
    cut_over, heard_after = _cut_over(ground, seen, arrivals)
    set_ups = [call.set_up_s for call in arrivals if call.set_up_s is not None]
    unanswered = [call for call in arrivals if not call.answered]
    return Record(
        kind=trial.kind.name,
        number=trial.number,
        revision=revision,
        started=started,
        victim=seen.victim,
        phase=round(phase, 2),
        detected=_rounded(seen.times.detected),
        decided=_rounded(seen.times.decided),
        effective=_rounded(seen.times.read_back),
        cut_over=_rounded(cut_over),
        heard_after=_rounded(heard_after),
        placed=len(arrivals),
        lost=len(unanswered),
        set_up=_rounded(max(set_ups, default=None)),
        held=len(reports),
        resumed=len(resumed),
        gaps=tuple(round(report.longest_gap_s(since=seen.fault.monotonic), 2) for report in resumed),
        false_moves=_false_moves(trial, ground, seen),
        note="; ".join(sorted({call.why for call in unanswered}))[:300],
    )


def _cut_over(
    ground: Ground, seen: Seen, arrivals: Sequence[Arrival]
) -> tuple[float, float] | tuple[None, None]:
    """From the write that the edge accepted to the first call elsewhere of those that rang after it.

    The first figure ends when that call's stream is open there, the second when its caller hears the agent.
    """
    pool = ground.stage.range.pools[seen.victim]
    written = [
        write.monotonic
        for write in ground.stage.range.cloudflare.state.writes
        if write.id == pool and write.monotonic > seen.fault.monotonic and write.after.get("enabled") is False
    ]
    if not written:
        return None, None
    elsewhere = [
        (call.opened_at, call.heard_at)
        for call in arrivals
        if call.placed_at >= written[0] and call.heard_at is not None and call.host != host(seen.victim)
    ]
    if not elsewhere:
        return None, None
    return min(opened for opened, _ in elsewhere) - written[0], min(heard for _, heard in elsewhere) - written[0]


def _false_moves(trial: Trial, ground: Ground, seen: Seen) -> tuple[str, ...]:
    """Regions that were turned off since the fault though nothing was done to them."""
    by_pool = {pool: region for region, pool in ground.stage.range.pools.items()}
    moved = {
        by_pool[write.id]
        for write in ground.stage.range.cloudflare.state.writes
        if write.id in by_pool and write.monotonic > seen.fault.monotonic and write.after.get("enabled") is False
    }
    broken = {seen.victim} if trial.kind.victim in (Victim.REGION, Victim.LEADER, Victim.SILENT) else set()
    return tuple(sorted(moved - broken))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
