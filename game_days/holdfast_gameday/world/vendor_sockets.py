"""The socket side of a simulated speech vendor: upgrades, keys, faults on demand, whole messages in, messages out.

A vendor brings two things: who is let in (`Vendor.admit`), and what a session says (`Session`). This module knows no
vendor's words. picows serves it, because forty sessions send two thousand audio messages a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.serve import Address
from holdfast_gameday.world.vendor_faults import Armed, Counts, Fault, Happened, Moment

MESSAGE_OCTETS_MAX = 24 * 1024 * 1024
HAPPENED_MAX = 100_000
GARBAGE = b'{"type": "\xff\xfe not a message'
UNKNOWN = b'{"type":"practice.unheard_of","event":"practice.unheard_of","practiceUnheardOf":{"a":[1,2,3]}}'


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a client asked for. Names of headers are in lower case."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer instead of a session: a refusal, or what a cheap probe asks for."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)
    key_name: str = ""
    """Of a probe: a fault refuses it as it does an upgrade."""


class Session(Protocol):
    """What one link says. Called from the event loop; nothing in it waits."""

    def open(self) -> None:
        """The link is open: say what the vendor says first."""
        ...

    def receive(self, message: bytes, *, binary: bool) -> None: ...

    def fail(self, fault: Fault | None) -> None:
        """A fault of the kind `error` is in force for this session from now on, or (None) no longer."""
        ...

    def close(self) -> None:
        """The link is gone: stop every timer. Called once; nothing is called after it."""
        ...


class Wire(Protocol):
    """What a session speaks through."""

    def text(self, message: bytes) -> None: ...

    def binary(self, message: bytes) -> None: ...

    def leave(self, code: int, reason: str = "") -> None: ...

    def later(self, delay_s: float, do: Callable[[], None]) -> asyncio.TimerHandle: ...

    def reached(self, moment: Moment) -> None:
        """The session tells: a reply has begun to sound, or a tool call has been sent. A fault may strike here."""
        ...

    def delay_s(self) -> float:
        """By how much the first message of a reply has to be late now."""
        ...


@dataclass(frozen=True, slots=True)
class Admitted:
    key_name: str
    session: Callable[[Wire, int], Session]
    """Makes the session of the link with this number; numbers are never used twice by one server."""
    headers: Mapping[str, str] = field(default_factory=dict)
    unstored: bool = False
    """The client asked that nothing be stored."""


class Vendor(Protocol):
    kind: str
    """For the log of connections."""

    def admit(self, asked: Upgrade) -> Admitted | Answer: ...

    def refusal(self, fault: Fault) -> Answer:
        """In the vendor's words, what a fault of the kind `refuse` answers."""
        ...


class VendorSockets:
    def __init__(
        self, vendor: Vendor, *, first_session: int = 1, connection_log: ConnectionLog | None = None, name: str = ""
    ) -> None:
        self.counts = Counts()
        self.refusals: list[tuple[float, str]] = []
        """When, and whose key, on demand; on the clock that the callers measure with."""
        self.happened: deque[Happened] = deque(maxlen=HAPPENED_MAX)
        self._vendor = vendor
        self._next = first_session
        self._log = connection_log
        self._name = name
        self._open: dict[int, _Socket] = {}
        self._faults: list[Armed] = []
        self._address = ""

    @property
    def sessions(self) -> list[Session]:
        return [socket.session for socket in self._open.values() if socket.session is not None]

    def inject(self, fault: Fault) -> None:
        armed = Armed(fault)
        self._faults.append(armed)
        if fault.kind != "refuse":
            for socket in list(self._open.values()):
                socket.meet(armed)

    def heal(self) -> None:
        """Faults end for new sessions and live ones; what a stalled session kept back is lost."""
        self._faults.clear()
        for socket in self._open.values():
            socket.recover()

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[Address]:
        server = await ws_create_server(
            self._upgrade, host, port, ssl=ssl_context, max_frame_size=MESSAGE_OCTETS_MAX, reuse_address=True
        )
        bound = server.sockets[0].getsockname()
        self._address = f"{bound[0]}:{bound[1]}"
        try:
            yield Address(bound[0], bound[1])
        finally:
            server.close()
            sockets = list(self._open.values())
            for socket in sockets:
                socket.leave(WSCloseCode.GOING_AWAY.value, "server shutting down")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.gather(*(socket.gone.wait() for socket in sockets))

    def _upgrade(self, request: WSUpgradeRequest) -> Any:
        """picows asks this for each connection: a listener, or the answer to send."""
        url = urlsplit(request.path.decode("latin-1"))
        headers = {name.lower(): value for name, value in request.headers.items()}
        found = self._vendor.admit(Upgrade(url.path, parse_qs(url.query, keep_blank_values=True), headers))
        for armed in self._faults if found.key_name else ():
            if armed.fault.kind == "refuse" and armed.hits(found.key_name):
                self.refusals.append((time.monotonic(), found.key_name))
                return self._answer(self._vendor.refusal(armed.fault))
        if isinstance(found, Answer):
            return self._answer(found)
        self.counts.opened += 1
        self.counts.unstored += found.unstored
        self.counts.by_key[found.key_name] = self.counts.by_key.get(found.key_name, 0) + 1
        number, self._next = self._next, self._next + 1
        socket = _Socket(self, number, found, path=url.path)
        if not found.headers:
            return socket
        response = WSUpgradeResponse.create_101_response(dict(found.headers))
        return WSUpgradeResponseWithListener(response, socket)

    def _answer(self, answer: Answer) -> WSUpgradeResponseWithListener:
        body = msgspec.json.encode(answer.body)
        headers = {"Content-Type": "application/json", **answer.headers}
        if answer.status < HTTPStatus.BAD_REQUEST:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body, headers), None)
        self.counts.refused += 1
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_error_response(answer.status, body, headers), None
        )

    def joined(self, socket: _Socket, source: str) -> None:
        self._open[socket.number] = socket
        if self._log is not None:
            kind, name = self._vendor.kind, self._name
            self._log.record(source=source, address=self._address, kind=kind, name=name, path=socket.path)
        for armed in list(self._faults):
            if armed.fault.kind != "refuse":
                socket.meet(armed)

    def left(self, socket: _Socket) -> None:
        if self._open.pop(socket.number, None) is not None:
            self.counts.closed += 1


