"""The HTTP side of simulated vendors: streams in time, keys, faults on demand, and what is noted of them."""

from __future__ import annotations

import asyncio
import contextlib
import time

import aiohttp
import pytest

from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import Asked, Pace, Step, Streamed, VendorHttp
from holdfast_gameday.world.vendor_sockets import Answer

STEPS = (
    Step(b"<"), Step(b"a", "speaking"), Step(b"b", "speaking"), Step(b"c", "tool"), Step(b"d", "tool"), Step(b">")
)  # fmt: skip
AT_ONCE = Pace(first_piece_s=0.0, piece_s=0.0)
ONE_PIECE = Pace(first_piece_s=0.0, piece_s=60.0)


class Practice:
    kind = "practice"
    garbage = b"?"
    unknown = b"!"

    def __init__(self, steps=STEPS) -> None:
        self.steps = steps
        self.numbers: list[int] = []
        self.asked: list[Asked] = []

    def key_name(self, asked):
        return {"k1": "clinic", "k2": "shop"}.get(asked.headers.get("key")) or Answer(401, {"said": "who?"})

    def answer(self, asked, number):
        self.asked.append(asked)
        if asked.method == "GET":
            return Answer(200, {"said": "well"})
        self.numbers.append(number)
        return Streamed("text/practice", self.steps, {"X-Number": str(number)})

    def refusal(self, fault):
        return Answer(fault.status, {"said": "no"}, {"Retry-After": str(fault.retry_after_s)})

    def error(self, fault):
        return b"E:" + fault.error_type.encode()


@contextlib.asynccontextmanager
async def serving(pace=AT_ONCE, steps=STEPS, **more):
    server = VendorHttp(Practice(steps), pace=pace, **more)
    async with server.serving("127.0.0.1", 0) as address, aiohttp.ClientSession(f"http://{address}") as session:
        server.session = session
        yield server


