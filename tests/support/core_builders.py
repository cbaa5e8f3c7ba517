"""Builders of core values with defaults, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from holdfast.core.means import Lever
from holdfast.core.plans import Move, Turn, View
from holdfast.core.values import (
    Cause,
    Cordon,
    Fence,
    Guards,
    Load,
    Observation,
    OriginState,
    Reason,
    Region,
    RegionMemory,
    Verdict,
    Zone,
    ZoneRegion,
)

UP, DOWN, UNKNOWN, DEGRADED = Verdict.UP, Verdict.DOWN, Verdict.UNKNOWN, Verdict.DEGRADED
FENCE = Fence("eu", 7, "pod-1")
DOMAINS = {"fra": "hetzner", "ams": "leaseweb", "iad": "aws"}


def zone(
    members: Iterable[str] = ("fra", "ams"),
    witnesses: Iterable[str] = ("iad",),
    levers: Iterable[str] = ("edge",),
    *,
    guards: Guards | None = None,
    dwell_s: float = 300.0,
    ramp: tuple[int, ...] = (5, 25, 50, 100),
    weights: Mapping[str, int] | None = None,
    weighted: Iterable[str] = (),
    paused: bool = False,
) -> Zone:
    """Two regions of weight 50 and a witness; `weighted` names the levers that take a share."""
    told, taking = weights or {}, set(weighted)
    return Zone(
        name="eu", uid="z-1", generation=1, residency="eu", host="eu.voice.example.com",
        regions=tuple(ZoneRegion(name, told.get(name, 50)) for name in members), witnesses=tuple(witnesses),
        dwell_s=dwell_s, ramp=ramp, guards=guards or Guards(), paused=paused,
        levers=tuple(Lever(name, "cloudflareLoadBalancer", "", "", "", name in taking) for name in levers),
    )


def region(
    name: str, levers: Iterable[str] = ("edge",), failure_domain: str | None = None, jurisdiction: str = "eu"
) -> Region:
    domain = DOMAINS.get(name, name) if failure_domain is None else failure_domain
    return Region(name, f"{name}.voice.example.com", jurisdiction, domain, dict.fromkeys(levers, f"pool-{name}"))


def regions(of: Zone, abroad: Iterable[str] = ()) -> dict[str, Region]:
    """Every member, inside the residency unless it is named as lying abroad."""
    levers, outside = [lever.name for lever in of.levers], set(abroad)
    return {name: region(name, levers, jurisdiction="us" if name in outside else "eu") for name in of.members}


def out(name: str = "fra", cause: Cause = Cause.LOST) -> Move:
    return Move(name, Turn.OUT, cause, Reason("Test", "why"))


def back(name: str = "fra", cause: Cause = Cause.LOST) -> Move:
    return Move(name, Turn.BACK, cause, Reason("Test", "why"))


def raised(name: str = "fra") -> Move:
    return Move(name, Turn.RAISE, Cause.LOST, Reason("Test", "why"))


def said(
    observer: str, target: str, verdict: Verdict, *, heard_age_s: float = 0.5, held_s: float = 1000.0,
    self_doubt: bool = False, detail: str = "",
) -> Observation:
    return Observation(observer, target, verdict, heard_age_s, held_s, self_doubt, detail)


def all_say(of: Zone, verdicts: Mapping[str, Verdict] | None = None) -> tuple[Observation, ...]:
    """Every voter speaks of every member: up, unless told otherwise."""
    told = verdicts or {}
    return tuple(
        said(observer, target, told.get(target, UP)) for target in of.members for observer in of.observers_of(target)
    )


def origins(of: Zone, off: Iterable[str] = (), unknown: Iterable[str] = ()) -> tuple[OriginState, ...]:
    states = {**dict.fromkeys(off, False), **dict.fromkeys(unknown, None)}
    return tuple(
        OriginState(lever.name, name, states.get(name, True)) for lever in of.levers for name in of.members
    )


def cordoned(
    cause: Cause = Cause.LOST, ago_s: float | None = 1000.0, flaps: int = 1, reason: str = "", *, stands: bool = True,
    remaining_s: float | None = None, told_by: str = "", step: int | None = None,
) -> RegionMemory:
    """A region that one cause keeps out, or, not standing, once kept out."""
    return RegionMemory({cause: Cordon(stands, ago_s, flaps, reason, remaining_s, told_by)}, step)


def joined(of: Zone, **others: RegionMemory) -> dict[str, RegionMemory]:
    """Every region was seen well before; some have a history."""
    return {name: others.get(name, RegionMemory()) for name in of.members}


def loads(of: Zone, *, calls: int = 10, room: int = 90, pods: int = 2) -> dict[str, Load]:
    return {name: Load(pods, calls, room) for name in of.members}


def view(
    of: Zone | None = None,
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    observations: Iterable[Observation] | None = None,
    memory: Mapping[str, RegionMemory] | None = None,
    routes: Iterable[OriginState] | None = None,
    fence: Fence | None = FENCE,
    last_ack_age_s: float = 0.1,
    **more: Any,
) -> View:
    """A zone in good order, led by us, unless told otherwise; `more` are fields of the view."""
    of = of or zone()
    seen = View(
        zone=of, regions=regions(of), memory=joined(of) if memory is None else memory, fence=fence,
        last_ack_age_s=last_ack_age_s, heard_ago_s=dict.fromkeys(of.voters, 0.5),
        observations=all_say(of, verdicts) if observations is None else tuple(observations),
        origins=origins(of) if routes is None else tuple(routes),
    )
    return replace(seen, **more)
