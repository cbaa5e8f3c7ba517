"""What the core's own guards would say of an order, asked here on what the clusters show. Pure: nothing is written.

The zone is put together again from its policy, the heartbeats, the memory that rides on the votes, and the conditions.
It is a forecast: the leader decides on what it sees itself, a moment later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from holdfast import heart
from holdfast.cli import beats, standing
from holdfast.cli.fleet import Fleet
from holdfast.cli.subjects import spec, status
from holdfast.core import failover, memory, values
from holdfast.core.means import Lever
from holdfast.core.plans import Move, Turn, View
from holdfast.core.values import Cause, Fence, Observation, OriginState, Reason, Shift, Zone

EPOCH_ANNOTATION = "holdfast.dev/epoch"
MEMORY_ANNOTATION = "holdfast.dev/memory"
NOT_ASKED = "GuardsNotAsked"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What one zone would do. `allowed` None: the guards could not be asked. `reason`: the guard's, or the move's.

    `left`: the regions that would take calls afterwards; `room`: how many calls more they take; `calls`: what the
    region holds now.
    """

    zone: str
    allowed: bool | None
    reason: str
    message: str
    left: tuple[str, ...] = ()
    room: int | None = None
    calls: int | None = None


def zones_of(region: str, fleet: Fleet) -> tuple[str, ...]:
    """The zones in which a region takes calls."""
    names = sorted({name for shown in fleet.shown for name in shown.policies})
    return tuple(name for name, _, found in standing.policies(names, fleet) if region in standing.members(found))


def cordon(region: str, zone: str, fleet: Fleet, *, length_s: float, reason: str) -> Foreseen:
    """Whether the zone would take the region out."""
    shift = Shift(region, Cause.HUMAN, length_s, reason)
    try:
        view = _view(zone, fleet)
        shifts = (*(each for each in view.shifts if each.region != region), shift)
        return _answer(replace(view, shifts=shifts), region, Turn.OUT)
    except NotAsked as e:
        return Foreseen(zone, None, NOT_ASKED, str(e))


def uncordon(region: str, zone: str, fleet: Fleet) -> Foreseen:
    """Whether the zone would give the region calls again, once no person keeps it out."""
    try:
        view = _view(zone, fleet)
        told_by = {each.told_by: 0.0 for each in view.remembered(region).cordons.values() if each.told_by}
        view = replace(
            view, shifts=tuple(each for each in view.shifts if each.region != region),
            heard_ago_s={**view.heard_ago_s, **told_by},
        )  # fmt: skip
        return _answer(view, region, Turn.BACK)
    except NotAsked as e:
        return Foreseen(zone, None, NOT_ASKED, str(e))


def told_by(region: str, fleet: Fleet) -> Mapping[str, float]:
    """The clusters in which people ordered a region out, as the zones remember, and the seconds that were left."""
    found = {}
    for zone in zones_of(region, fleet):
        try:
            cordoned = _view(zone, fleet).remembered(region).cordons.get(Cause.HUMAN)
        except NotAsked:
            continue
        if cordoned is not None and cordoned.stands and cordoned.told_by:
            found[cordoned.told_by] = cordoned.remaining_s or 0.0
    return found


class NotAsked(Exception):
    """Too little could be read to put the zone together."""


def _answer(view: View, region: str, turn: Turn) -> Foreseen:
    plan = failover.decide(view, 0.0)
    wished = (region, turn, Cause.HUMAN)
    moves = [each for each in plan.moves if (each.region, each.turn, each.cause) == wished]
    refused = [
        each for each in plan.refusals
        if isinstance(each.action, Move) and (each.action.region, each.action.turn, each.action.cause) == wished
    ]  # fmt: skip
    serving = [name for name in view.able() if name != region]
    others = [name for name in view.remembered(region).standing if name is not Cause.HUMAN]
    zone = view.zone.name
    if turn is Turn.OUT:
        loads = [view.loads[name].room for name in serving if name in view.loads]
        load = view.loads.get(region)
        left, room, calls = tuple(serving), sum(loads) if loads else None, load.active_calls if load else None
    else:
        left, room, calls = (*serving, *([] if others else [region])), None, None
    if refused:
        return Foreseen(zone, False, refused[0].reason.code, refused[0].reason.message, tuple(serving), room, calls)
    if turn is Turn.BACK and others:
        stays = view.remembered(region).cordons[others[0]]
        return Foreseen(zone, False, others[0].value, f"{region} stays out: {stays.reason}", tuple(serving))
    standing_so = "out" if turn is Turn.OUT else "in service"
    reason = moves[0].reason if moves else Reason("", f"{region} is {standing_so} already")
    return Foreseen(zone, True, reason.code, reason.message, left, room, calls)