async def heard(server, key="k1"):
    """All that came of one answer, whether it ended in order or not."""
    body = b""
    with contextlib.suppress(aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
        async with server.session.post("/ask", headers={"key": key}) as answer:
            async for chunk in answer.content.iter_any():
                body += chunk
    return body


def noted(server):
    return [(happened.key, happened.what) for happened in server.happened]


async def until(so):
    async with asyncio.timeout(30):
        while not so():  # noqa: ASYNC110 - the other side of a socket has no event to wait for
            await asyncio.sleep(0)


async def settled():
    """Every timer of a stream that has no more to wait for has fired."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_answer_comes_in_its_pieces_and_is_counted_once():
    log = ConnectionLog()
    async with serving(first_session=700, connection_log=log, name="vendor.example") as server:
        async with server.session.post("/ask%2Fme?a=%20b", headers={"Key": "k1"}, json={"x": "ü"}) as answer:
            assert answer.headers["Content-Type"] == "text/practice"
            assert answer.headers["X-Number"] == "700"
            assert await answer.read() == b"<abcd>"
        assert await heard(server, "k2") == b"<abcd>"
        [asked, _] = server.vendor.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/ask%2Fme", "a=%20b")
    assert asked.fields() == {"x": "ü"}
    assert server.vendor.numbers == [700, 701]
    assert (server.counts.opened, server.counts.closed, server.counts.refused) == (2, 2, 0)
    assert server.counts.by_key == {"clinic": 1, "shop": 1}
    accepted = [(entry.kind, entry.name, entry.path) for entry in log.entries]
    assert accepted == [("practice", "vendor.example", "/ask%2Fme"), ("practice", "vendor.example", "/ask")]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_has_no_fields(body):
    assert Asked("POST", "/", "", {}, body).fields() is None


async def test_strangers_and_probes_open_no_stream():
    async with serving() as server:
        async with server.session.get("/models", headers={"key": "k1"}) as probed:
            assert (probed.status, await probed.json()) == (200, {"said": "well"})
        async with server.session.post("/ask") as refused:
            assert refused.status == 401
    assert (server.counts.opened, server.counts.refused) == (0, 1)
    assert server.refusals == []


async def test_a_refusal_strikes_its_share_of_the_keys_it_names_until_it_is_healed():
    async with serving() as server:
        server.inject(Fault(kind="refuse", keys={"clinic"}, share=0.5, status=429, retry_after_s=9))
        said = []
        for _ in range(4):
            async with server.session.post("/ask", headers={"key": "k1"}) as answer:
                said.append((answer.status, answer.headers.get("Retry-After")))
        assert said == [(200, None), (429, "9"), (200, None), (429, "9")]
        assert await heard(server, "k2") == b"<abcd>"
        assert [name for _, name in server.refusals] == ["clinic", "clinic"]
        assert all(0 <= time.monotonic() - at < 60 for at, _ in server.refusals)
        server.heal()
        server.inject(Fault(kind="refuse"))
        async with server.session.get("/models", headers={"key": "k2"}) as probed:
            assert probed.status == 503
        server.heal()
        assert await heard(server) == b"<abcd>"


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Fault(kind="close"), b""), (Fault(kind="drop"), b""), (Fault(kind="error"), b"E:server_error"),
        (Fault(kind="close", at="speaking"), b"<a"), (Fault(kind="drop", at="speaking"), b"<a"),
        (Fault(kind="error", at="speaking"), b"<aE:server_error"), (Fault(kind="close", at="tool"), b"<abc"),
        (Fault(kind="garbage"), b"?<abcd>"), (Fault(kind="garbage", at="speaking"), b"<a?bcd>"),
        (Fault(kind="unknown", at="tool"), b"<abc!d>"), (Fault(kind="garbled"), b"??????"),
        (Fault(kind="garbled", at="speaking"), b"<a????"),
    ],
)  # fmt: skip
async def test_a_fault_strikes_a_new_stream_once_and_where_it_was_asked_to(fault, body):
    async with serving() as server:
        server.inject(fault)
        assert await heard(server) == body
        assert noted(server).count(("clinic", "struck")) == 1
        server.heal()
        assert await heard(server) == b"<abcd>"
        assert server.streams == 0


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Fault(kind="close"), b"<"), (Fault(kind="drop"), b"<"), (Fault(kind="error"), b"<E:server_error"),
        (Fault(kind="close", keys={"shop"}), None), (Fault(kind="close", at="tool"), None),
    ],
)
async def test_a_fault_strikes_streams_that_are_under_way(fault, body):
    async with serving(ONE_PIECE) as server:
        async with server.session.post("/ask", headers={"key": "k1"}) as answer:
            came = await answer.content.readexactly(1)
            server.inject(fault)
            assert server.streams == 1
            if body is not None:
                with contextlib.suppress(aiohttp.ClientPayloadError):
                    async for chunk in answer.content.iter_any():
                        came += chunk
        assert came == (body or b"<")
        assert noted(server) == ([("clinic", "struck")] if body else [])


async def test_each_moment_is_noted_once_and_only_when_it_was_sent():
    async with serving() as server:
        await heard(server)
        assert noted(server) == [("clinic", "speaking"), ("clinic", "tool")]
        server.inject(Fault(kind="close", at="speaking"))
        await heard(server, "k2")
    assert noted(server)[2:] == [("shop", "speaking"), ("shop", "struck")]


async def test_a_fault_that_comes_while_words_are_sent_strikes_at_the_next_of_them():
    many = (Step(b"a", "speaking"),) * 5_000
    async with (
        serving(Pace(first_piece_s=0.0, piece_s=0.001), many) as server,
        server.session.post("/ask", headers={"key": "k1"}) as answer,
    ):
        await answer.content.readuntil(b"a")
        server.inject(Fault(kind="close", at="speaking"))
        assert len(await answer.content.read()) < 4_000
    assert noted(server) == [("clinic", "speaking"), ("clinic", "struck")]


async def test_a_stalled_stream_says_nothing_more_until_its_fault_is_healed():
    async with serving() as server:
        server.inject(Fault(kind="stall", at="speaking"))
        async with server.session.post("/ask", headers={"key": "k1"}) as answer:
            came = await answer.content.readuntil(b"a")
            await settled()
            assert server.streams == 1
            assert noted(server) == [("clinic", "speaking"), ("clinic", "struck")]
            server.heal()
            assert came + await answer.content.read() == b"<a"


async def test_a_stream_that_stalls_at_once_keeps_even_its_headers_back():
    async with serving() as server:
        server.inject(Fault(kind="stall"))
        asking = asyncio.create_task(heard(server))
        await until(lambda: server.happened)
        await settled()
        assert not asking.done()
        server.heal()
        assert await asking == b""


@pytest.mark.parametrize("kind", ["close", "drop"])
async def test_a_stalled_stream_can_still_be_ended(kind):
    async with serving() as server:
        server.inject(Fault(kind="stall", at="speaking"))
        async with server.session.post("/ask", headers={"key": "k1"}) as answer:
            await answer.content.readuntil(b"a")
            server.inject(Fault(kind=kind))
            with contextlib.suppress(aiohttp.ClientPayloadError):
                assert await answer.content.read() == b""
        assert server.streams == 0


async def test_a_slow_vendor_keeps_even_its_headers_back():
    async with serving() as server:
        server.inject(Fault(kind="slow", delay_s=0.05))
        began = time.monotonic()
        assert await heard(server) == b"<abcd>"
    assert time.monotonic() - began >= 0.05


async def test_a_client_that_leaves_is_forgotten():
    async with serving(ONE_PIECE) as server:
        async with server.session.post("/ask", headers={"key": "k1"}) as answer:
            await answer.content.readexactly(1)
        await until(lambda: not server.streams)
    assert server.counts.closed == 1
