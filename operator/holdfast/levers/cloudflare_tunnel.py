"""Cloudflare Tunnel: one remotely configured tunnel per region, in whose document the policy's host answers 503.

Facts this rests on. PUT replaces the document for all connectors of the tunnel and answers a rising version; there is
no ETag. Connectors take a newer version up by themselves and report which one they run; requests in progress end on
the old one, so that running streams are not cut. A lost connection is listed for minutes as `is_pending_reconnect`.

A region counts as turned on or off once every connected connector runs a version that says so; until then a reading
says what was so before, and which connector is behind. With no connector connected nothing is routed to the region in
any case: the document alone is read then, and the reading says so in words. It is what the connectors find when they
come back. A region whose connectors must not come back at all is for `fence_out`, which nothing calls by itself.

The host is the name that webhooks ask for. Were it the region's own media host, probes would meet the 503 as well, and
a region that is out would never be seen well again.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from holdfast.core.values import Budget
from holdfast.levers import cloudflare_ingress as ingress
from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_api import CloudflareApi

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Connector:
    """One cloudflared. `connected`: it has a connection that carries traffic now.

    `runs`: its document's version; None when it has taken up none, as one that has only just started, which answers
    503 until then, or one that was told to go by a file of its own.
    """

    id: str
    connected: bool
    runs: int | None


@dataclass(frozen=True, slots=True)
class _Document:
    """A tunnel's configuration as it was read."""

    version: int
    config: Mapping[str, Any]
    rules: tuple[ingress.Rule, ...]
    mark: ingress.Mark


