"""The simulated edge in front of tunnels: a rule answers new requests, and running streams stay where they are."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest
from aiohttp import web

from holdfast_gameday.world import serve
from holdfast_gameday.world.cloudflare_state import CloudflareState
from holdfast_gameday.world.cloudflare_tunnel_state import Tunnels
from holdfast_gameday.world.edge import Edge

HOST = "eu.voice.example.com"
CATCH_ALL = {"service": "http_status:404"}


async def _echo(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return web.Response(text="fra")
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


class Range:
    """One region behind a tunnel behind the edge."""

    def rule(self, service: str) -> None:
        config = {"ingress": [{"hostname": HOST, "service": service}, CATCH_ALL]}
        self.tunnels.configure(self.fra, {"config": config}, by="test")

    async def ask(self) -> int:
        async with self.session.get(f"{self.url}/voice", headers={"Host": HOST}) as answer:
            return answer.status

    def connect(self):
        return self.session.ws_connect(f"{self.url}/media", headers={"Host": HOST})


@pytest.fixture
async def world():
    here = Range()
    application = web.Application()
    application.router.add_get("/{path:.*}", _echo)
    state = CloudflareState()
    here.tunnels = Tunnels()
    async with contextlib.AsyncExitStack() as stack:
        at = await stack.enter_async_context(serve.serving(application, "127.0.0.1", 0))
        here.service = f"http://{at}"
        here.fra = here.tunnels.add("fra", [{"hostname": HOST, "service": here.service}, CATCH_ALL])
        monitor = state.add_monitor("third net")
        here.pool = state.add_pool("fra", f"{here.fra}.cfargotunnel.com", monitor=monitor)
        state.add_load_balancer(HOST, [here.pool])
        here.state, here.edge = state, Edge(state, origin_tls=None, tunnels=here.tunnels)
        here.url = f"http://{await stack.enter_async_context(here.edge.serving('127.0.0.1', 0))}"
        here.session = await stack.enter_async_context(aiohttp.ClientSession())
        yield here


async def test_a_tunnel_without_a_connector_answers_530(world):
    assert await world.ask() == 530
    world.tunnels.run(world.fra)
    assert await world.ask() == 200


async def test_a_running_stream_outlives_the_rule_that_turns_new_ones_away(world):
    world.tunnels.run(world.fra)
    async with world.connect() as ws:
        world.rule("http_status:503")
        assert await world.ask() == 503
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await world.connect()
        await ws.send_str("still here")
        assert await ws.receive_str() == "still here"
    world.rule(world.service)
    assert await world.ask() == 200


async def test_a_monitor_sees_what_a_call_would_see(world):
    found = []
    for prepare in (lambda: None, lambda: world.tunnels.run(world.fra), lambda: world.rule("http_status:503")):
        prepare()
        await world.edge.monitors.round()
        found.append(world.state.health[world.pool])
    assert found == [False, True, False]
