"""Every plan judged once more, from the observations themselves, by code that shares nothing with the core's guards.

What the core counts and how it refuses may be wrong in one place for both a decision and its check. So the rules of the
design are said here a second time, in the plainest words, and a plan that breaks one breaks a named invariant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from holdfast.core.plans import Move, Plan, ReadBack, SetOrigin, StoreMemory, Turn, View
from holdfast.core.values import Cause, Load, Tier, Verdict
from holdfast_gameday.invariants import Invariant

HEARD_WITHIN_S = 3.0
LEADERSHIP_S = 3.3
DOUBLINGS_MAX = 3
TOLERANCE = 0.99
ROUNDED_S = 0.1
"""Ages are stored in tenths of a second."""
HEALTH = (Cause.LOST, Cause.ABSENT, Cause.DEGRADED)
PEOPLE = (Cause.HUMAN, Cause.GAME_DAY)
MILD = (Cause.WITHDRAWN, Cause.DEGRADED)
DWELLS = (Cause.LOST, Cause.FOUND_OFF, *MILD)
TROUBLE = (Cause.LOST, *MILD)
OVERRIDABLE = (
    "Budget", "Capacity", "Dwell", "MaxCordoned", "MinServing", "Ramp", "RewoundHistory", "UnknownHistory",
)

Breach = Callable[[Invariant, str], None]


@dataclass(slots=True)
class SecondOpinion:
    """One seed's."""

    breach: Breach
    epoch_of: dict[str, int] = field(default_factory=dict)

    def judge(self, view: View, plan: Plan) -> None:
        """A leader's plan, and what it was shown."""
        if view.fence is not None:
            _Steps(view, plan, self.breach, self.epoch_of).judge()
            _Moves(view, plan, self.breach).judge()


@dataclass(slots=True)
class _Eyes:
    """What a view's observations come to, counted anew."""

    view: View

    def needed(self, region: str) -> int:
        return sum(voter != region for voter in self._voters()) // 2 + 1

    def saying(self, region: str, *verdicts: Verdict) -> int:
        """How many of those who count say so."""
        voices = {
            seen.observer
            for seen in self.view.observations
            if (seen.tier, seen.target) == (Tier.REGION, region)
            and seen.verdict in verdicts
            and seen.heard_age_s <= HEARD_WITHIN_S
            and not seen.self_doubt
            and seen.observer != region
            and seen.observer in self._voters()
        }
        return len(voices)

    def lost(self, region: str) -> bool:
        return self.saying(region, Verdict.DOWN) >= self.needed(region)

    def seen_up(self, region: str) -> bool:
        return self.saying(region, Verdict.UP, Verdict.DEGRADED) > 0 and not self.lost(region)

    def well_for_s(self, region: str) -> float:
        held = sorted(
            seen.held_s
            for seen in self.view.observations
            if (seen.tier, seen.target, seen.verdict) == (Tier.REGION, region, Verdict.UP)
            and seen.heard_age_s <= HEARD_WITHIN_S
        )
        return held[-self.needed(region)] if len(held) >= self.needed(region) else 0.0

    def _voters(self) -> list[str]:
        return [region.name for region in self.view.zone.regions] + list(self.view.zone.witnesses)


def _legal(view: View, region: str) -> bool:
    known = view.regions.get(region)
    return known is not None and known.jurisdiction == view.zone.residency


@dataclass(slots=True)
class _Steps:
    """The order of a plan: every prefix of it must be safe."""

    view: View
    plan: Plan
    breach: Breach
    epoch_of: dict[str, int]

    def judge(self) -> None:
        steps = self.plan.steps
        writes = [step for step in steps if isinstance(step, SetOrigin)]
        if (writes or self.plan.moves) and not (steps and isinstance(steps[0], StoreMemory)):
            self.breach(Invariant.FENCED, "a plan acts before its memory is stored in a majority")
        for write in writes:
            here = steps.index(write)
            if steps[here + 1 : here + 2] != (ReadBack(write.lever, write.region, write.enabled),):
                self.breach(Invariant.TRUTHFUL, f"{write.region} is written at {write.lever} and not read back")
            if self.epoch_of.setdefault(write.key, write.fence.epoch) != write.fence.epoch:
                self.breach(Invariant.ONCE, f"the key {write.key} is used under two epochs")
        self._fails_closed(writes)
        self._never_empties(writes)

    def _fails_closed(self, writes: list[SetOrigin]) -> None:
        view = self.view
        named = [self.plan.fallback.region] if self.plan.fallback else []
        named += [name for name, weight in self.plan.weights.items() if weight]
        named += [write.region for write in writes if write.enabled]
        if abroad := sorted({name for name in named if not _legal(view, name)}):
            self.breach(Invariant.RESIDENCY, f"{', '.join(abroad)} would get calls outside the zone's residency")
        if self.view.last_ack_age_s >= LEADERSHIP_S:
            return
        off = {(write.lever, write.region) for write in writes if not write.enabled}
        for state in view.origins:
            if state.enabled and not _legal(view, state.region) and (state.lever, state.region) not in off:
                self.breach(Invariant.RESIDENCY, f"{state.region} is left on at {state.lever} outside the residency")

    def _never_empties(self, writes: list[SetOrigin]) -> None:
        """What is written in this plan is unknown until the next one: nothing may lean on it yet."""
        eyes = _Eyes(self.view)
        on = {(each.lever, each.region) for each in self.view.origins if each.enabled}
        for write in writes:
            on.discard((write.lever, write.region))
            left = [name for lever, name in on if lever == write.lever and _legal(self.view, name)]
            if write.enabled or not _legal(self.view, write.region) or any(map(eyes.seen_up, left)):
                continue
            words = f"without {write.region} nothing that is well is known to be on at {write.lever}"
            self.breach(Invariant.NEVER_EMPTY, words)


