"""The simulated OpenAI Realtime API (GA) on a socket: `wss://…/v1/realtime?model=`, bearer keys, faults on demand.

Beside it only `GET /v1/models`, the cheap probe of a key.

It owns sockets, keys and faults; what a session says is in `openai_session`. It knows nothing of calls or regions.
picows serves it, because forty sessions send two thousand audio messages a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
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
from holdfast_gameday.world.openai_response import Event, Pace
from holdfast_gameday.world.openai_session import Failure, Identity, Session
from holdfast_gameday.world.serve import Address

log = logging.getLogger(__name__)

PATH = "/v1/realtime"
MODELS_PATH = "/v1/models"
MODELS = ("gpt-realtime", "gpt-realtime-mini")
SESSION_S_MAX = 3600
MESSAGE_OCTETS_MAX = 24 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, for the given names of keys (None: all) and for this share of what it meets.

    refuse  new upgrades and requests are answered with `status`, `error_type` and `error_code`, and Retry-After
            where the vendor sends one
    close   open sessions are closed with `code` and `reason`, at once; new ones as soon as they are open
    stall   open and new sessions stay connected and say nothing more
    error   responses fail with the error event `error_type`, `error_code`
    """

    kind: Literal["refuse", "close", "stall", "error"]
    keys: Collection[str] | None = None
    share: float = 1.0
    status: int = 503
    code: int = 1011
    reason: str = ""
    error_type: str = "server_error"
    error_code: str = "internal_error"
    retry_after_s: int = 1


@dataclass(slots=True)
class _Armed:
    fault: Fault
    met: int = 0

    def hits(self, key_name: str) -> bool:
        """Spread evenly instead of by dice, so that a share of 0.5 hits every second one."""
        if self.fault.keys is not None and key_name not in self.fault.keys:
            return False
        self.met += 1
        return int(self.met * self.fault.share) > int((self.met - 1) * self.fault.share)


@dataclass(slots=True)
class Counts:
    opened: int = 0
    refused: int = 0
    closed: int = 0
    by_key: dict[str, int] = field(default_factory=dict)


class OpenAIRealtime:
    """`keys` maps a bearer key to the name by which faults and counts speak of it."""

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        first_session: int = 1,
        connection_log: ConnectionLog | None = None,
        name: str = "",
        record_events: bool = False,
    ) -> None:
        self.counts = Counts()
        self.refusals: list[tuple[float, str]] = []
        """When, and whose key, on demand; on the clock that the callers measure with."""
        self.events: list[Event] = []  # every server event, when asked for: tests check them
        self._record_events = record_events
        self._keys = dict(keys)
        self._pace = pace
        self._next_session = first_session
        self._log = connection_log
        self._name = name
        self._prefix = secrets.token_hex(3)
        self._open: dict[int, _Socket] = {}
        self._faults: list[_Armed] = []
        self._address = ""

    @property
    def sessions(self) -> list[Session]:
        return [socket.session for socket in self._open.values() if socket.session is not None]

    def inject(self, fault: Fault) -> None:
        armed = _Armed(fault)
        self._faults.append(armed)
        for socket in list(self._open.values()):
            if fault.kind != "refuse" and armed.hits(socket.key_name):
                socket.suffer(fault)

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
                socket.leave(1001, "server shutting down")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.gather(*(socket.gone.wait() for socket in sockets))

    def _upgrade(self, request: WSUpgradeRequest) -> Any:
        """picows asks this for each connection: a listener, or the refusal to send."""
        url = urlsplit(request.path.decode("latin-1"))
        if url.path not in (PATH, MODELS_PATH):
            return self._refused(404, "invalid_request_error", None, "Unknown request URL.")
        scheme, _, key = str(request.headers.get("Authorization") or "").partition(" ")
        name = self._keys.get(key) if scheme == "Bearer" else None
        if name is None:
            return self._refused(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
        for armed in self._faults:
            if armed.fault.kind == "refuse" and armed.hits(name):
                self.refusals.append((time.monotonic(), name))
                return self._refused(
                    armed.fault.status, armed.fault.error_type, armed.fault.error_code, "Refused on demand.",
                    retry_after_s=armed.fault.retry_after_s,
                )  # fmt: skip
        if url.path == MODELS_PATH:
            return _models()
        model = parse_qs(url.query).get("model", [""])[0]
        if not model:
            return self._refused(400, "invalid_request_error", "missing_model", "You must provide a model parameter.")
        self.counts.opened += 1
        self.counts.by_key[name] = self.counts.by_key.get(name, 0) + 1
        number = self._next_session
        self._next_session += 1
        who = Identity(number, self._prefix, model, int(time.time()) + SESSION_S_MAX)
        beta = "realtime=v1" in str(request.headers.get("OpenAI-Beta") or "")
        return _Socket(self, who, key_name=name, beta=beta)

    def _refused(
        self, status: int, kind: str, code: str | None, message: str, *, retry_after_s: int = 1
    ) -> WSUpgradeResponseWithListener:
        self.counts.refused += 1
        body = msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})
        headers = {"Content-Type": "application/json"}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry-After"] = str(retry_after_s)
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_error_response(status, body, headers), None
        )

    def joined(self, socket: _Socket, source: str) -> None:
        self._open[socket.who.number] = socket
        if self._log is not None:
            self._log.record(source=source, address=self._address, kind="openai-realtime", name=self._name, path=PATH)
        for armed in list(self._faults):
            if armed.fault.kind != "refuse" and armed.hits(socket.key_name):
                socket.suffer(armed.fault)

    def left(self, socket: _Socket) -> None:
        if self._open.pop(socket.who.number, None) is not None:
            self.counts.closed += 1

    def sent(self, event: Event) -> None:
        if self._record_events:
            self.events.append(msgspec.json.decode(msgspec.json.encode(event)))

    @property
    def pace(self) -> Pace:
        return self._pace


