"""A fleet in one process: operators over in-memory clusters, one shared lever, entries that can be killed."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fleet_apiserver import FakeApiServer

from holdfast import clock, fleet_life, telemetry
from holdfast.core import evidence
from holdfast.core.means import Lever
from holdfast.core.values import AgentRef, Guards, Probe, Reason, Region, Verdict, Zone, ZoneRegion
from holdfast.desired import AgentEntry, Desired
from holdfast.gather.entries import Watched
from holdfast.levers.base import OriginReading, PointingDriver
from holdfast.levers.memory import MemoryLever, Origins

NS = "holdfast-system"
REGIONS = {
    name: Region(name, f"{name}.voice.example.com", jurisdiction, domain, {"edge": f"pool-{name}"})
    for name, jurisdiction, domain in (("fra", "eu", "a"), ("ams", "eu", "b"), ("iad", "us", "c"))
}
EU = Zone(
    name="eu",
    uid="u-eu",
    generation=1,
    residency="eu",
    host="eu.voice.example.com",
    regions=(ZoneRegion("fra", 50), ZoneRegion("ams", 50)),
    witnesses=("iad",),
    probe=Probe(interval_s=1.0, timeout_s=0.5, confirmations=2, confirm_every_s=0.1),
    dwell_s=2.0,
    guards=Guards(min_serving=1, max_cordoned=1),
    levers=(Lever("edge", "memory", "", "", ""),),
    signing_secret="zone-eu",
)


@dataclass
class Range:
    """Three clusters and one edge. A killed region has no entry, no API server and no operator."""

    servers: dict[str, FakeApiServer] = field(default_factory=lambda: {n: FakeApiServer(n) for n in REGIONS})
    origins: Origins = field(
        default_factory=lambda: Origins({n: OriginReading(n, enabled=True) for n in ("fra", "ams")})
    )
    dead: set[str] = field(default_factory=set)
    fleets: dict[str, fleet_life.Fleet] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    zone: Zone = EU
    agents: tuple[AgentEntry, ...] = ()
    holders: dict[str, PointingDriver] = field(default_factory=dict)

    def start(self, name: str, *, pod: str = "0") -> fleet_life.Fleet:
        """One operator pod of a region."""

        async def call(watched: Watched) -> evidence.Result:
            down = watched.region in self.dead
            return evidence.Result(Verdict.DOWN if down else Verdict.UP, "connect: refused" if down else "")

        async def survey() -> tuple[bool, ...]:
            return (True, True, True)

        async def keys(_: AgentRef) -> tuple[bytes, ...]:
            return (b"key",)

        async def record(about: Mapping[str, Any], reason: Reason, _warning: bool) -> None:
            self.events.append((name, str(about["metadata"]["name"]), reason.code))

        desired = Desired()
        for region in REGIONS.values():
            desired.put_region(region)
        desired.put_zone(self.zone)
        for entry in self.agents:
            desired.put_agent(entry)
        lever = MemoryLever("edge", self.origins)
        fleet = fleet_life.Fleet(
            world=fleet_life.World(
                region=name,
                namespace=NS,
                pod=f"operator-{pod}",
                pod_uid=f"{name}-{pod}",
                zones=("eu",),
                own=self.servers[name].client(),
                peers={n: s.client() for n, s in self.servers.items() if n != name},
                call=call,
                survey=survey,
                levers=lambda _zone, _regions: {"edge": lever},
                pointers=lambda _zone: self.holders,
                keys=keys,
                probe_provider=no_probe,
                paused="",
                record=record,
                clock=clock.now,
                wall=lambda: f"{dt.datetime.fromtimestamp(time.time(), tz=dt.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:23] + "Z",
                wall_s=time.time,
                dice=random.Random(name + pod),
            ),
            desired=desired,
            metrics=telemetry.Metrics(),
        )
        self.fleets[f"{name}-{pod}"] = fleet
        self.tasks[f"{name}-{pod}"] = asyncio.create_task(fleet.run())
        return fleet

    async def kill(self, region: str) -> None:
        """Everything of a region is gone at once, without a goodbye."""
        self.dead.add(region)
        self.servers[region].mode = "down"
        for name in [n for n in self.tasks if n.startswith(region)]:
            await self.stop(name)

    async def stop(self, name: str) -> None:
        """One operator pod ends."""
        task = self.tasks.pop(name)
        self.fleets.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def leader(self) -> str:
        """The region whose operator holds the fence now; at most one may."""
        leading = [
            name.split("-")[0]
            for name, fleet in self.fleets.items()
            for loop in fleet.zone_loops().values()
            if loop.fence() is not None
        ]
        assert len(leading) <= 1, leading
        return leading[0] if leading else ""

    def enabled(self) -> dict[str, bool]:
        """What the edge does."""
        return {name: reading.enabled for name, reading in self.origins.readings.items()}


async def no_probe(_key: object) -> Any:
    """The range has no speech provider."""
    raise AssertionError("no canary key is configured")


@asynccontextmanager
async def fleet_range(**more: Any) -> AsyncIterator[Range]:
    """A range whose clusters hold their Region and policy objects, and whose operators are stopped at the end.

    `more` are fields of the range.
    """
    ground = Range(**more)
    for server in ground.servers.values():
        server.give_back("holdfast-region", "holdfast-fleet-eu")
        for name in REGIONS:
            path = f"/apis/holdfast.dev/v1alpha1/regions/{name}"
            server.objects[path] = {"metadata": {"name": name, "uid": f"r-{name}", "resourceVersion": "1"}}
        server.objects["/apis/holdfast.dev/v1alpha1/failoverpolicies/eu"] = {
            "metadata": {"name": "eu", "uid": "u-eu", "resourceVersion": "1", "generation": 1},
            "spec": {"same": "everywhere"},
        }
        for pod in ("operator-0", "operator-1"):
            server.objects[f"/api/v1/namespaces/{NS}/pods/{pod}"] = {"metadata": {"name": pod}}
    try:
        yield ground
    finally:
        for name in list(ground.tasks):
            await ground.stop(name)


async def until(true: Callable[[], object], *, seconds: float = 30) -> float:
    """Wait for a state of the world; returns how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - the world has no event for this
            await asyncio.sleep(0.02)
    return time.monotonic() - began
