"""The simulated edge: where new requests go, what stays where it is, and what it says when an origin is gone."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web
from world_vendors_tls import contexts

from holdfast_gameday.world import serve
from holdfast_gameday.world.cloudflare_state import CloudflareState, Writer
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.edge import Edge, Manners
from holdfast_gameday.world.edge_route import Place

HOST = "eu.voice.example.com"
US = Writer("test", "127.0.0.1")


def _origin(name: str, seen: list) -> web.Application:
    async def answer(request: web.Request) -> web.StreamResponse:
        tls = request.transport.get_extra_info("ssl_object")
        seen.append((request.host, request.raw_path, tls is not None, dict(request.headers)))
        if request.path == "/refused":
            return web.Response(status=403)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=201, text=f"{name} {await request.text()}", headers={"X-Origin": name})
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            if message.data == "break off":
                request.transport.abort()
            elif message.data == "bye":
                await ws.close(code=4001, message=b"done")
            else:
                await ws.send_str(f"{name} {message.data}")
        return ws

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    return application


class Range:
    """Two regions behind one edge, and a client that asks it by name."""

    async def ask(self, method: str = "GET", path: str = "/a/clinic/front-desk/voice", **more):
        headers = {"Host": HOST, **more.pop("headers", {})}
        async with self.session.request(method, f"{self.url}{path}", headers=headers, **more) as answer:
            return answer.status, await answer.text()

    def connect(self, path: str = "/a/clinic/front-desk/journal", **more):
        return self.session.ws_connect(f"{self.url}{path}", headers={"Host": HOST, **more})

    def switch(self, pool: str, *, enabled: bool) -> None:
        self.state.write("pool", pool, {"enabled": enabled}, method="PATCH", writer=US)


@contextlib.asynccontextmanager
async def _range(manners: Manners | None = None, *, tls=(None, None), log: ConnectionLog | None = None, now=None):
    here = Range()
    here.seen = []
    here.state = CloudflareState(monotonic=(lambda: now[0])) if now else CloudflareState()
    async with contextlib.AsyncExitStack() as stack:
        ports = {
            name: await stack.enter_async_context(
                serve.serving(_origin(name, here.seen), "127.0.0.1", 0, ssl_context=tls[0])
            )
            for name in ("fra", "ams")
        }
        monitor = here.state.add_monitor("third net")
        here.fra, here.ams = (
            here.state.add_pool(name, "127.0.0.1", port=at.port, monitor=monitor) for name, at in ports.items()
        )
        here.balancer = here.state.add_load_balancer(HOST, [here.fra, here.ams])
        here.edge = Edge(here.state, origin_tls=tls[1], manners=manners or Manners(), connection_log=log)
        at = await stack.enter_async_context(here.edge.serving("127.0.0.1", 0))
        here.session = await stack.enter_async_context(aiohttp.ClientSession())
        here.url = f"http://{at}"
        yield here


@pytest.fixture
async def world():
    async with _range() as here:
        yield here


def _dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _move(world: Range, pool: str, address: str, port: int) -> None:
    origins = [{"name": "x", "address": address, "port": port}]
    world.state.write("pool", pool, {"origins": origins}, method="PATCH", writer=US)


async def test_new_requests_go_to_the_first_enabled_pool_in_order(world):
    assert await world.ask("POST", data="hi") == (201, "fra hi")
    world.switch(world.fra, enabled=False)
    assert await world.ask("POST", data="hi") == (201, "ams hi")
    world.switch(world.fra, enabled=True)
    assert (await world.ask())[1] == "fra "
    reversed_order = {"default_pools": [world.ams, world.fra]}
    world.state.write("load_balancer", world.balancer, reversed_order, method="PATCH", writer=US)
    assert (await world.ask())[1] == "ams "
    assert [(one.pool, one.status) for one in world.edge.served] == [
        ("fra", 201), ("ams", 201), ("fra", 201), ("ams", 201),
    ]  # fmt: skip


async def test_a_socket_stays_with_its_region_after_the_cordon(world):
    async with world.connect() as ws:
        await ws.send_str("one")
        assert (await ws.receive_str()) == "fra one"
        world.switch(world.fra, enabled=False)
        await ws.send_str("two")
        assert (await ws.receive_str()) == "fra two"
        assert (await world.ask())[1] == "ams "
        await ws.send_str("bye")
        closed = await ws.receive()
        assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "done")


async def test_a_socket_that_breaks_at_the_origin_breaks_at_the_client(world):
    async with world.connect() as ws:
        await ws.send_str("break off")
        assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert ws.close_code == 1006


async def test_a_refused_upgrade_is_the_origins_answer(world):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await world.connect("/refused")

    assert refused.value.status == 403


async def test_the_origin_sees_the_public_name_the_raw_path_and_the_signature(world):
    signed = {"X-Twilio-Signature": "s="}
    await world.ask("POST", "/a/x/next?call=CA1&hop=2%2B", data={"CallSid": "CA1"}, headers=signed)

    host, path, _, headers = world.seen[0]
    assert (host, path) == (HOST, "/a/x/next?call=CA1&hop=2%2B")
    assert headers["X-Twilio-Signature"] == "s="
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["CF-Connecting-IP"] == "127.0.0.1"


async def test_every_pool_off_answers_530(world):
    world.switch(world.fra, enabled=False)
    world.switch(world.ams, enabled=False)

    assert await world.ask() == (530, "error code: 1016\n")


async def test_a_region_that_refuses_answers_521_and_is_not_replaced_by_itself(world):
    _move(world, world.fra, "127.0.0.1", _dead_port())
    assert (await world.ask())[0] == 521


async def test_failover_across_pools_tries_the_next_once_when_it_is_on(world):
    _move(world, world.fra, "127.0.0.1", _dead_port())
    on = {"adaptive_routing": {"failover_across_pools": True}}
    world.state.write("load_balancer", world.balancer, on, method="PATCH", writer=US)

    assert await world.ask("POST", data="hi") == (201, "ams hi")


async def test_an_origin_that_does_not_take_the_connection_answers_522():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with _range(Manners(connect_timeout_s=0.1)) as world:
            _move(world, world.fra, *full.getsockname())
            assert (await world.ask())[0] == 522
        for filler in fillers:
            filler.close()


async def test_an_origin_that_says_nothing_answers_524():
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, _range(Manners(answer_timeout_s=0.1)) as world:
        _move(world, world.fra, *server.sockets[0].getsockname())
        assert (await world.ask())[0] == 524


class Shedding:
    """An edge that is asked where calls would go, with the chance and the caller's place told."""

    def __init__(self) -> None:
        self.chance, self.place = 0.0, Place()
        self.state = CloudflareState()
        self.pools = {name: self.state.add_pool(name, "127.0.0.1") for name in ("fra", "ams")}
        self.balancer = self.state.add_load_balancer(HOST, list(self.pools.values()))
        self.edge = Edge(self.state, origin_tls=None, draw=lambda: self.chance, place=lambda _: self.place)

    def first(self, source: str = "") -> str:
        origins = self.edge.route(HOST, source=source).origins
        return origins[0].pool if origins else ""

    def sheds(self, pool: str, percent: int, policy: str = "random") -> None:
        body = {"load_shedding": {"default_percent": percent, "default_policy": policy}}
        self.state.write("pool", self.pools[pool], body, method="PATCH", writer=US)

    def says(self, **body) -> None:
        self.state.write("load_balancer", self.balancer, body, method="PATCH", writer=US)