def _models() -> WSUpgradeResponseWithListener:
    """What a cheap authenticated probe asks for."""
    listed = [{"id": name, "object": "model", "created": 1_756_000_000, "owned_by": "practice"} for name in MODELS]
    body = msgspec.json.encode({"object": "list", "data": listed})
    headers = {"Content-Type": "application/json"}
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body, headers), None)


class _Socket(WSListener):
    """One connection. picows calls it from the event loop; nothing here waits."""

    def __init__(self, server: OpenAIRealtime, who: Identity, *, key_name: str, beta: bool) -> None:
        self.who = who
        self.key_name = key_name
        self.session: Session | None = None
        self.gone = asyncio.Event()
        self._server = server
        self._beta = beta
        self._transport: WSTransport | None = None
        self._stalled = False
        self._parts: list[bytes] = []
        self._expiry: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        loop = asyncio.get_running_loop()
        self.session = Session(self.who, send=self._send, later=loop.call_later, pace=self._server.pace)
        self._expiry = loop.call_later(SESSION_S_MAX, self._expire)
        peer = transport.underlying_transport.get_extra_info("peername")
        self._server.joined(self, peer[0] if peer else "")
        if self._beta:
            message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
            self.session.error("invalid_request_error", "beta_api_shape_disabled", message)
            self.leave(4000, "invalid_request_error.beta_api_shape_disabled")
            return
        self.session.open()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code == WSCloseCode.NO_INFO else code)
            transport.disconnect()
            return
        if kind is WSMsgType.BINARY:
            self.leave(WSCloseCode.UNSUPPORTED_DATA.value, "text frames only")
            return
        if self.session is None or kind not in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            return
        data = frame.get_payload_as_bytes()
        if self._parts or not frame.fin:
            self._parts.append(data)
            if not frame.fin:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        self.session.receive(data)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        if self.session is not None:
            self.session.close()
        if self._expiry is not None:
            self._expiry.cancel()
        self._server.left(self)
        self._transport = None
        self.gone.set()

    def suffer(self, fault: Fault) -> None:
        if fault.kind == "close":
            self.leave(fault.code, fault.reason)
        elif fault.kind == "stall":
            self._stalled = True
        elif self.session is not None:
            self.session.failure = Failure(fault.error_type, fault.error_code, "The server had an error on demand.")

    def recover(self) -> None:
        self._stalled = False
        if self.session is not None:
            self.session.failure = None

    def leave(self, code: int, reason: str) -> None:
        if self._transport is None:
            return
        if self.session is not None:
            self.session.close()
        self._transport.send_close(WSCloseCode(code), reason.encode())
        self._transport.disconnect()

    def _expire(self) -> None:
        message = "Your session hit the maximum duration of 60 minutes."
        if self.session is not None:
            self.session.error("invalid_request_error", "session_expired", message)
        self.leave(WSCloseCode.GOING_AWAY.value, message)

    def _send(self, event: Event) -> None:
        if self._stalled or self._transport is None:
            return
        self._server.sent(event)
        self._transport.send(WSMsgType.TEXT, msgspec.json.encode(event))
