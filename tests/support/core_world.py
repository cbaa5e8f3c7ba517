"""A zone to decide about: regions that live and die, people who ask, levers that obey or not, plans that stop midway.

The world applies plans with the production `failover.decide` and checks after every single step what must
never be broken. Nothing in it is random: tests draw what happens.
"""

from __future__ import annotations

from enum import Enum

from core_builders import DEGRADED, DOWN, UP, regions, zone

from holdfast.core import failover, guards, memory
from holdfast.core.plans import Move, Plan, ReadBack, SetOrigin, Step, StoreMemory, Turn, View
from holdfast.core.values import (
    Cause,
    Fence,
    Intent,
    Load,
    Observation,
    OriginState,
    Reason,
    RegionMemory,
    Shift,
    Verdict,
    Withdrawal,
    Zone,
)

DWELL_S = 60.0
ROUNDED_S = 0.2  # ages are stored to a tenth of a second
AT_EASE = Load(2, 10, 190)
WILLED = (Cause.WITHDRAWN, Cause.DEGRADED, Cause.HUMAN, Cause.GAME_DAY)


class Outcome(Enum):
    """What becomes of a request to a vendor."""

    DONE = "done"
    FAILED = "failed"
    LOST_REQUEST = "timed out, not done"
    LOST_ANSWER = "timed out, done"


