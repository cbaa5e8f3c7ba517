"""A vendor that breaks HTTP and RFC 6455 byte by byte: its link ends with a class of error, told once, and no more.

Nothing is raised in the loop, whatever comes; what is held of it is bounded by the link's own limits.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from bridge_world import News
from raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    accepted,
    closing,
    frame,
    raw_server,
)

from holdfast_bridge import provider_link
from holdfast_bridge.core import failures
from holdfast_bridge.provider_link import ProviderUnreachable, SocketLink


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@pytest.fixture(autouse=True)
async def _nothing_is_raised_in_the_loop() -> AsyncIterator[None]:
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context))
    yield
    assert raised == []


@dataclass(slots=True)
class Heard(News):
    """What a codec and a call would be told by a link."""

    messages: list[bytes] = field(default_factory=list)
    binary: list[bytes] = field(default_factory=list)
    lost: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        News.__init__(self)

    def told(self, what: list[Any], one: Any) -> None:
        what.append(one)
        self.news.set()

    async def dial(self, url: str, *, binary: bool = True, timeout_s: float = 2.0) -> SocketLink:
        return await provider_link.dial(
            url,
            {"Authorization": "Bearer k"},
            on_message=lambda message: self.told(self.messages, message),
            on_binary=(lambda message: self.told(self.binary, message)) if binary else None,
            on_lost=lambda word, retry: self.told(self.lost, (word, retry)),
            timeout_s=timeout_s,
        )


@asynccontextmanager
async def linked(after: bytes, *, binary: bool = True) -> AsyncIterator[Heard]:
    """A link to a vendor who says these bytes once it is open, and then reads till the end."""

    async def script(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(request) + after)
        while await reader.read(65_536):
            pass

    heard = Heard()
    async with raw_server(script) as url:
        link = await heard.dial(url, binary=binary)
        yield heard
        link.close()


def said(payload: bytes, opcode: int = TEXT, **how: Any) -> bytes:
    return frame(opcode, payload, masked=False, **how)


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        case("masked", frame(TEXT, b"{}"), "disconnected"),
        *(case(f"rsv {bits}", said(b"{}", rsv=bits), "protocol_error") for bits in (1, 2, 4, 7)),
        *(case(f"opcode {code}", said(b"x", code), "disconnected") for code in (3, 7, 11, 15)),
        *(case(f"control {code} in parts", said(b"", code, fin=False), "disconnected") for code in (CLOSE, PING, PONG)),
        *(case(f"control {code} of 126 bytes", said(b"x" * 126, code), "disconnected") for code in (CLOSE, PING, PONG)),
        case("continuation of nothing", said(b"{}", CONTINUATION), "protocol_error"),
        case("two messages at once", said(b"{", fin=False) + said(b"}"), "protocol_error"),
        case("of two kinds", said(b"{", BINARY, fin=False) + said(b"}"), "protocol_error"),
        case("2^64-1 bytes", said(b"", length=b"\x7f" + b"\xff" * 8), "disconnected"),
        case("2^63-1 bytes", said(b"", length=b"\x7f" + b"\x7f" + b"\xff" * 7), "disconnected"),
        case("two bytes for a length of one", said(b"", length=b"\x7e\x00\x05"), "disconnected"),
        case("1.2 MB in parts", said(b"x" * 600_000, fin=False) + said(b"x" * 600_000, CONTINUATION), "too_big"),
        case("empty parts without end", said(b"", fin=False) + said(b"", CONTINUATION, fin=False) * 300, "too_big"),
        *(case(f"close {code}", closing(code, masked=False), "disconnected") for code in (1, 999, 1005, 1015, 2999)),
        *(case(f"close {code}", closing(code, masked=False), f"closed_{code}") for code in (1000, 1001, 1011)),
        *(case(f"close {code}", closing(code, masked=False), "closed_private") for code in (3000, 4000, 4999, 65535)),
        case("a reason that is not UTF-8", closing(1011, b"\xff\xfe", masked=False), "disconnected"),
        case("half a close code", said(b"\x03", CLOSE), "disconnected"),
        case("closed twice", closing(1011, masked=False) + closing(1008, masked=False) + said(b"{}"), "closed_1011"),
        case("pings without end", said(b"x" * 125, PING) * 7_000, "flood"),
        case("pongs without end", said(b"", PONG) * 7_000, "flood"),
        case("messages without end", said(b"{}") * 7_000, "flood"),
        case("14 MB at once", said(b"{" + b" " * 900_000 + b"}") * 16, "flood"),
        case("HTTP behind the upgrade", b"HTTP/1.1 500 Oops\r\n\r\n", "disconnected"),
    ],
)  # fmt: skip
async def test_a_link_that_breaks_the_protocol_is_lost_once_with_a_class(after: bytes, lost: str) -> None:
    async with linked(after) as heard:
        await heard.until(lambda: heard.lost)
        assert heard.lost == [(lost, True)]


async def test_what_came_whole_before_is_heard() -> None:
    good = said(b'{"a":', fin=False) + said(b"ping", PING) + said(b"1}", CONTINUATION) + said(b"\0\1", BINARY)
    async with linked(good + said(b"x", BINARY, fin=False) + said(b"y", CONTINUATION) + said(b"{}", rsv=4)) as heard:
        await heard.until(lambda: heard.lost)
        assert (heard.messages, heard.binary) == ([b'{"a":1}'], [b"\0\1", b"xy"])


async def test_parts_of_a_binary_message_that_nobody_wants_are_not_taken_for_text() -> None:
    async with linked(said(b"{", BINARY, fin=False) + said(b"}", CONTINUATION) + said(b"{}"), binary=False) as heard:
        await heard.until(lambda: heard.messages)
        assert (heard.messages, heard.lost) == ([b"{}"], [])


async def test_a_ping_is_answered_with_its_own_words() -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue(1)

    async def script(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(request) + said(b"are you there", PING))
        head = await reader.readexactly(6)
        masked = await reader.readexactly(head[1] & 127)
        await answers.put(bytes([head[0] & 15]) + bytes(octet ^ head[2 + at % 4] for at, octet in enumerate(masked)))

    async with raw_server(script) as url:
        await Heard().dial(url)
        async with asyncio.timeout(30):
            assert await answers.get() == bytes([PONG]) + b"are you there"


async def test_a_vendor_that_closes_only_its_half_is_lost() -> None:
    async def script(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(request))
        writer.write_eof()
        await reader.read()

    heard = Heard()
    async with raw_server(script) as url:
        await heard.dial(url)
        await heard.until(lambda: heard.lost)
        assert heard.lost == [("disconnected", True)]


async def test_a_link_that_is_closed_while_the_vendor_floods_says_nothing_more() -> None:
    async with linked(said(b"{}") * 5_000) as heard:
        await heard.until(lambda: heard.messages)
    count = len(heard.messages)
    await asyncio.sleep(0)
    assert (len(heard.messages), heard.lost) == (count, [])


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        case("nothing", b"", "connect"),
        case("no HTTP", b"\x00\xff" * 40 + b"\r\n\r\n", "handshake"),
        case("a status that there is not", b"HTTP/1.1 999 Odd\r\n\r\n", "handshake"),
        case("a negative status", b"HTTP/1.1 -1 Odd\r\n\r\n", "handshake"),
        case("200", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + b"x" * 5_000, "server"),
        case("a redirect", b"HTTP/1.1 301 Moved\r\nLocation: ws://169.254.169.254/\r\n\r\n", "server"),
        case("another", b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "server"),
        case("101 without more", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "server"),
        case("another's key", accepted(b"Sec-WebSocket-Key: b3RoZXI=\r\n"), "server"),
        case("wait for ever", b"HTTP/1.1 429 Slow\r\nRetry-After: 1e999\r\n\r\n", "rate"),
        case("wait for no number", b"HTTP/1.1 429 Slow\r\nRetry-After: nan\r\n\r\n", "rate"),
        case("wait backwards", b"HTTP/1.1 429 Slow\r\nRetry-After: -5\r\n\r\n", "rate"),
        case("not ASCII", b"HTTP/1.1 401 " + b"\xff\xfe\r\nX: \xff\r\n\r\n\xff", "handshake"),
        case("200 headers", b"HTTP/1.1 503 No\r\n" + b"X: y\r\n" * 200 + b"\r\n", "server"),
        case("a header without end", b"HTTP/1.1 503 No\r\nX: " + b"y" * 70_000, "handshake"),
    ],
)
async def test_an_answer_that_is_no_upgrade_has_a_class_within_the_deadline(answer: bytes, error_class: str) -> None:
    async def script(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with raw_server(script) as url:
        with pytest.raises(ProviderUnreachable) as unreachable:
            await Heard().dial(url)
    assert unreachable.value.error_class == error_class
    assert 0.0 <= unreachable.value.retry_after_s <= failures.RETRY_AFTER_MAX_S


@pytest.mark.parametrize("piece", [b"H", b"HTTP/1.1 503 No\r\nContent-Length: 9999999\r\n\r\n"])
async def test_an_answer_a_byte_at_a_time_is_not_waited_for(piece: bytes) -> None:
    async def script(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(piece)
        while True:
            writer.write(b"T")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_server(script) as url:
        with pytest.raises(ProviderUnreachable) as unreachable:
            await Heard().dial(url, timeout_s=0.2)
    assert unreachable.value.error_class in ("timeout", "server")


async def test_parts_without_end_are_held_to_the_limit_of_one_message() -> None:
    async def script(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(request) + said(b"x" * 4_096, fin=False))
        part = said(b"x" * 4_096, CONTINUATION, fin=False)
        while True:
            writer.write(part)
            await writer.drain()

    heard = Heard()
    tracemalloc.start()
    try:
        async with raw_server(script) as url:
            await heard.dial(url)
            await heard.until(lambda: heard.lost)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert heard.lost == [("too_big", True)]
    assert peak < 6 * provider_link.MAX_MESSAGE_BYTES
