"""What the pods of a region are told: who keeps their journals, who serves, what to try, what is lost.

A directive holds no addresses but public hosts, and stays in force when its author is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.core.relays import IceServer
from holdfast.core.values import Reason, Region, Shift, Zone


@dataclass(frozen=True, slots=True)
class RegionLine:
    name: str
    host: str
    weight: int
    serving: bool


@dataclass(frozen=True, slots=True)
class Directive:
    """`drain_s`: hand over what is in flight within this time; None: do not drain.

    `attempts`: those that may be made, in this order; `ill`: those of them that go last for every caller; `barred`:
    those that may not be made; `reasons`: why any of it is not as the spec has it.
    """

    buddy: str | None
    regions: tuple[RegionLine, ...]
    attempts: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    ill: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    drain_s: float | None = None
    ice: tuple[IceServer, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How the regions of a zone stand: which are meant to serve, which are confirmed lost, and the weights in force.

    A region without a weight here has the policy's.
    """

    serving: Collection[str]
    lost: Collection[str] = ()
    weights: Mapping[str, int] = field(default_factory=dict)


def directive(region: str, zone: Zone, *, regions: Mapping[str, Region], standing: Standing) -> Directive:
    """The part that is the same for every agent of the zone; attempts and drains are the caller's."""
    lines = tuple(
        RegionLine(
            name=entry.name,
            host=regions[entry.name].host,
            weight=standing.weights.get(entry.name, entry.weight),
            serving=entry.name in standing.serving,
        )
        for entry in zone.regions
        if entry.name in regions
    )
    lost = tuple(name for name in zone.members if name in standing.lost)
    return Directive(buddy=buddy(region, zone, regions=regions, standing=standing), regions=lines, lost=lost)


def drain_s(region: str, zone: Zone, *, shifts: Iterable[Shift], serving: Collection[str]) -> float | None:
    """Within how long a region's calls are to be handed over; None: they stay.

    A person orders it with a cordon. It begins once the region takes no new calls, and another one does.
    """
    ordered = [shift for shift in shifts if shift.region == region and shift.drain and shift.remaining_s > 0]
    if not ordered or region in serving or not any(name != region for name in serving):
        return None
    return zone.drain_s


def buddy(region: str, zone: Zone, *, regions: Mapping[str, Region], standing: Standing) -> str | None:
    """Who keeps this region's journals: the next of the zone that serves, best in another failure domain.

    A cordoned region that lives is better than none; a lost one is none.
    """
    order = zone.members
    if region not in order or region not in regions:
        return None
    start = order.index(region) + 1
    others = [name for name in (*order[start:], *order[: start - 1]) if name in regions and name not in standing.lost]

    def rank(name: str) -> tuple[bool, bool]:
        domain = regions[name].failure_domain
        return name not in standing.serving, domain != "" and domain == regions[region].failure_domain

    return min(others, key=rank, default=None)


def message(told: Directive, *, version: int) -> dict[str, Any]:
    """The directive as the long poll sends it."""
    return {
        "version": version,
        "buddy": told.buddy,
        "regions": [
            {"name": line.name, "host": line.host, "weight": line.weight, "serving": line.serving}
            for line in told.regions
        ],
        "attempts": list(told.attempts),
        "barred": list(told.barred),
        "ill": list(told.ill),
        "reasons": [{"code": reason.code, "message": reason.message} for reason in told.reasons],
        "drain": None if told.drain_s is None else {"untilSeconds": told.drain_s},
        "lost": list(told.lost),
        "iceServers": [
            {"relay": each.relay, "transport": each.transport.value, "url": each.url} for each in told.ice
        ],
    }
