"""A region's desk for bridge pods, with agents that use providers, and a clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from control_builders import built

from holdfast import bridges, fleet_picture, telemetry
from holdfast.core.agents import AgentSpec, Attempt, KeyRef, Persona
from holdfast.core.means import CanaryKey, ProviderRule, Tenant
from holdfast.core.place import operator_token
from holdfast.core.providers import Failure
from holdfast.core.reports import Failed, Report
from holdfast.core.results import Outcome, Tally
from holdfast.core.values import AgentRef, Region, Zone, ZoneRegion
from holdfast.desired import AgentEntry, Desired
from holdfast.fleet_carriers import CarrierReports
from holdfast.fleet_latency import FleetLatency
from holdfast.fleet_providers import FleetProviders
from holdfast.fleet_tools import FleetTools
from holdfast_bridge.carrier import CarrierFailure
from holdfast_bridge.core.budgets import Windows
from holdfast_bridge.poll import Directives, Poller, Seen
from holdfast_bridge.tallies import ProviderResults, Tallies
from holdfast_bridge.tools import ToolFailure
from holdfast_gameday.world.ports import free_port

DESK, SHOP = AgentRef("clinic", "front-desk"), AgentRef("shop", "sales")
OPENAI, AZURE = "wss://eu.api.openai.com/v1/realtime", "wss://eu.azure.com/openai/v1/realtime"
OPENAI_NAME, AZURE_NAME = "eu.api.openai.com/gpt-realtime", "eu.azure.com/gpt-realtime"
HOSTS = ("eu.api.openai.com", "eu.azure.com")
ZONE_KEY = b"zone-key"
RULE = ProviderRule()
WELL = Outcome()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def attempt(name: str, base_url: str, secret: str = "") -> Attempt:
    return Attempt(
        name, "openai", voice="v", model="gpt-realtime", base_url=base_url, key=KeyRef(secret or name, "api-key")
    )


def spec(*attempts: Attempt, min_pods: int = 2) -> AgentSpec:
    given = attempts or (attempt("openai", OPENAI), attempt("azure", AZURE))
    return AgentSpec(zone="eu", persona=Persona("", ""), attempts=given, min_pods=min_pods)


def entry(ref: AgentRef = DESK, *attempts: Attempt, min_pods: int = 2) -> AgentEntry:
    return AgentEntry(ref, "u", 1, "eu", spec(*attempts, min_pods=min_pods))


def zone(rule: ProviderRule = RULE, hosts: tuple[str, ...] = HOSTS, canary_keys: tuple[CanaryKey, ...] = ()) -> Zone:
    return Zone(
        name="eu", uid="z", generation=1, residency="eu", host="eu.voice.example.com",
        regions=(ZoneRegion("fra", 50), ZoneRegion("ams", 50)), witnesses=("iad",), provider=rule,
        tenants=(Tenant(("clinic", "shop"), hosts=hosts),), canary_keys=canary_keys,
    )  # fmt: skip


def desired(*entries: AgentEntry, of: Zone | None = None) -> Desired:
    known = Desired()
    for name in ("fra", "ams"):
        known.put_region(Region(name, f"{name}.voice.example.com", "eu", name))
    known.put_zone(of or zone())
    for each in entries or (entry(),):
        known.put_agent(each)
    return known


def tally(
    ok: int = 0, *, ok_ago_s: float | None = None, ago_s: float = 0.0, retry_after_s: float = 0.0, **failed: int
) -> Tally:
    """`failed` by the names of kinds, in small letters."""
    counts = {Failure[name.upper()]: Failed(count, ago_s, retry_after_s) for name, count in failed.items()}
    return Tally(ok, (0.0 if ok else None) if ok_ago_s is None else ok_ago_s, counts)


class RegionDesk:
    """The operator's side in one region: what it knows, and the desk at which pods ask."""

    def __init__(self, known: Desired | None = None, outcome: Outcome = WELL) -> None:
        self.desired = known or desired()
        self.clock = Clock()
        self.changes = 0
        self.outcome = outcome
        self.tried: list[str] = []
        self.providers = FleetProviders(
            region="fra", desired=self.desired, probe=self.probe, clock=self.clock, on_change=self.changed
        )
        self.tools = FleetTools(desired=self.desired, clock=self.clock)
        self.carriers = CarrierReports(desired=self.desired, failed=lambda *met: self.met.append(met))
        self.met: list[tuple[str, str]] = []
        self.events: list[tuple[AgentRef, str, bool]] = []
        self.latency = FleetLatency(
            desired=self.desired,
            clock=self.clock,
            tell=lambda agent, reason, bad: self.events.append((agent, reason.code, bad)),
        )
        self.here = fleet_picture.Here(self.providers.order)
        self.bridges = bridges.Bridges(
            desired=self.desired,
            compose=lambda agent: fleet_picture.directive(agent, "fra", self.desired, {}, self.here),
            providers=self.providers,
            tools=self.tools,
            carriers=self.carriers,
            latency=self.latency,
            keys=self.keys,
            clock=self.clock,
            metrics=telemetry.Metrics(),
        )

    async def probe(self, key: CanaryKey) -> tuple[Outcome, str]:
        self.tried.append(key.name)
        return self.outcome, self.outcome.failure.value if self.outcome.failure else ""

    async def keys(self, _: AgentRef) -> tuple[bytes, ...]:
        return (ZONE_KEY,)

    def changed(self) -> None:
        self.changes += 1
        self.bridges.bell.ring()

    def hear(self, agent: AgentRef = DESK, pod: str = "p-1", *, began: int = 1, **tallies: Tally) -> None:
        self.providers.hear(agent, pod, Report(began, tallies), draining=False)

    def well(self, agent: AgentRef = DESK, pod: str = "p-1") -> None:
        """A pod that has nothing to tell yet."""
        self.hear(agent, pod)

    def order(self, agent: AgentRef = DESK) -> tuple[str, ...]:
        found = self.providers.order(agent)
        assert found is not None
        return found.names

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        port = free_port()
        runner = await bridges.serve(bridges.poll_app(self.bridges), host="127.0.0.1", port=port)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()


