"""One zone's part of an operator's life: its vote, its loop, its addresses, and what keeps proxies as decided.

They are made together and end together. What each does is its own; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from holdfast import fleet_pointing, fleet_reassert, fleet_upkeep, kube
from holdfast.core import copies, explain, pointing
from holdfast.core.explain import Entry as Told
from holdfast.core.plans import View
from holdfast.core.values import AgentRef, Reason, Zone
from holdfast.desired import Desired
from holdfast.fleet import VoteShell
from holdfast.fleet_decisions import Entry
from holdfast.fleet_register import Register
from holdfast.fleet_steps import may_write
from holdfast.loop import Levers, Senses, ZoneLoop
from holdfast.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Around:
    """What a zone's part needs of the operator around it. `clients`: this cluster and the peers, by region."""

    region: str
    namespace: str
    pod_uid: str
    desired: Desired
    clients: Mapping[str, kube.Kube]
    senses: Senses
    levers: Levers
    pointers: fleet_pointing.Drivers
    calls: Callable[[AgentRef], int]
    stones: Callable[[], Iterable[copies.Tombstone]]
    clock: Callable[[], float]
    wall: Callable[[], str]
    dice: fleet_reassert.Dice
    metrics: Metrics
    on_entry: Callable[[str, Entry], None]
    on_told: Callable[[str, Iterable[Told]], object]
    on_news: Callable[[str, str, Reason], None]
    on_view: Callable[[], None]


class ZoneLife:
    """One zone while this pod is its region's active one."""

    def __init__(self, zone: Zone, around: Around) -> None:
        self.zone = zone
        self.loop = ZoneLoop(
            zone=zone.name,
            region=around.region,
            desired=around.desired,
            senses=around.senses,
            levers=around.levers,
            clock=around.clock,
            wall=around.wall,
            metrics=around.metrics,
            on_entry=around.on_entry,
            on_plan=lambda view, plan: around.on_told(zone.name, explain.entries(plan, view)),
            on_news=around.on_news,
            on_view=around.on_view,
        )
        self.vote = VoteShell(
            name=zone.name,
            me=around.pod_uid,
            region=around.region,
            voters=zone.voters,
            registers=[
                Register(around.clients[voter], namespace=around.namespace, name=f"holdfast-fleet-{zone.name}")
                for voter in zone.voters
                if voter in around.clients
            ],
            annotations=self.loop.annotations,
            on_change=self.loop.stir,
            clock=around.clock,
            dice=around.dice,
            floor=self.loop.book.epoch_seen,
        )
        self.loop.attach(self.vote)
        self.addresses = self._addresses(around)
        self.proxies = fleet_reassert.Reasserts(
            zone=zone.name,
            desired=around.desired,
            levers=around.levers,
            view=self._led_view,
            may_write=self.may_write,
            dice=around.dice,
        )
        self.upkeep = fleet_upkeep.Upkeep(
            zone=zone.name,
            desired=around.desired,
            levers=around.levers,
            view=self._led_view,
            may_write=self.may_write,
            clock=around.clock,
            metrics=around.metrics,
        )

    def _addresses(self, around: Around) -> fleet_pointing.PointingLoop:
        return fleet_pointing.PointingLoop(
            zone=self.zone.name,
            desired=around.desired,
            drivers=around.pointers,
            leading=self._leads,
            fenced=self.may_write,
            aim=self._aim,
            calls=around.calls,
            stones=around.stones,
            clock=around.clock,
            metrics=around.metrics,
        )

    def troubles(self) -> dict[str, str]:
        """By lever, account or proxy: why it cannot be read or written, in words."""
        read = {name: f"{reason.code}: {reason.message}" for name, reason in self.loop.book.troubles().items()}
        return {**read, **self.addresses.troubles(), **self.proxies.troubles()}

    def drift(self) -> dict[str, tuple[str, ...]]:
        """By lever: what is not as we keep it, in words."""
        found: dict[str, tuple[str, ...]] = {}
        for source in (self.loop.book.drift(), self.addresses.drift(), self.upkeep.found()):
            for name, words in source.items():
                found[name] = (*found.get(name, ()), *words)
        return found

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.vote.run())
            group.create_task(self.loop.run())
            group.create_task(self.addresses.run())
            group.create_task(self.proxies.run())
            group.create_task(self.upkeep.run())

    async def may_write(self) -> bool:
        """Whether the vote is ours and was acknowledged so lately that a write may begin now."""
        fence = self.vote.fence()
        return fence is not None and await may_write(self.loop, fence)

    def _leads(self) -> bool:
        return self.vote.fence() is not None

    def _led_view(self) -> View | None:
        return self.loop.view if self._leads() else None

    def _aim(self) -> fleet_pointing.Aim | None:
        view, fallback = self.loop.view, self.loop.plan.fallback
        if view is None or fallback is None or fallback.region not in view.regions:
            return None
        return fleet_pointing.Aim(pointing.choose(view, self.loop.book.held_s()), fallback)
