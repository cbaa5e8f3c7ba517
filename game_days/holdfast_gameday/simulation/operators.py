"""One life of one operator: the same loop as the shell's, look, decide, act, over a simulated world.

It holds no opinion of its own; all of those are the core's. Whoever is killed loses this object, and the next life
knows only what is really stored. `fleet_steps` and `loop` in the operator are what this is a double of.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from holdfast.core import evidence, failover, memory
from holdfast.core.plans import Plan, ReadBack, SetOrigin, Step, StoreMemory, Turn, View
from holdfast.core.values import Cordon, Fence, Observation, Override, RegionMemory, Shift
from holdfast_gameday.simulation import ears
from holdfast_gameday.simulation.book import Book
from holdfast_gameday.simulation.ears import Beat, Ears
from holdfast_gameday.simulation.engine import Story, Wait, play
from holdfast_gameday.simulation.entries import Eyes
from holdfast_gameday.simulation.requests import Requests
from holdfast_gameday.simulation.vendors import Answer, Change
from holdfast_gameday.simulation.votes import HURRIED_S, Line, Pace, Vote

if TYPE_CHECKING:
    from holdfast_gameday.simulation.world import World

# These are the shell's; a test compares them.
WRITE_WITHIN_ACK_S = 0.5
REREAD_AFTER_TAKEOVER_S = (5.0, 15.0)
REREAD_EVERY_S = 30.0

# How often a round comes when nothing stirs. The shell's is quicker; any pace is one that a real machine could have.
LEADS_EVERY_S = (6.5, 9.5)
LEADS_HURRIED_S = (0.5, 1.0)
FOLLOWS_EVERY_S = (40.0, 60.0)
FOLLOWS_HURRIED_S = (8.0, 12.0)
LOADS_COUNT_FOR_S = 10.0
REFERENCES = 4


class Operator:
    """Owned by the world, which ends it by `die`."""

    def __init__(self, name: str, world: World, *, life: int) -> None:
        self.name = name
        self.uid = f"{name}-{life}"
        self.dead = False
        self.paused_until = 0.0
        self.world = world
        self.zone = world.zone
        self.machine = world.clocks[name]
        self.dice = random.Random(f"operator {world.seed} {self.uid}")
        self.peers = tuple(voter for voter in self.zone.voters if voter != name)
        self.ears = Ears(self.peers, self.dice, lambda: world.engine.now)
        self.eyes = Eyes(
            observer=name,
            probe=self.zone.probe,
            engine=world.engine,
            network=world.network,
            entries=world.entries,
            dice=self.dice,
            clock=self.clock,
            on_turn=self._turned,
            on_doubt=self.tell,
            awake=self.awake,
            calm=world.calm,
        )
        self.book = Book(self.clock, world.topology.write_budget)
        line = Line(world.engine, world.network, world.clusters, world.calm, world.duplicated)
        zone, voters = self.zone.name, self.zone.voters
        self.vote = Vote(zone=zone, voters=voters, me=self.uid, host=self, line=line, dice=self.dice)
        self.vote.floor = self.book.epoch_seen
        self.votes = Pace(self.vote, self, world.engine, world.calm)
        self._requests = Requests(self.name, self.book, world)
        self.plan = Plan()
        self.view: View | None = None
        self._record = memory.Record()
        self._record_at = self.clock()
        self._led_since: float | None = None
        self._rereads: list[float] = []
        self._nap: Callable[[], None] | None = None
        self._encoded: tuple[float, str] = (-1.0, "")

    def start(self) -> None:
        """A witness keeps a Lease and watches the entries, but it holds no keys of the zone: it never stands."""
        if self.stands:
            play(self._loop(), self.when_awake)
            self.votes.begin()

    @property
    def stands(self) -> bool:
        return self.name in self.zone.members

    def die(self) -> None:
        self.dead = True
        self.eyes.stop()

    # What the vote asks of its host.

    def clock(self) -> float:
        return self.machine.boot()

    def awake(self) -> bool:
        return not self.dead and self.world.engine.now >= self.paused_until

    def when_awake(self, what: Callable[[], None]) -> None:
        if self.dead:
            return
        if self.world.engine.now < self.paused_until:
            self.world.engine.at(self.paused_until, lambda: self.when_awake(what))
            return
        what()

    def memory_text(self) -> str:
        """The memory with its ages counted up to now; nothing until it was recalled at takeover."""
        if self._led_since is None:
            return ""
        if self._encoded[0] != self.world.engine.now:
            self._encoded = (self.world.engine.now, memory.encode(self._aged()))
        return self._encoded[1]

    def led(self) -> None:
        self.world.leadership_turned(self)
        self.stir()

    # The loop.

    def stir(self) -> None:
        """There is news: look now."""
        if self._nap is not None:
            nap, self._nap = self._nap, None
            self.world.engine.after(0.0, nap)

    def hurry(self) -> None:
        """Something broke or healed somewhere: from now on at a quicker pace, with no other knowledge of it."""
        if self.stands:
            self.world.engine.after(self.dice.uniform(0.0, HURRIED_S), lambda: self.when_awake(self.votes.begin))
        self.eyes.rouse()

    def leads(self) -> bool:
        return self.vote.fence() is not None

    def _loop(self) -> Story:
        yield self.world.engine.sleep(self.dice.uniform(0.0, 0.5))
        while True:
            yield from self._round()
            yield self._rest()

    def _rest(self) -> Wait:
        """Until the next round is due, the plan's time has come, or something stirs."""
        calm, leads = self.world.calm(), self.leads()
        quick_s, slow_s = (LEADS_HURRIED_S, LEADS_EVERY_S) if leads else (FOLLOWS_HURRIED_S, FOLLOWS_EVERY_S)
        nap_s = self.dice.uniform(*(slow_s if calm else quick_s))
        if leads and self.plan.wake_at is not None:
            nap_s = min(nap_s, max(self.plan.wake_at - self.clock(), 0.05))

        def start(resume: Callable[[object], None]) -> None:
            def wake() -> None:
                if self._nap is wake:
                    self._nap = None
                resume(None)

            def ring() -> None:
                if self._nap is wake:
                    wake()

            self._nap = wake
            self.world.engine.after(nap_s, ring)

        return start

    def _round(self) -> Story:
        view = self._look()
        if self._follow_leadership(view):
            view = self._look()
        plan = self._decide(view)
        if view.fence is not None and any(move.turn is Turn.OUT for move in plan.moves):
            # Nothing is taken out of service on evidence that has not just been read from its observers.
            yield self.world.engine.sleep(self.dice.uniform(0.02, 0.6))
            view = self._look(fresh=True)
            plan = self._decide(view)
        self.view, self.plan = view, plan
        self.world.judge.published(self, view, plan)
        if view.fence is not None:
            yield from self._reread(view)
            yield from self._act(plan)
            if plan.steps:
                self.world.judge.acted(self, self._look(), plan)

    def _decide(self, view: View) -> Plan:
        plan = failover.decide(view, self.clock())
        self.world.judge.decided(self, view, plan)
        return plan

    def _follow_leadership(self, view: View) -> bool:
        """At takeover everything at the levers is unknown, and is read again a little later, too."""
        if view.fence is None:
            self._led_since = None
            return False
        if self._led_since is not None:
            return False
        self._led_since = self.clock()
        self._remember(view.memory, view.carriers, view.fence.epoch)
        self._rereads = [self._led_since + after for after in REREAD_AFTER_TAKEOVER_S]
        self.book.forget()
        self.world.took_over(self, view)
        return True

    # Looking.

    def _look(self, *, fresh: bool = False) -> View:
        if self._led_since is None:
            self._recall()
        record, world, fence = self._aged(), self.world, self.vote.fence()
        heard = {peer: self.ears.age_s(peer, loss=world.network.loss_between(self.name, peer)) for peer in self.peers}
        beats = {peer: self.ears.beat(peer, world.mouths[peer], fresh=fresh) for peer in self.peers}
        beats[self.name], heard[self.name] = self.beat(), 0.0
        told = {peer: beat for peer, beat in beats.items() if beat is not None}
        return View(
            zone=replace(self.zone, paused=True) if world.zone_paused else self.zone,
            regions=world.regions,
            observations=tuple(self._observations(told, heard)),
            origins=self.book.states(),
            memory=record.regions,
            carriers=record.carriers,
            rewound=fence is not None and self.book.epoch_seen() > record.epoch,
            loads={peer: beat.load for peer, beat in told.items() if beat.load and heard[peer] < LOADS_COUNT_FOR_S},
            shifts=self._shifts(),
            overrides=self._overrides(),
            withdrawals=tuple(ears.withdrawals(told, heard)),
            budgets={lever.name: self.book.left(lever.name) for lever in self.zone.levers},
            heard_ago_s=heard,
            paused=world.frozen_words if world.clusters[self.name].paused else "",
            fence=fence,
            last_ack_age_s=self.vote.last_ack_age_s(),
        )

    def beat(self) -> Beat:
        """What this operator says of the world, and of itself."""
        histories = self.eyes.histories()
        verdicts = [history.verdict for name, history in histories.items() if name != self.name]
        outside = (not self.eyes.cut_off(),) * REFERENCES
        # What was seen in doubt is still not to be trusted when the doubt is over: only verdicts formed since.
        doubt = evidence.doubts_itself(references=outside, targets=verdicts) or self.eyes.formed_cut_off()
        return self.world.beat_of(self, Beat(self.clock(), histories, doubt))

    def tell(self) -> None:
        """Write the next heartbeat now, because there is news in it."""
        self.world.mouths[self.name].tell(self.beat(), self.world.engine.now)

    def _turned(self, region: str, history: evidence.History) -> None:
        self.tell()
        self.world.verdict_turned(self, region, history)

    def _observations(self, told: Mapping[str, Beat], heard: Mapping[str, float]) -> list[Observation]:
        seen: list[Observation] = []
        for peer, beat in told.items():
            passed_s = self.clock() - beat.at if peer == self.name else self.world.clocks[peer].boot() - beat.at
            now = self.world.engine.now
            seen += ears.observations(peer, beat, age_s=heard[peer], passed_s=max(passed_s, 0.0), now=now)
        return seen

    def _shifts(self) -> tuple[Shift, ...]:
        """Cordons as they are written in every cluster that can be read now."""
        wall = self.machine.wall()
        return tuple(
            Shift(each.region, each.by, each.until_s - wall, each.reason, told_by=name)
            for name in self.world.readable(self.name)
            for each in self.world.clusters[name].shifts
        )

    def _overrides(self) -> tuple[Override, ...]:
        wall = self.machine.wall()
        return tuple(
            Override(each.region, each.guard, each.until_s - wall, each.reason)
            for name in self.world.readable(self.name)
            for each in self.world.clusters[name].overrides
        )

    # Memory.

    def _recall(self) -> None:
        records = [memory.decode(text, age_s=age_s) for text, age_s in self.vote.memories()]
        self._record, self._record_at = memory.latest(records, members=self.zone.members), self.clock()

    def _remember(self, regions: Mapping[str, RegionMemory], carriers: Mapping[str, Cordon], epoch: int) -> None:
        # The number always grows, also when a store failed: a minority may hold that one already.
        self._record = memory.Record(epoch, self._record.seq + 1, dict(regions), dict(carriers))
        self._record_at = self.clock()
        self._encoded = (-1.0, "")

    def remembered(self) -> Mapping[str, RegionMemory]:
        """What this operator takes the fleet's mind to be."""
        return self._record.regions

    def carriers(self) -> Mapping[str, Cordon]:
        """The same of the carriers."""
        return self._record.carriers

    def _aged(self) -> memory.Record:
        return memory.aged(self._record, self.clock() - self._record_at)

    # Acting.

    def _reread(self, view: View) -> Story:
        """Look at all levers in turn: they can be changed behind our back."""
        now = self.clock()
        if not self._rereads or now < self._rereads[0]:
            return
        self._rereads = self._rereads[1:] or [now + REREAD_EVERY_S]
        for region in view.zone.members:
            for lever in view.levers_of(region):
                if self.book.may_ask(lever) and self.book.affords_looking(lever):
                    yield from self._read(lever, region)

    def _act(self, plan: Plan) -> Story:
        ended: set[str] = set()
        for step in plan.steps:
            if not isinstance(step, StoreMemory) and step.lever in ended:
                continue
            done = yield from self._run(step)
            self.world.ran(self, step, done=done)
            if self.dead:
                return
            if done:
                continue
            if isinstance(step, StoreMemory):
                return
            ended.add(step.lever)

    def _run(self, step: Step) -> Story:
        match step:
            case StoreMemory():
                return (yield from self._store(step))
            case SetOrigin():
                return (yield from self._set(step))
            case ReadBack():
                if not self.book.may_ask(step.lever):
                    return False
                enabled = yield from self._read(step.lever, step.region)
                return enabled is not None and self._as_written(step, enabled=enabled)
            case _ as never:
                assert_never(never)

    def _as_written(self, step: ReadBack, *, enabled: bool) -> bool:
        if step.expected is None:
            return True
        if enabled is step.expected:
            self.book.agrees(step.lever)
        else:
            self.book.differs(step.lever, step.region)
        return enabled is step.expected

    def _store(self, step: StoreMemory) -> Story:
        if self.vote.fence() != step.fence:
            return False
        before = self._aged()
        before_at = self.clock()
        self._remember(step.memory, step.carriers, step.fence.epoch)
        if (yield self.vote.store()):
            return True
        self._remember(before.regions, before.carriers, step.fence.epoch)
        self._record_at = before_at
        return False

    def _set(self, step: SetOrigin) -> Story:
        if not self.book.may_ask(step.lever) or not (yield from self._fenced(step.fence)):
            return False
        self.book.wrote(step.lever, step.region, enabled=step.enabled)
        change = Change(step.region, step.enabled, step.share, step.fence, step.key)
        self.world.judge.sends(self, step)
        answer: Answer = yield self._requests.write(step.lever, change)
        if answer.origin is None:
            self.book.answered(step.lever, step.region, answer)
            self.world.lever_failed(step.lever, answer)
            return False
        return True

    def _fenced(self, fence: Fence) -> Story:
        if self.vote.fence() != fence:
            return False
        if self.vote.last_ack_age_s() <= WRITE_WITHIN_ACK_S:
            return True
        return (yield self.vote.confirm()) and self.vote.fence() == fence

    def _read(self, lever: str, region: str) -> Story:
        answer: Answer = yield self._requests.read(lever, region)
        self.book.answered(lever, region, answer)
        if answer.origin is None:
            self.world.lever_failed(lever, answer)
            return None
        return answer.origin.enabled
