"""What the fleet shows: directives for bridge pods and statuses for people, from the loops' last views. No I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast import kube
from holdfast.core import copies, directives, failover, providers, readiness, relays, status
from holdfast.core.plans import View
from holdfast.core.values import AgentRef, Intent, Load, Observation, Reason, Shift, Zone
from holdfast.desired import Desired
from holdfast.fleet_status import Target, Wanted
from holdfast.loop import ZoneLoop

__all__ = ["AgentRef", "Here", "Intent", "ZoneNow", "directive", "moving", "standings", "statuses"]

LOSSES_SHOWN = 64
PODS_SHOWN = 200
COPY_IN_SYNC = "CopyInSync"
NO_DIRECTIVE: Mapping[str, Any] = {
    "buddy": None, "regions": [], "attempts": [], "barred": [], "reasons": [], "drain": None, "lost": [],
    "iceServers": [],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ZoneNow:
    """One zone's loop, and who leads it under which epoch."""

    loop: ZoneLoop
    leader: str
    epoch: int
    troubles: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Here:
    """What this region knows by itself: the order of an agent's attempts, its relays, and what people ordered."""

    order: Callable[[AgentRef], providers.Order | None]
    ice: Callable[[Zone], relays.IceList | None] = lambda _zone: None
    shifts: Callable[[], Iterable[Shift]] = tuple


def _standing(zone: Zone, loop: ZoneLoop | None) -> directives.Standing:
    """Until the first look, every region of the zone counts as serving: fail static, not empty."""
    if loop is None or loop.view is None:
        return directives.Standing(serving=zone.members)
    return directives.Standing(serving=loop.view.serving(), lost=failover.lost(loop.view), weights=loop.plan.weights)


def standings(loops: Mapping[str, ZoneLoop]) -> Mapping[str, directives.Standing]:
    """What directives depend on, for telling whether they changed."""
    return {name: _standing(loop.view.zone, loop) for name, loop in loops.items() if loop.view is not None}


def moving(loops: Mapping[str, ZoneLoop]) -> bool:
    """Whether calls of any zone wait for a move."""
    return any(failover.moving(loop.view) for loop in loops.values() if loop.view is not None)


def directive(
    agent: AgentRef,
    region: str,
    desired: Desired,
    loops: Mapping[str, ZoneLoop],
    here: Here,
) -> Mapping[str, Any]:
    """What a pod of this agent is told, without its number. No attempts named: in the order of the pod's own file."""
    entry, zone = desired.agents.get(agent), desired.zone_of(agent)
    if zone is None:
        return NO_DIRECTIVE
    standing = _standing(zone, loops.get(zone.name))
    told = directives.directive(region, zone, regions=desired.regions, standing=standing)
    ice = here.ice(zone)
    told = replace(
        told,
        drain_s=directives.drain_s(region, zone, shifts=here.shifts(), serving=standing.serving),
        ice=ice.servers if ice else (),
    )
    if entry is not None and (found := here.order(agent)) is not None:
        barred = tuple(attempt.name for attempt in entry.spec.attempts if attempt.name not in found.names)
        told = replace(told, attempts=found.names, ill=found.ill, barred=barred, reasons=found.reasons)
    content = directives.message(told, version=0)
    return {key: value for key, value in content.items() if key != "version"}


def statuses(
    *,
    desired: Desired,
    zones: Mapping[str, ZoneNow],
    observations: Iterable[Observation],
    loads: Mapping[str, Load],
    fallbacks: Mapping[AgentRef, status.Condition],
    calls: Mapping[AgentRef, Mapping[str, int]],
    orders: Callable[[AgentRef], providers.Order | None],
    met: Callable[[AgentRef], Sequence[status.Condition]],
    losses: Callable[[View, Sequence[str]], Sequence[readiness.Loss]],
    notes: Mapping[copies.Key, Reason],
    wall_s: float,
) -> Mapping[Target, Wanted]:
    """Everything this operator has to say about the objects of its own cluster."""
    wanted: dict[Target, Wanted] = {}
    for name, now in zones.items():
        if now.loop.view is not None:
            wanted[kube.POLICIES, None, name] = _policy(now, notes, losses)
    seen = list(observations)
    for name in desired.regions:
        wanted[kube.REGIONS, None, name] = _region(name, zones, seen, loads.get(name), wall_s)
    for ref, entry in desired.agents.items():
        said = [fallbacks[ref]] if ref in fallbacks else []
        if (kept := status.vendor_storage_off(entry.spec)) is not None:
            said.append(kept)
        if (order := orders(ref)) is not None:
            said.append(status.attempts_well(order))
        said += met(ref)
        said += _note(notes, copies.Key("VoiceAgent", ref.namespace, ref.name))
        wanted[kube.AGENTS, ref.namespace, ref.name] = Wanted("VoiceAgent", counted(calls.get(ref, {})), said)
    return wanted


