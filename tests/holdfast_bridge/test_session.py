"""One call through real sockets: the carrier's end, the bridge, a scripted provider."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from bridge_world import Bridge, bridge, dial_in, provider, settings

from holdfast_bridge.audio_port import CarrierSocket
from holdfast_bridge.core import directive
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.core.journal import CallRecord, Item
from holdfast_bridge.core.latency import FirstAudio, Switched
from holdfast_bridge.linking import Links
from holdfast_bridge.session import Session


def record(**changes: object) -> CallRecord:
    base = CallRecord(
        call="CA1",
        agent="clinic/front-desk",
        epoch=2,
        seq=0,
        region="fra",
        pod="",
        started_at=4e9,
        updated_at=1.0,
        disclosure_heard=True,
        items=(
            Item("1.1.u", "user", "my code is 4711", final=True),
            Item("1.1.a", "assistant", "thank you dear caller", 500, 1000, True),
        ),
    )
    return msgspec.structs.replace(base, **changes)


async def test_a_new_call_hears_the_disclosure_and_then_the_greeting() -> None:
    opening = {"disclosure": "I am a machine.", "greeting": "Hello!"}
    async with provider() as (vendor, port), bridge(settings(port, **opening)) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio.endswith(b"Hello!"))
        assert socket.audio == b"I am a machine." * 100 + b"Hello!" * 100
        assert vendor.sessions[0].path == "/v1/realtime?model=m"
        assert vendor.sessions[0].key == "Bearer sk-test"
        assert b.results == [("first", True, "")]
        await b.journal.until(lambda: b.journal.records[-1].disclosure_heard)


async def test_the_callers_audio_reaches_the_provider_unchanged() -> None:
    async with provider() as (vendor, port), bridge(settings(port)) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await vendor.until(lambda: vendor.sessions and vendor.sessions[0].of("session.update"))
        socket.speak(bytes(range(160)))
        await vendor.until(lambda: vendor.sessions[0].of("input_audio_buffer.append"))
        assert base64.b64decode(vendor.sessions[0].of("input_audio_buffer.append")[0]["audio"]) == bytes(range(160))


async def test_a_resumed_call_is_seeded_and_takes_up_the_sentence() -> None:
    async with provider() as (vendor, port), bridge(settings(port, greeting="Hello!")) as b:
        b.journal.known = record()
        socket = await dial_in(b.port.port)
        socket.start("good CA1 2")
        await socket.until(lambda: socket.audio)
        assert socket.audio.startswith(b"dear caller")
        texts = [m["item"]["content"][0]["text"] for m in vendor.sessions[0].of("conversation.item.create")]
        assert texts == ["my code is 4711", "thank you"]


async def test_a_call_that_ended_is_hung_up_and_not_revived() -> None:
    async with provider() as (vendor, port), bridge(settings(port)) as b:
        b.journal.known = record(state="ended")
        socket = await dial_in(b.port.port)
        socket.start("good CA1 2")
        await socket.until(socket.closed.is_set)
        assert b.journal.order == ["hang-up"]
        assert vendor.sessions == []


async def test_the_agents_goodbye_ends_the_call_journal_first_then_carrier_then_socket() -> None:
    async with provider() as (vendor, port), bridge(settings(port, greeting="bye")) as b:
        vendor.calls_tool = "end_call"
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(socket.closed.is_set)
        assert socket.code == 1000
        assert b.journal.order == ["journal", "hang-up"]
        assert b.journal.records[-1].state == "ended"
        assert len(b.book) == 0


async def test_a_caller_who_hangs_up_is_recorded_and_not_hung_up_again() -> None:
    async with provider() as (_, port), bridge(settings(port, greeting="hi")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        socket.send({"event": "stop", "streamSid": "MZ1", "stop": {"accountSid": "x", "callSid": "CA1"}})
        await socket.until(socket.closed.is_set)
        assert b.journal.order == ["journal"]


def of_calls() -> list[str]:
    """What is in memory of calls."""
    kinds = (Session, CallCore, Links, CarrierSocket)
    return [type(each).__name__ for each in gc.get_objects() if type(each) in kinds]


async def test_a_call_that_is_over_is_gone_from_memory_and_no_garbage_to_be_collected() -> None:
    """Else it would wait there with all that was said for as long as the collector takes: minutes, where calls last."""
    gc.collect()
    gc.disable()
    try:
        async with provider() as (vendor, port), bridge(settings(port, greeting="Hello!", disclosure="Hm.")) as b:
            vendor.calls_tool = "book"
            socket = await dial_in(b.port.port)
            socket.start("good CA1 1")
            await socket.until(lambda: socket.audio.endswith(b"Hello!"))
            assert sorted(of_calls()) == ["CallCore", "CarrierSocket", "Links", "Session"]
            socket.send({"event": "stop", "streamSid": "MZ1", "stop": {"accountSid": "x", "callSid": "CA1"}})
            await socket.until(socket.closed.is_set)
            async with asyncio.timeout(30):
                while of_calls():  # noqa: ASYNC110 - memory has no bell
                    await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_a_stop_is_not_the_end_before_next_had_its_second() -> None:
    """A push by another pod looks like a caller hanging up; recording that at once would end the call at `next`."""
    async with provider() as (_, port), bridge(settings(port, greeting="hi")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        stopped = asyncio.get_running_loop().time()
        socket.send({"event": "stop", "streamSid": "MZ1", "stop": {"accountSid": "x", "callSid": "CA1"}})
        await socket.until(socket.closed.is_set)
        assert b.journal.order == ["journal"]
        assert asyncio.get_running_loop().time() - stopped >= 1.0


async def test_a_carriers_socket_that_dies_leaves_the_call_live() -> None:
    async with provider() as (_, port), bridge(settings(port, greeting="hi")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        assert socket.transport is not None
        b.book.changed.clear()
        socket.transport.disconnect(graceful=False)
        async with asyncio.timeout(30):
            await b.book.changed.wait()
        assert b.journal.records[-1].state == "live"
        assert b.journal.order == []


async def test_a_provider_that_dies_in_a_call_is_replaced_and_told_the_conversation() -> None:
    async with provider() as (vendor, port), bridge(settings(port, greeting="hello there")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        first = vendor.sessions[0]
        assert first.transport is not None
        first.caller_said("my code is 4711")
        await b.journal.until(lambda: any(item.text == "my code is 4711" for item in b.journal.records[-1].items))
        first.transport.disconnect(graceful=False)
        await socket.until(lambda: socket.audio.endswith(b"fine"))
        texts = [m["item"]["content"][0]["text"] for m in vendor.sessions[1].of("conversation.item.create")]
        assert texts == ["hello there", "my code is 4711"]
        assert b.results == [("first", True, ""), ("first", False, "disconnected"), ("first", True, "")]


async def test_what_a_turn_and_a_lost_provider_cost_is_counted_and_in_the_journal() -> None:
    async with provider() as (vendor, port), bridge(settings(port, greeting="hello there")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        first = vendor.sessions[0]
        assert first.transport is not None
        first.caller_said("my code is 4711")
        await b.journal.until(lambda: any(item.text == "my code is 4711" for item in b.journal.records[-1].items))
        first.transport.disconnect(graceful=False)
        await socket.until(lambda: socket.audio.endswith(b"fine"))
        await b.journal.until(lambda: b.journal.records[-1].latency.answered == 1)
        told = b.journal.records[-1].latency
    assert told.count == 1
    assert [(each.turn, each.what, each.outcome) for each in told.switches] == [(1, "retry", "ready")]
    assert told.switches[0].heard_ms is not None
    assert {(name, type(sample)) for name, sample in b.took} >= {("first", FirstAudio), ("first", Switched)}


async def test_a_provider_that_refuses_the_key_closes_the_socket_so_that_the_carrier_asks_elsewhere() -> None:
    async with provider() as (vendor, port), bridge(settings(port)) as b:
        vendor.refuse = 401
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(socket.closed.is_set)
        assert socket.code == 1001
        assert b.results == [("first", False, "auth")]
        assert b.journal.records[-1].state == "live"


def ordered(b: Bridge, *names: str) -> None:
    """What a directive does: the order in force is another, and the calls in progress are told."""
    agent = directive.in_order(b.settings.agent, names)
    b.settings = dataclasses.replace(b.settings, agent=agent)
    for call in b.book.all():
        call.reorder()


async def test_a_new_call_begins_with_the_first_attempt_of_the_order_in_force() -> None:
    async with (
        provider() as (one, first),
        provider() as (two, second),
        bridge(settings(first, more={"b": second})) as b,
    ):
        ordered(b, "b", "first")
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await two.until(lambda: two.sessions)
        assert one.sessions == []


async def test_a_call_under_way_goes_on_to_the_next_attempt_of_the_order_that_was_told_meanwhile() -> None:
    async with (
        provider() as (one, first),
        provider() as (two, second),
        provider() as (three, third),
        bridge(settings(first, more={"b": second, "c": third}, greeting="hello")) as b,
    ):
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        ordered(b, "c", "b", "first")
        assert three.sessions == [], "what works is not left for a better one"
        assert one.sessions[0].transport is not None
        one.sessions[0].transport.disconnect(graceful=False)
        await three.until(lambda: three.sessions)
        assert two.sessions == []
        assert len(one.sessions) == 1


async def test_a_call_whose_attempts_are_all_barred_leaves_for_another_region() -> None:
    async with provider() as (one, first), bridge(settings(first, greeting="hello")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        b.settings = dataclasses.replace(b.settings, agent=directive.in_order(b.settings.agent, (), ("first",)))
        b.book.all()[0].reorder()
        assert one.sessions[0].transport is not None
        one.sessions[0].transport.disconnect(graceful=False)
        await socket.until(socket.closed.is_set)
        assert socket.code == 1001
        late = await dial_in(b.port.port)
        late.start("good CA2 1", call="CA2")
        await late.until(late.closed.is_set)
        assert len(one.sessions) == 1


async def test_a_response_that_came_to_its_end_proves_its_attempt_well() -> None:
    async with provider() as (_, first), bridge(settings(first, greeting="hello")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: b.spoke)
        assert set(b.spoke) == {"first"}


async def test_a_higher_owner_silences_the_lower_one() -> None:
    async with provider() as (_, port), bridge(settings(port, greeting="hi")) as b:
        old = await dial_in(b.port.port, play=False)
        old.start("good CA1 1")
        await old.until(lambda: old.audio)
        new = await dial_in(b.port.port)
        new.start("good CA1 2")
        await old.until(old.closed.is_set)
        assert old.heard[-1]["event"] == "clear"
        assert b.journal.order == []
        await new.until(lambda: new.audio)


async def test_a_released_call_is_not_ended_by_its_stop() -> None:
    async with provider() as (_, port), bridge(settings(port, greeting="hi")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await socket.until(lambda: socket.audio)
        b.book.calls["CA1"].released()
        socket.send({"event": "stop", "streamSid": "MZ1", "stop": {}})
        await socket.until(socket.closed.is_set)
        assert b.journal.records[-1].state == "live"


async def test_a_pod_that_stops_lets_go_of_the_socket_and_leaves_the_call_live() -> None:
    async with provider() as (_, port):
        async with bridge(settings(port, greeting="hi")) as b:
            socket = await dial_in(b.port.port)
            socket.start("good CA1 1")
            await socket.until(lambda: socket.audio)
        await socket.until(socket.closed.is_set)
        assert socket.code == 1001
        assert b.journal.records[-1].state == "live"
        assert b.counted == []


class Webhook:
    """A tool whose answer comes at once, unless a test holds it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, object]] = []
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()
        self.tool: dict[str, object] = {}

    async def book(self, request: web.Request) -> web.Response:
        self.seen.append((request.headers.get("Idempotency-Key"), await request.json()))
        self.asked.set()
        await self.go.wait()
        return web.json_response({"booking": 7})


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.router.add_post("/book", hook.book)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    url = f"http://{address[0]}:{address[1]}/book"
    hook.tool = {"name": "book", "url": url, "sideEffects": True, "networks": ["127.0.0.0/8"]}
    try:
        yield hook
    finally:
        await runner.cleanup()


