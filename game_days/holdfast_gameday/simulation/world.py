"""Everything around the core in one place: clusters, levers, regions, clocks, calls, and the operators among them.

The world knows the truth and tells nobody: an operator learns only what its own eyes, ears and requests bring it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from holdfast.core import evidence
from holdfast.core.plans import ReadBack, SetOrigin, Step, View
from holdfast.core.values import Verdict
from holdfast_gameday.faults import LEADER, Fault
from holdfast_gameday.simulation import injection
from holdfast_gameday.simulation.calls import EVERY_S, Calls
from holdfast_gameday.simulation.checks import Judge
from holdfast_gameday.simulation.clocks import Clock
from holdfast_gameday.simulation.ears import Beat, Mouth
from holdfast_gameday.simulation.engine import Engine
from holdfast_gameday.simulation.entries import Entry, Sight
from holdfast_gameday.simulation.local import Local
from holdfast_gameday.simulation.network import Network
from holdfast_gameday.simulation.operators import Operator
from holdfast_gameday.simulation.schedule import Schedule
from holdfast_gameday.simulation.stores import Cluster
from holdfast_gameday.simulation.story import Story
from holdfast_gameday.simulation.vendors import Answer, Change, Origin, Vendor

HURRY_S = 12.0
HURRY_AFTER_VERDICT_S = 4.0


class World:
    """One seed's."""

    def __init__(self, schedule: Schedule, *, paced: bool = True) -> None:
        self.schedule = schedule
        self.seed = schedule.seed
        self.topology = schedule.topology
        self.zone = self.topology.zone
        self.regions = dict(self.topology.regions)
        self.engine = Engine()
        self.dice = random.Random(f"world {self.seed}")
        self.story = Story()
        self.sometimes: Counter[str] = Counter()
        self.network = Network(random.Random(f"network {self.seed}"))
        self.clusters = {name: Cluster(name) for name in self.zone.voters}
        self.entries = {name: Entry(name) for name in self.zone.members}
        self.duplicating: Counter[tuple[str, str]] = Counter()
        self.frozen_words = "a person holds the fleet"
        self.zone_paused = False
        self.vendors = {lever.name: self._vendor(lever.name) for lever in self.zone.levers}
        self.clocks = {name: Clock(self._now, offset_s=self.dice.uniform(1e3, 1e6)) for name in self.zone.voters}
        self.mouths = {name: Mouth(Beat(0.0)) for name in self.zone.voters}
        self.local = Local(self)
        self.calls = Calls(self, paced=paced)
        self.judge = Judge(self)
        self.hurried_until = 30.0
        self.weights: dict[str, int] = {}
        self._lies: dict[str, dict[str, Verdict]] = {}
        self._stopped: Counter[str] = Counter()
        self._lives: Counter[str] = Counter()
        self.operators: dict[str, Operator] = {}
        self.sights = {name: Sight() for name in self.zone.voters}
        for name in self.zone.voters:
            self._born(name)
        self._settle()
        for fault in schedule.faults:
            self._plan(fault)
        self._tick()

    def run(self) -> None:
        self.engine.run(self.schedule.calm_from_s)
        self.judge.liveness.rest()

    def leader(self) -> Operator | None:
        return next((operator for operator in self.operators.values() if operator.awake() and operator.leads()), None)

    def calm(self) -> bool:
        return self.engine.now > self.hurried_until

    def duplicated(self, operator: str, cluster: str) -> bool:
        return self.duplicating[operator, cluster] > 0

    def readable(self, operator: str) -> list[str]:
        """The clusters whose objects an operator can read now."""
        here = ("op", operator)
        return [
            name
            for name, cluster in self.clusters.items()
            if not cluster.down and self.network.both_ways(here, ("api", name))
        ]

    def truly_well(self, region: str) -> bool:
        return self.entries[region].well(self.engine.now)

    def routes(self) -> dict[str, int]:
        """Where new calls go now: on at the first lever, by the weights last published, and answering at all."""
        origins = self.vendors[self.zone.levers[0].name].origins
        shares = {region.name: region.weight for region in self.zone.regions}
        on = {
            name: self.weights.get(name, shares[name])
            for name in self.zone.members
            if origins[name].enabled and self.entries[name].answers(self.engine.now)
        }
        weighted = {name: weight for name, weight in on.items() if weight > 0}
        return weighted or dict.fromkeys(on, 1)

    # What faults do.

    def stop(self, name: str) -> None:
        self._stopped[name] += 1
        self.operators[name].die()

    def start(self, name: str) -> None:
        self._stopped[name] -= 1
        if not self._stopped[name]:
            self._born(name)

    def pause(self, name: str, *, until_s: float) -> None:
        operator = self.operators[name]
        operator.paused_until = max(operator.paused_until, until_s)
        operator.ears.deaf(self.mouths)

    def lie(self, name: str, lies: dict[str, Verdict]) -> None:
        self._lies[name] = lies
        self.tell(name)

    def tell(self, name: str) -> None:
        """There is news in a heartbeat."""
        operator = self.operators[name]
        if operator.awake():
            operator.tell()

    def something_changed(self) -> None:
        """Whatever broke or healed: from here on messages take time, and everybody's pace is quicker."""
        self.hurried_until = max(self.hurried_until, self.engine.now + HURRY_S)
        self.calls.advance()
        self._settle()
        for operator in self.operators.values():
            operator.hurry()

    def _plan(self, fault: Fault) -> None:
        def begin() -> None:
            nonlocal fault
            if fault.target == LEADER:
                leader = self.leader()
                fault = replace(fault, target=leader.name if leader else self.zone.members[0])
            self.story.tell(self.engine.now, "fault", fault.describe())
            self.judge.struck(fault)
            injection.apply(self, fault, 1)
            self.something_changed()

        def heal() -> None:
            self.story.tell(self.engine.now, "healed", fault.describe())
            injection.apply(self, fault, -1)
            self.judge.healed(fault)
            self.something_changed()

        self.engine.at(fault.at_s, begin)
        if fault.for_s:
            self.engine.at(fault.until_s, heal)

    # What operators are told and tell.

    def beat_of(self, operator: Operator, beat: Beat) -> Beat:
        """A beat with what the operator's region adds to it, and the lies that are told in its name."""
        name = operator.name
        load = self.calls.load(name) if name in self.calls.live else None
        others, lies = self.local.others(name), self._lies.get(name, {})
        return replace(beat, load=load, asked=self.local.asked(name), others=others, lies=lies)

    def leadership_turned(self, operator: Operator) -> None:
        leads = operator.leads()
        epoch = getattr(operator.vote.state.phase, "epoch", 0)
        self.story.tell(self.engine.now, operator.name, f"leads under epoch {epoch}" if leads else "no longer leads")
        self.hurried_until = max(self.hurried_until, self.engine.now + HURRY_S)
        self.judge.leads(operator)

    def took_over(self, operator: Operator, view: View) -> None:
        self.sometimes["takeover"] += 1
        out = ", ".join(name for name in self.zone.members if name not in view.serving())
        words = f"recalled memory of epoch {view.fence.epoch if view.fence else 0}, out: {out or 'nobody'}"
        self.story.tell(self.engine.now, operator.name, words)

    def verdict_turned(self, operator: Operator, region: str, history: evidence.History) -> None:
        if history.verdict is Verdict.DOWN:
            self.judge.liveness.seen_down(operator.name, region)
        words = f"sees {region} {history.verdict.value}"
        self.story.tell(self.engine.now, operator.name, f"{words} ({history.detail})" if history.detail else words)
        self.hurried_until = max(self.hurried_until, self.engine.now + HURRY_AFTER_VERDICT_S)
        leader = self.leader()
        if leader is not None:
            delay_s = 0.0 if leader is operator else self.dice.uniform(0.05, 1.0)
            self.engine.after(delay_s, self._stirring(leader))

    def ran(self, operator: Operator, step: Step, *, done: bool) -> None:
        self.judge.ran(step, done=done)
        word = "done" if done else "not done"
        match step:
            case SetOrigin():
                turn = f"on at {step.share} %" if step.enabled else "off"
                words = f"{step.region} {turn} at {step.lever}: {word} ({step.reason.message})"
                self.story.tell(self.engine.now, operator.name, words)
            case ReadBack() if step.expected is not None:
                self.story.tell(self.engine.now, operator.name, f"{step.region} read back at {step.lever}: {word}")
            case _:
                pass

    def lever_failed(self, lever: str, answer: Answer) -> None:
        self.sometimes[f"lever answered {answer.code}"] += 1
        self.story.tell(self.engine.now, lever, f"answered {answer.code}")

    # Inside.

    def _now(self) -> float:
        return self.engine.now

    def _vendor(self, lever: str) -> Vendor:
        def committed(region: str, before: Origin, after: Origin, change: Change | None) -> None:
            self.calls.advance()
            self.judge.committed(lever, region, before, after, change)

        origins = {name: Origin() for name in self.zone.members}
        return Vendor(lever, origins, committed, self.engine.after, self._now)

    def _born(self, name: str) -> None:
        self._lives[name] += 1
        operator = Operator(name, self, life=self._lives[name])
        operator.eyes.sight = self.sights[name]
        self.operators[name] = operator
        self.mouths[name] = Mouth(operator.beat())
        self.story.tell(self.engine.now, name, f"operator starts, life {self._lives[name]}")
        operator.start()

    def _settle(self) -> None:
        """Whose heartbeats get through to whom, from now on."""
        beating = {
            name: operator.awake() and self.clusters[name].answers(write=True)
            for name, operator in self.operators.items()
        }
        for name, operator in self.operators.items():
            if not operator.awake():
                continue
            for peer in operator.peers:
                through = beating[peer] and self.network.both_ways(("op", name), ("api", peer))
                if operator.ears.settle(peer, self.mouths[peer], through=through):
                    self._missed(operator, peer)

    def _missed(self, operator: Operator, peer: str) -> None:
        """A missed beat makes an operator look at that region's entry at once."""
        self.engine.after(self.dice.uniform(1.8, 2.6), lambda: operator.when_awake(lambda: operator.eyes.stir(peer)))

    def _stirring(self, operator: Operator) -> Callable[[], None]:
        return lambda: operator.when_awake(operator.stir)

    def _tick(self) -> None:
        self.calls.advance()
        self.local.advance()
        for name, mouth in self.mouths.items():
            if name in self.calls.live and self.operators[name].awake():
                mouth.beat = replace(mouth.beat, load=self.calls.load(name))
        self.judge.looked()
        if self.leader() is None:
            self.hurried_until = max(self.hurried_until, self.engine.now + EVERY_S)
        self.engine.after(EVERY_S, self._tick)