@dataclass(slots=True)
class _Moves:
    """The moves of a plan one after the other, each in the light of those before it."""

    view: View
    plan: Plan
    breach: Breach
    eyes: _Eyes = field(init=False)
    standing: dict[str, set[Cause]] = field(init=False)

    def __post_init__(self) -> None:
        self.eyes = _Eyes(self.view)
        stored = next((step.memory for step in self.plan.steps if isinstance(step, StoreMemory)), {})
        self.standing = {name: set() for name in self.view.zone.members}
        for name, causes in self.standing.items():
            for known, wanted in ((self.view.memory, tuple(Cause)), (stored, (Cause.FOUND_OFF,))):
                if name in known:
                    causes |= {cause for cause in known[name].standing if cause in wanted}
        for move in self.plan.moves:
            if (move.turn, move.cause) == (Turn.BACK, Cause.FOUND_OFF):
                self.standing[move.region].add(move.cause)

    def judge(self) -> None:
        if not self.plan.moves and not self.plan.steps:
            return
        self._orders()
        for move in self.plan.moves:
            if move.turn is Turn.OUT:
                self._out(move)
                self.standing[move.region].add(move.cause)
            else:
                self._back(move)
                self.standing[move.region].discard(move.cause)
                self._ramped(move)

    def _out(self, move: Move) -> None:
        if move.cause is Cause.ILLEGAL:
            return
        region, eyes = move.region, self.eyes
        if move.cause in HEALTH:
            against = (Verdict.DOWN, Verdict.DEGRADED) if move.cause is Cause.DEGRADED else (Verdict.DOWN,)
            if (count := eyes.saying(region, *against)) < eyes.needed(region):
                words = f"{region} is taken out on the word of {count}, {eyes.needed(region)} are needed"
                self.breach(Invariant.QUORUM, words)
        if move.cause is Cause.GAME_DAY and (troubled := list(self._troubled())):
            self.breach(Invariant.ORDERS, f"{region} is taken out to rehearse, {', '.join(troubled)} in earnest")
        others = [name for name in self.view.zone.members if name != region]
        left = [name for name in self._able() if name != region]
        if others and not any(map(eyes.seen_up, others)):
            self.breach(Invariant.MIN_HEALTHY, f"{region} is taken out while no other is seen up")
        if len(left) < self.view.zone.guards.min_serving and not self._overridden(move, "MinServing"):
            self.breach(Invariant.MIN_HEALTHY, f"without {region} {len(left)} regions serve")
        if move.cause in (*MILD, *PEOPLE) and region in self._serving() and not eyes.lost(region):
            self._from_the_living(move, left)
        if move.cause in MILD:
            self._lies_apart(move, self._changed_ago_s(region))

    def _from_the_living(self, move: Move, left: list[str]) -> None:
        guards, loads = self.view.zone.guards, self.view.loads
        out = len(self.view.zone.members) - len(self._serving())
        if out >= guards.max_cordoned and not self._overridden(move, "MaxCordoned"):
            self.breach(Invariant.MIN_HEALTHY, f"{move.region} is the {out + 1}th to be out, not being lost")
        calls = sum(loads[name].active_calls for name in self.standing if name in loads)
        room = sum(_room(loads[name]) for name in left if name in loads)
        if room < calls and not self._overridden(move, "Capacity") and any(map(_room, loads.values())):
            self.breach(Invariant.CAPACITY, f"without {move.region} there is room for {room} of {calls} calls")
        if move.cause is Cause.WITHDRAWN:
            self._own_fault(move.region)

    def _own_fault(self, region: str) -> None:
        """A region leaves for what ails it alone, and all of its agents."""
        asked = next((each for each in self.view.withdrawals if each.region == region), None)
        shared = asked is not None and any(
            seen.observer != region and seen.target in asked.ill and seen.verdict is Verdict.DOWN
            for seen in self.view.observations
            if seen.tier is Tier.PROVIDER and seen.heard_age_s <= HEARD_WITHIN_S
        )
        if asked is None or shared or asked.agents < asked.of_agents:
            self.breach(Invariant.ISOLATION, f"{region} is withdrawn for what is not its own fault")

    def _back(self, move: Move) -> None:
        region, eyes = move.region, self.eyes
        if eyes.lost(region) and move.cause is not Cause.ILLEGAL:
            self.breach(Invariant.QUORUM, f"{region} is given calls while a quorum sees it down")
        desperate = not self._able()
        if move.turn is Turn.RAISE:
            step_s = self.view.zone.dwell_s / max(len(self.view.zone.ramp) - 1, 1)
            ago_s = self.view.memory[region].stepped_ago_s or 0.0
            if min(ago_s, eyes.well_for_s(region)) < step_s * TOLERANCE and not self._overridden(move, "Ramp"):
                self.breach(Invariant.DWELL, f"{region} is raised {ago_s:.0f} s after its last step")
            return
        if move.cause in (*PEOPLE, Cause.ILLEGAL):
            return
        up, against = eyes.saying(region, Verdict.UP), eyes.saying(region, Verdict.DOWN, Verdict.DEGRADED)
        if up < eyes.needed(region) and not (desperate and up and not against):
            self.breach(Invariant.QUORUM, f"{region} comes back on the word of {up} against {against}")
        if move.cause in DWELLS and not desperate:
            remembered = self.view.memory.get(region)
            cordon = remembered.cordons.get(move.cause) if remembered else None
            self._lies_apart(move, cordon.changed_ago_s if cordon else None)
            if self.view.rewound and not self._overridden(move, "RewoundHistory"):
                self.breach(Invariant.DWELL, f"{region} comes back on a memory that was rewound")

    def _ramped(self, move: Move) -> None:
        """What comes back to serve begins at the first step of the ramp; what only now joins does not."""
        stored = next((step.memory for step in self.plan.steps if isinstance(step, StoreMemory)), {})
        ramped = move.turn is Turn.BACK and move.cause is not Cause.ABSENT and len(self.view.zone.ramp) > 1
        if not ramped or self.standing[move.region] or move.region not in stored:
            return
        if stored[move.region].step != 0 and not stored[move.region].standing:
            self.breach(Invariant.CAPACITY, f"{move.region} comes back at once to all of its calls")

    def _lies_apart(self, move: Move, ago_s: float | None) -> None:
        """A dwell from the opposite move, grown with each time the cause struck again; unknown is just now."""
        remembered = self.view.memory.get(move.region)
        cordon = remembered.cordons.get(move.cause) if remembered else None
        doublings = min(max((cordon.flaps if cordon else 0) - 1, 0), DOUBLINGS_MAX)
        needed_s = self.view.zone.dwell_s * 2**doublings * TOLERANCE - ROUNDED_S
        well_for_s = self.eyes.well_for_s(move.region) if move.turn is Turn.BACK else needed_s
        if self._overridden(move, "Dwell") or (ago_s is None and self._overridden(move, "UnknownHistory")):
            return
        if ago_s is None or min(ago_s, well_for_s) < needed_s:
            what = f"{move.region} {move.turn.value} ({move.cause.value}) {ago_s} s after its last move"
            self.breach(Invariant.DWELL, f"{what}, well for {well_for_s:.0f} s, {needed_s:.0f} s are needed")

    def _orders(self) -> None:
        """What people said binds, and no more than they said."""
        view = self.view
        held = view.paused or view.zone.paused
        moved = [move.region for move in self.plan.moves]
        moved += [step.region for step in self.plan.steps if isinstance(step, SetOrigin)]
        for region in moved if held else ():
            if _legal(view, region):
                self.breach(Invariant.ORDERS, f"{region} is moved while a person holds the fleet")
        for each in self.plan.overridden:
            if each.guard.code not in OVERRIDABLE or each.guard.code != each.override.guard:
                words = f"an order about {each.override.guard} lifted {each.guard.code} for {each.action.region}"
                self.breach(Invariant.ORDERS, words)

    def _troubled(self) -> Iterator[str]:
        for name, causes in self.standing.items():
            against = self.eyes.saying(name, Verdict.DOWN, Verdict.DEGRADED)
            if causes & set(TROUBLE) or against >= self.eyes.needed(name):
                yield name

    def _overridden(self, move: Move, code: str) -> bool:
        return any(each.action == move and each.guard.code == code for each in self.plan.overridden)

    def _serving(self) -> list[str]:
        return [name for name, causes in self.standing.items() if not causes and _legal(self.view, name)]

    def _able(self) -> list[str]:
        return [name for name in self._serving() if self.eyes.seen_up(name)]

    def _changed_ago_s(self, region: str) -> float | None:
        remembered = self.view.memory.get(region)
        ages = [cordon.changed_ago_s for cordon in remembered.cordons.values()] if remembered else []
        known = [age for age in ages if age is not None]
        return None if len(known) < len(ages) else min(known, default=float("inf"))


def _room(load: Load) -> int:
    return load.active_calls + load.room if load.ready_pods else 0