async def with_tool(*, buddy: bool, acknowledges: bool) -> tuple[Webhook, list[str], str]:
    """The webhook, the intents the buddy heard of, and what the model was told."""
    async with (
        webhook() as hook,
        provider() as (vendor, port),
        bridge(settings(port, greeting="hi", tools=[hook.tool])) as b,
    ):
        b.journal.buddy, b.journal.acknowledges = buddy, acknowledges
        vendor.calls_tool = "book"
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await vendor.until(lambda: vendor.sessions and vendor.sessions[0].of("conversation.item.create"))
        told = vendor.sessions[0].of("conversation.item.create")[0]["item"]["output"]
        await socket.until(lambda: socket.audio.endswith(b"fine"))
        return hook, b.journal.intents, told


async def test_a_tool_with_side_effects_runs_after_its_intent_with_an_idempotency_key() -> None:
    hook, intents, told = await with_tool(buddy=True, acknowledges=True)
    assert intents == ["1.1.c1"]
    assert hook.seen == [("CA1/1.1.c1", {"call": "CA1", "tool": "book", "arguments": {"day": 1}})]
    assert told == '{"booking": 7}'


async def test_a_tool_whose_intent_the_buddy_did_not_acknowledge_is_not_run() -> None:
    hook, _, told = await with_tool(buddy=True, acknowledges=False)
    assert hook.seen == []
    assert "not carried out" in told


