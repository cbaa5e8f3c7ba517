"""The loop of one zone: look, decide, act, every quarter second and whenever the evidence moves.

It builds the core's view from what others gathered, asks `failover.decide`, and runs the plan while this pod leads. It
holds no opinion of its own. A follower does the same without acting, so that it can explain what it sees.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast import peers as peers_module
from holdfast.core import failover, memory, pointing, reasons, writes
from holdfast.core.plans import CarrierMove, Plan, ReadBack, Refusal, SetOrigin, StoreMemory, Turn, View
from holdfast.core.values import (
    Budget,
    Fence,
    Intent,
    Observation,
    Reason,
    Region,
    Zone,
)
from holdfast.desired import Desired
from holdfast.fleet import MEMORY_ANNOTATION, VoteShell
from holdfast.fleet_decisions import Entry, Ledger
from holdfast.fleet_origins import OriginBook
from holdfast.fleet_steps import Steps
from holdfast.fleet_told import Told
from holdfast.levers.base import DriverError, RoutingDriver
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

TICK_S = 0.25
REREAD_AFTER_TAKEOVER_S = (5.0, 15.0)
REREAD_EVERY_S = 30.0
NEWS_S = 15.0
REWOUND_FOR_S = 20.0  # until every lever was read again after takeover

Levers = Callable[[Zone, Mapping[str, Region]], Mapping[str, RoutingDriver]]


@dataclass(frozen=True, slots=True)
class Senses:
    """Where evidence comes from."""

    own: Callable[[], Iterable[Observation]]
    peers: peers_module.Peers
    told: Callable[[], Told]


class ZoneLoop:
    """One zone in one operator. `vote` is attached once it exists, because its renewals carry our memory."""

    def __init__(
        self,
        *,
        zone: str,
        region: str,
        desired: Desired,
        senses: Senses,
        levers: Levers,
        clock: Callable[[], float],
        wall: Callable[[], str],
        metrics: Metrics,
        on_entry: Callable[[str, Entry], None],
        on_plan: Callable[[View, Plan], object],
        on_news: Callable[[str, str, Reason], None],
        on_view: Callable[[], None],
    ) -> None:
        self.zone = zone
        self._region = region
        self._desired = desired
        self._senses = senses
        self._levers = levers
        self._clock = clock
        self._metrics = metrics
        self._on_entry = on_entry
        self._on_plan = on_plan
        self._on_news = on_news
        self._on_view = on_view
        self._vote: VoteShell | None = None
        self._led_since: float | None = None
        self._rereads: list[float] = []
        self._memory = memory.Record()
        self._memory_at = clock()
        self._rewound = False
        self._stirred = asyncio.Event()
        self._refused: tuple[str, ...] = ()
        self._serving: tuple[str, ...] | None = None
        self.ledger = Ledger(clock=clock, wall=wall)
        self.book = OriginBook(clock=clock)
        self._steps = Steps(vote=self, drivers=self._drivers, book=self.book, clock=clock, metrics=metrics)
        self.view: View | None = None
        self.plan = Plan()

    def attach(self, vote: VoteShell) -> None:
        """The vote of this zone."""
        self._vote = vote

    def annotations(self) -> Mapping[str, str]:
        """What a renewal stores: the memory, its ages counted up to now. Nothing until it was recalled at takeover."""
        if self._led_since is None:
            return {}
        return {MEMORY_ANNOTATION: memory.encode(self._aged())}

    def stir(self) -> None:
        """Evidence moved: look now."""
        self._stirred.set()

    async def run(self) -> None:
        """Until cancelled. An error of one round is logged and counted, and the next round comes."""
        while True:
            try:
                await self.tick()
            except Exception:
                log.exception("zone round failed", extra={"zone": self.zone})
                self._metrics.failures.labels(f"zone-{self.zone}").inc()
            self._stirred.clear()
            try:
                async with asyncio.timeout(TICK_S):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def tick(self) -> None:
        """One round: look, decide, act."""
        view = self._look()
        if view is None:
            return
        self._follow_leadership(view)
        view = self._look() or view
        plan = failover.decide(view, self._clock())
        if view.fence is not None and any(move.intent is Intent.CORDONED for move in plan.moves):
            # Nothing is taken out of service on evidence that has not just been read from its observers.
            await self._senses.peers.listen_again(_heard(view))
            view = self._look() or view
            plan = failover.decide(view, self._clock())
        self._compare(view)
        self._publish(view, plan)
        self._explain(view, plan)
        if view.fence is not None:
            await self._reread(view)
            await self._act(view, plan)
            view = self._look() or view
            self._compare(view)
            self._publish(view, self.plan)

    def _compare(self, view: View) -> None:
        """Note which origins are as they are wanted, and which levers send calls where none may go."""
        for region, lever, enabled in writes.desired(view):
            if writes.as_wanted(region, lever, view, enabled=enabled):
                self.book.settle(lever, region)
        for each in view.zone.levers:
            self.book.stuck(each.name, is_stuck=view.fence is not None and pointing.stuck(each, view))

    def _explain(self, view: View, plan: Plan) -> None:
        """What is told of a decision must never stop it."""
        try:
            self._on_plan(view, plan)
        except Exception:
            log.exception("decision not explained", extra={"zone": self.zone})
            self._metrics.failures.labels("explain").inc()

    def _look(self) -> View | None:
        zone = self._desired.zones.get(self.zone)
        if zone is None:
            return None
        if self._led_since is None:
            self._recall(zone)
        remembered, told = self._aged(), self._senses.told()
        return View(
            zone=zone,
            regions={name: self._desired.regions[name] for name in zone.voters if name in self._desired.regions},
            observations=(*self._senses.own(), *self._senses.peers.observations()),
            origins=self.book.states(),
            memory=remembered.regions,
            carriers=remembered.carriers,
            rewound=self._rewound and (self._led_since or self._clock()) > self._clock() - REWOUND_FOR_S,
            loads=told.loads,
            shifts=told.shifts,
            overrides=told.overrides,
            withdrawals=told.withdrawals,
            budgets=self._budgets(),
            heard_ago_s=told.heard_ago_s,
            paused=told.paused,
            fence=self.fence(),
            last_ack_age_s=self.last_ack_age_s(),
        )

    def _recall(self, zone: Zone) -> None:
        """What a majority remembers; a memory older than our own marks at the levers is not trusted with time."""
        texts = self._vote.memories() if self._vote else ()
        records = [memory.decode(text, age_s=age_s) for text, age_s in texts]
        newest = memory.latest(records, members=zone.members)
        self._rewound = newest.epoch < self.book.epoch_seen()
        if self._rewound:
            newest = memory.of_unknown_age(newest, members=zone.members)
        self._memory, self._memory_at = newest, self._clock()

    def _remember(self, record: memory.Record, epoch: int) -> None:
        # The number always grows, also when a store failed: a minority may hold that one already.
        self._memory = replace(record, epoch=epoch, seq=self._memory.seq + 1)
        self._memory_at = self._clock()

    def _aged(self) -> memory.Record:
        return memory.aged(self._memory, self._clock() - self._memory_at)

    def _budgets(self) -> dict[str, Budget]:
        budgets = {name: driver.budget() for name, driver in self._drivers().items()}
        return {name: budget for name, budget in budgets.items() if budget is not None}

    def _follow_leadership(self, view: View) -> None:
        """At takeover everything at the levers is unknown, and is read again a little later, too."""
        if view.fence is None:
            self._led_since = None
            return
        if self._led_since is None:
            self._led_since = self._clock()
            self._remember(self._aged(), view.fence.epoch)
            self._rereads = [self._led_since + after for after in REREAD_AFTER_TAKEOVER_S]
            self.book.forget()
            log.info("leading", extra={"zone": self.zone, "epoch": view.fence.epoch})

    async def _reread(self, view: View) -> None:
        """Look at all levers in turn: they can be changed behind our back."""
        now = self._clock()
        if not self._rereads or now < self._rereads[0]:
            return
        self._rereads = self._rereads[1:] or [now + REREAD_EVERY_S]
        drivers = self._drivers()
        for region in view.zone.members:
            for lever in view.levers_of(region):
                driver = drivers.get(lever)
                if driver is None or not self.book.may_ask(lever):
                    continue
                try:
                    self.book.answered(lever, await driver.read(region))
                except DriverError as e:
                    self.book.failed(lever, region, e)

    async def _act(self, view: View, plan: Plan) -> None:
        fence = view.fence
        if fence is None:
            return
        for move in plan.moves:
            if move.turn is not Turn.RAISE:
                self._record(move.region, move.intent, failover_reason=move.reason, fence=fence, view=view)
        ended: set[str] = set()
        for step in plan.steps:
            if not isinstance(step, StoreMemory) and step.lever in ended:
                continue
            if isinstance(step, SetOrigin):
                intent = Intent.SERVING if step.enabled else Intent.CORDONED
                self._record(step.region, intent, failover_reason=step.reason, fence=fence, view=view)
            if not await self._steps.run(step):
                # A vendor that is down fails four times a second; its trouble is in the lever's condition and metrics.
                log.debug("step not done", extra={"zone": self.zone, "step": type(step).__name__})
                if isinstance(step, StoreMemory):
                    return
                ended.add(step.lever)
            elif isinstance(step, ReadBack):
                self._close(step.region)

    def _record(
        self, region: str, intent: Intent, *, failover_reason: Reason, fence: Fence, view: View
    ) -> None:
        levers = ",".join(view.written_levers_of(region))[:40]
        entry = self.ledger.decide(
            region, intent, failover_reason, epoch=fence.epoch, leader=self._region, lever=levers
        )
        if entry is not None:
            log.warning(
                "decided",
                extra={"zone": self.zone, "region": region, "intent": intent.value, "reason": failover_reason.code},
            )
            self._on_entry(self.zone, entry)

    def _close(self, region: str) -> None:
        """A move is done when every lever of the region reads as it is meant to."""
        view = self._look()
        if view is None:
            return
        intent = view.remembered(region).intent
        wanted = intent is Intent.SERVING
        if all(view.enabled(lever, region) is wanted for lever in view.written_levers_of(region)):
            entry = self.ledger.read_back(region, intent)
            if entry is not None:
                self._metrics.decisions.labels(self.zone, intent.value).observe(self._clock() - entry.began)
                self._on_entry(self.zone, entry)

    def _publish(self, view: View, plan: Plan) -> None:
        self.view, self.plan = view, plan
        tallies = {name: view.tally(name) for name in view.zone.members}
        self.ledger.suspect(
            name for name, tally in tallies.items() if tally.suspected or tally.against
        )
        serving = view.serving()
        self._tell_what_others_did(view)
        for name in view.zone.members:
            self._metrics.serving.labels(self.zone, name).set(1 if name in serving else 0)
        self._metrics.leader.labels(self.zone).set(1 if view.fence else 0)
        self._metrics.epoch.labels(self.zone).set(self._vote.epoch() if self._vote else 0)
        self._metrics.lease_age.labels(self.zone).set(view.last_ack_age_s)
        refused = tuple(sorted({f"{_object_of(r)}: {r.reason.code}" for r in plan.refusals}))
        if refused != self._refused:
            self._refused = refused
            log.info("refused", extra={"zone": self.zone, "refusals": list(refused)})
            self._metrics.refused.clear()
            for refusal in plan.refusals:
                self._metrics.refused.labels(self.zone, refusal.reason.code).set(1)
        self._on_view()

    def _tell_what_others_did(self, view: View) -> None:
        """A move that the leader in another region made is news in this cluster, too; an old one, found, is not."""
        before, self._serving = self._serving, view.serving()
        if before is None or view.fence is not None:
            return
        for name in set(before) ^ set(self._serving):
            remembered = view.remembered(name)
            if remembered.changed_ago_s is None or remembered.changed_ago_s > NEWS_S:
                continue
            code = writes.CODES[remembered.standing[0]] if remembered.standing else reasons.REGION_RECOVERED
            self._on_news(self.zone, name, Reason(code, remembered.reason))

    def _drivers(self) -> Mapping[str, RoutingDriver]:
        zone = self._desired.zones.get(self.zone)
        return self._levers(zone, self._desired.regions) if zone else {}

    # The vote, as the steps need it.

    def fence(self) -> Fence | None:
        """The right to write, while we lead."""
        return self._vote.fence() if self._vote else None

    def last_ack_age_s(self) -> float:
        """Since the last majority renewal was sent."""
        return self._vote.last_ack_age_s() if self._vote else float("inf")

    async def confirm(self) -> bool:
        """Renew now, in a majority."""
        return await self._vote.confirm() if self._vote else False

    async def store(self, step: StoreMemory) -> bool:
        """Renew now with this memory, in a majority; without one, the memory stays what it was."""
        fence = self.fence()
        if self._vote is None or fence is None:
            return False
        before, before_at = self._aged(), self._clock()
        self._remember(replace(before, regions=step.memory, carriers=step.carriers), fence.epoch)
        if await self._vote.store():
            return True
        self._remember(before, fence.epoch)
        self._memory_at = before_at
        return False


def _object_of(refusal: Refusal) -> str:
    action = refusal.action
    return f"carrier {action.carrier}" if isinstance(action, CarrierMove) else action.region


def _heard(view: View) -> tuple[str, ...]:
    """The observers whose word counts at present."""
    return tuple(
        sorted({seen.observer for seen in view.observations if seen.heard_age_s <= peers_module.FRESH_S})
    )
