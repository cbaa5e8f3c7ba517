"""The HTTP side of a simulated vendor whose answers are streams: requests, keys, faults on demand, pieces in time.

A vendor brings what it makes of a request: an answer, or the steps of a stream. This module knows no vendor's words.
A stream's first step comes after a while and its headers with it, as a model that has begun to answer does it.
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

import msgspec
from aiohttp import web

from holdfast_gameday.world import serve
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.vendor_faults import Armed, Counts, Fault, Happened, Moment
from holdfast_gameday.world.vendor_sockets import HAPPENED_MAX, Answer

REQUEST_OCTETS_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    first_piece_s: float = 0.08
    piece_s: float = 0.008


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    """As it was sent, with what is percent-encoded in it."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def fields(self) -> dict[str, Any] | None:
        """The body as a JSON object; None when it is none."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Step:
    data: bytes
    moment: Moment | None = None
    """What the stream has reached once this is sent."""


@dataclass(frozen=True, slots=True)
class Streamed:
    content_type: str
    steps: tuple[Step, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    unstored: bool = False
    """The client asked that nothing be stored."""


class HttpVendor(Protocol):
    kind: str
    """For the log of connections."""

    @property
    def garbage(self) -> bytes:
        """In a stream, what cannot be read."""
        ...

    @property
    def unknown(self) -> bytes:
        """In a stream, a message of a kind that nobody knows."""
        ...

    def key_name(self, asked: Asked) -> str | Answer:
        """Whose key it is, by the name that faults and counts use; or the refusal."""
        ...

    def answer(self, asked: Asked, number: int) -> Streamed | Answer:
        """`number` is never used twice by one server."""
        ...

    def refusal(self, fault: Fault) -> Answer:
        """In the vendor's words, what a fault of the kind `refuse` answers."""
        ...

    def error(self, fault: Fault) -> bytes:
        """In a stream, the vendor's own error; the stream ends with it."""
        ...


class VendorHttp:
    def __init__(
        self,
        vendor: HttpVendor,
        *,
        pace: Pace = Pace(),
        first_session: int = 1,
        connection_log: ConnectionLog | None = None,
        name: str = "",
    ) -> None:
        self.counts = Counts()
        self.refusals: list[tuple[float, str]] = []
        """When, and whose key, on demand; on the clock that the callers measure with."""
        self.happened: deque[Happened] = deque(maxlen=HAPPENED_MAX)
        self.pace = pace
        self.vendor = vendor
        self._next = first_session
        self._log = connection_log
        self._name = name
        self._open: dict[int, _Stream] = {}
        self._faults: list[Armed] = []
        self._address = ""

    @property
    def streams(self) -> int:
        """How many are under way."""
        return len(self._open)

    def inject(self, fault: Fault) -> None:
        armed = Armed(fault)
        self._faults.append(armed)
        if fault.kind != "refuse":
            for stream in list(self._open.values()):
                stream.meet(armed)

    def heal(self) -> None:
        """Faults end for new streams and live ones; what a stalled stream kept back is lost, but for its end."""
        self._faults.clear()
        for stream in self._open.values():
            stream.recover()

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[serve.Address]:
        application = web.Application(client_max_size=REQUEST_OCTETS_MAX)
        application.router.add_route("*", "/{path:.*}", self._handle)
        async with serve.serving(application, host, port, ssl_context=ssl_context) as address:
            self._address = str(address)
            yield address

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, path, query, headers, await request.read())
        key_name = self.vendor.key_name(asked)
        if isinstance(key_name, Answer):
            return self._answered(key_name)
        for armed in self._faults:
            if armed.fault.kind == "refuse" and armed.hits(key_name):
                self.refusals.append((time.monotonic(), key_name))
                return self._answered(self.vendor.refusal(armed.fault))
        found = self.vendor.answer(asked, self._next)
        if isinstance(found, Answer):
            return self._answered(found)
        number, self._next = self._next, self._next + 1
        self.counts.opened += 1
        self.counts.unstored += found.unstored
        self.counts.by_key[key_name] = self.counts.by_key.get(key_name, 0) + 1
        if self._log is not None:
            self._log.record(
                source=request.remote or "", address=self._address, kind=self.vendor.kind, name=self._name, path=path
            )
        stream = self._open[number] = _Stream(self, key_name, found)
        for armed in list(self._faults):
            if armed.fault.kind != "refuse":
                stream.meet(armed)
        try:
            return await stream.play(request)
        finally:
            stream.stop()
            del self._open[number]
            self.counts.closed += 1

    def _answered(self, answer: Answer) -> web.Response:
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self.counts.refused += 1
        headers = {"Content-Type": "application/json", **answer.headers}
        return web.Response(status=answer.status, body=msgspec.json.encode(answer.body), headers=headers)


