"""How the fleet stands, found in what its clusters show. Pure: what was read goes in, one overview comes out.

Of a zone and of a region the best view is taken: of a cluster whose operator is alive, of the highest epoch, of the
leader. What a region says of itself comes before what others say of it. What nobody says is unknown, never well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from holdfast.cli import beats
from holdfast.cli.fleet import Fleet, Shown
from holdfast.cli.moments import at, moment
from holdfast.cli.overview import Decision, Held, LeverRow, Overview, RegionRow, Unread, ZoneRow
from holdfast.cli.subjects import spec, status
from holdfast.core import reasons
from holdfast.core.values import Verdict

SIGNS = {"True": "ok", "False": "bad"}


def overview(fleet: Fleet, *, as_of: str, policy: str = "") -> Overview:
    """`policy`: only this zone and its regions."""
    names = sorted({name for shown in fleet.shown for name in shown.policies})
    zones = [name for name in names if policy in ("", name)]
    regions = [name for name in fleet.regions if not policy or _zones_of(name, zones, fleet)]
    zone_rows = tuple(_zone(name, fleet) for name in zones)
    region_rows = tuple(_region(name, zones, fleet, now=as_of) for name in regions)
    levers = tuple(row for name in zones for row in _levers(name, fleet))
    held = (*_held(zones, region_rows, fleet), *_by_people(region_rows, fleet, now=as_of))
    unread = tuple(Unread(what, why) for what, why in fleet.could_not_read.items())
    state = _state(zone_rows, region_rows, held, unread)
    return Overview(
        as_of=as_of, state=state, words=_words(zone_rows, region_rows, held, unread),
        zones=zone_rows, regions=region_rows, levers=levers, held=held,
        decisions=tuple(_decisions(zones, fleet)), unread=unread,
        next=_next(zone_rows, region_rows, held, unread),
    )  # fmt: skip


def best(kind: str, name: str, fleet: Fleet) -> tuple[Shown, Mapping[str, Any]] | None:
    """The view of an object to go by, and whose it is. `kind`: policies or regions."""
    views = [(shown, getattr(shown, kind)[name]) for shown in fleet.shown if name in getattr(shown, kind)]

    def rank(view: tuple[Shown, Mapping[str, Any]]) -> tuple[bool, int, bool, str]:
        shown, found = view
        leads = shown.region == str(status(found).get("leader") or "")
        epoch = int(status(found).get("epoch") or 0)
        return not shown.beat.fresh, -epoch, not leads, shown.region

    return min(views, key=rank, default=None)


def members(policy: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each["name"]) for each in spec(policy).get("regions") or ())


def witnesses(policy: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each) for each in spec(policy).get("witnesses") or ())


def conditions(found: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """By type."""
    return {str(each.get("type")): each for each in status(found).get("conditions") or ()}


def policies(names: Iterable[str], fleet: Fleet) -> Iterator[tuple[str, Shown, Mapping[str, Any]]]:
    for name in names:
        if (view := best("policies", name, fleet)) is not None:
            yield name, *view


def ordered(region: str, fleet: Fleet, *, now: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The cordons that people wrote for a region and that still run, with the clusters that hold them."""
    found = []
    for shown in fleet.shown:
        cordon = spec(shown.regions.get(region, {})).get("cordon") or {}
        if cordon and at(str(cordon.get("until", ""))) > at(now):
            found.append((shown.region, cordon))
    return tuple(found)


def _zones_of(region: str, zones: Iterable[str], fleet: Fleet) -> tuple[str, ...]:
    return tuple(name for name, _, found in policies(zones, fleet) if region in members(found) + witnesses(found))


def _zone(name: str, fleet: Fleet) -> ZoneRow:
    view = best("policies", name, fleet)
    assert view is not None
    shown, found = view
    told, known = status(found), conditions(found)
    ready = known.get("Ready", {})
    sign = SIGNS.get(str(ready.get("status")), "unknown") if shown.beat.fresh else "unknown"
    words = {"ok": "takes calls", "bad": "takes no calls"}.get(sign, "<unknown>")
    loss = known.get("ReadyForLoss", {}).get("status") if shown.beat.fresh else None
    return ZoneRow(
        name=name, sign=sign, words=words,
        leader=str(told.get("leader") or ""), epoch=int(told.get("epoch") or 0),
        serving=tuple(told.get("serving") or ()), cordoned=tuple(told.get("cordoned") or ()),
        ready_for_loss={"True": True, "False": False}.get(str(loss)), shown_by=shown.region,
    )  # fmt: skip


