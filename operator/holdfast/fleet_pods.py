"""The parts that live on what this region's bridge pods say, joined: the poll, the providers, the own wish to leave.

It decides nothing and keeps nothing of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast import bridges, fleet_latency, fleet_picture, fleet_providers, fleet_tools, fleet_withdrawals, heart
from holdfast.core import readiness, status
from holdfast.core.plans import View
from holdfast.core.readiness import Loss
from holdfast.core.relays import IceList
from holdfast.core.values import AgentRef, Shift, Tier, Zone
from holdfast.desired import Desired
from holdfast.fleet_carriers import CarrierReports
from holdfast.loop import ZoneLoop
from holdfast.telemetry import Metrics

Probe = fleet_providers.Probe
LISTS_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Around:
    """What these parts need of the fleet around them.

    `heard`: the peers' last beats. `renew`: called when there is news to tell them. `ice`: what callers of a zone are
    offered here. `shifts`: what people ordered, wherever. `carrier_failed`: told how a live call's request failed.
    `tell`: news of an agent, for an Event.
    """

    region: str
    desired: Desired
    keys: bridges.Keys
    probe: fleet_providers.Probe
    loops: Callable[[], Mapping[str, ZoneLoop]]
    heard: Callable[[], heart.Heard]
    renew: Callable[[], object]
    clock: Callable[[], float]
    metrics: Metrics
    ice: Callable[[Zone], IceList | None] = lambda _zone: None
    shifts: Callable[[], Iterable[Shift]] = tuple
    carrier_failed: Callable[[str, str], None] = lambda _carrier, _why: None
    tell: fleet_latency.Tell = lambda *_: None


class FleetPods:
    """`bridges` answers the pods; `own_region` knows what the region wants, the others what calls meet."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self.providers = fleet_providers.FleetProviders(
            region=around.region,
            desired=around.desired,
            probe=around.probe,
            clock=around.clock,
            on_change=self._order_moved,
        )
        self.tools = fleet_tools.FleetTools(desired=around.desired, clock=around.clock)
        self.latency = fleet_latency.FleetLatency(desired=around.desired, clock=around.clock, tell=around.tell)
        self._lists: dict[str, tuple[readiness.Providers, float]] = {}
        self._here = fleet_picture.Here(order=self.providers.order, ice=around.ice, shifts=around.shifts)
        self.bridges = bridges.Bridges(
            desired=around.desired,
            compose=self.directive,
            providers=self.providers,
            tools=self.tools,
            carriers=CarrierReports(desired=around.desired, failed=around.carrier_failed),
            latency=self.latency,
            keys=around.keys,
            clock=around.clock,
            metrics=around.metrics,
        )
        self.own_region = fleet_withdrawals.OwnRegion(
            region=around.region,
            desired=around.desired,
            bridges=self.bridges,
            providers=self.providers,
            heard=around.heard,
            views=self._views,
            clock=around.clock,
        )

    async def run(self) -> None:
        """While this pod is its region's active one."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.providers.run())
            group.create_task(self.tools.run())
            group.create_task(self.latency.run())
            group.create_task(self.own_region.run())

    def directive(self, agent: AgentRef) -> Mapping[str, Any]:
        """What a pod of this agent is told."""
        around = self._around
        return fleet_picture.directive(agent, around.region, around.desired, around.loops(), self._here)

    def conditions(self, agent: AgentRef) -> list[status.Condition]:
        """What calls meet beside their providers: the agent's tools, and how long things take."""
        found = (self.tools.condition(agent), self.latency.condition(agent))
        return [each for each in found if each is not None]

    def turned_order(self, agent: AgentRef) -> Sequence[str] | None:
        """The attempts of an agent as its pods try them, while that is not the usual order; None: it is, or unknown."""
        found = self.providers.order(agent)
        return found.names if found is not None and found.turned else None

    def losses(self, view: View, carriers: Sequence[str]) -> tuple[Loss, ...]:
        """What the loss of each thing would do to a zone now. Thousands of lists are looked at every few seconds."""
        zone, now = view.zone.name, self._around.clock()
        lists, at = self._lists.get(zone, (None, float("-inf")))
        if lists is None or now - at >= LISTS_EVERY_S:
            lists = self.providers.lists(zone)
            self._lists[zone] = (lists, now)
        ice = self._around.ice(view.zone)
        relays = {self._around.region: ice} if ice is not None else None
        return readiness.losses(view, providers=lists, relays=relays, carriers=carriers)

    def told(self, beat: heart.Heartbeat) -> heart.Heartbeat:
        """The beat with what is known here. Its silence means nothing until it is known what was asked before."""
        ailing = {
            name: heart.Seen(each.verdict, each.held_s, each.detail) for name, each in self.providers.ailing().items()
        }
        return replace(
            beat,
            others={**beat.others, Tier.PROVIDER: ailing},
            withdraw=self.own_region.asks,
            orders_known=beat.orders_known and self.own_region.settled,
        )

    def _views(self) -> list[View] | None:
        """What each zone of this region looks like; None while one of them was not looked at."""
        around, loops = self._around, self._around.loops()
        ours = [name for name, zone in around.desired.zones.items() if around.region in zone.members]
        seen = [view for name in ours if name in loops and (view := loops[name].view) is not None]
        return seen if len(seen) == len(ours) else None

    def _order_moved(self) -> None:
        self.bridges.bell.ring()
        self._around.renew()