def _view(zone: str, fleet: Fleet) -> View:
    found = standing.best("policies", zone, fleet)
    if found is None or not found[0].beat.fresh:
        raise NotAsked("no cluster with a living operator shows the zone")
    record = _memory(zone, fleet)
    if record is None:
        raise NotAsked("the zone's memory could not be read: it lies on its vote Leases")
    policy = found[1]
    try:
        described = _described(policy)
    except (KeyError, TypeError, ValueError) as e:
        raise NotAsked(f"the policy is of another version than this plugin: {e!r}") from e
    heard = {each.region: (each.beat.said, 0.0) for each in fleet.shown if each.beat.fresh and each.beat.said}
    leads = standing.conditions(policy).get("QuorumHeld", {}).get("status") == "True" and status(policy).get("leader")
    return View(
        described,
        {name: _place(name, fleet) for name in described.members},
        observations=tuple(
            Observation(observer, target, seen.verdict, 0.0, seen.held_s, beat.self_doubt, seen.detail)
            for observer, (beat, _) in heard.items()
            for target, seen in beat.observations.items()
        ),
        origins=tuple(_origins(described, fleet)),
        memory=record.regions,
        carriers=record.carriers,
        loads=heart.loads(heard),
        shifts=heart.shifts(heard),
        overrides=heart.overrides(heard),
        withdrawals=heart.withdrawals(heard),
        heard_ago_s=heart.told_ago_s(heard),
        paused=heart.paused(heard),
        fence=Fence(zone, int(status(policy).get("epoch") or 0), str(leads)) if leads else None,
        last_ack_age_s=0.0,
    )


def _memory(zone: str, fleet: Fleet) -> memory.Record | None:
    """The newest that any readable vote remembers."""
    records = []
    for shown in fleet.shown:
        lease = shown.leases.get(f"{beats.VOTE_PREFIX}{zone}", {})
        text = str(((lease.get("metadata") or {}).get("annotations") or {}).get(MEMORY_ANNOTATION, ""))
        age_s = beats.age_s(lease, read_at=shown.read_at)
        record = memory.decode(text, age_s=age_s or 0.0) if text else None
        records += [record] if record is not None else []
    return max(records, key=lambda record: (record.epoch, record.seq), default=None)


def _described(policy: Mapping[str, Any]) -> Zone:
    """As far as the guards ask; defaults are the API server's to fill in, and repeated where an old one did not."""
    told = spec(policy)
    rules, limits = told.get("region") or {}, told.get("guards") or {}
    return Zone(
        name=str(policy["metadata"]["name"]),
        uid=str(policy["metadata"].get("uid", "")),
        generation=int(policy["metadata"].get("generation") or 0),
        residency=str(told["residency"]),
        host=str(told["host"]),
        regions=tuple(values.ZoneRegion(str(each["name"]), int(each["weight"])) for each in told["regions"]),
        witnesses=standing.witnesses(policy),
        dwell_s=float(rules.get("dwellSeconds", 300)),
        ramp=tuple(int(step) for step in rules.get("ramp") or (5, 25, 50, 100)),
        guards=values.Guards(
            min_serving=int(limits.get("minServing", 1)),
            max_cordoned=int(limits.get("maxCordoned", 1)),
            headroom_percent=int(limits.get("headroomPercent", 20)),
        ),
        paused=told.get("paused") is True,
        levers=tuple(_lever(each) for each in told.get("levers") or ()),
    )


def _lever(told: Mapping[str, Any]) -> Lever:
    kind = next((name for name, value in told.items() if isinstance(value, Mapping)), "")
    return Lever(
        str(told["name"]),
        kind,
        "",
        "",
        "",
        points=kind.endswith(("Application", "Number")),
        enforce=told.get("drift") == "enforce",
        dry_run=told.get("dryRun") is True,
    )


def _place(name: str, fleet: Fleet) -> values.Region:
    found = standing.best("regions", name, fleet)
    if found is None:
        raise NotAsked(f"no cluster shows Region {name}")
    told = spec(found[1])
    origins = {str(lever): str(origin) for lever, origin in (told.get("origins") or {}).items()}
    return values.Region(name, str(told.get("host", "")), str(told.get("jurisdiction", "")), origins=origins)


def _origins(zone: Zone, fleet: Fleet) -> list[OriginState]:
    """A region that is routed as it is wanted is on where it serves; of any other nothing is known."""
    states: list[OriginState] = []
    for name in zone.members:
        found = standing.best("regions", name, fleet)
        assert found is not None
        shown, region = found
        told = standing.conditions(region)
        sync, ready = told.get("RouteInSync", {}).get("status"), told.get("Ready", {}).get("status")
        enabled = ready == "True" if sync == "True" and ready in ("True", "False") and shown.beat.fresh else None
        named = spec(region).get("origins") or {}
        states += [OriginState(lever.name, name, enabled) for lever in zone.levers if lever.name in named]
    return states
