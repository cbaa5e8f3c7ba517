"""From what a policy says about levers and carriers to the drivers that reach them. The only place that knows both.

Drivers are kept as long as their configuration stands, because a rate budget must outlive a reconcile. One budget per
credential: at the vendor, everything of one user shares one limit.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

import certifi
import httpx

from holdfast import fleet_secrets
from holdfast.core.values import Carrier, Lever, Region, Zone
from holdfast.levers.base import RoutingDriver
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast.levers.twilio_api import API_URL, TwilioAccount, TwilioApi
from holdfast.levers.twilio_application import TwilioApplications

CLOUDFLARE = "cloudflareloadbalancer"
CLOUDFLARE_API = "https://api.cloudflare.com/client/v4"
# Cloudflare allows 1200 requests per 300 s; three regions and a human share them. The reserve serves failover alone.
CLOUDFLARE_REQUESTS, CLOUDFLARE_WINDOW_S, CLOUDFLARE_RESERVE = 360, 300.0, 120
TWILIO = "twilio"
# Twilio counts open requests, not requests made; this only keeps a loop of ours from being a burden.
TWILIO_REQUESTS, TWILIO_WINDOW_S, TWILIO_RESERVE = 6000, 60.0, 1000


def public_tls(extra_ca_file: str | None) -> ssl.SSLContext:
    """Trusts the public authorities and, when the chart was given one, the user's own."""
    context = ssl.create_default_context(cafile=certifi.where())
    if extra_ca_file:
        context.load_verify_locations(extra_ca_file)
    return context


def vendor_client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    """The client for vendors' APIs. Deadlines are the drivers'."""
    return httpx.AsyncClient(verify=tls, timeout=None, limits=httpx.Limits(max_connections=20))  # noqa: S113


class Vendors:
    """Drivers by zone, made on demand."""

    def __init__(
        self, *, secrets: fleet_secrets.Secrets, http: httpx.AsyncClient, clock: Callable[[], float]
    ) -> None:
        self._secrets = secrets
        self._http = http
        self._clock = clock
        self._levers: dict[tuple[str, str], tuple[Lever, dict[str, str], RoutingDriver]] = {}
        self._budgets: dict[str, RateBudget] = {}
        self._carriers: dict[tuple[str, str], tuple[Carrier, TwilioApplications]] = {}

    def levers(self, zone: Zone, regions: Mapping[str, Region]) -> dict[str, RoutingDriver]:
        """The zone's drivers by lever name. A kind that this version does not know has no driver."""
        drivers = {}
        for lever in zone.levers:
            origins = {name: regions[name].origins.get(lever.name, "") for name in zone.members if name in regions}
            made = self._levers.get((zone.name, lever.name))
            if made is None or made[:2] != (lever, origins):
                driver = self._make(zone, lever, origins)
                if driver is None:
                    continue
                made = (lever, origins, driver)
                self._levers[zone.name, lever.name] = made
            drivers[lever.name] = made[2]
        return drivers

    def _make(self, zone: Zone, lever: Lever, origins: dict[str, str]) -> RoutingDriver | None:
        if lever.kind.replace("-", "").lower() != CLOUDFLARE:
            return None

        async def token() -> str:
            return await self._secrets.text(lever.secret, "token")

        budget = self._budgets.get(lever.secret)
        if budget is None:
            budget = self._budgets[lever.secret] = RateBudget(
                requests=CLOUDFLARE_REQUESTS,
                window_s=CLOUDFLARE_WINDOW_S,
                reserve=CLOUDFLARE_RESERVE,
                clock=self._clock,
            )
        return CloudflareLoadBalancer(
            name=lever.name,
            zone=zone.name,
            api_url=lever.api_url or CLOUDFLARE_API,
            account_id=lever.account_id,
            pools=origins,
            token=token,
            http=self._http,
            budget=budget,
        )

    def applications(self, zone: Zone, carrier: Carrier) -> TwilioApplications:
        """The applications of one carrier account of the zone."""
        made = self._carriers.get((zone.name, carrier.name))
        if made is not None and made[0] == carrier:
            return made[1]

        async def credentials() -> tuple[str, str]:
            values = await self._secrets.read(carrier.secret)
            if values.get("apiKey") and values.get("apiSecret"):
                return values["apiKey"].decode(), values["apiSecret"].decode()
            return carrier.account_sid, await self._secrets.text(carrier.secret, "authToken")

        budget = RateBudget(
            requests=TWILIO_REQUESTS, window_s=TWILIO_WINDOW_S, reserve=TWILIO_RESERVE, clock=self._clock
        )
        api = TwilioApi(
            name=carrier.name,
            account=TwilioAccount(carrier.account_sid, api_url=carrier.api_url or API_URL),
            credentials=credentials,
            http=self._http,
            budget=budget,
        )
        driver = TwilioApplications(name=carrier.name, mark=f"holdfast {zone.name}/", api=api)
        self._carriers[zone.name, carrier.name] = (carrier, driver)
        return driver