class _Socket(WSListener):
    """One connection, and the `Wire` of its session."""

    def __init__(self, server: VendorSockets, number: int, admitted: Admitted, *, path: str) -> None:
        self.number = number
        self.path = path
        self.session: Session | None = None
        self.gone = asyncio.Event()
        self._server = server
        self._admitted = admitted
        self._transport: WSTransport | None = None  # as long as the link is whole
        self._beginning: asyncio.TimerHandle | None = None
        self._early: list[tuple[bytes, bool]] = []
        self._stalled = self._garbled = False
        self._slow_s = 0.0
        self._waiting: list[Fault] = []
        self._parts: list[bytes] = []
        self._binary = False

    # --- the link

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.session = self._admitted.session(self, self.number)
        peer = transport.underlying_transport.get_extra_info("peername")
        self._server.joined(self, peer[0] if peer else "")
        if self._slow_s:
            self._beginning = self.later(self._slow_s, self._begin)
        else:
            self._begin()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code == WSCloseCode.NO_INFO else code)
            transport.disconnect()
            return
        if self._transport is None or kind not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            return
        if kind is not WSMsgType.CONTINUATION:
            self._binary = kind is WSMsgType.BINARY
        data = frame.get_payload_as_bytes()
        if self._parts or not frame.fin:
            self._parts.append(data)
            if sum(map(len, self._parts)) > MESSAGE_OCTETS_MAX:
                self.leave(WSCloseCode.MESSAGE_TOO_BIG.value)
            if not frame.fin:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        if self._beginning is not None:
            self._early.append((data, self._binary))
        else:
            self._receive(data, binary=self._binary)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        self._over()
        self._server.left(self)
        self.gone.set()

    def _begin(self) -> None:
        self._beginning = None
        if self._transport is None or self.session is None:
            return
        self.session.open()
        early, self._early = self._early, []
        for data, binary in early:
            self._receive(data, binary=binary)

    def _receive(self, data: bytes, *, binary: bool) -> None:
        if self._transport is not None and self.session is not None:
            self.session.receive(data, binary=binary)

    def _over(self) -> WSTransport | None:
        """The session ends, if it has not yet. Gives the link that has to be ended with it."""
        transport, self._transport = self._transport, None
        if transport is not None and self.session is not None:
            if self._beginning is not None:
                self._beginning.cancel()
            self.session.close()
        return transport

    # --- `Wire`

    def text(self, message: bytes) -> None:
        if not self._stalled and self._transport is not None:
            self._transport.send(WSMsgType.TEXT, GARBAGE if self._garbled else message)

    def binary(self, message: bytes) -> None:
        if self._garbled:
            self.text(GARBAGE)
        elif not self._stalled and self._transport is not None:
            self._transport.send(WSMsgType.BINARY, message)

    def leave(self, code: int, reason: str = "") -> None:
        if (transport := self._over()) is not None:
            transport.send_close(WSCloseCode(code), reason.encode())
            transport.disconnect()

    def later(self, delay_s: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, do)

    def reached(self, moment: Moment) -> None:
        self._note(moment)
        struck = [fault for fault in self._waiting if fault.at == moment]
        for fault in struck:
            self._waiting.remove(fault)
            # What was sent just now goes out first.
            self.later(0.0, lambda fault=fault: self._suffer(fault))  # type: ignore[misc]

    def delay_s(self) -> float:
        return self._slow_s

    # --- faults

    def meet(self, armed: Armed) -> None:
        if not armed.hits(self._admitted.key_name):
            return
        if armed.fault.at == "now":
            self._suffer(armed.fault)
        else:
            self._waiting.append(armed.fault)

    def recover(self) -> None:
        self._stalled, self._garbled, self._slow_s = False, False, 0.0
        self._waiting.clear()
        if self._transport is None or self.session is None:
            return
        self.session.fail(None)
        if self._beginning is not None:
            self._beginning.cancel()
            self._begin()

    def _note(self, what: Moment | Literal["struck"]) -> None:
        self._server.happened.append(Happened(time.monotonic(), self._admitted.key_name, what))

    def _suffer(self, fault: Fault) -> None:
        transport, session = self._transport, self.session
        if transport is None or session is None:
            return
        self._note("struck")
        match fault.kind:
            case "close":
                self.leave(fault.code, fault.reason)
            case "drop":
                self._over()
                transport.disconnect(graceful=False)
            case "stall":
                self._stalled = True
            case "garbage":
                self.text(GARBAGE)
            case "garbled":
                self._garbled = True
            case "unknown":
                self.text(UNKNOWN)
            case "slow":
                self._slow_s = fault.delay_s
            case "error":
                session.fail(fault)