def _region(name: str, zones: Sequence[str], fleet: Fleet, *, now: str) -> RegionRow:
    own, view = fleet.of(name), best("regions", name, fleet)
    assert view is not None
    by, found = view
    told = status(found)
    serves_in = [zone for zone, _, each in policies(zones, fleet) if name in members(each)]
    watches = [zone for zone, _, each in policies(zones, fleet) if name in witnesses(each)]
    sign, words, serving = _serving(found, alive=by.beat.fresh, witness=bool(watches) and not serves_in)
    own_beat = own.beat if own is not None and own.beat.fresh else None
    said = own_beat.said if own_beat else None
    others = told if by.beat.fresh else {}
    voters = {each for zone, _, policy in policies(serves_in, fleet) for each in members(policy) + witnesses(policy)}
    observers = voters - {name} or voters  # as the core counts them
    up = [each for each in told.get("observations") or () if each.get("verdict") == Verdict.UP.value]
    # Of several orders the one that runs longest counts.
    orders = sorted((order for _, order in ordered(name, fleet, now=now)), key=lambda order: at(str(order["until"])))
    order = orders[-1] if orders else {}
    tiers = {tier.value: seen for tier in beats.TIERS if own_beat and (seen := own_beat.seen(tier))}
    return RegionRow(
        name=name, zones=(*serves_in, *watches), witness=bool(watches) and not serves_in, read=own is not None,
        sign=sign, words=words, serving=serving,
        calls=said.active_calls if said else others.get("activeCalls"),
        room=said.room if said else None,
        pods=said.ready_pods if said else others.get("readyPods"),
        seen_up=len({str(each.get("observer")) for each in up} & observers) if by.beat.fresh else 0,
        observers=len(observers),
        well={tier: sum(each.verdict is Verdict.UP for each in seen.values()) for tier, seen in tiers.items()},
        ill={
            tier: tuple(sorted(target for target, each in seen.items() if each.verdict is not Verdict.UP))
            for tier, seen in tiers.items()
        },
        ordered=str(order.get("reason") or ""), until=str(order.get("until") or ""),
        shown_by=name if own_beat else by.region, age_s=own_beat.age_s if own_beat else by.beat.age_s,
    )  # fmt: skip


def _serving(found: Mapping[str, Any], *, alive: bool, witness: bool) -> tuple[str, str, bool | None]:
    if witness:
        return "info", "witness", None
    ready = conditions(found).get("Ready", {}).get("status") if alive else None
    if ready == "False":
        return "bad", "cordoned", False
    if ready != "True":
        return "unknown", "<unknown>", None
    reachable = conditions(found).get("Reachable", {}).get("status")
    return ("warning", "yes, unseen", True) if reachable != "True" else ("ok", "yes", True)


def _levers(zone: str, fleet: Fleet) -> Iterator[LeverRow]:
    """What each lever does with each region, as far as the regions' conditions tell."""
    view = best("policies", zone, fleet)
    assert view is not None
    _, policy = view
    reachable = conditions(policy).get("LeverReachable", {})
    for lever in spec(policy).get("levers") or ():
        name = str(lever.get("name", ""))
        places: dict[str, list[str]] = {"on": [], "off": [], "unsure": []}
        for region in members(policy):
            found = best("regions", region, fleet)
            if found is None or name not in (spec(found[1]).get("origins") or {}):
                continue
            sync = conditions(found[1]).get("RouteInSync", {})
            serves = conditions(found[1]).get("Ready", {}).get("status")
            known = sync.get("status") == "True" and serves in ("True", "False") and found[0].beat.fresh
            places[("on" if serves == "True" else "off") if known else "unsure"].append(region)
        ill = reachable.get("status") == "False" and f"{name}:" in str(reachable.get("message", ""))
        sign = "bad" if ill else SIGNS.get(str(reachable.get("status")), "unknown")
        words = "does not answer" if ill else "answers" if reachable else "<unknown>"
        yield LeverRow(
            name=name, zone=zone, kind=next((str(key) for key in lever if key != "name"), ""),
            sign="ok" if sign == "bad" and not ill else sign, words=words,
            on=tuple(places["on"]), off=tuple(places["off"]), unsure=tuple(places["unsure"]),
        )  # fmt: skip


