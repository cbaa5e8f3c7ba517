"""A zone to decide about: regions that live and die, a lever that obeys or not, plans that stop midway.

The world applies plans with the production `failover.decide` and checks after every single step what must
never be broken. Nothing in it is random: tests draw what happens.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from core_builders import DOWN, UNKNOWN, UP, regions, zone

from holdfast.core import failover, guards
from holdfast.core.plans import Plan, ReadBack, SetOrigin, StoreMemory, View
from holdfast.core.values import Fence, Intent, Observation, OriginState, RegionMemory, Verdict, Zone

DWELL_S = 60.0
STEP_S = 10.0


class Outcome(Enum):
    """What becomes of a request to a vendor."""

    DONE = "done"
    FAILED = "failed"
    LOST_REQUEST = "timed out, not done"
    LOST_ANSWER = "timed out, done"


class World:
    def __init__(self, of: Zone | None = None) -> None:
        self.zone = of or zone(("fra", "ams", "iad"), ("lon",), ("edge", "second"), dwell_s=DWELL_S)
        self.now = 1000.0
        self.epoch: int | None = 1
        self.verdicts: dict[str, Verdict] = dict.fromkeys(self.zone.members, UP)
        self.since: dict[str, float] = dict.fromkeys(self.zone.members, 0.0)
        self.silent: set[str] = set()
        self.obedient: set[str] = set()
        self.doubting: set[str] = set()
        self.misled: set[str] = set()
        self.actual = {(lever.name, name): True for lever in self.zone.levers for name in self.zone.members}
        self.known: dict[tuple[str, str], bool | None] = dict.fromkeys(self.actual)
        self.stored: dict[str, tuple[RegionMemory, float]] = {}
        self.cordoned_at: dict[str, float] = {}
        self.cordons = self.returns = 0

    def set(self, region: str, verdict: Verdict) -> None:
        if self.verdicts[region] is not verdict:
            self.verdicts[region], self.since[region] = verdict, self.now

    def view(self) -> View:
        told = tuple(
            Observation(
                observer,
                target,
                DOWN if observer in self.misled else self.verdicts[target],
                heard_age_s=9.0 if observer in self.silent else 0.5,
                held_s=self.now - self.since[target],
                self_doubt=observer in self.doubting,
            )
            for target in self.zone.members
            for observer in self.zone.voters
        )
        memory = {
            name: replace(entry, changed_ago_s=(entry.changed_ago_s or 0.0) + self.now - at)
            for name, (entry, at) in self.stored.items()
        }
        return View(
            zone=self.zone, regions=regions(self.zone), observations=told, memory=memory,
            origins=tuple(OriginState(lever, name, state) for (lever, name), state in self.known.items()),
            fence=None if self.epoch is None else Fence("eu", self.epoch, "pod"), last_ack_age_s=0.1,
        )

    def turn(self, *, outcome: Outcome = Outcome.DONE, stop_after: int = 99) -> Plan:
        """Decide once and run the plan, to its end or to where it is interrupted."""
        seen = self.view()
        plan = failover.decide(seen, self.now)
        self._check(seen, plan)
        ended: set[str] = set()
        for step in plan.steps[:stop_after]:
            if isinstance(step, SetOrigin | ReadBack) and step.lever in ended:
                continue
            if not self._run(step, Outcome.DONE if self._obeys(step) else outcome):
                if isinstance(step, StoreMemory):
                    break
                ended.add(step.lever)
            self._check_world()
        return plan

    def _obeys(self, step: failover.Step) -> bool:
        return isinstance(step, SetOrigin | ReadBack) and step.lever in self.obedient

    def take_over(self) -> None:
        """Another leader, who has read no lever yet."""
        self.epoch = (self.epoch or 0) + 1
        self.known = dict.fromkeys(self.actual)

    def turned_off(self) -> set[str]:
        return {region for (_, region), on in self.actual.items() if not on}

    def _run(self, step: failover.Step, outcome: Outcome) -> bool:
        match step:
            case StoreMemory(_, memory):
                if outcome is Outcome.FAILED:
                    return False
                self._remember(dict(memory))
            case SetOrigin(lever, region, enabled):
                self.known[lever, region] = None
                if outcome in (Outcome.DONE, Outcome.LOST_ANSWER):
                    self.actual[lever, region] = enabled
                return outcome is Outcome.DONE
            case ReadBack(lever, region):
                if outcome is not Outcome.DONE:
                    return False
                self.known[lever, region] = self.actual[lever, region]
        return True

    def _remember(self, memory: dict[str, RegionMemory]) -> None:
        for name, entry in memory.items():
            before = self.stored[name][0].intent if name in self.stored else Intent.SERVING
            if (before, entry.intent) == (Intent.SERVING, Intent.CORDONED):
                self.cordoned_at[name] = self.now
                self.cordons += 1
            elif (before, entry.intent) == (Intent.CORDONED, Intent.SERVING):
                waited = self.now - self.cordoned_at[name]
                assert waited >= DWELL_S, f"{name} came back {waited:.0f} s after it was cordoned"
                self.returns += 1
        self.stored = {name: (entry, self.now) for name, entry in memory.items()}

    def _check(self, seen: View, plan: Plan) -> None:
        if guards.authority(seen) is None:
            assert plan.steps == (), "a step without a fence"
        if all(verdict is DOWN for verdict in self.verdicts.values()) or self.misled >= set(self.zone.voters):
            assert all(move.intent is Intent.SERVING for move in plan.moves), "cordoned while all look ill"
            assert all(step.enabled for step in plan.steps if isinstance(step, SetOrigin)), "off while all look ill"
        if any(isinstance(step, SetOrigin) for step in plan.steps):
            assert isinstance(plan.steps[0], StoreMemory), "a write before the intent was stored"
        for step in plan.steps:
            if isinstance(step, SetOrigin):
                assert self.known[step.lever, step.region] is not None, "a write over an unknown state"
        for move in plan.moves:
            if move.intent is Intent.CORDONED:
                trusted = set(self.zone.observers_of(move.region)) - self.silent - self.doubting
                against = trusted if self.verdicts[move.region] is DOWN else trusted & self.misled
                assert len(against) * 2 > len(self.zone.voters) - 1, "cordoned without a quorum"
                if against <= self.misled:
                    continue
                assert self.verdicts[move.region] is not UNKNOWN, "the unknown was taken for ill"

    def _check_world(self) -> None:
        for lever in self.zone.levers:
            assert any(self.actual[lever.name, name] for name in self.zone.members), f"{lever.name} is empty"
        intents = [self.stored[name][0].intent if name in self.stored else None for name in self.zone.members]
        assert any(intent is not Intent.CORDONED for intent in intents), "nobody is meant to serve"
