"""The TURN servers of this region, from what its Region object says to what its callers may be offered.

It joins the wish, the issuers of credentials and the watching. Nothing is judged here, and no credential is kept but by
the issuers.
"""

from __future__ import annotations

import json
import random
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import httpx

from holdfast.core.means import TurnServer
from holdfast.core.relays import Home, IceList, Relay, Transport
from holdfast.core.values import Observation, Zone
from holdfast.desired import Desired
from holdfast.errors import DriverError
from holdfast.gather.relays import Relays, WatchedRelay
from holdfast.gather.turn_credentials import CoturnSecret, Issuer, KeptIssuer
from holdfast.gather.turn_forbidden import DEFAULT_NETWORKS, Forbidden
from holdfast.gather.turn_issuers import CloudflareCredentials, TwilioCredentials
from holdfast.gather.turn_probe import TurnProbe

Values = Callable[[str], Awaitable[Mapping[str, bytes]]]
USER = "holdfast-probe"


class FleetRelays:
    """`secrets` reads one of the operator's own Secrets. `on_change` is called when a sight changes."""

    def __init__(
        self,
        *,
        region: str,
        desired: Desired,
        secrets: Values,
        http: httpx.AsyncClient,
        tls: ssl.SSLContext,
        clock: Callable[[], float],
        wall_s: Callable[[], float],
        on_change: Callable[[], None],
        dice: random.Random,
    ) -> None:
        self._region = region
        self._desired = desired
        self._secrets = secrets
        self._http = http
        self._clock = clock
        self._wall_s = wall_s
        self._issuers: dict[str, tuple[TurnServer, Issuer]] = {}
        self._relays = Relays(
            probe=TurnProbe(tls),
            relays=self._wished,
            issuer=self._issuer,
            user=f"{USER}-{region}",
            clock=clock,
            on_change=on_change,
            dice=dice,
        )

    async def run(self) -> None:
        """While this pod is its region's active one."""
        await self._relays.run()

    def observations(self) -> Sequence[Observation]:
        """What this region says of its relays."""
        return self._relays.observations(self._region)

    def latencies(self) -> Mapping[str, int]:
        """Milliseconds of an echo through each relay that was found well, by `relay/name/transport`."""
        return {
            f"relay/{name}/{transport.value}": round(outcome.rtt_s * 1000)
            for (name, transport), outcome in self._relays.outcomes().items()
            if outcome.rtt_s is not None
        }

    def ice_list(self, zone: Zone) -> IceList | None:
        """What callers of the zone are offered here; None where the Region names no relay."""
        here = self._desired.regions.get(self._region)
        if here is None or not here.turn:
            return None
        return self._relays.ice_list(Home(zone.residency, here.failure_domain))

    def _servers(self) -> tuple[TurnServer, ...]:
        here = self._desired.regions.get(self._region)
        return here.turn if here else ()

    def _wished(self) -> Iterable[WatchedRelay]:
        return [_watched(server) for server in self._servers()]

    def _issuer(self, name: str) -> Issuer:
        server = next((each for each in self._servers() if each.name == name), None)
        if server is None:
            raise DriverError("NoIssuer", f"TURN server {name} is no longer named by the Region", retryable=False)
        kept = self._issuers.get(name)
        if kept is None or kept[0] != server:
            kept = (server, self._made(server))
            self._issuers[name] = kept
        return kept[1]

    def _made(self, server: TurnServer) -> Issuer:
        async def pair() -> tuple[str, str]:
            held = await self._secrets(server.secret)
            return _text(server, held, "apiKey"), _text(server, held, "apiSecret")

        async def token() -> str:
            return _text(server, await self._secrets(server.secret), "token")

        async def secrets() -> Sequence[bytes]:
            held = await self._secrets(server.secret)
            return [held[key] for key in json.loads(server.settings["keys"]) if held.get(key)]

        if server.issuer == "coturnSecret":
            separator = server.settings["separator"]
            return CoturnSecret(name=server.name, secrets=secrets, wall=self._wall_s, separator=separator)
        if server.issuer == "cloudflare":
            key_id = server.settings["keyId"]
            vendor = CloudflareCredentials(name=server.name, key_id=key_id, token=token, http=self._http)
            return KeptIssuer(vendor.fetch, clock=self._clock)
        account = server.settings["accountSid"]
        twilio = TwilioCredentials(name=server.name, account_sid=account, basic=pair, http=self._http)
        return KeptIssuer(twilio.fetch, clock=self._clock)


def _watched(server: TurnServer) -> WatchedRelay:
    urls = {Transport(name): url for name, url in server.urls.items()}
    forbidden = None
    if server.forbidden is not None:
        forbidden = Forbidden(server.forbidden or DEFAULT_NETWORKS, server.allowed)
    return WatchedRelay(
        Relay(server.name, server.jurisdiction, urls, server.failure_domain), server.name, forbidden
    )


def _text(server: TurnServer, held: Mapping[str, bytes], key: str) -> str:
    if not held.get(key):
        raise DriverError(
            "SecretMissing", f"TURN server {server.name}: Secret {server.secret} has no key {key}", retryable=False
        )
    return held[key].decode()