async def test_without_a_buddy_the_own_record_suffices_for_a_tool() -> None:
    hook, _, _ = await with_tool(buddy=False, acknowledges=False)
    assert len(hook.seen) == 1


async def test_the_result_of_a_tool_whose_provider_died_meanwhile_is_told_to_the_next_one() -> None:
    async with (
        webhook() as hook,
        provider() as (one, first),
        provider() as (two, second),
        bridge(settings(first, more={"b": second}, greeting="hi", tools=[hook.tool])) as b,
    ):
        hook.go.clear()
        one.calls_tool = "book"
        ordered(b, "first", "b")
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await hook.asked.wait()
        one.refuse = 503
        assert one.sessions[0].transport is not None
        one.sessions[0].transport.disconnect(graceful=False)
        await two.until(lambda: two.sessions and two.sessions[0].of("session.update"))
        hook.go.set()
        await socket.until(lambda: socket.audio.endswith(b"fine"))
        told = [each["item"] for each in two.sessions[0].of("conversation.item.create")]
        assert [item["output"] for item in told if item["type"] == "function_call_output"] == ['{"booking": 7}']
        assert len(hook.seen) == 1


async def test_the_heir_of_a_call_knows_what_a_tool_told_its_first_owner() -> None:
    async with webhook() as hook, provider() as (vendor, port):
        given = settings(port, greeting="hi", tools=[hook.tool])
        async with bridge(given) as b:
            vendor.calls_tool = "book"
            socket = await dial_in(b.port.port)
            socket.start("good CA1 1")
            await socket.until(lambda: socket.audio.endswith(b"fine"))
            left = b.journal.records[-1]
        async with bridge(given) as b:
            b.journal.known = left
            socket = await dial_in(b.port.port)
            socket.start("good CA1 2")
            await vendor.until(lambda: len(vendor.sessions) == 2 and vendor.sessions[1].of("conversation.item.create"))
            told = [each["item"] for each in vendor.sessions[1].of("conversation.item.create")]
            assert [item["output"] for item in told if item["type"] == "function_call_output"] == ['{"booking": 7}']
            assert len(hook.seen) == 1


async def test_a_calls_tools_are_connected_to_when_it_begins() -> None:
    """The first tool of a call is asked on a connection that is there: nobody waits for its handshake."""
    opened = asyncio.Event()

    async def connection(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.set()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/book"
    tool = {"name": "book", "url": url, "networks": ["127.0.0.0/8"]}
    async with server, provider() as (_, port), bridge(settings(port, tools=[tool])) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        async with asyncio.timeout(30):
            await opened.wait()