def counted(by_pod: Mapping[str, int]) -> dict[str, Any]:
    """The busiest pods are shown, and all calls are counted.

    Without pods their field is left out: an API server makes null of a map that is applied empty where it was not
    empty before, and then refuses the whole status for it.
    """
    busiest = sorted(by_pod.items(), key=lambda each: (-each[1], each[0]))[:PODS_SHOWN]
    return {"activeCalls": sum(by_pod.values())} | ({"callsByPod": dict(busiest)} if busiest else {})


def _policy(
    now: ZoneNow,
    notes: Mapping[copies.Key, Reason],
    losses: Callable[[View, Sequence[str]], Sequence[readiness.Loss]],
) -> Wanted:
    view = now.loop.view
    assert view is not None
    serving, found = view.serving(), losses(view, _choice(now.loop))
    conditions = [
        status.ready(view),
        status.quorum(view.zone, leader=now.leader or None),
        status.ready_for_loss(found),
        *_note(notes, copies.Key("FailoverPolicy", "", view.zone.name)),
    ]
    if view.fence is not None:
        conditions.append(status.levers_reachable(view.zone, failing=now.troubles))
        conditions.append(status.levers_as_kept(now.drift))
    fields: dict[str, Any] = {
        "leader": now.leader,
        "epoch": now.epoch,
        "serving": list(serving),
        "cordoned": [name for name in view.zone.members if name not in serving],
        "readiness": readiness.picture(found)[:LOSSES_SHOWN],
    }
    return Wanted("FailoverPolicy", fields, conditions, [entry.rendered() for entry in now.loop.ledger.entries])


def _choice(loop: ZoneLoop) -> tuple[str, ...]:
    """The order of carriers, where there is one: numbers that lie with the only one cannot be answered elsewhere."""
    return loop.plan.carriers if len(loop.plan.carriers) > 1 else ()


def _region(
    name: str,
    zones: Mapping[str, ZoneNow],
    observations: Iterable[Observation],
    load: Load | None,
    wall_s: float,
) -> Wanted:
    of = {z: now for z, now in sorted(zones.items()) if now.loop.view and name in now.loop.view.zone.members}
    views = [(now.loop.view, now.loop.plan) for now in of.values() if now.loop.view]
    fields: dict[str, Any] = {
        "observations": [
            {
                "observer": seen.observer,
                "verdict": seen.verdict.value,
                "since": _rfc3339(wall_s - seen.held_s),
                "detail": seen.detail[:256],
            }
            for seen in sorted(observations, key=lambda seen: seen.observer)
            if seen.target == name and seen.heard_age_s <= 3.0
        ],
    }
    if views:
        fields["serving"] = all(name in view.serving() for view, _ in views)
        fields["leader"] = ", ".join(sorted({now.leader for now in of.values() if now.leader}))
    if load is not None:
        fields["readyPods"], fields["activeCalls"] = load.ready_pods, load.active_calls
    # A region of several zones shows the conditions of the first; each zone's own are in its policy.
    conditions = list(status.region(name, views[0][0], plan=views[0][1])) if views else []
    decisions = [entry.rendered() for now in of.values() for entry in now.loop.ledger.entries if entry.region == name]
    return Wanted("Region", fields, conditions, decisions)


def _note(notes: Mapping[copies.Key, Reason], key: copies.Key) -> list[status.Condition]:
    return [status.Condition(COPY_IN_SYNC, False, notes[key])] if key in notes else []


def _rfc3339(wall_s: float) -> str:
    return dt.datetime.fromtimestamp(wall_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
