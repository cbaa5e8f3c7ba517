"""From what a policy says about levers and carriers to the drivers that reach them. The only place that knows both.

Drivers are kept as long as their configuration stands, because what they remember must outlive a reconcile.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import certifi
import httpx

from holdfast.core.addresses import applications
from holdfast.core.means import Carrier, Lever
from holdfast.core.values import Region, Zone
from holdfast.fleet_accounts import Accounts
from holdfast.levers.base import PointingDriver, RoutingDriver
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast.levers.cloudflare_tunnel import CloudflareTunnel
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.kamailio_file import ListFile
from holdfast.levers.kamailio_rpc import Proxy, authorization, no_authorization
from holdfast.levers.telnyx_applications import Sort, TelnyxApplications
from holdfast.levers.telnyx_numbers import TelnyxNumbers
from holdfast.levers.telnyx_sip_connection import TelnyxSipConnection
from holdfast.levers.twilio_application import TwilioApplications
from holdfast.levers.twilio_number import TwilioNumbers
from holdfast.levers.twilio_trunk import TwilioTrunk

OF_NUMBERS = frozenset({"twilioNumber", "telnyxNumber"})
CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"


def public_tls(extra_ca_file: str | None) -> ssl.SSLContext:
    """Trusts the public authorities and, when the chart was given one, the user's own."""
    context = ssl.create_default_context(cafile=certifi.where())
    if extra_ca_file:
        context.load_verify_locations(extra_ca_file)
    return context


def vendor_client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    """The client for vendors' APIs. Deadlines are the drivers'."""
    return httpx.AsyncClient(verify=tls, timeout=None, limits=httpx.Limits(max_connections=20))  # noqa: S113


@dataclass(frozen=True, slots=True)
class Wish:
    """A lever with everything that its driver is made from; the same wish is served by the same driver."""

    lever: Lever
    zone: str
    host: str
    origins: Mapping[str, str]
    weights: Mapping[str, int]
    carrier: Carrier | None


