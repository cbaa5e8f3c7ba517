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

from holdfast import (
    bridges,
    copies,
    fleet_applications,
    fleet_audit,
    fleet_picture,
    fleet_pod,
    fleet_pods,
    fleet_status,
    fleet_told,
    heart,
    kube,
    peers,
    shifts,
)
from holdfast.core import evidence, explain, reasons
from holdfast.core.values import Observation, Reason, Verdict, Zone
from holdfast.desired import Desired
from holdfast.fleet import VoteShell
from holdfast.fleet_decisions import Entry
from holdfast.fleet_register import Register
from holdfast.gather.entries import Entries, Watched, watched
from holdfast.loop import Levers, Senses, ZoneLoop
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

LOOK_S = 0.1
SURVEY_EVERY_S = 5.0
SURVEY_SOON_S = 0.5


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
    accounts: fleet_applications.Accounts
    keys: bridges.Keys
    probe_provider: fleet_pods.Probe
    paused: str
    record: fleet_status.Recorder
    clock: Callable[[], float]
    wall: Callable[[], str]
    wall_s: Callable[[], float]
    dice: random.Random
    latencies: Callable[[], Mapping[str, int]] = dict


@dataclass(slots=True)
class _Running:
    """One zone while we are active."""

    zone: Zone
    vote: VoteShell
    loop: ZoneLoop
    applications: fleet_applications.ApplicationLoop
    task: asyncio.Task[None]


