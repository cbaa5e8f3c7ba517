"""What RFC 6455 forbids, and what it allows to be done to death, byte by byte at the audio port: one socket pays.

Beside each bad socket a good call goes on: what its caller says comes back to him after all of it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bridge_world import Bridge, CarrierSocket, bridge, dial_in, provider, settings
from raw_websocket import (
    ABORTED,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawClient,
    closing,
    frame,
    head,
    media,
    raw_client,
    said,
    start,
)

from holdfast_bridge import audio_port

PART = frame(TEXT, b"x" * 40_000, fin=False)


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@asynccontextmanager
async def beside_a_good_call() -> AsyncIterator[tuple[Bridge, RawClient]]:
    """A bridge, a socket to be bad on, and a call that is heard before and after."""
    async with bridge(settings(1, kind="loopback")) as b, raw_client(b.port.port) as bad:
        good = await dial_in(b.port.port)
        good.start("good CAgood 1", call="CAgood")
        await b.journal.until(lambda: "CAgood" in b.book.calls)
        await spoken(good, b"before")
        yield b, bad
        await spoken(good, b"after")


async def spoken(good: CarrierSocket, words: bytes) -> None:
    good.speak(words)
    await good.until(lambda: good.audio.endswith(words))


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        case("unmasked", frame(TEXT, media(b"x"), masked=False), 1002, "protocol_error"),
        *(case(f"rsv {bits}", frame(TEXT, media(b"x"), rsv=bits), 1002, "protocol_error") for bits in (1, 2, 4, 7)),
        case("rsv on a continuation", frame(CONTINUATION, b"x", rsv=4), 1002, "protocol_error"),
        *(
            case(f"opcode {code}", frame(code, b"x"), 1002, "protocol_error")
            for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        ),
        *(
            case(f"control {code} in parts", frame(code, fin=False), 1002, "protocol_error")
            for code in (CLOSE, PING, PONG)
        ),
        *(
            case(f"control {code} of 126 bytes", frame(code, b"x" * 126), 1002, "protocol_error")
            for code in (CLOSE, PING, PONG)
        ),
        case("continuation of nothing", frame(CONTINUATION, media(b"x")), 1002, "protocol_error"),
        case("two messages at once", frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002, "protocol_error"),
        case("of two kinds", frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"), 1002, "protocol_error"),
        case("2^63 bytes", frame(TEXT, length=b"\x7f" + b"\x80" + bytes(7)), 1002, "protocol_error"),
        case("2^63-1 bytes", frame(TEXT, length=b"\x7f" + b"\x7f" + b"\xff" * 7), 1009, "too_big"),
        case("64 KiB and one", frame(BINARY, length=b"\x7f" + (65_537).to_bytes(8)), 1009, "too_big"),
        case("a long length for a short one", frame(TEXT, length=b"\x7f" + (5).to_bytes(8)), 1002, "protocol_error"),
        case("two bytes for a length of one", frame(TEXT, length=b"\x7e" + (5).to_bytes(2)), 1002, "protocol_error"),
        case("not UTF-8", frame(TEXT, b"\xff\xfe"), 1007, "not_json"),
        case(
            "not UTF-8, in parts",
            frame(TEXT, b'{"event":"\xc3', fin=False) + frame(CONTINUATION, b'"}'), 1007, "not_json",
        ),
        case("a byte order mark", frame(TEXT, b"\xef\xbb\xbf" + media(b"x")), 1007, "not_json"),
        case("binary", frame(BINARY, media(b"x")), 1003, "binary"),
        case("a part of a binary message", frame(BINARY, b"x", fin=False), 1003, "binary"),
        case(
            "80 kB in parts", PART + frame(CONTINUATION, b"x" * 40_000), 1009, "too_big"
        ),
        case("empty parts without end", frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 300, 1009, "too_big"),
        *(
            case(f"close {code}", closing(code), 1002, "protocol_error")
            for code in (1, 999, 1004, 1005, 1015, 1016, 2999)
        ),
        case("a reason that is not UTF-8", closing(1000, b"\xff"), 1007, "protocol_error"),
        case("half a close code", frame(CLOSE, b"\x03"), 1002, "protocol_error"),
    ],
)  # fmt: skip
async def test_a_frame_out_of_order_ends_its_socket_with_a_code_and_is_counted(
    frames: bytes, code: int, reason: str
) -> None:
    async with beside_a_good_call() as (b, bad):
        await bad.begin("CAbad")
        bad.send(frames)
        assert await bad.close_code() == code
        await bad.gone()
        await b.journal.until(lambda: "CAbad" not in b.book.calls)
        assert b.counted == [reason]
        assert [r.state for r in b.journal.records if r.call == "CAbad"][-1] == "live"


@pytest.mark.parametrize("code", [0, 1000, 1001, 1006, 3000, 4000, 65535])
async def test_a_close_is_answered_and_no_violation(code: int) -> None:
    async with beside_a_good_call() as (b, bad):
        await bad.begin("CAbad")
        bad.send(closing(code), closing(1000), frame(TEXT, media(b"after the close")))
        assert await bad.close_code() in (1000, 1002)
        await bad.gone()
        await b.journal.until(lambda: "CAbad" not in b.book.calls)


async def test_a_message_that_comes_a_byte_at_a_time_is_a_message() -> None:
    async with beside_a_good_call() as (b, slow):
        await slow.dribble(head())
        assert await slow.status() == 101
        await slow.dribble(frame(TEXT, said("connected")))
        await slow.dribble(frame(TEXT, start("good CAslow 1", "CAslow")))
        whole = media(b"slow words")
        parts = [frame(CONTINUATION if at else TEXT, whole[at : at + 9], fin=False) for at in range(0, len(whole), 9)]
        await slow.dribble(frame(PING, b"between").join(parts) + frame(CONTINUATION))
        heard = [await slow.next() for _ in range(len(parts))]
        assert heard[:-1] == [(PONG, b"between")] * (len(parts) - 1)
        assert b'"payload":"c2xvdyB3b3Jkcw=="' in heard[-1][1]
        assert b.counted == []


async def test_pings_without_end_are_a_flood_and_their_answers_do_not_pile_up() -> None:
    async with beside_a_good_call() as (b, bad):
        await bad.begin("CAbad")
        bad.send(frame(PING, b"x" * 125) * 10_000)
        await bad.gone()
        assert b.counted == ["flood"]


async def test_pongs_that_nobody_asked_for_are_a_flood_when_they_do_not_end() -> None:
    async with beside_a_good_call() as (b, bad):
        await bad.begin("CAbad")
        bad.send(frame(PONG) * 10_000)
        assert await bad.close_code() == 1008
        assert b.counted == ["flood"]


async def test_a_few_large_messages_are_a_flood_as_many_small_ones_are() -> None:
    async with beside_a_good_call() as (b, bad):
        await bad.begin("CAbad")
        bad.send(frame(TEXT, media(b"x" * 16_000)) * 80)
        await bad.gone()
        assert b.counted == ["flood"]


async def test_a_socket_that_is_half_closed_is_let_go_and_its_call_may_be_taken_up() -> None:
    async with beside_a_good_call() as (b, half):
        await half.begin("CAhalf")
        await b.journal.until(lambda: "CAhalf" in b.book.calls)
        half.writer.write_eof()
        await half.gone()
        await b.journal.until(lambda: "CAhalf" not in b.book.calls)
        assert b.journal.records[-1].state == "live"


async def test_who_does_not_read_is_let_go_at_once_though_much_is_still_to_be_sent() -> None:
    async with provider() as (vendor, port), bridge(settings(port)) as b:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", b.port.port))
        reader, writer = await asyncio.open_connection(sock=deaf, limit=1)
        client = RawClient(reader, writer)
        client.send(head(), frame(TEXT, said("connected")))
        client.send(frame(TEXT, start("good CAdeaf 1", "CAdeaf")))
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await vendor.until(lambda: vendor.sessions and vendor.sessions[0].received)
        for _ in range(11):
            vendor.sessions[0].respond("x" * 7_000)
        await b.journal.until(lambda: "CAdeaf" not in b.book.calls and b.journal.records)
        assert b.counted == ["not_reading"]
        writer.transport.abort()


# --- the handshake


SMUGGLED = "GET /a/clinic/front-desk/media HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        case("chunked", head("Transfer-Encoding: chunked"), 400),
        case("with a body", head("Content-Length: 5") + b"hello", 400),
        case("CL and TE", head("Content-Length: 5", "Transfer-Encoding: chunked") + SMUGGLED.encode(), 400),
        case("TE twice", head("Transfer-Encoding: x", "transfer-encoding: chunked"), 400),
        case("CL twice", head("Content-Length: 0", "Content-Length: 44") + SMUGGLED.encode(), 400),
        case("a length with a sign", head("Content-Length: +0"), 400),
        case("a line feed in a value", head("X: y\n Transfer-Encoding: chunked"), 400),
        case("a folded header", head("X: a", " folded"), 400),
        case("a header without a colon", head("No colon"), 400),
        case("a space in a name", head("X y: a"), 400),
        case("a NUL", head("X: \0"), 400),
        case("135 headers", head(*(f"X-{n}: a" for n in range(129))), 400),
        case("no path", head(line="GET  HTTP/1.1"), 400),
        case("POST", head(line="POST /a/clinic/front-desk/media HTTP/1.1"), 400),
        case("HTTP/1.0", head(line="GET /a/clinic/front-desk/media HTTP/1.0"), 400),
        case("HTTP/0.9", head(line="GET /a/clinic/front-desk/media"), 400),
        case("HTTP/2", head(line="PRI * HTTP/2.0"), 400),
        case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
        case("nothing", b"\r\n\r\n", 400),
        case("no upgrade", head(drop="Upgrade"), 400),
        case("no key", head(drop="Sec-WebSocket-Key"), 400),
        case("no version", head(drop="Sec-WebSocket-Version"), 400),
        case("an absolute address", head(line="GET http://other/a/clinic/front-desk/media HTTP/1.1"), 404),
        case("a slash at the end", head(line="GET /a/clinic/front-desk/media/ HTTP/1.1"), 404),
        case("an encoded path", head(line="GET /a/clinic/front%2Ddesk/media HTTP/1.1"), 404),
        case("a path with dots", head(line="GET /a/clinic/x/../front-desk/media HTTP/1.1"), 404),
        case("no host", head(drop="Host"), 403),
        case("two hosts", head("Host: other.example.com"), 403),
        case("another host", head(host="evil.example.com"), 403),
        case("a host with a user", head(host="fra.voice.example.com:443@evil.example.com"), 403),
        case("no signature", head(drop="X-Twilio"), 403),
        case("two signatures", head("X-Twilio-Signature: AAAA"), 403),
        case("a signature that is no text", head("X-Twilio-Signature: \xff\xfe", drop="X-Twilio"), 403),
    ],
)
async def test_an_upgrade_that_could_be_read_in_two_ways_is_refused(request_head: bytes, status: int) -> None:
    async with beside_a_good_call() as (_, bad):
        bad.send(request_head)
        assert await bad.status() == status
        await bad.gone()


@pytest.mark.parametrize("size", [9_000, 15_000])
async def test_a_long_header_is_only_long(size: int) -> None:
    async with beside_a_good_call() as (_, bad):
        bad.send(head("X: " + "a" * size))
        assert await bad.status() == 101


@pytest.mark.parametrize("endless", [b"GET " + b"/" * 70_000, head()[:-2] + b"X: " + b"a" * 70_000])
async def test_a_head_without_end_is_not_waited_for(endless: bytes) -> None:
    async with beside_a_good_call() as (_, bad):
        bad.send(endless)
        assert await bad.status() == ABORTED


async def test_a_second_request_behind_the_upgrade_is_no_request() -> None:
    async with beside_a_good_call() as (b, bad):
        bad.send(head() + head())
        assert await bad.status() == 101
        assert await bad.close_code() == 1002
        await bad.gone()
        async with asyncio.timeout(30):
            while not b.counted:  # noqa: ASYNC110 - what is counted is a plain list
                await asyncio.sleep(0)
        assert b.counted == ["protocol_error"]


async def test_who_never_ends_his_request_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_port, "HANDSHAKE_WITHIN_S", 0.1)
    async with beside_a_good_call() as (_, bad):
        bad.send(head()[:-1])
        assert await bad.status() == ABORTED


async def test_headers_may_be_written_in_any_case() -> None:
    async with beside_a_good_call() as (_, odd):
        lower = [line.partition(b":") for line in head().split(b"\r\n")[1:-2]]
        odd.send(head().split(b"\r\n")[0], b"\r\n", *(n.lower() + c + v + b"\r\n" for n, c, v in lower), b"\r\n")
        assert await odd.status() == 101
