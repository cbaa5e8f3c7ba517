"""Journals between two regions over real sockets: what one knows the other keeps, and the older owner falls silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from control_builders import CALL, ZONE_KEY, record
from control_parts import Region, SpokenCall, until
from control_redis import redis_server

from holdfast_bridge.core import journal, journal_wire, token
from holdfast_bridge.core.journal import CallRecord, ToolUse
from holdfast_bridge.journal_store import REDIS_DEADLINE_S
from holdfast_gameday.world.ports import free_ports

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@asynccontextmanager
async def listening(at: str, handler: Handler) -> AsyncIterator[tuple[str, int]]:
    """A server of the test's own where a region would be: all that comes goes to the handler."""
    host, _, port = at.partition(":")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, int(port)).start()
        yield host, int(port)
    finally:
        await runner.cleanup()


def pair(**changes: Any) -> tuple[Region, Region]:
    fra, ams = free_ports(2)
    hosts = {"fra": f"127.0.0.1:{fra}", "ams": f"127.0.0.1:{ams}"}
    return Region("fra", hosts), Region("ams", hosts, **changes)


async def test_a_record_reaches_the_buddy_and_is_acknowledged() -> None:
    fra, ams = pair()
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        fra.journal.put(record(seq=3), now=True)
        await until(lambda: ams.memory.get(CALL) == record(seq=3))
        await until(lambda: fra.journal.waiting == 0)


async def test_within_a_second_of_a_batch_it_goes_without_being_urged() -> None:
    fra, ams = pair()
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        fra.journal.put(record(seq=3))
        await until(lambda: ams.memory.get(CALL) is not None, within_s=30)


async def test_every_connect_begins_with_a_snapshot_of_live_calls() -> None:
    fra, ams = pair()
    fra.calls.add(SpokenCall(record(seq=9)))
    async with fra.running(linked_to="ams"):
        await until(lambda: bool(fra.link.unreachable()), within_s=30)
        assert fra.link.unreachable() == {"ams"}
        async with ams.running():
            await until(lambda: ams.memory.get(CALL) is not None)
            assert fra.link.unreachable() == frozenset()


async def test_a_record_put_while_the_buddy_was_away_arrives_after_it_is_back() -> None:
    fra, ams = pair()
    async with fra.running(linked_to="ams"):
        async with ams.running():
            await until(lambda: fra.link.up)
        await until(lambda: not fra.link.up)
        async with asyncio.timeout(30):  # A dead buddy does not hold up the end of a call.
            await fra.journal.settle(record(seq=4, state="ended"), timeout_s=3_600)
        await ams.open()
        await until(lambda: ams.memory.get(CALL) == record(seq=4, state="ended"))
        await ams.close()


async def test_a_lower_epoch_is_stale_and_its_owner_falls_silent() -> None:
    fra, ams = pair()
    mine = SpokenCall(record(epoch=1, seq=50))
    fra.calls.add(mine)
    ams.memory.put(record(epoch=2, seq=0, region="ams"))
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: mine.silenced_by == [2])
        assert ams.memory.get(CALL) == record(epoch=2, seq=0, region="ams")
        await until(lambda: fra.journal.waiting == 0)


async def test_a_newer_account_from_elsewhere_silences_the_call_carried_here() -> None:
    fra, ams = pair()
    old = SpokenCall(record(epoch=1, region="ams"))
    ams.calls.add(old)
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        fra.journal.put(record(epoch=2), now=True)
        await until(lambda: old.silenced_by == [2])


async def test_an_intent_is_confirmed_only_when_the_buddy_holds_it() -> None:
    fra, ams = pair()
    with_tool = record(seq=7, tools=(ToolUse(id="t1", name="book"),))
    async with fra.running(linked_to="ams"):
        fra.journal.put(with_tool)
        assert not await fra.journal.intent(CALL, "t1")
        async with ams.running():
            await until(lambda: fra.link.up)
            assert await fra.journal.intent(CALL, "t1", timeout_s=30)
            kept = ams.memory.get(CALL)
            assert kept is not None
            assert kept.tools[0].id == "t1"
            assert not await fra.journal.intent(CALL, "never recorded", timeout_s=1.0)
            assert not await fra.journal.intent("CA-unknown", "t1")