class Vendors:
    """Drivers by zone, made on demand."""

    def __init__(self, *, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._clock = clock
        self._levers: dict[tuple[str, str], tuple[Wish, RoutingDriver]] = {}
        self._pointers: dict[tuple[str, str], tuple[object, PointingDriver]] = {}

    def levers(self, zone: Zone, regions: Mapping[str, Region]) -> dict[str, RoutingDriver]:
        """The zone's drivers by lever name, of the levers whose regions are on or off."""
        drivers = {}
        for lever in zone.levers:
            wish = _wish(lever, zone, regions)
            make = MAKERS.get(lever.kind)
            if make is None:
                continue
            made = self._levers.get((zone.name, lever.name))
            if made is None or made[0] != wish:
                made = (wish, make(wish, self._accounts, self._clock))
                self._levers[zone.name, lever.name] = made
            drivers[lever.name] = made[1]
        return drivers

    def pointers(self, zone: Zone) -> dict[str, PointingDriver]:
        """Who holds addresses: the applications of every carrier account, and each lever of numbers by its name."""
        drivers: dict[str, PointingDriver] = {}
        for carrier in zone.carriers:
            name = applications(carrier.name)
            drivers[name] = self._kept(zone, name, carrier, partial(self._applications, zone, carrier))
        accounts = {carrier.name: carrier for carrier in zone.carriers}
        for lever in zone.levers:
            if lever.kind in OF_NUMBERS and lever.carrier in accounts:
                account = accounts[lever.carrier]
                numbers = _numbers(zone, account)
                make = partial(self._numbers, zone, lever, account, numbers)
                drivers[lever.name] = self._kept(zone, lever.name, (lever, account, numbers), make)
        return drivers

    def _kept(
        self, zone: Zone, name: str, of: object, make: Callable[[], PointingDriver]
    ) -> PointingDriver:
        made = self._pointers.get((zone.name, name))
        if made is None or made[0] != of:
            made = (of, make())
            self._pointers[zone.name, name] = made
        return made[1]

    def _numbers(self, zone: Zone, lever: Lever, carrier: Carrier, numbers: frozenset[str]) -> PointingDriver:
        if carrier.kind == "telnyx":
            api = self._accounts.telnyx(carrier)
            held = TelnyxApplications(name=carrier.name, zone=zone.name, sort=_sort(carrier), api=api)
            return TelnyxNumbers(name=lever.name, zone=zone.name, api=api, applications=held)
        half = {carrier.region: self._accounts.twilio(carrier)}
        return TwilioNumbers(name=lever.name, numbers=numbers, halves=half, clock=self._clock)

    def _applications(self, zone: Zone, carrier: Carrier) -> PointingDriver:
        if carrier.kind == "telnyx":
            api = self._accounts.telnyx(carrier)
            return TelnyxApplications(name=carrier.name, zone=zone.name, sort=_sort(carrier), api=api)
        return TwilioApplications(
            name=carrier.name, mark=f"holdfast {zone.name}/", api=self._accounts.twilio(carrier)
        )


def _numbers(zone: Zone, carrier: Carrier) -> frozenset[str]:
    """Those that the policy grants to whoever may use the carrier."""
    return frozenset(
        number for tenant in zone.tenants if carrier.name in tenant.carriers for number in tenant.numbers
    )


def _sort(carrier: Carrier) -> Sort:
    return "callControl" if carrier.sort == "callControl" else "texml"


def _wish(lever: Lever, zone: Zone, regions: Mapping[str, Region]) -> Wish:
    return Wish(
        lever=lever,
        zone=zone.name,
        host=zone.host,
        origins={name: regions[name].origins.get(lever.name, "") for name in zone.members if name in regions},
        weights={region.name: region.weight for region in zone.regions},
        carrier=next((carrier for carrier in zone.carriers if carrier.name == lever.carrier), None),
    )


def _load_balancer(wish: Wish, accounts: Accounts, _clock: Callable[[], float]) -> RoutingDriver:
    lever = wish.lever
    return CloudflareLoadBalancer(
        name=lever.name,
        zone=wish.zone,
        api_url=lever.api_url or CLOUDFLARE_API,
        account_id=lever.account_id,
        pools=wish.origins,
        token=lambda: accounts.text(lever.secret, "token"),
        http=accounts.http,
        budget=accounts.cloudflare(lever.secret),
        weighted=lever.weighted,
        zone_id=lever.settings.get("zoneId", ""),
        load_balancer_id=lever.settings.get("loadBalancerId", ""),
    )


def _tunnel(wish: Wish, accounts: Accounts, _clock: Callable[[], float]) -> RoutingDriver:
    lever = wish.lever
    return CloudflareTunnel(
        name=lever.name,
        zone=wish.zone,
        api_url=lever.api_url or CLOUDFLARE_API,
        account_id=lever.account_id,
        host=wish.host,
        tunnels=wish.origins,
        token=lambda: accounts.text(lever.secret, "token"),
        http=accounts.http,
        budget=accounts.cloudflare(lever.secret),
        random_bytes=os.urandom,
    )


def _trunk(wish: Wish, accounts: Accounts, clock: Callable[[], float]) -> RoutingDriver:
    lever = wish.lever
    assert wish.carrier is not None, "the schema asks for a carrier of the policy"
    return TwilioTrunk(
        name=lever.name,
        zone=wish.zone,
        trunk_sid=lever.settings["trunkSid"],
        origins=wish.origins,
        api=accounts.twilio(wish.carrier),
        clock=clock,
        weights=wish.weights if lever.weighted else None,
        disaster_url=lever.settings.get("disasterUrl", ""),
    )


def _sip_connection(wish: Wish, accounts: Accounts, _clock: Callable[[], float]) -> RoutingDriver:
    lever = wish.lever
    assert wish.carrier is not None, "the schema asks for a carrier of the policy"
    return TelnyxSipConnection(
        name=lever.name,
        zone=wish.zone,
        connection_id=lever.settings["connectionId"],
        fqdns=wish.origins,
        api=accounts.telnyx(wish.carrier),
        method="round-robin" if lever.settings.get("method") == "round-robin" else "sequential",
    )


def _dispatcher(wish: Wish, accounts: Accounts, _clock: Callable[[], float]) -> RoutingDriver:
    lever, group = wish.lever, int(wish.lever.settings["group"])
    paths = [Path(path) for path in json.loads(lever.settings.get("listFiles", "[]"))]

    async def header() -> str:
        return authorization(await accounts.values(lever.secret))

    return KamailioDispatcher(
        name=lever.name,
        zone=wish.zone,
        group=group,
        proxies=[
            Proxy(
                lever=lever.name,
                url=url,
                group=group,
                http=accounts.proxies(lever),
                authorization=header if lever.secret else no_authorization,
                fence_table=lever.settings.get("fenceTable", ""),
            )
            for url in json.loads(lever.settings["proxies"])
        ],
        origins=wish.origins,
        files=[ListFile(lever=lever.name, zone=wish.zone, path=path, group=group) for path in paths],
    )


MAKERS: Mapping[str, Callable[[Wish, Accounts, Callable[[], float]], RoutingDriver]] = {
    "cloudflareLoadBalancer": _load_balancer,
    "cloudflareTunnel": _tunnel,
    "twilioTrunk": _trunk,
    "telnyxSipConnection": _sip_connection,
    "kamailioDispatcher": _dispatcher,
}
