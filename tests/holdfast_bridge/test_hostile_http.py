"""Bad requests at the control port, and bad answers to what the bridge asks: each costs itself, and leaves no trace."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadStatusLine
from control_builders import CALL, CARRIER_TOKEN, ZONE_KEY, record
from control_parts import Region
from raw_websocket import raw_client
from tool_webhook import LOOPBACK, hook
from written_parts import told, written

from holdfast_bridge import control_port, http_out, stage_codecs, telemetry
from holdfast_bridge.agent_config import Tool
from holdfast_bridge.cascade_provider import CascadeProvider
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import signature, token
from holdfast_bridge.core.cascade import CascadePlan
from holdfast_bridge.core.journal import MAX_TEXT, Item
from holdfast_bridge.tool_connections import ToolConnections
from holdfast_bridge.tools import ToolRunner
from holdfast_gameday.world.ports import free_port, free_ports

PATH = "/a/clinic/front-desk"
FORM = "application/x-www-form-urlencoded"


@asynccontextmanager
async def one_region() -> AsyncIterator[tuple[Region, str]]:
    port = free_port()
    region = Region("fra", {"fra": f"127.0.0.1:{port}"})
    async with region.running():
        yield region, f"127.0.0.1:{port}"


async def asked(host: str, *lines: str, body: bytes = b"", length: int | None = None) -> int:
    """The status of a POST of these bytes."""
    head = (*lines, f"Host: {host}", f"Content-Length: {len(body) if length is None else length}", "", "")
    async with raw_client(int(host.rpartition(":")[2])) as client:
        client.send("\r\n".join(head).encode("latin-1"), body)
        return await client.status()


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        (f"{PATH}/voice", f"{FORM}; charset=no-such", b"CallSid=x", 400),
        (f"{PATH}/voice", f"{FORM}; charset=utf-16", b"CallSid=x", 400),
        (f"{PATH}/voice", f"{FORM}; charset=rot13", b"CallSid=x", 400),
        (f"{PATH}/voice", FORM, b"\xff\xfe=\xff", 400),
        (f"{PATH}/voice", FORM, b"CallSid=%ED%A0%80&%FF=%00", 403),
        (f"{PATH}/voice", FORM, b"a=b&" * 16_000, 413),
        (f"{PATH}/voice", FORM, b"a" * 70_000, 413),
        (f"{PATH}/voice", "multipart/form-data; boundary=x", b"--x\r\n\r\n--x--", 403),
        (f"{PATH}/voice\xff\xfe", FORM, b"", 400),
        (f"{PATH}/next?call=\xff\xfe&hop=1", FORM, b"", 400),
        (f"{PATH}/next?call=%ff%fe&hop=%d9%a1", FORM, b"", 403),
        (f"{PATH}/journal/fetch", "application/json", b"{}", 403),
    ],
)
async def test_a_request_that_cannot_be_meant_is_refused_and_nothing_fails(
    path: str, kind: str, body: bytes, status: int
) -> None:
    async with one_region() as (_, host):
        got = await asked(host, f"POST {path} HTTP/1.1", f"Content-Type: {kind}", "X-Twilio-Signature: x", body=body)
        assert got == status
        assert await asked(host, "GET /healthz HTTP/1.1") == 200


def test_a_path_that_is_not_text_is_signed_by_nobody_and_no_failure() -> None:
    assert not signature.valid("https://x.com/\udcff", {"\ud800": ["\udfff"]}, "AAAA\udcff", [CARRIER_TOKEN])


@pytest.mark.parametrize("path", [f"{PATH}/voice", f"{PATH}/journal/fetch"])
async def test_a_body_that_does_not_come_is_not_waited_for(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_port, "BODY_WITHIN_S", 0.1)
    async with one_region() as (_, host):
        bearer = token.authorization("POST", path, key=ZONE_KEY.encode(), now=time.time())
        lines = (f"POST {path} HTTP/1.1", f"Content-Type: {FORM}", f"Authorization: {bearer}")
        assert await asked(host, *lines, body=b"Call", length=100) == 400


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"call":' + b'{"a":' * 10_000, b"null", b"\xff", b""])
async def test_a_fetch_of_nonsense_by_a_peer_is_400(body: bytes) -> None:
    async with one_region() as (_, host):
        path = f"{PATH}/journal/fetch"
        bearer = token.authorization("POST", path, key=ZONE_KEY.encode(), now=time.time())
        assert await asked(host, f"POST {path} HTTP/1.1", f"Authorization: {bearer}", body=body) == 400


async def test_a_record_of_the_largest_size_is_fetched_whole() -> None:
    fra, ams = free_ports(2)
    hosts = {"fra": f"127.0.0.1:{fra}", "ams": f"127.0.0.1:{ams}"}
    here, there = Region("fra", hosts), Region("ams", hosts)
    long = record(items=tuple(Item(f"i{n}", "user", "ü" * MAX_TEXT) for n in range(30)))
    there.memory.put(long)
    async with here.running(), there.running():
        assert await here.journal.load(CALL, timeout_s=2.0) == long


# --- what aiohttp logs


def test_what_could_not_be_read_of_a_request_is_not_logged() -> None:
    def logged(error: Exception) -> bool:
        info = (type(error), error, None)
        return telemetry._no_bytes_of_strangers(logging.LogRecord("a", 40, "", 0, "Error", None, info))

    assert not logged(BadStatusLine("GET / Authorization: Bearer somebody's"))
    assert logged(ValueError("of our own"))


def test_a_vendor_that_says_a_new_word_each_time_gets_no_label_for_each() -> None:
    metrics = telemetry.Metrics()
    for number in range(1_000):
        metrics.provider("openai", ok=False, error=f"word-{number}")
    shown = metrics.exposition(calls=0, ready=True, waiting=0, buddy_up=True).decode()
    assert shown.count("holdfast_bridge_provider_results_total{") == telemetry.WORDS_MAX + 1
    assert 'result="other"} 900.0' in shown


# --- what others answer


async def test_no_cookie_of_one_call_is_told_in_another() -> None:
    cookies: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie", ""))
        reply = web.Response(text="{}")
        reply.set_cookie("caller", "the first one")
        return reply

    async with hook(answer) as url, ToolConnections(clock=time.monotonic) as webhooks:
        tools = ToolRunner(webhooks)
        for call in ("CA1", "CA2"):
            await tools.run(Tool("t", url=url, networks=LOOPBACK), call=call, key="k", arguments="{}")
    assert cookies == ["", ""]


async def test_what_was_packed_is_not_unpacked() -> None:
    packed = gzip.compress(b"x" * 10_000_000)

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with hook(answer) as url, ToolConnections(clock=time.monotonic) as webhooks:
        asked = Tool("t", url=url, networks=LOOPBACK)
        said = await ToolRunner(webhooks).run(asked, call="CA1", key="k", arguments="{}")
    assert len(said) <= len(packed)


async def test_an_answer_in_pieces_is_read_to_its_end_or_its_limit() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        for _ in range(5):
            await reply.write(b"x" * 1_000)
            await asyncio.sleep(0)
        return reply

    async with hook(answer) as url, http_out.session() as http:
        for limit, length in ((10_000, 5_000), (3_500, 3_500)):
            async with http.post(url) as reply:
                assert len(await http_out.whole(reply, limit)) == length



@pytest.mark.parametrize("packed", [False, True])
async def test_a_reply_of_a_model_that_has_no_end_is_lost_as_a_flood(packed: bool) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Encoding": "gzip"} if packed else {})
        await reply.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                # Long lines: on a busy machine a million short ones take longer to read than a first word may.
                await reply.write(b": %s\n\n" % (b"nothing " * 8_000))
        return reply

    heard: list[ev.Event] = []
    lost = asyncio.Event()

    def hear(events: Iterable[ev.Event]) -> None:
        heard.extend(events)
        if any(isinstance(event, ev.ProviderLost) for event in heard):
            lost.set()

    chat = "/v1/chat/completions"
    async with hook(answer, chat) as url, http_out.session() as http, asyncio.TaskGroup() as group:
        given = told(written("openai-chat", base_url=url.removesuffix("/t") + "/v1"))
        stages = stage_codecs.stages(given.agent.attempts[0], given, call="CA1")
        plan = CascadePlan(instructions="Be kind.")
        model = CascadeProvider(stages, plan, http=http, hear=hear, spawn=group.create_task, wall=time.time)
        model.tell(ev.Respond())
        async with asyncio.timeout(30):
            await lost.wait()
        model.close()
    assert heard[-1] == ev.ProviderLost("flood", part="thinking")
