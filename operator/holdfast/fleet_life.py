"""One operator's life in the fleet: which loops run when, and how they are joined.

Always: the region's vote, listening to peers. While this pod is its region's active one: probing, heartbeats with news,
copies, statuses, and for each zone of the region a vote and a loop. When the region's Lease is lost everything of the
second kind is cancelled at once. What the loops do is theirs; nothing is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast import (
    bridges,
    copies,
    fleet_audit,
    fleet_picture,
    fleet_pod,
    fleet_pods,
    fleet_pointing,
    fleet_status,
    fleet_told,
    fleet_zone,
    heart,
    kube,
    peers,
    shifts,
)
from holdfast.core import evidence, reasons
from holdfast.core.relays import IceList
from holdfast.core.values import AgentRef, Observation, Reason, Zone
from holdfast.desired import Desired
from holdfast.fleet import VoteShell
from holdfast.fleet_decisions import Entry
from holdfast.fleet_observer import Observer
from holdfast.fleet_register import Register
from holdfast.fleet_zone import ZoneLife
from holdfast.gather.entries import Watched
from holdfast.loop import Levers, Senses, ZoneLoop
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that the fleet touches, handed in."""

    region: str
    namespace: str
    pod: str
    pod_uid: str
    zones: tuple[str, ...]
    own: kube.Kube
    peers: Mapping[str, kube.Kube]
    call: Callable[[Watched], Awaitable[evidence.Result]]
    survey: Callable[[], Awaitable[tuple[bool, ...]]]
    levers: Levers
    pointers: fleet_pointing.Drivers
    keys: bridges.Keys
    probe_provider: fleet_pods.Probe
    paused: str
    record: fleet_status.Recorder
    clock: Callable[[], float]
    wall: Callable[[], str]
    wall_s: Callable[[], float]
    dice: random.Random
    watch: Callable[[Callable[[], None]], Watching | None] = lambda _on_change: None
    latencies: Callable[[], Mapping[str, int]] = dict


class Watching(Protocol):
    """What a region watches beside entries and its own pods: relays and carriers. `World.watch` makes one."""

    async def run(self) -> None:
        """While this pod is its region's active one."""
        ...

    def observations(self, *, self_doubt: bool) -> Iterable[Observation]:
        """What it says of them now."""
        ...

    def suspect_carrier(self, carrier: str, why: str) -> None:
        """A live call's request to its API failed: look now."""
        ...

    def ice_list(self, zone: Zone) -> IceList | None:
        """What callers of the zone are offered here."""
        ...


