"""A Telnyx SIP connection with an FQDN for each region, tried in order: a region is on while its FQDN is named.

Facts this rests on: calls to the connection's numbers go to `inbound.default_primary_fqdn_id`, then to the secondary
and the tertiary, on 408, 480, 503, 504 and transport errors; a place may be empty; what is in progress is not touched.
The connection is one object for all regions and there is no ETag, so a change reads it, changes what is its own, and
writes `inbound` and `tags` back whole, in one request.

Our mark is a tag for each region, `holdfast:<zone>/<region>`, which the owner sets once; we add the epoch as a third
part. The connection is fenced as a whole: a higher epoch on any region's tag means that we have been replaced.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from holdfast.core.values import Budget
from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.telnyx_api import TelnyxApi

PLACES = ("default_primary_fqdn_id", "default_secondary_fqdn_id", "default_tertiary_fqdn_id")
Method = Literal["sequential", "round-robin"]


class TelnyxSipConnection:
    """`fqdns` maps each region to the id of its FQDN, in the policy's order."""

    def __init__(
        self,
        *,
        name: str,
        zone: str,
        connection_id: str,
        fqdns: Mapping[str, str],
        api: TelnyxApi,
        method: Method = "sequential",
    ) -> None:
        self._name = name
        self._zone = zone
        self._path = f"/fqdn_connections/{connection_id}"
        self._fqdns = dict(fqdns)
        self._api = api
        self._method = method
        self._written_at: dt.datetime | None = None
        """The vendor's own time of our last write, so that an older copy is recognised."""

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    def budget(self) -> Budget | None:
        """What Telnyx last told of its limits; None before it has."""
        return self._api.budget()

    async def read(self, region: str) -> OriginReading:
        """Whether the region's FQDN is named, and what else of the connection is not as we keep it."""
        held, places = await self._ours(region, urgent=False)
        return OriginReading(
            region=region,
            enabled=self._fqdns[region] in places,
            epoch=self._epochs(held)[region],
            drift=self._drift(held, places),
        )

    def normalise(self, change: OriginChange) -> OriginReading:
        """The connection as it will read once the change is in force."""
        return OriginReading(region=change.region, enabled=change.enabled, epoch=change.epoch)

    async def apply(self, change: OriginChange) -> None:
        """Name the region's FQDN or take it out, never the last one; in one write, none when it is so already."""
        held, places = await self._ours(change.region, urgent=True)
        at = _updated_at(held)
        if at is not None and self._written_at is not None and at < self._written_at:
            # Written back, this copy would undo our own last change, which may have been another region's.
            message = f"{self._api.who}: Telnyx showed the connection as it was before our last write"
            raise DriverError("StaleRead", message, retryable=True, retry_after_s=1.0)
        newest = max(self._epochs(held).values())
        if newest > change.epoch:
            message = f"{self._api.who}: the connection was written under epoch {newest}, ours is {change.epoch}"
            raise DriverError("Fenced", message, retryable=False)
        meant = self._meant(places, change)
        tags = self._tagged(held, change)
        if tags == held.get("tags") and not self._misrouted(held, meant):
            return
        if change.enabled and self._fqdns[change.region] not in places:
            await self._attached(change.region)
        named = dict(zip(PLACES, (*meant, None, None, None), strict=False))
        inbound = {**_inbound(held), **named, "default_routing_method": self._method}
        written = await self._api.write("PATCH", self._path, {"inbound": inbound, "tags": tags})
        if isinstance(written, dict):
            self._written_at = _updated_at(written) or self._written_at

    def _meant(self, places: Sequence[str], change: OriginChange) -> list[str]:
        """Our regions in the policy's order, then whatever else its owner named: an address of last resort."""
        ours = set(self._fqdns.values())
        on = {place for place in places if place in ours} - {self._fqdns[change.region]}
        if change.enabled:
            on.add(self._fqdns[change.region])
        meant = [fqdn for fqdn in self._fqdns.values() if fqdn in on]
        meant += [place for place in places if place not in ours]
        if not meant:
            message = (
                f"{self._api.who}: {change.region} has the only FQDN that is named; "
                "without it the connection would have no route at all"
            )
            raise DriverError("WouldEmpty", message, retryable=False)
        if len(meant) > len(PLACES):
            message = f"{self._api.who}: {change.region} finds no place: a connection names {len(PLACES)} FQDNs"
            raise DriverError("NoPlace", message, retryable=False)
        return meant

    def _tagged(self, held: Mapping[str, Any], change: OriginChange) -> list[str]:
        """All tags as they are, ours of this region with the epoch."""
        mark = f"holdfast:{self._zone}/{change.region}"
        return [
            f"{mark}/{change.epoch}" if tag == mark or tag.startswith(f"{mark}/") else tag for tag in _tags(held)
        ]

    def _epochs(self, held: Mapping[str, Any]) -> Mapping[str, int]:
        """The regions whose mark the connection carries, each with the epoch of its last change, 0 if none."""
        mark = f"holdfast:{self._zone}/"
        epochs: dict[str, int] = {}
        for tag in _tags(held):
            if tag.startswith(mark):
                region, _, epoch = tag.removeprefix(mark).partition("/")
                epochs[region] = int(epoch) if epoch.isdecimal() else 0
        return epochs

    def _drift(self, held: Mapping[str, Any], places: Sequence[str]) -> tuple[str, ...]:
        ours = self._fqdns.values()
        meant = [fqdn for fqdn in ours if fqdn in places] + [place for place in places if place not in ours]
        drift = self._misrouted(held, meant)
        if held.get("active") is False:
            drift.append("active is false, meant is true: the connection takes no calls until its owner activates it")
        return tuple(drift)

    def _misrouted(self, held: Mapping[str, Any], meant: Sequence[str]) -> list[str]:
        """How the connection's routing differs from these FQDNs in this order, in words."""
        inbound, wrong = _inbound(held), []
        named = [inbound.get(place) or None for place in PLACES]
        if named != [*meant, None, None, None][: len(PLACES)]:
            seen = ", ".join(str(each or "none") for each in named)
            wrong.append(f"inbound names the FQDNs {seen}; meant are {', '.join(meant)} in this order")
        method = inbound.get("default_routing_method") or "sequential"
        if method != self._method:
            wrong.append(f"inbound.default_routing_method is {method}, meant is {self._method}")
        return wrong

    async def _ours(self, region: str, *, urgent: bool) -> tuple[Mapping[str, Any], list[str]]:
        """The connection, when it carries the region's mark, and the FQDNs that it names in order."""
        if not self._fqdns.get(region):
            message = f"{self._api.who}: Region {region} names no FQDN id in spec.origins"
            raise DriverError("NoOrigin", message, retryable=False)
        held = await self._api.get(self._path, urgent=urgent)
        if not isinstance(held, dict):
            raise DriverError("Malformed", f"{self._api.who}: {self._path} is no object", retryable=True)
        inbound = _inbound(held)
        places = [str(inbound[place]) for place in PLACES if inbound.get(place)]
        if region not in self._epochs(held):
            await self._attached(region, urgent=urgent)
            mark = f"holdfast:{self._zone}/{region}"
            message = f'{self._api.who}: the connection lacks our mark for {region}; add "{mark}" to its tags'
            raise DriverError("NotOurs", message, retryable=False)
        return held, places

    async def _attached(self, region: str, *, urgent: bool = True) -> None:
        """The region's FQDN exists and is one of this connection's; the target is made able before it is named."""
        fqdn = self._fqdns[region]
        try:
            held = await self._api.get(f"/fqdns/{fqdn}", urgent=urgent)
        except DriverError as error:
            if error.code != "NoOrigin":
                raise
            message = f"{self._api.who}: Telnyx has no FQDN {fqdn}, which Region {region} names in spec.origins"
            raise DriverError("NoOrigin", message, retryable=False) from error
        if not isinstance(held, dict) or not self._path.endswith(f"/{held.get('connection_id')}"):
            message = f"{self._api.who}: FQDN {fqdn} of Region {region} belongs to another connection"
            raise DriverError("NoOrigin", message, retryable=False)


def _updated_at(held: Mapping[str, Any]) -> dt.datetime | None:
    """None when it is not there, or not a time with its zone."""
    try:
        at = dt.datetime.fromisoformat(str(held.get("updated_at") or ""))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _inbound(held: Mapping[str, Any]) -> Mapping[str, Any]:
    inbound = held.get("inbound")
    return inbound if isinstance(inbound, dict) else {}


def _tags(held: Mapping[str, Any]) -> list[str]:
    tags = held.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else []
