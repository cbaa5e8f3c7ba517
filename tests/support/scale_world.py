"""What lies outside the clusters of a fleet at scale: regions' entries, the edge, Cloudflare's and Twilio's APIs, pods.

All of it is served on loopback ports in this process, over TLS under one certificate of the test's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import world_vendors_tls
from aiohttp import web

from holdfast.core.place import operator_token
from holdfast.core.values import AgentRef
from holdfast_gameday.world.cloudflare import CloudflareApi, Token
from holdfast_gameday.world.cloudflare_state import CloudflareState
from holdfast_gameday.world.cloudflare_state import Write as CloudflareWrite
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.edge import Edge
from holdfast_gameday.world.serve import Address
from holdfast_gameday.world.twilio import TwilioSettings, TwilioSim
from holdfast_gameday.world.twilio_state import Write as TwilioWrite

ZONE_HOST = "eu.voice.example.com"
ACCOUNT = "AC" + "e0" * 16
API_KEY = ("SK1", "s")


def host_of(region: str) -> str:
    return f"{region}.voice.example.com"


class Entry:
    """The public entry of one region: echoes the fleet's synthetic calls, and answers webhooks with its own name."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def open(self, tls: ssl.SSLContext) -> None:
        app = web.Application()
        app.router.add_get("/a/holdfast-system/canary/media", self._echo)
        app.router.add_post("/a/{namespace}/{agent}/voice", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """From now on connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def _answer(self, _: web.Request) -> web.Response:
        return web.Response(text=self.region)

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        with contextlib.suppress(ConnectionResetError):  # The probe hung up for want of time.
            await ws.prepare(request)
            async for message in ws:
                said = json.loads(message.data)
                if said["event"] == "stop":
                    break
                if said["event"] == "media":
                    back = {"event": "media", "streamSid": said["streamSid"], "media": said["media"]}
                    await ws.send_str(json.dumps(back))
        return ws


@dataclass
class World:
    """`pools`: each region's pool at Cloudflare, by name. `edge_at`: where callers' webhooks are sent."""

    entries: dict[str, Entry]
    cloudflare: CloudflareApi
    twilio: TwilioSim
    twilio_log: ConnectionLog
    pools: dict[str, str]
    ports: dict[str, int]
    edge_at: Address
    ca: Path
    session: aiohttp.ClientSession
    tls: ssl.SSLContext

    def add_account(self, numbers: Sequence[str]) -> None:
        """The carrier account of the zone."""
        state = self.twilio.state
        account = state.add_account(ACCOUNT, auth_token="carrier-token", api_keys=dict([API_KEY]))
        for number in numbers:
            state.add_number(account, number)

    def fallbacks_in(self, region: str) -> int:
        """Applications at the carrier whose fallback is this region."""
        found = self.twilio.state.accounts[ACCOUNT].applications.values()
        return sum(each.voice_fallback_url.startswith(f"https://{host_of(region)}/") for each in found)

    def numbers_in(self, region: str) -> int:
        """Numbers whose calls go to this region first."""
        found = self.twilio.state.accounts[ACCOUNT].numbers.values()
        return sum(each.voice_url.startswith(f"https://{host_of(region)}/") for each in found)

    def writes(self) -> list[CloudflareWrite | TwilioWrite]:
        """Everything that was ever changed by the vendors' APIs, as they record it."""
        return [*self.cloudflare.state.writes, *self.twilio.state.writes]

    async def call(self, agent: str) -> str:
        """A carrier asks the zone's host what to do with a call. Which region answered; empty when none did."""
        url = f"https://{self.edge_at}/a/{agent}/voice"
        try:
            async with self.session.post(url, headers={"Host": ZONE_HOST}, ssl=self.tls) as answer:
                return await answer.text() if answer.status == 200 else ""
        except aiohttp.ClientError:
            return ""


@contextlib.asynccontextmanager
async def world(folder: Path, regions: Sequence[str], *, carrier_limit: int) -> AsyncIterator[World]:
    """`regions` in the edge's order. `carrier_limit`: how many requests at a time the carrier takes."""
    server, client = world_vendors_tls.contexts(folder, ZONE_HOST, *map(host_of, [*regions, "iad"]))
    entries = {name: Entry(name) for name in (*regions, "iad")}
    state = CloudflareState(account="e0e0")
    api = CloudflareApi(state, tokens={"t": Token("fleet", "fleet")})
    log = ConnectionLog()
    twilio = TwilioSim(TwilioSettings(concurrency_limit=carrier_limit), log=log)
    edge = Edge(state, origin_tls=client)
    async with contextlib.AsyncExitStack() as stack:
        for entry in entries.values():
            await entry.open(server)
            stack.push_async_callback(entry.close)
        pools = {
            name: state.add_pool(name, "127.0.0.1", port=entries[name].port, description=f"holdfast:eu/{name}")
            for name in regions
        }
        state.add_load_balancer(ZONE_HOST, list(pools.values()))
        cloudflare_at = await stack.enter_async_context(api.serving("127.0.0.1", 0, ssl_context=server))
        await stack.enter_async_context(twilio.serving("127.0.0.1", 0, ssl_context=server))
        assert twilio.address is not None
        edge_at = await stack.enter_async_context(edge.serving("127.0.0.1", 0, ssl_context=server))
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        ports = {"cloudflare": cloudflare_at.port, "twilio": twilio.address.port}
        yield World(
            entries, api, twilio, log, pools, ports, edge_at, folder / "crt.pem", session, client,
        )  # fmt: skip


@dataclass
class Pod:
    """A bridge pod that only keeps its long poll open. `told`: the last directive."""

    agent: AgentRef
    name: str
    told: dict[str, Any] = field(default_factory=dict)

    async def poll(self, session: aiohttp.ClientSession, port: int, key: bytes) -> None:
        """Until cancelled."""
        url, token = f"http://127.0.0.1:{port}/v1/poll", operator_token(key, self.agent)
        while True:
            said = {
                "agent": str(self.agent), "pod": self.name, "ready": True, "version": self.told.get("version", 0),
                "calls": [{"call": f"CA-{self.name}"}],
            }  # fmt: skip
            try:
                async with session.post(url, json=said, headers={"Authorization": f"Bearer {token}"}) as answer:
                    if answer.status == 200:
                        self.told = await answer.json()
                        continue
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.3)
