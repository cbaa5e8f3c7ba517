"""The invariants, looked at after every step that could break them, by one who knows the truth of the simulated world.

Each check is named for its invariant in `holdfast_gameday.invariants`. What the fleet could not know is not held
against it: a lie by a minority is, a region that died a second ago is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core import reasons, status
from holdfast.core.plans import Move, Plan, ReadBack, SetOrigin, Step, StoreMemory, Turn, View
from holdfast.core.values import Cause, Intent, RegionMemory
from holdfast_gameday.faults import Fault, Group, Kind
from holdfast_gameday.invariants import Invariant, Violation
from holdfast_gameday.simulation.liveness import Liveness
from holdfast_gameday.simulation.second_opinion import SecondOpinion
from holdfast_gameday.simulation.vendors import Change, Origin

if TYPE_CHECKING:
    from holdfast_gameday.simulation.operators import Operator
    from holdfast_gameday.simulation.world import World

NEVER_AT = float("-inf")
KNOWN_AFTER_S = 20.0
REREAD_WITHIN_S = 45.0
STATUS_EVERY_S = 20.0
CLOCK_TOLERANCE = 0.95
DWELLS = (Cause.LOST, Cause.FOUND_OFF, Cause.WITHDRAWN, Cause.DEGRADED)
FORGETFUL = (Kind.GARBLED, Kind.LEASE_DELETED, Kind.RESTORED)
VIOLATIONS_MAX = 5


class Judge:
    """Sees every step of a seed, and writes down what must not be."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[Violation] = []
        self.decisions = 0
        self.writes = 0
        self.last_write_at = 0.0
        self.active: list[Fault] = []
        self.last_edge_at = 0.0
        self.epochs: dict[int, str] = {}
        self._out_since: dict[tuple[str, Cause], float] = {}
        self._foreign_at: dict[str, float] = {}
        self._ill_since: dict[str, float] = {}
        self._stored: dict[str, RegionMemory] = {}
        self._well_since: dict[str, float] = {}
        self.liveness = Liveness(world)
        self.false_moves = 0
        self._status_due = 0.0
        self._stale_until: dict[str, float] = {}
        self._second_opinion = SecondOpinion(self.breach)

    def breach(self, invariant: Invariant, what: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            violation = Violation(invariant, self.world.engine.now, what)
            self.violations.append(violation)
            self.world.story.tell(self.world.engine.now, "BROKEN", f"{invariant.code} {what}")

    # What happens.

    def struck(self, fault: Fault) -> None:
        if fault.for_s:
            self.active.append(fault)
        if fault.kind is Kind.STALE_READS:
            self._stale_until[fault.target] = fault.until_s
        if fault.kind is Kind.LEASES_DELETED:
            # The count of epochs is gone with the Leases. What is written at the levers binds still, and is
            # judged there.
            self.epochs.clear()
        self.last_edge_at = self.world.engine.now
        self.world.sometimes[f"fault {fault.kind.word}"] += 1
        self.liveness.struck(fault)

    def healed(self, fault: Fault) -> None:
        self.active.remove(fault)
        if fault.kind is Kind.STALE_READS:
            self._stale_until[fault.target] = self.world.engine.now
        self.last_edge_at = self.world.engine.now

    def leads(self, _operator: Operator) -> None:
        self._one_holder()

    def decided(self, operator: Operator, view: View, plan: Plan) -> None:
        self.decisions += 1
        if view.fence is None:
            if plan.steps:
                self.breach(Invariant.FENCED, f"{operator.name} plans steps without a fence")
            return
        self._note_health()
        self._second_opinion.judge(view, plan)
        self._holds_when_all_ill(view, plan)
        self._leaves_somebody(view, plan)
        self._stays_legal(view, plan)
        self._fits(view, plan)
        for move in plan.moves:
            self._moved(operator, view, plan, move)
        for carrier_move in plan.carrier_moves:
            words = f"carrier {carrier_move.carrier} {carrier_move.turn.value}"
            self.world.sometimes[f"moved {carrier_move.turn.value} carrier"] += 1
            self.world.story.tell(self.world.engine.now, operator.name, f"decides {words}")
        for overridden in plan.overridden:
            self.world.sometimes[f"overridden {overridden.guard.code}"] += 1

    def published(self, operator: Operator, view: View, plan: Plan) -> None:
        story, now = self.world.story, self.world.engine.now
        if view.fence is None:
            return
        self.world.weights = dict(plan.weights)
        refusals = "; ".join(sorted({f"{_subject(each.action)} {each.reason.code}" for each in plan.refusals}))
        story.tell_change(now, operator.name, "refused", refusals)
        for refusal in plan.refusals:
            self.world.sometimes[f"refused {refusal.reason.code}"] += 1
        story.tell_change(now, operator.name, "weights", " ".join(f"{k}={v}" for k, v in plan.weights.items()))
        standby = [region.name for region in view.zone.regions if region.weight == 0 and plan.weights.get(region.name)]
        if standby:
            self.world.sometimes["standby used"] += 1
        if plan.shed:
            self.world.sometimes["shed"] += 1
            story.tell_change(now, operator.name, "shed", plan.shed.reason.message)
        if now >= self._status_due:
            self._status_due = now + STATUS_EVERY_S
            self._truthful(operator, view, plan)

    def acted(self, operator: Operator, view: View, plan: Plan) -> None:
        """The status as it is told after a plan was run."""
        self._truthful(operator, view, plan)

    def sends(self, operator: Operator, step: SetOrigin) -> None:
        self._one_holder()
        for other in self.world.operators.values():
            if other is not operator and other.leads():
                self.breach(Invariant.FENCED, f"{operator.name} writes while {other.name} leads")
        if step.enabled and not self._legal(step.region):
            self.breach(Invariant.RESIDENCY, f"{operator.name} turns {step.region} on, outside the zone's residency")

    def ran(self, step: Step, *, done: bool) -> None:
        if isinstance(step, StoreMemory) and done:
            self._reached(dict(step.memory))
            self._false_moves(dict(step.memory))
            self._stored = dict(step.memory)
            self.liveness.stored(self._stored)
            self.world.sometimes["memory stored"] += 1
        elif isinstance(step, ReadBack) and done:
            self.world.sometimes["unknown read" if step.expected is None else "write read back"] += 1
            if step.expected is False:
                self.liveness.read_back(step.region)

    def committed(self, lever: str, region: str, before: Origin, after: Origin, change: Change | None) -> None:
        now = self.world.engine.now
        if change is None:
            self._foreign_at[lever] = now
            return
        self.writes += 1
        self.last_write_at = now
        if not before.marked:
            self.breach(Invariant.OWNERSHIP, f"{region} at {lever} lacks our mark and was changed")
        if "late" in after.touched:
            self._foreign_at[lever] = now
            return
        if after.epoch < before.epoch:
            self.breach(Invariant.FENCED, f"the epoch of {region} at {lever} fell from {before.epoch} to {after.epoch}")
        for other in self.world.operators.values():
            fence = other.vote.fence()
            if fence is not None and fence.epoch > change.fence.epoch:
                self.breach(Invariant.FENCED, f"a write of epoch {change.fence.epoch} took effect under {fence.epoch}")
        if before.enabled and not after.enabled:
            self._leaves_one_on(lever, region)

    def looked(self) -> None:
        """Every few seconds, whatever happens."""
        self._note_health()
        calls = self.world.calls
        if abs(calls.total() - calls.started) > 1e-6 * calls.started:
            self.breach(Invariant.ONCE, f"{calls.started:.6f} calls began, {calls.total():.6f} are accounted for")

    # I3.

    def _one_holder(self) -> None:
        fences = [fence for each in self.world.operators.values() if (fence := each.vote.fence())]
        if len(fences) > 1:
            self.breach(Invariant.FENCED, f"{' and '.join(fence.holder for fence in fences)} may both write")
        for fence in fences:
            if self.epochs.setdefault(fence.epoch, fence.holder) != fence.holder:
                self.breach(Invariant.FENCED, f"epoch {fence.epoch} is used by two holders")
            if fence.epoch < max(self.epochs):
                self.breach(Invariant.FENCED, f"epoch {fence.epoch} follows {max(self.epochs)}")

    # I1.

    def _note_health(self) -> None:
        now = self.world.engine.now
        for name, entry in self.world.entries.items():
            if entry.well(now) and not self._cut_off(name):
                self._well_since.setdefault(name, now)
            else:
                self._well_since.pop(name, None)
            if entry.answers(now):
                self._ill_since.pop(name, None)
            else:
                self._ill_since.setdefault(name, now)

    def _cut_off(self, region: str) -> bool:
        """Whether calls have trouble to get there, however well it is in itself."""
        lossy = any(fault.kind is Kind.LOSS and fault.target == region for fault in self.active)
        split = {fault.target for fault in self.active if fault.kind is Kind.SPLIT and fault.other == region}
        split |= {fault.other for fault in self.active if fault.kind is Kind.SPLIT and fault.target == region}
        return lossy or 2 * len(split) > len(self.world.zone.observers_of(region))

    def _leaves_one_on(self, lever: str, region: str) -> None:
        now, origins = self.world.engine.now, self.world.vendors[lever].origins
        foreign = now - self._foreign_at.get(lever, NEVER_AT) < REREAD_WITHIN_S
        if not self._legal(region) or foreign or self._disturbed(lever):
            return
        on = [name for name, origin in origins.items() if origin.enabled and name != region]
        if not on:
            self.breach(Invariant.NEVER_EMPTY, f"{region} was the last origin on at {lever}")
        dead = all(now - self._ill_since.get(name, now) > KNOWN_AFTER_S for name in on)
        if on and dead and self.world.entries[region].answers(now):
            self.breach(Invariant.NEVER_EMPTY, f"{region} was the last origin at {lever} that answers")

    def _disturbed(self, lever: str) -> bool:
        """Whether what is read at this lever cannot be relied on."""
        return any(fault.target == lever and fault.kind in (Kind.STALE_READS, Kind.LATE) for fault in self.active)

    def _legal(self, region: str) -> bool:
        return self.world.regions[region].jurisdiction == self.world.zone.residency

    # I2.

    def _stays_legal(self, view: View, plan: Plan) -> None:
        abroad = [name for name, weight in plan.weights.items() if weight and not view.legal(name)]
        if plan.fallback is not None and not view.legal(plan.fallback.region):
            abroad.append(plan.fallback.region)
        on = [step.region for step in plan.steps if isinstance(step, SetOrigin) and step.enabled]
        abroad += [name for name in on if not view.legal(name)]
        if abroad:
            self.breach(Invariant.RESIDENCY, f"{', '.join(abroad)} would get calls outside the zone's residency")

    # I4.

    def _fits(self, view: View, plan: Plan) -> None:
        used = {name: weight for name, weight in plan.weights.items() if weight}
        if plan.shed or not used or any(name not in view.loads for name in used):
            return
        if not any(view.loads[name].ready_pods for name in used):
            return
        calls, total = sum(load.active_calls for load in view.loads.values()), sum(used.values())
        for name, weight in used.items():
            predicted, limit = calls * weight / total, view.loads[name].capacity
            if predicted > limit + calls / 20 + 1:
                words = f"{name} would get {predicted:.0f} calls and takes {limit}, nothing is shed"
                self.breach(Invariant.CAPACITY, words)

    # I5.

    def _holds_when_all_ill(self, view: View, plan: Plan) -> None:
        if any(view.tally(name).seen_up for name in view.zone.members):
            return
        moved = [move.region for move in plan.moves if move.turn is Turn.OUT and move.cause is not Cause.ILLEGAL]
        if moved:
            self.breach(Invariant.MIN_HEALTHY, f"{', '.join(moved)} cordoned while everything looks ill")

    def _leaves_somebody(self, view: View, plan: Plan) -> None:
        stored = next((step.memory for step in plan.steps if isinstance(step, StoreMemory)), None)
        cordoned = [move.region for move in plan.moves if move.turn is Turn.OUT and move.cause is not Cause.ILLEGAL]
        if stored is None or not cordoned:
            return
        left = [name for name in view.zone.members if name not in stored or stored[name].intent is Intent.SERVING]
        if not any(view.legal(name) for name in left):
            self.breach(Invariant.MIN_HEALTHY, f"{', '.join(cordoned)} cordoned, which leaves nobody")

    # I10, I13.

    def _moved(self, operator: Operator, view: View, plan: Plan, move: Move) -> None:
        now, key = self.world.engine.now, (move.region, move.cause)
        words = f"{move.region} {move.turn.value} ({move.cause.value}): {move.reason.message}"
        self.world.story.tell(now, operator.name, f"decides {words}")
        self.world.sometimes[f"moved {move.turn.value} {move.cause.value}"] += 1
        if move.turn is Turn.OUT:
            self._out_since.setdefault(key, now)
            self._untouched(view, move)
        elif move.turn is Turn.BACK:
            since = self._out_since.pop(key, None)
            overridden = any(each.guard.code == reasons.DWELL for each in plan.overridden)
            bound = move.cause in DWELLS and view.able() and not overridden
            if since is not None and bound and now - since < self.world.zone.dwell_s * CLOCK_TOLERANCE:
                words = f"{move.region} is back {now - since:.1f} s after it went out ({move.cause.value})"
                self.breach(Invariant.DWELL, words)

    def _untouched(self, view: View, move: Move) -> None:
        """A region that nothing ails is not moved, as long as the faults elsewhere blind no quorum of observers."""
        if move.cause not in (Cause.LOST, Cause.DEGRADED) or not self.world.truly_well(move.region):
            return
        faults = [fault for fault in self.world.schedule.faults if fault.at_s <= self.world.engine.now]
        named = {name for fault in faults for name in (fault.target, fault.other)}
        blind = {fault.target for fault in faults if fault.kind.group in (Group.PROBE, Group.NETWORK, Group.PROCESS)}
        if move.region not in named and len(blind) < view.tally(move.region).needed:
            self.breach(Invariant.ISOLATION, f"{move.region} is taken out, which no fault has touched")

    def _reached(self, memory: dict[str, RegionMemory]) -> None:
        """Paths that show only in what is remembered."""
        for name, known in memory.items():
            before = self._stored.get(name)
            if before and before.step is not None and known.step is None and not known.standing:
                self.world.sometimes["ramp completed"] += 1
            if len(known.standing) > 1:
                self.world.sometimes["two causes at once"] += 1

    def _false_moves(self, memory: dict[str, RegionMemory]) -> None:
        """Counted, not forbidden: a region taken out for its health that has been well for a while."""
        for name, known in memory.items():
            before = self._stored.get(name, RegionMemory()).standing
            new = [cause for cause in known.standing if cause not in before and cause in (Cause.LOST, Cause.DEGRADED)]
            if new and self.world.engine.now - self._well_since.get(name, self.world.engine.now) > KNOWN_AFTER_S:
                self.false_moves += 1
                self.world.sometimes["false move"] += 1

    # I11.

    def _truthful(self, operator: Operator, view: View, plan: Plan) -> None:
        for name in view.zone.members:
            conditions = status.region(name, view, plan=plan)
            synced = next(each for each in conditions if each.type == status.ROUTE_IN_SYNC)
            if synced.status is not True:
                continue
            wanted = view.remembered(name).intent is Intent.SERVING
            for lever in view.levers_of(name):
                vendor = self.world.vendors[lever]
                age_s = view.origin(lever, name).read_age_s + 0.1
                read_at = self.world.engine.now - age_s
                if vendor.changed_since(name, read_at) or read_at < self._stale_until.get(lever, NEVER_AT):
                    continue
                if vendor.origins[name].enabled is not wanted:
                    words = f"{operator.name} says that {name} is in sync at {lever}, which it is not"
                    self.breach(Invariant.TRUTHFUL, words)


def _subject(action: object) -> str:
    match action:
        case Move():
            return f"{action.region} {action.turn.value} ({action.cause.value})"
        case SetOrigin():
            return f"{action.region} {'on' if action.enabled else 'off'} at {action.lever}"
        case _:
            return str(getattr(action, "carrier", ""))
