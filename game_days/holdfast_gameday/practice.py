"""The practice range put together for the lab: every vendor on its own address, callers, and who met whom.

It seeds what an owner has at his vendors before Holdfast comes: accounts, numbers, pools that carry Holdfast's mark.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from holdfast_gameday.credentials import FleetCredentials, ZoneCredentials
from holdfast_gameday.installation import AGENT, TENANT
from holdfast_gameday.lab import certs, names
from holdfast_gameday.layout import TWO_AND_WITNESS, Layout
from holdfast_gameday.world import tls
from holdfast_gameday.world.callers import Callers
from holdfast_gameday.world.cloudflare import CloudflareApi, Token
from holdfast_gameday.world.cloudflare_state import CloudflareState
from holdfast_gameday.world.connections import ConnectionLog, sniffing
from holdfast_gameday.world.edge import Edge
from holdfast_gameday.world.openai_realtime import OpenAIRealtime
from holdfast_gameday.world.telnyx import TelnyxApi
from holdfast_gameday.world.telnyx_state import TelnyxState
from holdfast_gameday.world.tools_webhook import ToolsWebhook
from holdfast_gameday.world.twilio import TwilioSettings, TwilioSim

CLOUDFLARE_ACCOUNT = "e0e0e0e0"
NUMBERS = {"eu": "+4930555010", "us": "+12025550123"}
HTTPS = 443


class _Server(Protocol):
    def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> contextlib.AbstractAsyncContextManager[object]: ...


@dataclass(frozen=True, slots=True)
class PracticeRange:
    """All of it, serving."""

    twilio: TwilioSim
    callers: Callers
    cloudflare: CloudflareApi
    edge: Edge
    speech: dict[str, OpenAIRealtime]  # by zone
    second: OpenAIRealtime  # another provider that agents of eu may name
    tools: ToolsWebhook
    connections: ConnectionLog
    pools: dict[str, str]  # region → id of its pool

    async def answers(self, region: str, agent: str) -> bool:
        """True when a ready bridge of the agent stands behind the region's entry: it refuses an unsigned webhook."""
        place = names.REGIONS[region]
        context = tls.client_context(certs.authority())
        try:
            async with httpx.AsyncClient(verify=context, timeout=2) as client:
                answer = await client.get(
                    f"https://{place.ip}/a/{agent}/voice",
                    headers={"Host": place.host},
                    extensions={"sni_hostname": place.host},
                )
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.FORBIDDEN

    def assign_number(self, zone: str) -> bool:
        """The owner's one step at the carrier: the number is given the application that Holdfast keeps.

        False while that application is not there.
        """
        account, number = self.twilio.state.find_number(NUMBERS[zone])
        wanted = f"holdfast {zone}/{TENANT[zone]}/{AGENT[zone]}"
        for application in account.applications.values():
            if application.friendly_name == wanted and application.voice_url and application.voice_fallback_url:
                number.voice_application_sid = application.sid
                return True
        return False


def edge_state(layout: Layout = TWO_AND_WITNESS) -> tuple[CloudflareState, dict[str, str]]:
    """Pools and load balancers as an owner made them, and the id of each region's pool."""
    state = CloudflareState(account=CLOUDFLARE_ACCOUNT)
    pools = {
        region.name: state.add_pool(
            region.name, region.ip, port=HTTPS, description=f"holdfast:{layout.zone_of[region.name]}/{region.name}"
        )
        for region in names.REGIONS.values()
    }
    for zone in layout.zones:
        members = [pools[name] for name in layout.members(zone)]
        state.add_load_balancer(f"{zone}.voice.example.com", members)
    return state, pools


@contextlib.asynccontextmanager
async def practising(
    credentials: FleetCredentials, state: CloudflareState, pools: dict[str, str], *, log_file: Path
) -> AsyncIterator[PracticeRange]:
    """The calling thread lives in the lab's network already."""
    log = ConnectionLog(log_file, names=names.HOSTS)
    trust = tls.client_context(certs.authority())
    twilio = _twilio(credentials, trust, log)
    tokens = {
        keys.edge_token: Token(id=f"edge-{keys.zone}", user=f"edge-{keys.zone}")
        for keys in (credentials.eu, credentials.us)
    }
    cloudflare = CloudflareApi(state, tokens=tokens, connection_log=log)
    edge = Edge(state, origin_tls=trust, source=names.EDGE, connection_log=log)
    speech = {
        keys.zone: _speech(keys, log, name=f"{keys.zone}.api.openai.com", first=1 if keys.zone == "eu" else 100_001)
        for keys in (credentials.eu, credentials.us)
    }
    second = _speech(credentials.eu, log, name="eu2.api.openai.com", first=200_001)
    telnyx = TelnyxApi(TelnyxState(), keys=frozenset({credentials.eu.telnyx_key}), connection_log=log)
    tools = ToolsWebhook(connection_log=log)
    servers: dict[str, _Server] = {
        "api.twilio.com": twilio,
        "api.cloudflare.com": cloudflare,
        "eu.voice.example.com": edge,
        "eu.api.openai.com": speech["eu"],
        "us.api.openai.com": speech["us"],
        "eu2.api.openai.com": second,
        "api.telnyx.com": telnyx,
        "tools.example.com": tools,
    }
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(log.close)
        stack.enter_context(sniffing(log))
        for name, server in servers.items():
            served = [name, "us.voice.example.com"] if server is edge else [name]
            context = tls.server_context(*certs.leaf(served))
            await stack.enter_async_context(server.serving(names.HOSTS[name], HTTPS, ssl_context=context))
        yield PracticeRange(
            twilio=twilio,
            callers=Callers(twilio),
            cloudflare=cloudflare,
            edge=edge,
            speech=speech,
            second=second,
            tools=tools,
            connections=log,
            pools=pools,
        )


def _twilio(credentials: FleetCredentials, trust: ssl.SSLContext, log: ConnectionLog) -> TwilioSim:
    """Each zone's account with its number."""
    twilio = TwilioSim(TwilioSettings(names=names.HOSTS, trust=trust, source=names.HOSTS["api.twilio.com"]), log=log)
    for keys in (credentials.eu, credentials.us):
        account = twilio.state.add_account(
            keys.account_sid, auth_token=keys.carrier_token, api_keys={keys.carrier_key: keys.carrier_secret}
        )
        twilio.state.add_number(account, NUMBERS[keys.zone])
    return twilio


def _speech(keys: ZoneCredentials, log: ConnectionLog, *, name: str, first: int) -> OpenAIRealtime:
    """A provider that knows the zone's tenant by a key for each region. `first`: the number of its first session."""
    taken = {keys.provider_key_of(region): f"{keys.tenant}-{region}" for region in names.REGIONS}
    return OpenAIRealtime(keys=taken, first_session=first, connection_log=log, name=name)