class Fleet:
    """The shell around the core, for one pod."""

    def __init__(self, *, world: World, desired: Desired, metrics: Metrics) -> None:
        self._world = world
        self._desired = desired
        self._metrics = metrics
        self._seq = 0
        self._zones: dict[str, tuple[ZoneLife, asyncio.Task[None]]] = {}
        self._standing: object = None
        self._pod = fleet_pod.ActivePod(own=world.own, namespace=world.namespace, pod=world.pod)
        self.region_vote = VoteShell(
            name=peers.REGION_LEASE,
            me=world.pod_uid,
            region=world.region,
            voters=(world.region,),
            registers=(Register(world.own, namespace=world.namespace, name=peers.REGION_LEASE),),
            annotations=self._beat,
            on_change=self._stir,
            clock=world.clock,
            dice=world.dice,
        )
        self.observer = Observer(
            region=world.region,
            desired=desired,
            call=world.call,
            survey=world.survey,
            on_change=self._verdict_moved,
            clock=world.clock,
            dice=world.dice,
            metrics=metrics,
        )
        self.peers = peers.Peers(
            clients=world.peers,
            namespace=world.namespace,
            clock=world.clock,
            on_missed=self._missed,
            hurried=self.observer.entries.suspicious,
            wall_s=world.wall_s,
        )
        self.watching = world.watch(self._verdict_moved)
        self.pods = fleet_pods.FleetPods(
            fleet_pods.Around(
                region=world.region, desired=desired, keys=world.keys, probe=world.probe_provider,
                loops=self.zone_loops, heard=self._heard, renew=self.region_vote.renew, clock=world.clock,
                metrics=metrics, ice=self._ice, shifts=lambda: self._told().shifts, carrier_failed=self._carrier_failed,
                tell=self._tell_of_agent,
            )
        )  # fmt: skip
        self.bridges = self.pods.bridges
        self.copies = copies.Copies(
            region=world.region, own=world.own, peers=world.peers, namespace=world.namespace, wall_s=world.wall_s,
            metrics=metrics,
        )  # fmt: skip
        self.board = fleet_status.StatusBoard(
            client=world.own, wanted=self._picture, record=world.record, clock=world.clock, wall=world.wall,
            metrics=metrics, moving=lambda: fleet_picture.moving(self.zone_loops()),
        )  # fmt: skip
        self.audit = fleet_audit.FleetAudit(
            client=world.own, namespace=world.namespace, region=world.region, wall=world.wall, metrics=metrics
        )

    def active(self) -> bool:
        """Whether this pod may act for its region at this very moment."""
        return self.region_vote.fence() is not None

    def zone_loops(self) -> Mapping[str, ZoneLoop]:
        """The loops that run now."""
        return {name: life.loop for name, life in self._lives().items()}

    def _lives(self) -> dict[str, ZoneLife]:
        return {name: life for name, (life, _) in self._zones.items()}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.region_vote.run(), name="region-vote")
            group.create_task(self.peers.run(), name="peers")
            group.create_task(self._alternate(), name="activity")

    async def _alternate(self) -> None:
        """Run the active life while the region's Lease is ours, and nothing of it when it is not."""
        while True:
            # Leadership ends by the clock, without an event; so it is looked at, ten times a second.
            while not self.active():  # noqa: ASYNC110 - see above
                await asyncio.sleep(LOOK_S)
            life = asyncio.create_task(self._live(), name="active-life")
            try:
                while self.active() and not life.done():  # noqa: ASYNC110 - see above
                    await asyncio.sleep(LOOK_S)
            finally:
                await self._end(life)

    async def _end(self, life: asyncio.Task[None]) -> None:
        """Be active no longer. Also on the way out: pods would go on asking whoever bears the label."""
        life.cancel()
        await asyncio.gather(asyncio.wait((life,)), self._pod.mark(active=False))
        self._metrics.active.set(0)
        if not life.cancelled() and (error := life.exception()) is not None:
            log.error("active life failed", exc_info=error)
            self._metrics.failures.labels("active-life").inc()

    async def _live(self) -> None:
        self._metrics.active.set(1)
        log.info("active", extra={"region": self._world.region})
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pod.mark_until_done())
            group.create_task(self.observer.run())
            if self.watching is not None:
                group.create_task(self.watching.run())
            group.create_task(self.copies.run())
            group.create_task(self.board.run())
            group.create_task(self.audit.run())
            group.create_task(self.pods.run())
            group.create_task(self._pod.keep_ballots(self._voted))
            group.create_task(self._ring_on_change())
            group.create_task(self._zones_come_and_go(group))

    async def _zones_come_and_go(self, group: asyncio.TaskGroup) -> None:
        try:
            while True:
                wanted = {n: z for n, z in self._desired.zones.items() if self._world.region in z.members}
                for name, (life, task) in list(self._zones.items()):
                    if name not in wanted or wanted[name].voters != life.zone.voters or task.done():
                        task.cancel()
                        await asyncio.wait((task,))
                        del self._zones[name]
                for name, zone in wanted.items():
                    if name not in self._zones:
                        life = ZoneLife(zone, self._around())
                        self._zones[name] = (life, group.create_task(life.run(), name=f"zone-{name}"))
                for name in self.peers.names:
                    self._metrics.peer_age.labels(name).set(self.peers.age_s(name))
                self.bridges.forget_the_silent()
                await asyncio.sleep(LOOK_S)
        finally:
            self._zones.clear()

    def _around(self) -> fleet_zone.Around:
        world = self._world
        return fleet_zone.Around(
            region=world.region,
            namespace=world.namespace,
            pod_uid=world.pod_uid,
            desired=self._desired,
            clients={world.region: world.own, **world.peers},
            senses=Senses(own=self._observations, peers=self.peers, told=self._told),
            levers=world.levers,
            pointers=world.pointers,
            calls=self.bridges.calls_of,
            stones=self.copies.stones,
            clock=world.clock,
            wall=world.wall,
            dice=world.dice,
            metrics=self._metrics,
            on_entry=self._tell,
            on_told=self.audit.tell,
            on_news=self._tell_news,
            on_view=self._ring_if_standing_moved,
        )

    def _voted(self) -> set[str]:
        """The zones in which this cluster has a vote."""
        known = {name for name, zone in self._desired.zones.items() if self._world.region in zone.voters}
        return known | set(self._world.zones)

    # Evidence.

    def _observations(self) -> list[Observation]:
        return [*self.observer.observations(), *self._beside()]

    def _beside(self) -> Iterable[Observation]:
        return self.watching.observations(self_doubt=self.observer.self_doubt()) if self.watching else ()

    def _ice(self, zone: Zone) -> IceList | None:
        return self.watching.ice_list(zone) if self.watching else None

    def _carrier_failed(self, carrier: str, why: str) -> None:
        if self.watching:
            self.watching.suspect_carrier(carrier, why)

    def _beat(self) -> Mapping[str, str]:
        self._seq += 1
        return {heart.HEARTBEAT_ANNOTATION: heart.encode(self._own_beat())}

    def _told(self) -> fleet_told.Told:
        return fleet_told.told({**self._heard(), self._world.region: (self._own_beat(), 0.0)})

    def _heard(self) -> heart.Heard:
        return {name: (beat, self.peers.age_s(name)) for name, beat in self._beats().items()}

    def _beats(self) -> Mapping[str, heart.Heartbeat]:
        return {name: beat for name in self.peers.names if (beat := self.peers.beat(name)) is not None}

    def _own_beat(self) -> heart.Heartbeat:
        zones = {
            name: heart.ZoneSeen(epoch=life.vote.epoch(), leader=life.vote.leader())
            for name, life in self._lives().items()
        }
        wall_s = self._world.wall_s()
        beat = heart.Heartbeat(
            seq=self._seq,
            region=self._world.region,
            observations={
                seen.target: heart.Seen(seen.verdict, seen.held_s, seen.detail) for seen in self.observer.observations()
            },
            self_doubt=self.observer.self_doubt(),
            active_calls=self.bridges.active_calls(),
            ready_pods=self.bridges.ready_pods(),
            room=self.bridges.room(),
            zones=zones,
            cordons=shifts.cordons(self._desired.orders, wall_s=wall_s),
            overrides=shifts.overrides(self._desired.orders, wall_s=wall_s),
            orders_known=self._desired.orders_known,
            paused=self._world.paused,
            others=heart.by_tier(self._beside()),
            latencies=self._world.latencies(),
            skew=self.peers.skew(),
            at=wall_s,
        )
        return self.pods.told(beat)

    def _missed(self, peer: str) -> None:
        log.info("heartbeat missed", extra={"peer": peer})
        self.observer.suspect(peer)

    def _verdict_moved(self) -> None:
        self.region_vote.renew()
        self._stir()
        self.bridges.bell.ring()

    def _stir(self) -> None:
        for life in self._lives().values():
            life.loop.stir()

    # What others are told.

    def _ring_if_standing_moved(self) -> None:
        standing = fleet_picture.standings(self.zone_loops())
        if standing != self._standing:
            self._standing = standing
            self.bridges.bell.ring()

    async def _ring_on_change(self) -> None:
        revision = self._desired.revision
        while True:
            revision = await self._desired.wait_past(revision)
            self._stir()
            self.bridges.bell.ring()

    def _tell(self, zone: str, entry: Entry) -> None:
        done = f"; read back at {entry.lever or 'no lever'}" if entry.read_back else ""
        self._tell_news(zone, entry.region, Reason(entry.reason.code, entry.reason.message + done))

    def _tell_news(self, zone: str, region: str, reason: Reason) -> None:
        warning = reason.code == reasons.REGION_LOST
        self.board.tell((kube.REGIONS, None, region), reason, warning=warning)
        self.board.tell((kube.POLICIES, None, zone), reason, warning=warning)

    def _tell_of_agent(self, agent: AgentRef, reason: Reason, warning: bool) -> None:
        self.board.tell((kube.AGENTS, agent.namespace, agent.name), reason, warning=warning)

    def _picture(self) -> Mapping[fleet_status.Target, fleet_status.Wanted]:
        return fleet_picture.statuses(
            desired=self._desired,
            zones={
                name: fleet_picture.ZoneNow(
                    life.loop, life.vote.leader(), life.vote.epoch(), life.troubles(), life.drift()
                )
                for name, life in self._lives().items()
            },
            observations=(*self._observations(), *self.peers.observations()),
            loads=self._told().loads,
            fallbacks={
                ref: condition
                for life in self._lives().values()
                for ref, condition in life.addresses.conditions().items()
            },
            calls=self.bridges.calls_by_pod(),
            orders=self.pods.providers.order,
            met=self.pods.conditions,
            losses=self.pods.losses,
            notes=self.copies.notes(),
            wall_s=self._world.wall_s(),
        )
