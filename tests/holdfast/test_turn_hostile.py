"""Servers that answer garbage, floods or lies: a probe ends in time, judges them, and raises nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from aioice import stun
from real_coturn import HOST
from turn_prober import PATIENT, QUICK, Prober

from holdfast.core.relays import Sight, Transport
from holdfast.errors import DriverError
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_probe import Outcome, Timeouts, TurnProbe
from holdfast.gather.turn_url import TurnAddress

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
PEER = ("192.0.2.1", 40000)
NO_AUTHORITY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNANSWERED = replace(PATIENT, allocate_s=0.5, release_s=0.5)
Answer = Callable[[stun.Message], bytes]


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._answer(stun.parse_message(data)), addr)


@contextlib.asynccontextmanager
async def over_udp(answer: Answer) -> AsyncIterator[TurnAddress]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(answer), local_addr=(HOST, 0))
    try:
        yield TurnAddress(HOST, transport.get_extra_info("sockname")[1], UDP)
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def over_tcp(said: bytes, *, endless: bool = False) -> AsyncIterator[TurnAddress]:
    """Says this to whoever connects, once or without end."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(said)
            await writer.drain()
            while endless:
                writer.write(said)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield TurnAddress(HOST, server.sockets[0].getsockname()[1], TCP)


async def probed(address: TurnAddress, prober: Prober | None = None, *, timeouts: Timeouts = PATIENT) -> Outcome:
    """`timeouts`: short ones where the server never says what the probe waits for."""
    probe = TurnProbe(NO_AUTHORITY, timeouts)
    async with asyncio.timeout(30):
        outcome = await probe.probe(address, prober or Prober())
        await probe.settle()
    return outcome


def error(request: stun.Message, code: int, **attributes: object) -> bytes:
    said = {"ERROR-CODE": (code, "says who"), **{name.replace("_", "-"): value for name, value in attributes.items()}}
    return bytes(stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id, said))


def success(request: stun.Message, **attributes: object) -> bytes:
    said = {name.replace("_", "-"): value for name, value in attributes.items()}
    return bytes(stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id, said))


def allocated(request: stun.Message, lifetime: int = 600) -> bytes:
    return success(request, LIFETIME=lifetime, XOR_MAPPED_ADDRESS=PEER, XOR_RELAYED_ADDRESS=PEER)


def broken_lifetime(request: stun.Message) -> bytes:
    """A LIFETIME without a value, of which aioice unpacks four bytes: it raises what no one catches there."""
    head = struct.pack("!HHI12s", request.message_method | 0x100, 4, stun.COOKIE, request.transaction_id)
    return head + struct.pack("!HH", 0x000D, 0)