class Fleet:
    """The shell around the core, for one pod."""

    def __init__(self, *, world: World, desired: Desired, metrics: Metrics) -> None:
        self._world = world
        self._desired = desired
        self._metrics = metrics
        self._seq = 0
        self._references: tuple[bool, ...] = ()
        self._doubted_at = float("-inf")
        self._survey_now = asyncio.Event()
        self._zones: dict[str, _Running] = {}
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
        self.entries = Entries(
            call=world.call, targets=self._targets, clock=world.clock, on_change=self._verdict_moved, dice=world.dice,
        )  # fmt: skip
        self.peers = peers.Peers(
            clients=world.peers,
            namespace=world.namespace,
            clock=world.clock,
            on_missed=self._missed,
            hurried=self.entries.suspicious,
            wall_s=world.wall_s,
        )
        self.pods = fleet_pods.FleetPods(
            fleet_pods.Around(
                region=world.region, desired=desired, keys=world.keys, probe=world.probe_provider,
                loops=self.zone_loops, heard=self._heard, renew=self.region_vote.renew, clock=world.clock,
                metrics=metrics,
            )
        )  # fmt: skip
        self.bridges = self.pods.bridges
        self.copies = copies.Copies(
            region=world.region, own=world.own, peers=world.peers, namespace=world.namespace, wall_s=world.wall_s,
            metrics=metrics,
        )  # fmt: skip
        self.board = fleet_status.StatusBoard(
            client=world.own, wanted=self._picture, record=world.record, clock=world.clock, wall=world.wall,
            metrics=metrics,
        )  # fmt: skip
        self.audit = fleet_audit.FleetAudit(
            client=world.own, namespace=world.namespace, region=world.region, wall=world.wall, metrics=metrics
        )

    def active(self) -> bool:
        """Whether this pod may act for its region at this very moment."""
        return self.region_vote.fence() is not None

    def zone_loops(self) -> Mapping[str, ZoneLoop]:
        """The loops that run now."""
        return {name: running.loop for name, running in self._zones.items()}

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
            group.create_task(self.entries.run())
            group.create_task(self.copies.run())
            group.create_task(self.board.run())
            group.create_task(self.audit.run())
            group.create_task(self._survey())
            group.create_task(self.pods.run())
            group.create_task(self._pod.keep_ballots(self._voted))
            group.create_task(self._ring_on_change())
            group.create_task(self._zones_come_and_go(group))

    async def _zones_come_and_go(self, group: asyncio.TaskGroup) -> None:
        try:
            while True:
                wanted = {n: z for n, z in self._desired.zones.items() if self._world.region in z.members}
                for name, running in list(self._zones.items()):
                    if name not in wanted or wanted[name].voters != running.zone.voters or running.task.done():
                        running.task.cancel()
                        await asyncio.wait((running.task,))
                        del self._zones[name]
                for name, zone in wanted.items():
                    if name not in self._zones:
                        self._zones[name] = self._start(zone, group)
                self.bridges.forget_the_silent()
                await asyncio.sleep(LOOK_S)
        finally:
            self._zones.clear()

    def _start(self, zone: Zone, group: asyncio.TaskGroup) -> _Running:
        world = self._world
        loop = ZoneLoop(
            zone=zone.name,
            region=world.region,
            desired=self._desired,
            senses=Senses(own=self._observations, peers=self.peers, told=self._told),
            levers=world.levers,
            clock=world.clock,
            wall=world.wall,
            metrics=self._metrics,
            on_entry=self._tell,
            on_plan=lambda view, plan: self.audit.tell(zone.name, explain.entries(plan, view)),
            on_news=self._tell_news,
            on_view=self._ring_if_standing_moved,
        )
        clients = {world.region: world.own, **world.peers}
        lease_name = f"holdfast-fleet-{zone.name}"
        vote = VoteShell(
            name=zone.name,
            me=world.pod_uid,
            region=world.region,
            voters=zone.voters,
            registers=[
                Register(clients[voter], namespace=world.namespace, name=lease_name)
                for voter in zone.voters
                if voter in clients
            ],
            annotations=loop.annotations,
            on_change=loop.stir,
            clock=world.clock,
            dice=world.dice,
            floor=loop.book.epoch_seen,
        )
        loop.attach(vote)
        applications = fleet_applications.ApplicationLoop(
            zone=zone.name,
            desired=self._desired,
            accounts=world.accounts,
            leading=lambda: vote.fence() is not None,
            wanted=lambda: loop.plan.fallback,
            stones=self.copies.stones,
            clock=world.clock,
            metrics=self._metrics,
        )

        async def together() -> None:
            async with asyncio.TaskGroup() as inner:
                inner.create_task(vote.run())
                inner.create_task(loop.run())
                inner.create_task(applications.run())

        return _Running(zone, vote, loop, applications, group.create_task(together(), name=f"zone-{zone.name}"))

    def _voted(self) -> set[str]:
        """The zones in which this cluster has a vote."""
        known = {name for name, zone in self._desired.zones.items() if self._world.region in zone.voters}
        return known | set(self._world.zones)

    # Evidence.

    def _targets(self) -> Mapping[str, Watched]:
        return watched(self._desired.regions, self._desired.zones.values())

    def _self_doubt(self) -> bool:
        """While we blame ourselves, and until every verdict formed meanwhile was formed anew."""
        self._doubted_at = self._world.clock() if self._blames_itself() else self._doubted_at
        return not self.entries.settled_since(self._doubted_at)

    def _blames_itself(self) -> bool:
        foreign = [h.verdict for name, h in self.entries.histories().items() if name != self._world.region]
        return evidence.doubts_itself(references=self._references, targets=foreign)

    def _observations(self) -> Iterable[Observation]:
        return self.entries.observations(self._world.region, self_doubt=self._self_doubt())

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
            name: heart.ZoneSeen(epoch=running.vote.epoch(), leader=running.vote.leader())
            for name, running in self._zones.items()
        }
        wall_s = self._world.wall_s()
        beat = heart.Heartbeat(
            seq=self._seq,
            region=self._world.region,
            observations={
                seen.target: heart.Seen(seen.verdict, seen.held_s, seen.detail) for seen in self._observations()
            },
            self_doubt=self._self_doubt(),
            active_calls=self.bridges.active_calls(),
            ready_pods=self.bridges.ready_pods(),
            room=self.bridges.room(),
            zones=zones,
            cordons=shifts.cordons(self._desired.orders, wall_s=wall_s),
            overrides=shifts.overrides(self._desired.orders, wall_s=wall_s),
            orders_known=self._desired.orders_known,
            paused=self._world.paused,
            latencies=self._world.latencies(),
            skew=self.peers.skew(),
            at=wall_s,
        )
        return self.pods.told(beat)

    def _missed(self, peer: str) -> None:
        log.info("heartbeat missed", extra={"peer": peer})
        self.entries.stir(peer)
        self._survey_now.set()

    def _verdict_moved(self) -> None:
        values = {Verdict.UP: 1, Verdict.DOWN: 0, Verdict.UNKNOWN: -1}
        for name, history in self.entries.histories().items():
            self._metrics.verdict.labels(name).set(values[history.verdict])
        self._metrics.self_doubt.set(1 if self._self_doubt() else 0)
        self._survey_now.set()
        self.region_vote.renew()
        self._stir()

    def _stir(self) -> None:
        for running in self._zones.values():
            running.loop.stir()

    async def _survey(self) -> None:
        while True:
            doubted, self._references = self._blames_itself(), await self._world.survey()
            if doubted and not self._blames_itself():
                for name in self.entries.histories():
                    self.entries.stir(name)
            for name in self.peers.names:
                self._metrics.peer_age.labels(name).set(self.peers.age_s(name))
            self._survey_now.clear()
            await asyncio.sleep(SURVEY_SOON_S)
            try:
                async with asyncio.timeout(SURVEY_EVERY_S - SURVEY_SOON_S):
                    await self._survey_now.wait()
            except TimeoutError:
                continue

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

    def _picture(self) -> Mapping[fleet_status.Target, fleet_status.Wanted]:
        return fleet_picture.statuses(
            desired=self._desired,
            zones={
                name: fleet_picture.ZoneNow(running.loop, running.vote.leader(), running.vote.epoch())
                for name, running in self._zones.items()
            },
            observations=(*self._observations(), *self.peers.observations()),
            loads=self._told().loads,
            fallbacks={
                ref: condition
                for running in self._zones.values()
                for ref, condition in running.applications.conditions().items()
            },
            notes=self.copies.notes(),
            wall_s=self._world.wall_s(),
        )