class CloudflareTunnel:
    """The tunnels of one zone's regions. `random_bytes` gives so many bytes that nobody can guess."""

    def __init__(
        self,
        *,
        name: str,
        zone: str,
        api_url: str,
        account_id: str,
        host: str,
        tunnels: Mapping[str, str],
        token: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        budget: RateBudget,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._name = name
        self._zone = zone
        self._host = host.lower()
        self._base = f"/accounts/{account_id}/cfd_tunnel"
        self._tunnels = dict(tunnels)
        self._api = CloudflareApi(lever=name, api_url=api_url, token=token, http=http, budget=budget)
        self._random_bytes = random_bytes
        self._overwrote: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    async def read(self, region: str) -> OriginReading:
        """Ask for the document and for who runs which version of it."""
        document = await self._document(region, urgent=False)
        connectors = await self.connectors(region)
        connected = [each for each in connectors if each.connected]
        on = ingress.answers(document.rules, self._host)
        meant = not ingress.cordoned(document.rules, self._zone, region, self._host)
        since = document.mark.since
        behind = [each for each in connected if each.runs is not None and each.runs < since]
        without = [each for each in connected if each.runs is None]
        drift = self._drift(region, on=on, meant=meant)
        if not connected:
            lost = f"; {len(connectors)} still listed as reconnecting" if connectors else ""
            drift.append(f"no connector is connected, so nothing is routed here whatever the document says{lost}")
        for each in behind:
            turned = f"turned {'on' if meant else 'off'} in version {since}"
            drift.append(f"connector {each.id} runs version {each.runs}, {turned}")
        drift += [f"connector {each.id} has taken up no version of the document" for each in without]
        # Who has no document does not serve for certain, so that it holds up a cordon and no return.
        unheard = behind or (without and not meant)
        enabled = not on if unheard and on is meant else on
        return OriginReading(region, enabled, document.mark.epoch, drift=tuple(drift))

    def normalise(self, change: OriginChange) -> OriginReading:
        """The tunnel as it will read once every connector runs the change."""
        return OriginReading(change.region, change.enabled, change.epoch)

    def budget(self) -> Budget:
        """The account's request budget; everything of the account draws on it."""
        return self._api.left()

    async def apply(self, change: OriginChange) -> None:
        """One PUT of the whole document: our mark with the epoch, our cordon or not, every other rule as it was."""
        if not change.enabled:
            self._refuse_if_shared(change.region, "it cannot be taken out")
        document = await self._document(change.region, urgent=True)
        self._fence(document, change.region, change.epoch)
        rules, mark = document.rules, document.mark
        is_on = not ingress.cordoned(rules, self._zone, change.region, self._host)
        shadowed = not change.enabled and not is_on and ingress.answers(rules, self._host)
        if is_on is change.enabled and mark.epoch == change.epoch and not shadowed:
            return
        turns = is_on is not change.enabled or shadowed
        to = ingress.Mark(change.epoch, since=document.version + 1 if turns else mark.since)
        wanted = ingress.turned(rules, self._zone, change.region, self._host, on=change.enabled, to=to)
        answer = await self._api.one(
            "PUT",
            f"{self._path(change.region)}/configurations",
            body={"config": {**document.config, "ingress": wanted}},
            urgent=True,
        )
        self._remember(change.region, document.version, answer.get("version"))

    async def connectors(self, region: str) -> tuple[Connector, ...]:
        """The region's connectors as Cloudflare lists them, lost ones included."""
        listed = await self._api.many(f"{self._path(region)}/connections", urgent=False)
        return tuple(
            Connector(
                id=str(each.get("id") or ""),
                connected=any(conn.get("is_pending_reconnect") is not True for conn in each.get("conns") or ()),
                runs=runs if isinstance(runs := each.get("config_version"), int) and runs >= 0 else None,
            )
            for each in listed
        )

    async def fence_out(self, region: str, *, epoch: int) -> None:
        """Throw the region's connectors out for good: a new secret, then every connection is cut, live calls included.

        For a region that cannot be reached and must not answer. They stay out until a person gives the tunnel's new
        token to that region. If the second request fails the connections stand still, and this may be called again.
        """
        self._refuse_if_shared(region, "it cannot be fenced out")
        self._fence(await self._document(region, urgent=True), region, epoch)
        secret = base64.b64encode(self._random_bytes(SECRET_BYTES)).decode()
        await self._api.one("PATCH", self._path(region), body={"tunnel_secret": secret}, urgent=True)
        await self._api.ask("DELETE", f"{self._path(region)}/connections", body={}, urgent=True)

    def _drift(self, region: str, *, on: bool, meant: bool) -> list[str]:
        drift = []
        others = self._sharers(region)
        if others:
            words = f"tunnel {self._tunnels[region]} is also that of {', '.join(others)}: Cloudflare picks the replica"
            drift.append(f"{words}, and no region of it can be taken out by itself")
        if on and not meant:
            drift.append(f"ingress: a rule above our cordon still gives {self._host} a service")
        if meant and not on:
            drift.append(f"ingress: no rule that is not ours gives {self._host} a service; add one above the catch-all")
        if region in self._overwrote:
            drift.append(self._overwrote[region])
        return drift

    async def _document(self, region: str, *, urgent: bool) -> _Document:
        answer = await self._api.one("GET", f"{self._path(region)}/configurations", urgent=urgent)
        if answer.get("source") == "local":
            raise self._error(
                "LocalConfiguration",
                f"the tunnel of {region} is configured by a file on its own machine, which no API changes; "
                "migrate it to remote configuration",
            )
        config = answer.get("config") or {}
        rules = tuple(rule for rule in config.get("ingress") or () if isinstance(rule, dict))
        mark = ingress.mark(rules, self._zone, region)
        if mark is None:
            raise self._error(
                "NotOurs",
                f"the tunnel of {region} lacks our mark; add an ingress rule with the hostname "
                f'"{ingress.marker(self._zone, region)}" and the service "http_status:404" above the catch-all',
            )
        version = answer.get("version")
        if not isinstance(version, int):
            words = f"lever {self._name}: the configuration of the tunnel of {region} tells no version"
            raise DriverError("Malformed", words, retryable=True)
        return _Document(version, config, rules, mark)

    def _fence(self, document: _Document, region: str, epoch: int) -> None:
        if document.mark.epoch > epoch:
            seen = document.mark.epoch
            raise self._error("Fenced", f"the tunnel of {region} was written under epoch {seen}, ours is {epoch}")

    def _refuse_if_shared(self, region: str, consequence: str) -> None:
        others = self._sharers(region)
        if others:
            raise self._error(
                "SharedTunnel",
                f"tunnel {self._tunnels[region]} is that of {region} and of {', '.join(others)}: {consequence} by "
                "itself, because Cloudflare alone picks which replica of a tunnel gets a call; "
                "give each region a tunnel of its own",
            )

    def _sharers(self, region: str) -> list[str]:
        tunnel = self._tunnels.get(region)
        return [name for name, other in self._tunnels.items() if tunnel and other == tunnel and name != region]

    def _remember(self, region: str, read: int, written: object) -> None:
        """Versions rise one by one: a gap says that a write of somebody else's lay between our read and ours."""
        self._overwrote.pop(region, None)
        if isinstance(written, int) and written > read + 1:
            between = f"version {read + 1}" if written == read + 2 else f"versions {read + 1} to {written - 1}"
            self._overwrote[region] = (
                f"{between} of the document, written by somebody else in the same moment, "
                f"is replaced by our version {written}: what it changed must be written again"
            )

    def _error(self, code: str, words: str) -> DriverError:
        return DriverError(code, f"lever {self._name}: {words}", retryable=False)

    def _path(self, region: str) -> str:
        tunnel = self._tunnels.get(region)
        if not tunnel:
            raise self._error("NoOrigin", f"Region {region} names no tunnel in spec.origins")
        return f"{self._base}/{tunnel}"