class PollingPod:
    """A bridge pod as far as its poll goes: what it counts, and what it was told."""

    def __init__(self, name: str, url: str, ref: AgentRef = DESK, *, results: ProviderResults | None = None) -> None:
        attempts = [
            {"name": each.name, "kind": "openai", "baseUrl": each.base_url, "model": each.model}
            for each in spec().attempts
        ]
        budgets = {"firstAudioMs": 800}
        settings = built(
            operatorUrl=url, namespace=ref.namespace, agent=ref.name, attempts=attempts, latency=budgets
        )
        fleet = dataclasses.replace(settings.fleet, operator_token=operator_token(ZONE_KEY, ref))
        self.settings = dataclasses.replace(settings, fleet=fleet, pod=name)
        self.directives = Directives(lambda: self.settings)
        self.results = results or ProviderResults(on_news=lambda: self.poller.news(at_once=True))
        self.tools: Tallies[ToolFailure] = Tallies("tool", on_news=self._news)
        self.carriers: Tallies[CarrierFailure] = Tallies("carrier", on_news=self._news)
        self.windows = Windows()
        self.poller = Poller(
            settings=lambda: self.settings,
            directives=self.directives,
            seen=Seen(
                records=list,
                providers=self.results.report,
                tools=self.tools.report,
                carriers=self.carriers.report,
                latencies=lambda: self.windows.report(self.settings.agent.budgets_ms, now=0.0),
                ready=lambda: True,
                draining=lambda: False,
                buddy_up=lambda: True,
                holds=lambda: "",
                problems=tuple,
                loop_lag_s=lambda: 0.0,
            ),
        )

    def _news(self) -> None:
        self.poller.news()

    @property
    def order(self) -> tuple[str, ...]:
        return self.directives().attempts


@asynccontextmanager
async def polling(*pods: PollingPod) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pod.poller.run()) for pod in pods]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