def _held(zones: Sequence[str], rows: Iterable[RegionRow], fleet: Fleet) -> Iterator[Held]:
    """What is not as one wants it, beside what the rows show already."""
    for name, shown, policy in policies(zones, fleet):
        if not shown.beat.fresh:
            message = "no operator of a cluster that could be read is alive: what is shown is what it last said"
            yield Held("Heartbeat", "bad", f"zone {name} is not watched", "HeartbeatStale", message, name)
        if spec(policy).get("paused"):
            yield Held("Paused", "warning", f"zone {name} is paused", reasons.PAUSED, "spec.paused is true", name)
        known = conditions(policy)
        for kind, wanted, words in (
            ("Accepted", "True", f"policy {name} is not followed"),
            ("SecretsFound", "True", f"a Secret of {name} is missing"),
            ("QuorumHeld", "True", f"zone {name} has no majority"),
            ("LeverReachable", "True", f"a lever of {name} does not answer"),
            ("ReadyForLoss", "True", f"zone {name} is not ready for a loss"),
        ):
            each = known.get(kind, {})
            reason = str(each.get("reason", ""))
            if each.get("status") in ("True", "False") and each["status"] != wanted and reason != reasons.ONE_REGION:
                sign = "warning" if kind == "ReadyForLoss" else "bad"
                yield Held(kind, sign, words, reason, str(each.get("message", "")), name)
    paused = {each.beat.said.paused for each in fleet.shown if each.beat.fresh and each.beat.said}
    for why in sorted(paused - {""}):
        yield Held("Paused", "warning", "the fleet is paused", reasons.PAUSED, why)
    for row in rows:
        view = best("regions", row.name, fleet)
        for kind, wanted, words in (
            ("ActionHeld", "False", f"an action on {row.name} is held back"),
            ("RouteInSync", "True", f"routing of {row.name} is not as wanted"),
        ):
            each = conditions(view[1]).get(kind, {}) if view and view[0].beat.fresh and not row.witness else {}
            if each.get("status") in ("True", "False") and each["status"] != wanted:
                reason, message = str(each.get("reason", "")), str(each.get("message", ""))
                yield Held(kind, "warning", words, reason, message, row.name)


def _by_people(rows: Iterable[RegionRow], fleet: Fleet, *, now: str) -> Iterator[Held]:
    """What a person has ordered and for how long, whether it is done already or not."""
    for row in rows:
        for by, cordon in ordered(row.name, fleet, now=now):
            verb = "drained" if cordon.get("drain") is True else "cordoned"
            words = f"{row.name} is to be {verb} until {moment(str(cordon['until']), now=now)}, said in {by}"
            yield Held("Order", "info", words, reasons.HUMAN_SHIFT, str(cordon.get("reason", "")), row.name)


def _decisions(zones: Sequence[str], fleet: Fleet) -> Iterator[Decision]:
    """The newest of each zone, whoever shows it."""
    for zone in zones:
        told = [
            each
            for shown in fleet.shown
            for each in status(shown.policies.get(zone, {})).get("lastDecisions") or ()
        ]
        for each in sorted(told, key=lambda one: str(one.get("decided", "")), reverse=True)[:1]:
            yield Decision(
                at=str(each.get("decided", "")), zone=zone, region=str(each.get("region", "")),
                action=str(each.get("action", "")), reason=str(each.get("reason", "")),
                message=str(each.get("message", "")), leader=str(each.get("leader", "")),
                epoch=int(each.get("epoch") or 0), read_back=str(each.get("readBack", "")),
            )  # fmt: skip


def _state(
    zones: Sequence[ZoneRow], regions: Sequence[RegionRow], held: Sequence[Held], unread: Sequence[Unread]
) -> str:
    if any(zone.sign == "bad" for zone in zones):
        return "down"
    if not zones or any(zone.sign == "unknown" for zone in zones):
        return "unknown"
    well = all(row.sign in ("ok", "info") and not any(row.ill.values()) for row in regions)
    return "healthy" if well and not held and not unread else "degraded"


def _words(
    zones: Sequence[ZoneRow], regions: Sequence[RegionRow], held: Sequence[Held], unread: Sequence[Unread]
) -> str:
    if not zones:
        return "no FailoverPolicy is in any cluster that could be read"
    serving = [row for row in regions if not row.witness]
    out = [row for row in serving if row.serving is False]
    parts = [f"{len(out)} of {len(serving)} regions cordoned" if out else ""]
    parts += [f"zone {zone.name} takes no calls" for zone in zones if zone.sign == "bad"]
    bad = [each for each in held if each.sign == "bad"]
    parts += [bad[0].words, *([f"{len(bad) - 1} more"] if len(bad) > 1 else [])] if bad else []
    parts.append(f"{len(unread)} unread" if unread else "")
    said = ", ".join(filter(None, parts))
    if said:
        return said
    if held:
        return held[0].words
    ill = [row.name for row in regions if any(row.ill.values())]
    if ill:
        return f"something is ill in {', '.join(ill)}"
    shaky = [row.name for row in serving if row.sign != "ok"]
    return f"{', '.join(shaky)} is not seen" if shaky else f"{len(serving)} of {len(serving)} regions take calls"


def _next(
    zones: Sequence[ZoneRow], regions: Sequence[RegionRow], held: Sequence[Held], unread: Sequence[Unread]
) -> str:
    for row in regions:
        if row.serving is False:
            return f"kubectl holdfast explain region/{row.name}"
    about = next((each.about for each in held if each.about), "")
    if about and not unread:
        return f"kubectl holdfast explain {about}"
    if unread or held or not zones:
        return "kubectl holdfast doctor"
    return "kubectl holdfast calls"