async def test_an_intent_of_an_older_owner_is_not_confirmed() -> None:
    fra, ams = pair()
    ams.memory.put(record(epoch=2, seq=0, region="ams"))
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        fra.journal.put(record(epoch=1, seq=7, tools=(ToolUse(id="t1", name="book"),)))
        assert not await fra.journal.intent(CALL, "t1", timeout_s=1.0)


async def test_the_end_is_kept_at_the_buddy_before_the_call_goes_on_to_hang_up() -> None:
    fra, ams = pair()
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        await fra.journal.settle(record(seq=8, state="ended"), timeout_s=30)
        kept = ams.memory.get(CALL)
        assert kept is not None
        assert kept.state == "ended"


async def test_an_end_goes_to_the_buddy_once() -> None:
    fra, _ = pair()
    heard: list[CallRecord] = []

    async def buddy(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            put = journal_wire.from_owner(message.data)
            assert isinstance(put, journal_wire.Put)
            heard.extend(put.records)
            acks = tuple(journal_wire.Acked(call=each.call, seq=each.seq) for each in put.records)
            await socket.send_str(journal_wire.encode(journal_wire.Ack(acks=acks)))
        return socket

    ended, other = record(seq=8, state="ended"), record(call="CA-other")
    async with listening(fra.hosts["ams"], buddy), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        await fra.journal.settle(ended)
        fra.journal.put(other, now=True)
        await until(lambda: other in heard)
        assert heard == [ended, other]


async def test_a_new_buddy_gets_the_snapshot() -> None:
    ports = free_ports(3)
    hosts = dict(zip(("fra", "ams", "par"), (f"127.0.0.1:{p}" for p in ports), strict=True))
    fra, ams, par = (Region(name, hosts) for name in hosts)
    fra.calls.add(SpokenCall(record(seq=2)))
    async with ams.running(), par.running(), fra.running(linked_to="ams"):
        await until(lambda: ams.memory.get(CALL) is not None)
        fra.link.point_at("par")
        await until(lambda: par.memory.get(CALL) is not None)


async def test_the_zone_is_asked_for_a_call_this_region_does_not_know() -> None:
    fra, ams = pair()
    ams.memory.put(record(seq=6))
    async with ams.running(), fra.running():
        assert await fra.journal.load(CALL, timeout_s=30) == record(seq=6)
        assert await fra.journal.load("CA-unknown") is None


async def test_a_silent_region_costs_no_more_than_its_deadline() -> None:
    fra, ams = pair()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    host, _, port = ams.hosts["ams"].partition(":")
    async with await asyncio.start_server(swallow, host, int(port)), fra.running():
        async with asyncio.timeout(30):
            assert await fra.journal.load(CALL) is None


async def test_a_third_region_may_know_better() -> None:
    ports = free_ports(3)
    hosts = dict(zip(("fra", "ams", "par"), (f"127.0.0.1:{p}" for p in ports), strict=True))
    fra, ams, par = (Region(name, hosts) for name in hosts)
    fra.memory.put(record(epoch=1, seq=9))
    par.memory.put(record(epoch=3, seq=1, region="ams"))
    async with ams.running(), par.running(), fra.running():
        async with asyncio.timeout(30):  # A second opinion is not waited for as long as a busy machine may need for it.
            while await fra.journal.load(CALL) != record(epoch=3, seq=1, region="ams"):
                pass


async def test_the_buddys_redis_lets_any_pod_there_resume() -> None:
    async with redis_server() as server:
        fra, ams = pair(redis_url=server.url)
        other_pod = Region("ams", ams.hosts, redis_url=server.url)
        async with ams.running(), fra.running(linked_to="ams"):
            await until(lambda: fra.link.up)
            await fra.journal.settle(record(seq=5), timeout_s=30)
            assert await other_pod.journal.load(CALL) == record(seq=5)
            raised = journal.raised(record(seq=5), epoch=2, region="ams", now=1.0)
            assert (await other_pod.journal.take(raised, hop=1, twiml="<x/>")).won
            mine = SpokenCall(record(seq=6))
            fra.calls.add(mine)
            fra.journal.put(record(seq=6), now=True)
            await until(lambda: mine.silenced_by == [2])
        assert other_pod.redis is not None
        await other_pod.redis.aclose()


async def test_redis_down_degrades_and_catches_up() -> None:
    async with redis_server() as server:
        fra, ams = pair(redis_url=server.url)
        async with ams.running(), fra.running(linked_to="ams"):
            await until(lambda: fra.link.up)
            await server.kill()
            async with asyncio.timeout(30):
                await fra.journal.settle(record(seq=5), timeout_s=3_600)
            assert await ams.journal.load(CALL) == record(seq=5)
            raised = journal.raised(record(seq=5), epoch=2, region="ams", now=1.0)
            assert (await ams.journal.take(raised, hop=1, twiml="<x/>")).won
            assert not (await ams.journal.take(raised, hop=1, twiml="<y/>")).won


async def test_what_the_buddys_redis_did_not_take_it_is_given_when_it_is_back() -> None:
    async with redis_server() as server:
        fra, ams = pair(redis_url=server.url, redis_deadline_s=REDIS_DEADLINE_S)
        other_pod = Region("ams", ams.hosts, redis_url=server.url)
        ended = record(seq=5, state="ended", items=(journal.Item(id="i1", role="user", text="Tuesday", final=True),))
        assert other_pod.redis is not None
        async with ams.running(), fra.running(linked_to="ams"):
            await until(lambda: fra.link.up)
            server.freeze()
            assert await fra.journal.settle(ended, timeout_s=30)
            assert ams.memory.get(CALL) is not None
            assert fra.link.waiting == 0
            server.thaw()
            async with asyncio.timeout(30):
                while await other_pod.redis.get(CALL) != ended:  # noqa: ASYNC110 - Redis has no bell
                    await asyncio.sleep(0.05)
        await other_pod.redis.aclose()


async def test_a_peer_that_leaves_while_its_link_is_opened_is_no_error() -> None:
    fra, _ = pair()
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no bell
                await asyncio.sleep(0)
            answer = await fra.desk.serve(request)
        except Exception as error:
            ended.set_exception(error)
            raise
        ended.set_result(None)
        return answer

    async with listening(fra.hosts["fra"], serve) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(UPGRADE)
        await writer.drain()
        writer.transport.abort()
        await ended


@pytest.mark.parametrize("header", ["", "Holdfast 1.x", token.authorization("GET", "/other", key=b"k", now=0)])
async def test_a_stranger_gets_no_journal(header: str) -> None:
    fra, _ = pair()
    async with fra.running(), aiohttp.ClientSession() as http:
        url = f"http://{fra.hosts['fra']}/a/clinic/front-desk/journal"
        async with http.get(url, headers={"Authorization": header}) as response:
            assert response.status == 403
        async with http.post(f"{url}/fetch", data=b'{"call":"x"}', headers={"Authorization": header}) as response:
            assert response.status == 403


async def test_nonsense_from_a_peer_closes_its_socket_only() -> None:
    fra, _ = pair()
    path = "/a/clinic/front-desk/journal"
    headers = {"Authorization": token.authorization("GET", path, key=ZONE_KEY.encode(), now=time.time())}
    async with fra.running(), aiohttp.ClientSession() as http:
        async with http.ws_connect(f"http://{fra.hosts['fra']}{path}", headers=headers) as bad:
            await bad.send_str('{"t":"put","records":[{}]}')
            assert (await bad.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
            assert bad.close_code == 1007
        async with http.ws_connect(f"http://{fra.hosts['fra']}{path}", headers=headers) as good:
            foreign = msgspec.structs.replace(record(), agent="dental/reception")
            put = journal_wire.Put(records=(record(), foreign))
            await good.send_str(journal_wire.encode(put))
            ack = journal_wire.from_buddy((await good.receive()).data)
            assert ack == journal_wire.Ack(acks=(journal_wire.Acked(call=CALL, seq=1),))
