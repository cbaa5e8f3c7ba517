"""SIP OPTIONS: asks a carrier's or a border controller's SIP address whether it is alive, over UDP, TCP or TLS.

One request gives one outcome; what outcomes lead to is decided in `holdfast.core`. The name is looked up as an address:
for a carrier that is found by SRV records, one of the hosts that they name is asked.

    answer                        tells
    2xx, 3xx, most of 4xx, 501,   it is alive: it read the request and answered it
    6xx
    400, 401, 403, 407, 429       of us: our request, our address, our credentials, our haste
    408, 5xx but 501              it does not work: 503 is a drain or an overload, 408 is a proxy whose next hop is gone
    none, refused, reset          it does not work, as far as can be seen from here
    the name does not resolve     of us: our resolver
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from holdfast.gather.sip_message import HEAD_BYTES_MAX, Answer, Frames, Ids, Target, Unframed, decode, encode

OUR_FAULTS = frozenset({400, 401, 403, 407, 429})
NOT_IMPLEMENTED = 501
REQUEST_TIMEOUT = 408
FIRST_RETRANSMISSION_S = 0.5
LAST_RETRANSMISSION_S = 4.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request. `stage` is where it ended: connect, answer, or done.

    `own_fault` says that the failure tells of us and nothing of the carrier.
    """

    ok: bool
    stage: str
    detail: str
    elapsed_s: float
    own_fault: bool = False
    status: int | None = None

    @property
    def api_status(self) -> int | None:
        """The same as a carrier's API would have answered, as `carriers.verdict` takes it."""
        if self.own_fault:
            return 401
        if self.ok:
            return 200
        return None if self.status is None else 503


def judge(answer: Answer, *, elapsed_s: float) -> Outcome:
    """The outcome of a request that was answered."""
    status = answer.status
    own_fault = status in OUR_FAULTS
    alive = status < 500 or status >= 600 or status == NOT_IMPLEMENTED
    ok = alive and not own_fault and status != REQUEST_TIMEOUT
    detail = "" if ok else f"answer: SIP {status} {answer.words}".rstrip()
    return Outcome(ok, "done" if ok else "answer", detail, elapsed_s, own_fault, status)


class SipOptions:
    """Asks SIP addresses. Every request goes over a socket of its own, so that nothing of an earlier one is heard."""

    def __init__(self, tls: ssl.SSLContext, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tls = tls
        self._clock = clock

    async def ask(self, to: Target, *, timeout_s: float) -> Outcome:
        """One request, sent again while no answer comes if it goes by datagrams, and its final answer, in time."""
        began = self._clock()
        stage = _Stage()
        own_fault = False
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._converse(to, stage)
            return judge(answer, elapsed_s=self._clock() - began)
        except TimeoutError:
            heard = f", only {stage.provisional}" if stage.provisional else ""
            detail = f"{stage.name}: no end within {timeout_s * 1000:.0f} ms{heard}"
        except socket.gaierror:
            detail, own_fault = "connect: the name does not resolve", True
        except ssl.SSLCertVerificationError as e:
            detail = f"connect: certificate: {e.verify_message}"
        except Unframed as e:
            detail = f"answer: {e}"
        except OSError as e:
            detail = f"{stage.name}: {_words(e)}"
        return Outcome(False, stage.name, detail, self._clock() - began, own_fault)

    async def _converse(self, to: Target, stage: _Stage) -> Answer:
        ids = Ids(f"z9hG4bK{secrets.token_hex(12)}", secrets.token_hex(8), secrets.token_hex(16))
        exchange = _datagrams(to) if to.transport == "udp" else _stream(to, self._tls)
        async with exchange as wire:
            stage.name = "answer"
            host, port = wire.local
            sending = asyncio.create_task(_send(wire, encode(to, ids, local_host=host, local_port=port)))
            try:
                while True:
                    answer = decode(await wire.receive(), ids)
                    if answer is not None and answer.final:
                        return answer
                    stage.provisional = f"SIP {answer.status}" if answer else "what answers nothing of ours"
            finally:
                sending.cancel()


class _Stage:
    """How far a request got; read after a time-out has torn it down."""

    __slots__ = ("name", "provisional")

    def __init__(self) -> None:
        self.name = "connect"
        self.provisional = ""


async def _send(wire: _Wire, request: bytes) -> None:
    wire.send(request)
    wait_s = FIRST_RETRANSMISSION_S
    while wire.lossy:
        await asyncio.sleep(wait_s)
        wire.send(request)
        wait_s = min(wait_s * 2, LAST_RETRANSMISSION_S)


@dataclass(slots=True)
class _Wire:
    """Either kind of transport: whole messages come in, or the error that ended it."""

    local: tuple[str, int]
    lossy: bool
    send: Callable[[bytes], None]
    arrived: asyncio.Queue[bytes | Exception]

    async def receive(self) -> bytes:
        message = await self.arrived.get()
        if isinstance(message, Exception):
            raise message
        return message


class _Datagrams(asyncio.DatagramProtocol):
    """Hands over what comes. A full queue drops the rest: who floods us is not answering us."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=64)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        if not self.arrived.full():
            self.arrived.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        if not self.arrived.full():
            self.arrived.put_nowait(exc)


@asynccontextmanager
async def _datagrams(to: Target) -> AsyncIterator[_Wire]:
    loop = asyncio.get_running_loop()
    # Connected, so that only this peer is heard, and a refusal by ICMP is.
    transport, protocol = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(to.host, to.port))
    try:
        host, port = transport.get_extra_info("sockname")[:2]
        yield _Wire((host, port), lossy=True, send=transport.sendto, arrived=protocol.arrived)
    finally:
        transport.abort()


@asynccontextmanager
async def _stream(to: Target, tls: ssl.SSLContext) -> AsyncIterator[_Wire]:
    context = tls if to.transport == "tls" else None
    reader, writer = await asyncio.open_connection(to.host, to.port, ssl=context, limit=HEAD_BYTES_MAX)
    arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=64)
    reading = asyncio.create_task(_read(reader, arrived))
    try:
        host, port = writer.get_extra_info("sockname")[:2]
        yield _Wire((host, port), lossy=False, send=writer.write, arrived=arrived)
    finally:
        reading.cancel()
        writer.close()


async def _read(reader: asyncio.StreamReader, arrived: asyncio.Queue[bytes | Exception]) -> None:
    frames = Frames()
    try:
        while data := await reader.read(HEAD_BYTES_MAX):
            for message in frames.feed(data):
                await arrived.put(message)
        await arrived.put(ConnectionResetError(errno.EPIPE, "closed"))
    except (OSError, Unframed) as e:
        await arrived.put(e)


def _words(error: OSError) -> str:
    """What an engineer calls it: this text stands in conditions, Events and reports."""
    return _NAMED.get(error.errno or 0, type(error).__name__)


_NAMED = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed before an answer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
}
