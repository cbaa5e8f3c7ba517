"""Which regions of a zone take calls: one view in, one plan out.

The plan is level-triggered. First the fleet's mind is made up: `wants` says what is wished and why, and `guards` may
refuse it. Then `writes` compares the levers with what is wanted. What is decided takes effect in this order, so that
a plan may stop after any step:

    StoreMemory     the mind and its age, in a majority, before anything is written
    SetOrigin on    what comes back, then ReadBack
    SetOrigin off   what is lost, then ReadBack; never before what replaces it was read back as on
    ReadBack        origins of which nothing is known; until then nothing leans on them

Beside the steps a plan says how things are to stand meanwhile: weights, the carriers' fallback, the order of carriers.
This module knows neither a vendor nor who runs the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from holdfast.core import carriers, dwells, fallback, guards, reasons, room, wants, weights, writes
from holdfast.core.plans import Move, Overridden, Plan, Refusal, StoreMemory, Turn, View
from holdfast.core.values import NEVER_S, Cause, Cordon, Fence, RegionMemory

SHIFT_DRIFT_S = 10.0  # clocks on walls differ by less, and a rewritten end by more


def decide(view: View, now: float) -> Plan:
    """`now` is on the clock on which `wake_at` will be read; every other time is an age."""
    after, moves, refusals, overridden = _make_up_mind(_reshifted(_joined(_found_off(view))))
    choice = carriers.decide(view)
    spread, shed = weights.effective(view)
    plan = Plan(
        moves=moves,
        carrier_moves=choice.moves,
        refusals=(*refusals, *choice.refusals),
        overridden=overridden,
        weights=spread,
        shed=shed,
        fallback=fallback.choose(view.zone, regions=view.regions, serving=view.serving()),
        carriers=choice.order,
        wake_at=_wake_at(after, now),
    )
    fence = guards.authority(view)
    if fence is None:
        return replace(plan, moves=(), carrier_moves=())
    after = _aging(after)
    wanted = writes.steps(after, fence)
    steps = wanted.steps
    if wanted.writes or after.memory != view.memory or choice.memory != view.carriers:
        steps = (_store(after, choice, fence), *steps)
    return replace(
        plan,
        steps=steps,
        refusals=(*plan.refusals, *wanted.refusals),
        overridden=(*overridden, *wanted.overridden),
    )


def lost(view: View) -> tuple[str, ...]:
    """The regions whose calls the others should fetch: cordoned, and still confirmed down."""
    serving = view.serving()
    return tuple(name for name in view.zone.members if name not in serving and view.tally(name).lost)


def moving(view: View) -> bool:
    """Whether calls wait for something to be done: a region that serves is found down, or a leader's lever differs."""
    if any(view.tally(name).suspected for name in view.serving()):
        return True
    return view.fence is not None and not all(
        writes.as_wanted(region, lever, view, enabled=enabled)
        for region, lever, enabled in writes.desired(view)
        if not view.lever(lever).dry_run
    )


def _make_up_mind(view: View) -> tuple[View, tuple[Move, ...], tuple[Refusal, ...], tuple[Overridden, ...]]:
    """Each wish is judged in the light of those granted before it."""
    moves: list[Move] = []
    refusals: list[Refusal] = []
    overridden: list[Overridden] = []
    for move in wants.moves(view):
        if move.turn is Turn.OUT and wants.needless(move.cause, move.region, view):
            continue
        reason, kept_from_binding = guards.refuse(move, view)
        if reason:
            refusals.append(Refusal(move, reason))
            continue
        moves.append(move)
        overridden += kept_from_binding
        view = view.with_memory(move.region, _moved(move, view))
    for move in _together(refusals, view):
        refusals = [refusal for refusal in refusals if refusal.action is not move]
        moves.append(move)
        view = view.with_memory(move.region, _moved(move, view))
    return view, tuple(moves), tuple(refusals), tuple(overridden)


def _together(refusals: Sequence[Refusal], view: View) -> Sequence[Move]:
    """Returns that have room beside one another, though none of them alone: each is judged as if the others were back.

    Without this, regions of which a standby carries the calls would wait for one another for ever. Their whole weight
    must fit, since those that climb side by side share all calls from the first step on.
    """
    short = [refusal.action for refusal in refusals if refusal.reason.code == reasons.CAPACITY]
    returning = [action for action in short if isinstance(action, Move) and action.turn is Turn.BACK]
    while True:
        fitting = [move for move in returning if _fits(move, _beside(move, returning, view))]
        if fitting == returning:
            return fitting
        returning = fitting


def _fits(move: Move, view: View) -> bool:
    return room.here(move, view, whole=True) is None and guards.refuse(move, view)[0] is None


def _beside(move: Move, returning: Sequence[Move], view: View) -> View:
    """The view once all the others are back."""
    for other in returning:
        if other is not move:
            view = view.with_memory(other.region, _moved(other, view))
    return view


