"""Trials of what lies outside the regions: a speech provider, a TURN server, a carrier's API. Broken, watched, mended.

Each answers when it was first seen, when something was decided, and when it was effective, in seconds since the fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from holdfast_gameday.bench_failover.ground import ZONE, Ground
from holdfast_gameday.credentials import SYSTEM
from holdfast_gameday.installation import TENANT
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.measure import CordonTimes, FaultTime
from holdfast_gameday.world.openai_realtime import Fault
from holdfast_gameday.world.twilio_faults import Fault as TwilioFault
from holdfast_gameday.world.twilio_faults import FaultKind

PATIENCE_S = 20.0
QUIET_S = 6.0
"""So long nobody may have tried a provider before it counts as left; a trial of ours comes after a minute."""
RELAY = "turn-1"
DECIDED = frozenset({"decided", "overridden"})


async def provider(ground: Ground, region: str, fault: FaultTime) -> CordonTimes:
    """The region's key is refused with 503. Effective: the last call that tried it, counted from the second failure."""
    speech, key = ground.stage.range.speech[ZONE], f"{TENANT[ZONE]}-{region}"
    speech.inject(Fault("refuse", keys={key}, status=503))

    def refused() -> list[float]:
        return [at for at, name in speech.refusals if name == key and at >= fault.monotonic]

    end = fault.monotonic + PATIENCE_S
    while time.monotonic() < end:
        seen = refused()
        if len(seen) >= 2 and time.monotonic() - seen[-1] >= QUIET_S:
            first, second = seen[0] - fault.monotonic, seen[1] - fault.monotonic
            return CordonTimes(detected=first, decided=second, read_back=seen[-1] - seen[1])
        await asyncio.sleep(0.2)
    return CordonTimes()


async def relay(ground: Ground, fault: FaultTime) -> CordonTimes:
    """A TURN server ends. Effective: every region has found it down over every transport, as its heartbeat says."""
    await ground.relays.kill(RELAY)
    found: dict[str, float] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < len(ground.members):
                for region in ground.members:
                    turned = _relay_down_since(await beat(ground, region))
                    if turned is not None and turned >= fault.unix - 0.5:
                        found.setdefault(region, turned - fault.unix)
                await asyncio.sleep(0.2)
    if len(found) < len(ground.members):
        return CordonTimes()
    return CordonTimes(detected=min(found.values()), decided=max(found.values()), read_back=max(found.values()))


async def carrier(ground: Ground, fault: FaultTime) -> CordonTimes:
    """The carrier's REST API answers 503. Effective: the leader's record says that others are asked before it."""
    ground.stage.range.twilio.faults.arm(TwilioFault(kind=FaultKind.ERROR, status=503))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for region in ground.members:
                    at = _recorded(await trail(ground, region), "CarrierIll", after=fault)
                    if at is not None:
                        return CordonTimes(detected=at, decided=at, read_back=at)
                await asyncio.sleep(0.3)
    return CordonTimes()


async def mend_provider(ground: Ground) -> None:
    """It answers again; breakers that are open are tried once a minute, and closed by the first success."""
    ground.stage.range.speech[ZONE].heal()
    for region in ground.members:
        await _until_well(ground, region, "provider")


async def mend_relay(ground: Ground) -> None:
    await ground.relays.start(RELAY)
    for region in ground.members:
        await _until_well(ground, region, "relay")


async def mend_carrier(ground: Ground) -> None:
    ground.stage.range.twilio.faults.heal()
    for region in ground.members:
        await _until_well(ground, region, "carrier")


async def _until_well(ground: Ground, region: str, tier: str) -> None:
    async with asyncio.timeout(150):
        while any(seen.get("verdict") == "down" for seen in (await _others(ground, region, tier)).values()):
            await asyncio.sleep(0.3)


async def _others(ground: Ground, region: str, tier: str) -> Mapping[str, Mapping[str, Any]]:
    told = await beat(ground, region)
    found: Mapping[str, Mapping[str, Any]] = told.get("others", {}).get(tier, {})
    return found


def _relay_down_since(heard: Mapping[str, Any]) -> float | None:
    """When the last of its transports turned, in Unix seconds; None while one is not found down."""
    told = heard.get("others", {}).get("relay", {})
    seen = [each for name, each in told.items() if name.startswith(f"{RELAY} ")]
    if not seen or any(each["verdict"] != "down" for each in seen):
        return None
    return float(heard["at"]) - min(float(each["since"]) for each in seen)


async def beat(ground: Ground, region: str) -> Mapping[str, Any]:
    """What the region tells the others; empty while it cannot be read."""
    try:
        lease = await ground.stage.installation.regions[region].read("lease", "holdfast-region", "-n", SYSTEM)
    except LabError:
        return {}
    annotations = (lease or {}).get("metadata", {}).get("annotations") or {}
    parsed: Mapping[str, Any] = json.loads(annotations.get("holdfast.dev/heartbeat", "{}"))
    return parsed


async def trail(ground: Ground, region: str) -> list[Mapping[str, Any]]:
    """The records of its decisions, the oldest first; none while they cannot be read."""
    try:
        kept = await ground.stage.installation.regions[region].read("configmap", "holdfast-decisions", "-n", SYSTEM)
    except LabError:
        return []
    text = "\n".join(str(value) for value in (kept or {}).get("data", {}).values())
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _recorded(trail: list[Mapping[str, Any]], code: str, *, after: FaultTime) -> float | None:
    for record in reversed(trail):
        at = after.of_cluster(str(record.get("at", "")))
        if at is not None and at >= 0 and f'"{code}"' in json.dumps(record) and record.get("outcome") in DECIDED:
            return at
    return None