def test_a_pool_that_sheds_passes_the_percentage_on_to_the_next():
    world = Shedding()
    world.sheds("fra", 95)
    firsts = []
    for chance in range(100):
        world.chance = chance / 100
        firsts.append(world.first())
    assert (firsts.count("ams"), firsts.count("fra")) == (95, 5)


def test_a_pool_that_sheds_by_address_treats_an_address_alike():
    world = Shedding()
    world.sheds("fra", 50, "hash")
    by_source = {source: {world.first(source) for _ in range(5)} for source in (f"192.0.2.{n}" for n in range(40))}
    assert all(len(pools) == 1 for pools in by_source.values())
    assert {pool for pools in by_source.values() for pool in pools} == {"fra", "ams"}


def test_what_every_pool_sheds_is_the_fallback_pools_until_that_is_off():
    world = Shedding()
    world.says(fallback_pool=world.pools["fra"])
    world.sheds("fra", 100)
    world.sheds("ams", 100)
    assert world.first() == "fra"
    world.state.write("pool", world.pools["fra"], {"enabled": False}, method="PATCH", writer=US)
    assert world.first() == ""


def test_lists_of_places_hold_only_when_the_balancer_steers_by_them():
    world = Shedding()
    fra, ams = world.pools["fra"], world.pools["ams"]
    world.says(region_pools={"WEU": [fra]}, country_pools={"NL": [ams]}, pop_pools={"AMS": [fra, ams]})
    world.place = Place(region="WEU", country="NL")
    assert world.first() == "fra"
    world.says(steering_policy="geo")
    assert world.first() == "ams"
    world.place = Place(region="WEU", country="NL", pop="AMS")
    assert world.first() == "fra"
    world.says(steering_policy="")
    world.place = Place(region="WEU", country="NL")
    assert world.first() == "ams"