def _found_off(view: View) -> View:
    """Take an origin that is off, with no record of why, for a cordon of unknown age.

    Somebody had a reason to turn it off. Only when no other region would be left on is it turned on at once.
    """
    for name in view.zone.members:
        if name in view.memory and not (view.rewound and not view.remembered(name).standing):
            continue
        others_on = any(state.enabled for state in view.origins if state.region != name)
        states = [view.enabled(lever, name) for lever in view.levers_of(name)]
        if states and others_on and all(enabled is False for enabled in states):
            found = Cordon(stands=True, changed_ago_s=None, reason="found off, with no record of why")
            before = view.remembered(name)
            view = view.with_memory(name, replace(before, cordons={**before.cordons, Cause.FOUND_OFF: found}))
    return view


def _joined(view: View) -> View:
    """A region that a quorum sees well is remembered from then on: when it falls now, it is lost and not absent."""
    for name in view.zone.members:
        if not view.joined(name) and view.legal(name) and view.tally(name).well:
            view = view.with_memory(name, RegionMemory())
    return view


def _reshifted(view: View) -> View:
    """A shift that is told with another end, or in another cluster, than it began with goes by what is told now."""
    for name in view.zone.members:
        remembered = view.remembered(name)
        for cause in guards.ON_PURPOSE:
            running = wants.shift(name, cause, view)
            if running is None or cause not in remembered.standing:
                continue
            cordon = remembered.cordons[cause]
            drift_s = abs((cordon.remaining_s or 0.0) - running.remaining_s)
            if drift_s > SHIFT_DRIFT_S or cordon.told_by != running.told_by:
                told = replace(cordon, remaining_s=running.remaining_s, told_by=running.told_by)
                view = view.with_memory(name, replace(remembered, cordons={**remembered.cordons, cause: told}))
    return view


def _moved(move: Move, view: View) -> RegionMemory:
    """The memory of a region after a move."""
    before = view.remembered(move.region)
    if move.turn is Turn.RAISE:
        following = (before.step or 0) + 1
        last = following >= len(view.zone.ramp) - 1
        return replace(before, step=None if last else following, stepped_ago_s=0.0)
    cordon = before.cordons.get(move.cause, Cordon(stands=False, changed_ago_s=NEVER_S))
    if move.turn is Turn.OUT:
        cordon = _struck(move, cordon, view)
        return RegionMemory({**before.cordons, move.cause: cordon})
    cordon = replace(cordon, stands=False, changed_ago_s=0.0, reason=move.reason.message, remaining_s=None)
    back = RegionMemory({**before.cordons, move.cause: cordon})
    ramped = not back.standing and move.cause is not Cause.ABSENT and len(view.zone.ramp) > 1
    return replace(back, step=0) if ramped else back


def _struck(move: Move, before: Cordon, view: View) -> Cordon:
    running = wants.shift(move.region, move.cause, view)
    return Cordon(
        stands=True,
        changed_ago_s=0.0,
        flaps=dwells.flaps(before, view),
        reason=move.reason.message,
        remaining_s=running.remaining_s if running else None,
        told_by=running.told_by if running else "",
    )


def _aging(view: View) -> View:
    """Unknown history counts as moved just now, and from now on its age is known."""
    for name, remembered in view.memory.items():
        unknown = [cause for cause, cordon in remembered.cordons.items() if cordon.changed_ago_s is None]
        if unknown or remembered.stepped_ago_s is None:
            dated = {cause: replace(remembered.cordons[cause], changed_ago_s=0.0) for cause in unknown}
            known = replace(remembered, cordons={**remembered.cordons, **dated})
            view = view.with_memory(name, replace(known, stepped_ago_s=remembered.stepped_ago_s or 0.0))
    return view


def _store(view: View, choice: carriers.Choice, fence: Fence) -> StoreMemory:
    """A region that left the zone is forgotten, or the memory would one day not fit."""
    members = {name: remembered for name, remembered in view.memory.items() if name in view.zone.members}
    return StoreMemory(fence, members, choice.memory, f"{fence.zone}/{fence.epoch}/memory")


def _wake_at(view: View, now: float) -> float | None:
    """When the next thing becomes possible by mere waiting: a dwell, a step of a ramp, or the end of a shift."""
    waits: list[float] = []
    for name in view.zone.members:
        remembered, well_for_s = view.remembered(name), view.tally(name).well_for_s
        for cause in remembered.standing:
            cordon = remembered.cordons[cause]
            if cordon.remaining_s is not None:
                waits.append(cordon.remaining_s)
            elif cause in guards.DWELLS and well_for_s > 0:
                waits.append(dwells.dwell_s(name, cause, view) - min(cordon.changed_ago_s or 0.0, well_for_s))
        if remembered.step is not None and not remembered.standing:
            waits.append(dwells.ramp_step_s(view) - min(remembered.stepped_ago_s or 0.0, well_for_s))
    return now + min(ahead) if (ahead := [wait for wait in waits if wait > 0]) else None