_END = b""
_DROP: None = None
"""The connection is to be gone without a word, once what was sent before is written."""


class _Stream:
    """One answer on its way out. Pieces are put into a queue by the clock and written by the request's own task."""

    def __init__(self, server: VendorHttp, key_name: str, streamed: Streamed) -> None:
        self._server = server
        self._key_name = key_name
        self._streamed = streamed
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reached: set[Moment] = set()
        self._stalled = self._garbled = False
        self._slow_s = 0.0
        self._waiting: list[Fault] = []

    async def play(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": self._streamed.content_type, **self._streamed.headers}
        )
        self._timer = self._later(self._server.pace.first_piece_s + self._slow_s, self._step)
        with contextlib.suppress(ConnectionError):
            while True:
                piece = await self._queue.get()
                if piece is None:
                    if request.transport is not None:
                        request.transport.abort()
                    break
                if not response.prepared:
                    await response.prepare(request)
                if piece == _END:
                    await response.write_eof()
                    break
                await response.write(piece)
        return response

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        steps = self._streamed.steps
        if self._at == len(steps):
            self._send(_END)
            return
        step = steps[self._at]
        self._at += 1
        self._send(step.data)
        # The end of the body comes with its last piece.
        self._timer = self._later(self._server.pace.piece_s if self._at < len(steps) else 0.0, self._step)
        if step.moment is not None and not self._stalled:
            self._come_to(step.moment)

    def _send(self, piece: bytes | None) -> None:
        if not self._stalled:
            self._queue.put_nowait(self._server.vendor.garbage if self._garbled and piece else piece)

    def _come_to(self, moment: Moment) -> None:
        """Every piece of a reply may be struck; that it has come so far is noted once."""
        if moment not in self._reached:
            self._reached.add(moment)
            self._note(moment)
        struck = [fault for fault in self._waiting if fault.at == moment]
        for fault in struck:
            self._waiting.remove(fault)
            self._suffer(fault)

    def _later(self, delay_s: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, do)

    # --- faults

    def meet(self, armed: Armed) -> None:
        if not armed.hits(self._key_name):
            return
        if armed.fault.at == "now":
            self._suffer(armed.fault)
        else:
            self._waiting.append(armed.fault)

    def recover(self) -> None:
        if self._stalled and self._at == len(self._streamed.steps):
            self._queue.put_nowait(_END)
        self._stalled, self._garbled, self._slow_s = False, False, 0.0
        self._waiting.clear()

    def _note(self, what: Moment | Literal["struck"]) -> None:
        self._server.happened.append(Happened(time.monotonic(), self._key_name, what))

    def _suffer(self, fault: Fault) -> None:
        self._note("struck")
        match fault.kind:
            case "close":
                self._finish(_END)
            case "drop":
                self._finish(_DROP)
            case "error":
                self._send(self._server.vendor.error(fault))
                self._finish(_END)
            case "stall":
                self._stalled = True
            case "garbage":
                self._send(self._server.vendor.garbage)
            case "garbled":
                self._garbled = True
            case "unknown":
                self._send(self._server.vendor.unknown)
            case "slow":
                self._slow_s = fault.delay_s
            case "refuse":
                pass

    def _finish(self, piece: bytes | None) -> None:
        self._queue.put_nowait(piece)
        # Nothing that was still to come is sent; a timer that is not yet running finds no step but the end.
        self.stop()
        self._at = len(self._streamed.steps)