class World:
    def __init__(self, of: Zone | None = None) -> None:
        self.zone = of or zone(("fra", "ams", "iad"), ("lon",), ("edge", "second"), dwell_s=DWELL_S, weighted=["edge"])
        self.now = 1000.0
        self.epoch: int | None = 1
        self.verdicts: dict[str, Verdict] = dict.fromkeys(self.zone.members, UP)
        self.since: dict[str, float] = dict.fromkeys(self.zone.members, 0.0)
        self.loads: dict[str, Load] = dict.fromkeys(self.zone.members, AT_EASE)
        self.silent: set[str] = set()
        self.obedient: set[str] = set()
        self.doubting: set[str] = set()
        self.misled: set[str] = set()
        self.asking: set[str] = set()
        self.abroad: set[str] = set()
        self.paused: set[str] = set()
        self.shifts: dict[tuple[str, Cause], tuple[float, str]] = {}
        self.actual = {(lever.name, name): (True, 100) for lever in self.zone.levers for name in self.zone.members}
        self.known: dict[tuple[str, str], tuple[bool | None, int | None]] = dict.fromkeys(self.actual, (None, None))
        self.stored, self.stored_at, self.undated = "", self.now, False
        self.out_since: dict[tuple[str, Cause], float] = {}
        self.stepped_at: dict[str, float] = {}
        self.cordons = self.returns = self.raises = 0

    def set(self, region: str, verdict: Verdict) -> None:
        if self.verdicts[region] is not verdict:
            self.verdicts[region], self.since[region] = verdict, self.now

    def shift(self, region: str, by: Cause, for_s: float, told_by: str) -> None:
        """Somebody cordons a region for a time, or lifts that again with a time of 0."""
        self.shifts[region, by] = (self.now + for_s, told_by)

    def memory(self) -> memory.Record:
        """What a majority remembers now, read as a new leader would read it."""
        record = memory.decode(self.stored, age_s=self.now - self.stored_at)
        assert record is not None, "what was written cannot be read"
        return memory.of_unknown_age(record, members=self.zone.members) if self.undated else record

    def view(self) -> View:
        remembered = self.memory()
        return View(
            zone=self.zone, regions=regions(self.zone, abroad=self.abroad), observations=self._told(),
            memory=remembered.regions, carriers=remembered.carriers, loads=dict(self.loads),
            origins=tuple(OriginState(*at, on, share=share) for at, (on, share) in self.known.items()),
            shifts=tuple(
                Shift(region, by, until - self.now, "told", told_by)
                for (region, by), (until, told_by) in self.shifts.items()
                if until > self.now and told_by not in self.silent
            ),
            withdrawals=tuple(
                Withdrawal(name, Reason("PodsNotReady", "no pod is ready"), self._heard_s(name))
                for name in sorted(self.asking)
            ),
            heard_ago_s={name: self._heard_s(name) for name in self.zone.voters},
            paused=", ".join(sorted(self.paused)),
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
            done = self._run(step, Outcome.DONE if self._obeys(step) else outcome)
            if isinstance(step, StoreMemory):
                if not done:
                    break
                self._count(plan)
            elif not done:
                ended.add(step.lever)
            self._check_world(step)
        return plan

    def take_over(self) -> None:
        """Another leader, who has read no lever yet."""
        self.epoch = (self.epoch or 0) + 1
        self.known = dict.fromkeys(self.actual, (None, None))

    def turned_off(self) -> set[str]:
        return {region for (_, region), (on, _) in self.actual.items() if not on}

    def _heard_s(self, name: str) -> float:
        return 9.0 if name in self.silent else 0.5

    def _told(self) -> tuple[Observation, ...]:
        return tuple(
            Observation(
                observer,
                target,
                DOWN if observer in self.misled else self.verdicts[target],
                heard_age_s=self._heard_s(observer),
                held_s=self.now - self.since[target],
                self_doubt=observer in self.doubting,
            )
            for target in self.zone.members
            for observer in self.zone.voters
        )

    def _obeys(self, step: Step) -> bool:
        return isinstance(step, SetOrigin | ReadBack) and step.lever in self.obedient

    def _run(self, step: Step, outcome: Outcome) -> bool:
        match step:
            case StoreMemory(fence, remembered, carriers):
                if outcome is Outcome.FAILED:
                    return False
                self.stored = memory.encode(memory.Record(fence.epoch, 1, remembered, carriers))
                self.stored_at, self.undated = self.now, False
            case SetOrigin(lever, region, enabled):
                self.known[lever, region] = (None, None)
                if outcome in (Outcome.DONE, Outcome.LOST_ANSWER):
                    self.actual[lever, region] = (enabled, step.share)
                return outcome is Outcome.DONE
            case ReadBack(lever, region):
                if outcome is not Outcome.DONE:
                    return False
                self.known[lever, region] = self.actual[lever, region]
        return True

    def _count(self, plan: Plan) -> None:
        """A move happens when it is stored."""
        for move in plan.moves:
            if move.turn is Turn.OUT:
                self.out_since[move.region, move.cause] = self.now
                self.cordons += 1
            else:
                self.stepped_at[move.region] = self.now
                self.returns += move.turn is Turn.BACK
                self.raises += move.turn is Turn.RAISE

    # What must never be broken: first what a plan may say, then what a step may do.

    def _check(self, seen: View, plan: Plan) -> None:
        if guards.authority(seen) is None:
            assert plan.steps == (), "a step without a fence"
            assert plan.moves == (), "a move without a fence"
        writes = [step for step in plan.steps if isinstance(step, SetOrigin)]
        if writes:
            assert isinstance(plan.steps[0], StoreMemory), "a write before the intent was stored"
        for step in writes:
            assert self.known[step.lever, step.region][0] is not None, "a write over an unknown state"
            assert not (step.enabled and step.region in self.abroad), "a region abroad is turned on"
        freely = [step for step in writes if step.region not in self.abroad]
        outs = [move for move in plan.moves if move.turn is Turn.OUT and move.cause is not Cause.ILLEGAL]
        if self.paused:
            assert all(move.cause is Cause.ILLEGAL for move in plan.moves), "moved while paused"
            assert freely == [], "written while paused"
        if all(verdict is DOWN for verdict in self.verdicts.values()) or self.misled >= set(self.zone.voters):
            assert outs == [], "cordoned while all look ill"
            assert all(step.enabled for step in freely), "off while all look ill"
        for move in plan.moves:
            self._check_move(move, seen)
        self._check_what_is_left(seen, plan, outs)
        self._check_standing_answers(plan)

    def _check_move(self, move: Move, seen: View) -> None:
        observers = self.zone.observers_of(move.region)
        words = [
            told.verdict for told in seen.observations
            if told.target == move.region and told.observer in observers
            and told.observer not in self.silent | self.doubting
        ]
        if move.turn is Turn.OUT:
            against = {Cause.LOST: (DOWN,), Cause.ABSENT: (DOWN,), Cause.DEGRADED: (DOWN, DEGRADED)}.get(move.cause)
            quorum = against is None or 2 * sum(word in against for word in words) > len(observers)
            assert quorum, f"{move.cause} without a quorum"
            assert move.cause is not Cause.WITHDRAWN or move.region in self.asking, "withdrawn unasked"
            return
        if move.turn is Turn.RAISE:
            waited = self.now - self.stepped_at.get(move.region, 0.0)
            assert waited >= DWELL_S / 3 - ROUNDED_S, f"{move.region} was raised after {waited:.0f} s"
        elif move.cause in guards.DWELLS and seen.able():
            waited = self.now - self.out_since.get((move.region, move.cause), 0.0)
            assert waited >= DWELL_S - ROUNDED_S, f"{move.region} came back {waited:.0f} s after {move.cause}"
        assert UP in words or move.cause not in guards.DWELLS, "given calls though nobody sees it up"

    def _check_what_is_left(self, seen: View, plan: Plan, outs: list[Move]) -> None:
        """Who is taken out, but for residency, leaves others who answer; who could have stayed, enough of them."""
        if not outs:
            return
        assert isinstance(plan.steps[0], StoreMemory), "moved and not stored"
        after = plan.steps[0].memory
        able = [
            name for name in self.zone.members
            if name not in self.abroad and seen.tally(name).seen_up
            and after.get(name, RegionMemory()).intent is Intent.SERVING
        ]
        assert able, "nobody is left who answers"
        spared = [move for move in outs if move.cause in WILLED and move.region in seen.able()]
        if spared:
            calls = sum(load.active_calls for load in self.loads.values())
            room = sum(self.loads[name].capacity * 80 // 100 for name in able)
            assert calls <= room, f"{calls} calls are left with room for {room}"
            assert len({move.region for move in spared}) <= self.zone.guards.max_cordoned, "too many at once"

    def _check_standing_answers(self, plan: Plan) -> None:
        assert all(plan.weights[name] == 0 for name in self.abroad), "calls are sent abroad"
        legal = set(self.zone.members) - self.abroad
        assert (plan.fallback is None) == (not legal), "the fallback leads where no region is, or nowhere though one is"
        assert plan.fallback is None or plan.fallback.region in legal, "the fallback leads abroad"

    def _check_world(self, step: Step) -> None:
        """No write but for residency empties a lever."""
        if isinstance(step, SetOrigin) and not step.enabled and step.region not in self.abroad:
            left = [name for name in self.zone.members if self.actual[step.lever, name][0]]
            assert left, f"{step.lever} is empty"
