"""The accounts that levers and carriers are reached through: one client and one budget for each.

At a vendor, everything of one account shares one limit, so whoever uses an account shares what is kept here. Accounts
outlive a reconcile, because their budgets must. Nothing is known of what is routed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import httpx

from holdfast import fleet_secrets
from holdfast.core.means import Carrier, Lever
from holdfast.levers.budget import RateBudget
from holdfast.levers.kamailio_tls import client_tls
from holdfast.levers.telnyx_api import TelnyxApi, TelnyxLimits
from holdfast.levers.twilio_api import API_URL, HOME_REGION, TwilioAccount, TwilioApi

# Cloudflare allows 1200 requests per 300 s; three regions and a human share them. The reserve serves failover alone.
CLOUDFLARE_REQUESTS, CLOUDFLARE_WINDOW_S, CLOUDFLARE_RESERVE = 360, 300.0, 120
# Twilio counts open requests, not requests made; this only keeps a loop of ours from being a burden.
TWILIO_REQUESTS, TWILIO_WINDOW_S, TWILIO_RESERVE = 6000, 60.0, 1000


class Accounts:
    """Made on demand, by what tells one account from another."""

    def __init__(
        self,
        *,
        secrets: fleet_secrets.Secrets,
        http: httpx.AsyncClient,
        trusted: str,
        clock: Callable[[], float],
    ) -> None:
        """`trusted`: the file of the authorities that vendors' certificates are held against."""
        self.http = http
        self._trusted = trusted
        self._secrets = secrets
        self._clock = clock
        self._cloudflare: dict[str, RateBudget] = {}
        self._twilio: dict[tuple[str, ...], TwilioApi] = {}
        self._telnyx: dict[tuple[str, str], TelnyxApi] = {}
        self._proxies: dict[str, httpx.AsyncClient] = {}

    def cloudflare(self, secret: str) -> RateBudget:
        """The budget of a token: its user's limit is shared by everything that user does."""
        if secret not in self._cloudflare:
            self._cloudflare[secret] = RateBudget(
                requests=CLOUDFLARE_REQUESTS,
                window_s=CLOUDFLARE_WINDOW_S,
                reserve=CLOUDFLARE_RESERVE,
                clock=self._clock,
            )
        return self._cloudflare[secret]

    def twilio(self, carrier: Carrier) -> TwilioApi:
        """The half of an account that a carrier of a policy names."""
        account = TwilioAccount(
            carrier.account_sid, carrier.region or HOME_REGION, carrier.edge, carrier.api_url or API_URL
        )
        key = (account.account_sid, account.region, account.edge, account.api_url, carrier.secret)
        if key not in self._twilio:
            self._twilio[key] = TwilioApi(
                name=carrier.name,
                account=account,
                credentials=lambda: self.twilio_key(carrier),
                http=self.http,
                budget=RateBudget(
                    requests=TWILIO_REQUESTS, window_s=TWILIO_WINDOW_S, reserve=TWILIO_RESERVE, clock=self._clock
                ),
            )
        return self._twilio[key]

    def telnyx(self, carrier: Carrier) -> TelnyxApi:
        """The account that a carrier of a policy names; what uses one key shares its limits."""
        key = (carrier.api_url, carrier.secret)
        if key not in self._telnyx:
            self._telnyx[key] = TelnyxApi(
                who=f"carrier {carrier.name}",
                api_url=carrier.api_url,
                key=lambda: self.text(carrier.secret, "apiKey"),
                http=self.http,
                limits=TelnyxLimits(clock=self._clock),
            )
        return self._telnyx[key]

    async def twilio_key(self, carrier: Carrier) -> tuple[str, str]:
        """An API key, else the account's own token."""
        values = await self._secrets.read(carrier.secret)
        if values.get("apiKey") and values.get("apiSecret"):
            return values["apiKey"].decode(), values["apiSecret"].decode()
        return carrier.account_sid, await self._secrets.text(carrier.secret, "authToken")

    async def values(self, secret: str) -> Mapping[str, bytes]:
        """All keys of one of the operator's own Secrets."""
        return await self._secrets.read(secret)

    def proxies(self, lever: Lever) -> httpx.AsyncClient:
        """The client for a lever's own proxies: with its Secret's certificate and authority, if it has a Secret."""
        if not lever.secret:
            return self.http
        if lever.secret not in self._proxies:
            transport = _SecretTls(lever, self.values, self._trusted)
            self._proxies[lever.secret] = httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113
        return self._proxies[lever.secret]

    async def close(self) -> None:
        """Give back the connections that were made here."""
        for client in self._proxies.values():
            await client.aclose()

    async def text(self, secret: str, key: str) -> str:
        """One key of one of the operator's own Secrets."""
        return await self._secrets.text(secret, key)


class _SecretTls(httpx.AsyncBaseTransport):
    """Opens TLS with what a Secret holds, and anew once it holds something else: drivers are made before it is read."""

    def __init__(
        self, lever: Lever, values: Callable[[str], Awaitable[Mapping[str, bytes]]], trusted: str
    ) -> None:
        self._lever = lever
        self._values = values
        self._trusted = trusted
        self._of: Mapping[str, bytes] = {}
        self._inner: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        held = await self._values(self._lever.secret)
        if self._inner is None or held != self._of:
            before, self._of = self._inner, dict(held)
            context = client_tls(held, lever=self._lever.name, trusted=self._trusted)
            self._inner = httpx.AsyncHTTPTransport(verify=context)
            if before is not None:
                await before.aclose()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()