def test_a_list_of_one_region_goes_to_the_fallback_when_that_region_is_off():
    """The trap: the default list has another region, but a place with a list of its own never sees it."""
    world = Shedding()
    world.says(country_pools={"DE": [world.pools["fra"]]}, steering_policy="geo", fallback_pool=world.pools["fra"])
    world.place = Place(country="DE")
    world.state.write("pool", world.pools["fra"], {"enabled": False}, method="PATCH", writer=US)
    assert world.first() == ""
    world.place = Place(country="NL")
    assert world.first() == "ams"


async def test_a_host_without_a_load_balancer_is_not_served(world):
    assert (await world.ask(headers={"Host": "other.example.com"}))[0] == 404


async def test_a_write_reaches_the_edge_after_its_propagation_delay():
    now = [100.0]
    async with _range(Manners(propagation_s=5.0), now=now) as world:
        now[0] = 110.0
        world.switch(world.fra, enabled=False)
        assert (await world.ask())[1] == "fra "
        now[0] = 115.0
        assert (await world.ask())[1] == "ams "


async def test_origins_are_spoken_to_by_tls_with_the_public_name(tmp_path):
    server, client = contexts(tmp_path, HOST)
    names = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    async with _range(tls=(server, client)) as world:
        assert (await world.ask())[0] == 201
        async with world.connect() as ws:
            await ws.send_str("one")
            assert (await ws.receive_str()) == "fra one"

    assert names == [HOST, HOST]
    assert all(tls for _, _, tls, _ in world.seen)


async def test_a_certificate_for_another_name_answers_526(tmp_path):
    async with _range(tls=contexts(tmp_path, "other.example.com")) as world:
        assert (await world.ask())[0] == 526


async def test_monitors_take_a_dead_pool_out_and_bring_it_back():
    async with _range(Manners(monitors=True)) as world:
        await world.edge.monitors.round()
        assert (await world.ask())[1] == "fra "
        living = world.state.get("pool", world.fra)["origins"]

        _move(world, world.fra, "127.0.0.1", _dead_port())
        await world.edge.monitors.round()
        assert (await world.ask())[1] == "ams "
        world.state.write("pool", world.fra, {"origins": living}, method="PATCH", writer=US)
        await world.edge.monitors.round()
        assert (await world.ask())[1] == "fra "


async def test_both_halves_of_a_request_are_logged():
    log = ConnectionLog()
    async with _range(log=log) as world:
        await world.ask()

    assert [(entry.kind, entry.name) for entry in log.entries] == [("edge", HOST), ("edge-origin", "")]