BROKEN = broken_lifetime(stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST))


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"",
        lambda _: b"\x00",
        lambda _: os.urandom(40),
        bytes,
        broken_lifetime,
        lambda request: error(request, 401),
        lambda request: error(request, 401, REALM="r", NONCE=b"n"),
        lambda request: error(request, 438, NONCE=b"n"),
        lambda request: error(request, 0),
        lambda request: error(request, 699),
        success,
        lambda request: success(request, LIFETIME=0),
    ],
    ids=["empty", "short", "noise", "mirror", "broken", "no-nonce", "401s", "438", "0", "699", "bare", "part"],
)
async def test_no_answer_over_udp_breaks_the_probe(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    async with over_udp(answer) as address:
        outcome = await probed(address, timeouts=UNANSWERED)
    assert outcome.sight in (Sight.ILL, Sight.OUR_FAULT, Sight.WELL)
    assert outcome.stage == "allocate"
    assert "says who" not in outcome.detail
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("lifetime", [0, 1, 2**32 - 1])
async def test_a_server_that_grants_any_lifetime_to_anybody_is_open_and_the_probe_ends(lifetime: int) -> None:
    """A lifetime of 0 would make a client that trusts it refresh without a pause."""
    asked: list[stun.Message] = []

    def answer(request: stun.Message) -> bytes:
        asked.append(request)
        return allocated(request, lifetime)

    async with over_udp(answer) as address:
        outcome = await probed(address, timeouts=replace(PATIENT, relay_s=1.0))
    assert outcome.sight is Sight.OPEN
    assert asked[-1].attributes["LIFETIME"] == 0
    assert len(asked) < 20


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", bytes(64), b"\x40\x00\xff\xff", b"", BROKEN],
    ids=["http", "ssh", "zeros", "long-channel", "closed", "broken"],
)
async def test_a_server_of_another_trade_is_ill(said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with over_tcp(said) as address:
        outcome = await probed(address, timeouts=QUICK)
    assert outcome.sight is Sight.ILL
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("said", [b"\x40\x00\x00\x00" * 16384, b"\x00" * 65536], ids=["channel-data", "zeros"])
async def test_a_flood_ends_the_probe_at_once(said: bytes) -> None:
    async with over_tcp(said, endless=True) as address:
        outcome = await probed(address)
    assert outcome.sight is Sight.ILL
    assert outcome.detail == "allocate: it sends more than any answer is long"


async def test_a_tls_port_that_speaks_no_tls_is_ill() -> None:
    async with over_tcp(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        outcome = await probed(TurnAddress(HOST, address.port, TLS))
    assert (outcome.sight, outcome.detail) == (Sight.ILL, "connect: no TLS session")


async def test_noise_from_any_seed_ends_in_an_outcome() -> None:
    dice = random.Random(5)

    def answer(request: stun.Message) -> bytes:
        """A right answer with some bytes turned over."""
        said = bytearray(error(request, 401, REALM="r", NONCE=b"n" * 16))
        for _ in range(dice.randrange(1, 6)):
            said[dice.randrange(len(said))] = dice.randrange(256)
        return bytes(said[: dice.randrange(1, len(said) + 1)]) if dice.random() < 0.3 else bytes(said)

    async with over_udp(answer) as address:
        outcomes = await asyncio.gather(*(probed(address, timeouts=UNANSWERED) for _ in range(40)))
    assert {outcome.stage for outcome in outcomes} == {"allocate"}


@pytest.mark.parametrize(
    ("code", "sight"),
    [(300, Sight.DRAINING), (403, Sight.DRAINING), (486, Sight.FULL), (508, Sight.FULL), (500, Sight.ILL),
     (441, Sight.OUR_FAULT), (442, Sight.ILL)],
)  # fmt: skip
async def test_what_a_relay_answers_to_allocate_is_judged_by_its_code(code: int, sight: Sight) -> None:
    async with over_udp(lambda request: error(request, code)) as address:
        outcome = await probed(address)
    assert outcome.sight is sight
    assert str(code) in outcome.detail


async def test_an_allocation_mismatch_is_tried_again_from_another_port() -> None:
    """437: the server still holds an allocation of whoever had our port before."""
    answers = [437, 486]
    async with over_udp(lambda request: error(request, answers.pop(0) if len(answers) > 1 else 486)) as address:
        outcome = await probed(address)
    assert outcome.sight is Sight.FULL
    async with over_udp(lambda request: error(request, 437)) as address:
        outcome = await probed(address)
    assert (outcome.sight, outcome.detail) == (Sight.ILL, "allocate: 437 allocation mismatch")


async def test_a_name_that_does_not_resolve_is_our_fault() -> None:
    for host in ("nowhere.invalid", "x" * 70 + ".invalid"):
        outcome = await probed(TurnAddress(host, 3478, UDP))
        assert (outcome.sight, outcome.detail) == (Sight.OUR_FAULT, "connect: the name does not resolve")


class IllIssuer(Prober):
    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent

    async def issue(self) -> Credential:
        if self._silent:
            await asyncio.Event().wait()
        raise DriverError("VendorError", "TURN issuer nts: 503", retryable=True)


async def test_an_issuer_that_is_ill_or_silent_is_no_word_on_the_relay() -> None:
    outcome = await probed(TurnAddress(HOST, 9, UDP), IllIssuer())
    assert (outcome.sight, outcome.detail) == (Sight.OUR_FAULT, "credentials: VendorError: TURN issuer nts: 503")
    outcome = await probed(TurnAddress(HOST, 9, UDP), IllIssuer(silent=True), timeouts=QUICK)
    assert (outcome.sight, outcome.stage) == (Sight.OUR_FAULT, "credentials")


async def test_a_connection_that_is_reset_ends_the_probe_at_once() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(reset, HOST, 0)
    async with server:
        outcome = await probed(TurnAddress(HOST, server.sockets[0].getsockname()[1], TCP))
    assert (outcome.sight, outcome.detail) == (Sight.ILL, "allocate: connection reset")
