"""Which regions of a zone take calls: one view in, one plan out.

The plan is level-triggered. First the fleet's mind is made up (moves, which the guards may refuse), then
every origin that differs from it is written. Nothing is taken out before what replaces it was read back
as on, so a plan may stop after any step:

    StoreMemory     the intent and its age, in a majority, before anything is written
    SetOrigin on    what comes back
    ReadBack
    SetOrigin off   what is lost
    ReadBack
    ReadBack        origins of which nothing is known; until then nothing leans on them

This module knows neither a vendor nor who runs the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.core import guards, reasons
from holdfast.core.plans import (
    NEVER_S,
    Action,
    Move,
    Plan,
    ReadBack,
    Refusal,
    SetOrigin,
    Step,
    StoreMemory,
    View,
)
from holdfast.core.values import Fence, Intent, Reason, RegionMemory, Verdict

__all__ = [
    "Action", "Move", "Plan", "ReadBack", "Refusal", "SetOrigin", "Step", "StoreMemory", "View", "decide", "lost",
]

FLAPS_FORGIVEN_AFTER_DWELLS = 12


def decide(view: View, now: float) -> Plan:
    """`now` is on the clock on which `wake_at` will be read; every other time is an age."""
    after = _found_off(view)
    moves: list[Move] = []
    refusals: list[Refusal] = []
    for move in _wanted(after):
        if reason := guards.refuse(move, after):
            refusals.append(Refusal(move, reason))
            continue
        moves.append(move)
        after = after.with_memory(move.region, _moved(move, after))
    wake_at = _wake_at(after, now)
    fence = guards.authority(view)
    if fence is None:
        return Plan(refusals=tuple(refusals), wake_at=wake_at)
    after = _aging(after)
    steps, refused = _writes(after, fence)
    if after.memory != view.memory or any(isinstance(step, SetOrigin) for step in steps):
        steps.insert(0, StoreMemory(fence, after.memory))
    return Plan(tuple(steps), tuple(moves), (*refusals, *refused), wake_at)


def lost(view: View) -> tuple[str, ...]:
    """The regions whose calls the others should fetch: cordoned, and still confirmed down."""
    serving = view.serving()
    return tuple(name for name in view.zone.members if name not in serving and view.tally(name).lost)


def _found_off(view: View) -> View:
    """Take an origin that is off, with no record of why, for a cordon of unknown age.

    Somebody had a reason to turn it off. Only when no other region would be left on is it turned on at once.
    """
    for name in view.zone.members:
        others_on = any(state.enabled for state in view.origins if state.region != name)
        states = [view.enabled(lever, name) for lever in view.levers_of(name)]
        all_off = bool(states) and all(enabled is False for enabled in states)
        if name not in view.memory and all_off and others_on:
            found = RegionMemory(Intent.CORDONED, None, reason="found off, with no record of why")
            view = view.with_memory(name, found)
    return view


def _wanted(view: View) -> Iterator[Move]:
    """What the evidence suggests, before any guard is asked. Returns come first: they make losses bearable."""
    serving = view.serving()
    for name in view.zone.members:
        tally = view.tally(name)
        if name not in serving and tally.up:
            message = f"{len(tally.up)} of {tally.observers} observers see {name} up again"
            yield Move(name, Intent.SERVING, Reason(reasons.REGION_RECOVERED, message))
    for name in serving:
        tally = view.tally(name)
        if any(seen.verdict is Verdict.DOWN for seen in (*tally.down, *tally.doubting)):
            yield Move(name, Intent.CORDONED, Reason(reasons.REGION_LOST, tally.describe()))


def _moved(move: Move, view: View) -> RegionMemory:
    before = view.remembered(move.region)
    flaps = before.flaps
    if move.intent is Intent.CORDONED:
        calm_s = NEVER_S if before.changed_ago_s is None else before.changed_ago_s
        flaps = 1 if calm_s >= FLAPS_FORGIVEN_AFTER_DWELLS * view.zone.dwell_s else flaps + 1
    return RegionMemory(move.intent, 0.0, flaps, move.reason.message)


def _aging(view: View) -> View:
    """Unknown history counts as moved just now, and from now on its age is known."""
    for name, remembered in view.memory.items():
        if remembered.changed_ago_s is None:
            view = view.with_memory(name, replace(remembered, changed_ago_s=0.0))
    return view


def _writes(view: View, fence: Fence) -> tuple[list[Step], list[Refusal]]:
    """What differs at the levers from what is wanted; a write leaves its origin unknown until it is read back."""
    steps: list[Step] = []
    unknown: list[Step] = []
    refusals: list[Refusal] = []
    for region, lever, enabled in _desired(view):
        state = view.enabled(lever, region)
        if state is None:
            unknown.append(ReadBack(lever, region))
        elif state is not enabled:
            write = _write(region, lever, enabled=enabled, fence=fence, why=view.remembered(region).reason)
            if reason := guards.refuse(write, view):
                refusals.append(Refusal(write, reason))
                continue
            steps += [write, ReadBack(lever, region, enabled)]
            view = view.with_origin(lever, region, enabled=None)
    return steps + unknown, refusals


def _desired(view: View) -> Iterator[tuple[str, str, bool]]:
    """Region, lever, and whether its origin is to be on: what is turned on comes before what is turned off."""
    serving = view.serving()
    for enabled in (True, False):
        for name in view.zone.members:
            if (name in serving) is enabled:
                yield from ((name, lever, enabled) for lever in view.levers_of(name))


def _write(region: str, lever: str, *, enabled: bool, fence: Fence, why: str) -> SetOrigin:
    code, word = (reasons.REGION_RECOVERED, "on") if enabled else (reasons.REGION_LOST, "off")
    key = f"{fence.zone}/{fence.epoch}/{lever}/{region}/{word}"
    return SetOrigin(lever, region, enabled, fence, key, Reason(code, why or f"{region} is to be {word}"))


def _wake_at(view: View, now: float) -> float | None:
    """When the next cordoned region that is well will have waited long enough."""
    waits = [
        max(needed - (remembered.changed_ago_s or 0.0), needed - view.tally(name).well_for_s)
        for name, remembered in view.memory.items()
        if remembered.intent is Intent.CORDONED and view.tally(name).well
        for needed in (guards.dwell_s(name, view),)
    ]
    return now + min(ahead) if (ahead := [wait for wait in waits if wait > 0]) else None
