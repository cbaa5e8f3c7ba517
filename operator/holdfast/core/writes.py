"""From what a zone wants to the requests that bring its levers there, in an order of which every prefix is safe.

A write leaves its origin unknown until it is read back, and nothing leans on the unknown. This module does not know
why a region is wanted on or off, beyond the words it passes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.core import guards, reasons
from holdfast.core.plans import Overridden, ReadBack, Refusal, SetOrigin, Step, View
from holdfast.core.values import Cause, Fence, Reason

CODES = {
    Cause.ILLEGAL: reasons.OUTSIDE_RESIDENCY,
    Cause.LOST: reasons.REGION_LOST,
    Cause.ABSENT: reasons.REGION_ABSENT,
    Cause.FOUND_OFF: reasons.FOUND_OFF,
    Cause.WITHDRAWN: reasons.REGION_WITHDRAWN,
    Cause.DEGRADED: reasons.REGION_DEGRADED,
    Cause.HUMAN: reasons.HUMAN_SHIFT,
    Cause.GAME_DAY: reasons.GAME_DAY_SHIFT,
}


@dataclass(frozen=True, slots=True)
class Writes:
    """What is to be done at the levers, and what was held back."""

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    overridden: tuple[Overridden, ...] = ()

    @property
    def writes(self) -> bool:
        return any(isinstance(step, SetOrigin) for step in self.steps)


def steps(view: View, fence: Fence) -> Writes:
    """What differs at the levers from what is wanted."""
    wanted: list[Step] = []
    unknown: list[Step] = []
    refusals: list[Refusal] = []
    overridden: list[Overridden] = []
    for region, lever, enabled in desired(view):
        if view.enabled(lever, region) is None:
            unknown.append(ReadBack(lever, region))
            continue
        if as_wanted(region, lever, view, enabled=enabled):
            continue
        write = _write(region, lever, view, enabled=enabled, fence=fence)
        reason, kept_from_binding = guards.refuse(write, view)
        if reason:
            refusals.append(Refusal(write, reason))
            continue
        overridden += kept_from_binding
        wanted += [write, ReadBack(lever, region, enabled)]
        view = view.with_origin(lever, region, enabled=None).with_spent(lever)
    return Writes((*wanted, *unknown), tuple(refusals), tuple(overridden))


def desired(view: View) -> Iterator[tuple[str, str, bool]]:
    """Region, lever, and whether its origin is to be on. What may not be there goes off first; else on before off."""
    serving = view.serving()
    illegal = [name for name in view.zone.members if not view.legal(name)]
    out = [name for name in view.zone.members if name not in serving and name not in illegal]
    for names, enabled in ((illegal, False), (serving, True), (out, False)):
        for name in names:
            yield from ((name, lever, enabled) for lever in view.levers_of(name))


def as_wanted(region: str, lever: str, view: View, *, enabled: bool) -> bool:
    """Whether an origin was read to be as it is to be, its share included where the lever takes one.

    A reading that contradicts our last write is no such proof: what is wanted is written again.
    """
    state = view.origin(lever, region)
    if state.contradicts:
        return False
    weighted = view.lever(lever).weighted
    return state.enabled is enabled and (not weighted or not enabled or state.share == view.given(region))


def _write(region: str, lever: str, view: View, *, enabled: bool, fence: Fence) -> SetOrigin:
    remembered = view.remembered(region)
    code = CODES[remembered.standing[0]] if remembered.standing else reasons.REGION_RECOVERED
    share = view.given(region) if enabled else 0
    word = "off" if not enabled else "on" if share == 100 else f"on-{share}"
    key = f"{fence.zone}/{fence.epoch}/{lever}/{region}/{word}"
    why = remembered.reason or f"{region} is to be {word}"
    return SetOrigin(lever, region, enabled, fence, key, Reason(code, why), share)
