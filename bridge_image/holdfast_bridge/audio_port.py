"""The audio port: takes the carrier's upgrade from memory, then the `start` with its token, then carries the call.

    404 another path · 403 not the carrier's signature, or not a name of ours · 503 no room for another call
    1002, 1003, 1007, 1008, 1009 as in `legs` and `ws_messages`; 1008 also for a late, bad or spent token, for a flood
    and for a carrier that does not read; each is counted

Everything a socket does wrong ends that socket only. TLS ends before this port.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeAlias

from picows import (
    WSAutoPingStrategy,
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

from holdfast_bridge import http_out
from holdfast_bridge.agent_config import Tool
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import signature
from holdfast_bridge.core.token import Claim, Refusal
from holdfast_bridge.legs import POLICY, UNSUPPORTED, BadFrame, Started
from holdfast_bridge.legs.twilio import TwilioLeg
from holdfast_bridge.providing import Providers
from holdfast_bridge.seams import Services
from holdfast_bridge.session import Session
from holdfast_bridge.tool_connections import ToolConnections
from holdfast_bridge.tools import ToolRunner
from holdfast_bridge.ws_messages import DATA, TEXT, BadMessage, Messages, Pace, answer_ping

PORT = 8081
MAX_MESSAGE_BYTES = 64 * 1024
START_WITHIN_S = 2.0
HANDSHAKE_WITHIN_S = 3.0
PING_S = 10.0
MAX_UNSENT_BYTES = 1024 * 1024
MAX_WAITING = 200
"""Sockets that were let in and have not shown their token yet."""
FLOOD_WINDOW = 100
FLOOD_WINDOW_S = 0.5
FLOOD_WINDOWS = 6
"""Six hundred frames in a row faster than 200 a second; a carrier sends 50, and a stalled one catches up in less."""

Count: TypeAlias = Callable[[str], None]
"""Counts a refusal or a violation by its reason, which is one of few words."""

_PICOWS_CLOSES = {
    WSCloseCode.PROTOCOL_ERROR: "protocol_error",
    WSCloseCode.INVALID_TEXT: "protocol_error",
    WSCloseCode.MESSAGE_TOO_BIG: "too_big",
    WSCloseCode.INTERNAL_ERROR: "failed",
}
"""What the library closes a socket for by itself, as we count it."""

log = logging.getLogger(__name__)


class AudioPort:
    def __init__(self, services: Services, *, count: Count) -> None:
        self.services = services
        self.count = count
        self.bound = asyncio.Event()
        """Set once the port listens; `port` holds its number."""
        self.port = 0
        self._providers: Providers | None = None
        self._waiting: set[CarrierSocket] = set()
        self._group: asyncio.TaskGroup | None = None
        self._tools: ToolRunner | None = None
        self._webhooks: ToolConnections | None = None

    async def run(self, host: str = "0.0.0.0", port: int = PORT) -> None:  # noqa: S104 - the pod's own network
        """Serve until cancelled; calls in progress end with it, without being hung up."""
        async with (
            http_out.session() as http,
            ToolConnections(clock=asyncio.get_running_loop().time) as webhooks,
            asyncio.TaskGroup() as group,
        ):
            self._group, self._webhooks = group, webhooks
            self._providers = Providers(http, self.services.provider_secret)
            self._tools = ToolRunner(webhooks, on_result=self.services.tool_result, secrets=self._secrets)
            server = await ws_create_server(
                self._upgrade,
                host,
                port,
                websocket_handshake_timeout=HANDSHAKE_WITHIN_S,
                logger_name="carrier",
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_S,
                auto_ping_reply_timeout=PING_S,
                auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=False,
                max_frame_size=MAX_MESSAGE_BYTES,
            )
            self.port = server.sockets[0].getsockname()[1]
            self.bound.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()
                for socket in list(self._waiting):
                    socket.close(WSCloseCode.GOING_AWAY.value)

    def _upgrade(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        status = self._refusal(request)
        if status is None:
            return CarrierSocket(self)
        self.count(f"upgrade_{int(status)}")
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status), None)

    def _refusal(self, request: WSUpgradeRequest) -> HTTPStatus | None:
        settings = self.services.settings()
        if request.path != f"{settings.agent.path}/media".encode():
            return HTTPStatus.NOT_FOUND
        hosts = request.headers.getall("Host", [])
        signatures = request.headers.getall("X-Twilio-Signature", [])
        if len(hosts) != 1 or len(signatures) != 1:
            return HTTPStatus.FORBIDDEN
        host = str(hosts[0]).lower()
        if not {host, host.partition(":")[0]} & settings.agent.hosts:
            return HTTPStatus.FORBIDDEN
        url = f"wss://{host}{settings.agent.path}/media"
        if not signature.valid(url, None, str(signatures[0]), settings.fleet.carrier_tokens):
            return HTTPStatus.FORBIDDEN
        if not self.services.accepting() or len(self._waiting) >= MAX_WAITING:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return None

    def opened(self, socket: CarrierSocket) -> None:
        self._waiting.add(socket)

    def left(self, socket: CarrierSocket) -> None:
        self._waiting.discard(socket)

    def admit(self, socket: CarrierSocket, started: Started) -> Session | str:
        """The session of a stream that showed a good token, or the reason why there is none."""
        self._waiting.discard(socket)
        claim = self.services.claim(started.token)
        if isinstance(claim, Refusal):
            return f"token_{claim.reason.value}"
        carrier = self.services.settings().agent.carrier
        if claim.call != started.call:
            return "token_of_other_call"
        if carrier.kind == "twilio" and started.account != carrier.account_sid:
            return "other_account"
        present = self.services.calls.find(claim.call)
        if present is not None:
            if present.record.epoch >= claim.epoch:
                return "already_carried"
            present.fall_silent(claim.epoch)
        return self._carry(socket, claim)

    def _carry(self, socket: CarrierSocket, claim: Claim) -> Session:
        assert self._group is not None
        assert self._tools is not None
        assert self._providers is not None
        session = Session(
            self.services,
            claim=claim,
            leg=socket.leg,
            wire=socket,
            tools=self._tools,
            open_provider=self._providers.open,
        )
        self._group.create_task(self._run(session, socket))
        if self._webhooks is not None and (tools := self.services.settings().agent.tools):
            self._group.create_task(self._warm(self._webhooks, tools))
        return session

    async def _warm(self, webhooks: ToolConnections, tools: Sequence[Tool]) -> None:
        try:
            await webhooks.warm(tools)
        except Exception:
            log.exception("tools not warmed")

    def _secrets(self, tool: str) -> tuple[str, ...]:
        return self.services.settings().tool_secrets.get(tool, ())

    async def _run(self, session: Session, socket: CarrierSocket) -> None:
        """A call that breaks must not break its neighbours: the group ends all when one task raises."""
        try:
            await session.run()
        except Exception:
            self.count("session_failed")
            log.exception("session failed")
        finally:
            socket.close(WSCloseCode.INTERNAL_ERROR.value)


class CarrierSocket(WSListener):
    """One socket of the carrier. picows calls it from the event loop; nothing here waits."""

    def __init__(self, port: AudioPort) -> None:
        self.leg = TwilioLeg()
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._messages = Messages(MAX_MESSAGE_BYTES)
        self._pace = Pace(self._loop.time, window=FLOOD_WINDOW, within_s=FLOOD_WINDOW_S, windows=FLOOD_WINDOWS)
        self._transport: WSTransport | None = None
        self._session: Session | None = None
        self._start_due: asyncio.TimerHandle | None = None
        self._blocked = False
        self._unsent = 0

    # --- session.CarrierWire

    def send(self, message: bytes) -> None:
        if self._transport is None:
            return
        if self._blocked:
            self._unsent += len(message)
            if self._unsent > MAX_UNSENT_BYTES:
                self._violated(POLICY, "not_reading")
                return
        self._transport.send(TEXT, message)

    def close(self, code: int) -> None:
        """Say goodbye and let go of the socket; the call is not told, because whoever closes knows."""
        transport, self._transport = self._transport, None
        self._session = None
        self._cancel_start()
        self._port.left(self)
        if transport is not None:
            transport.send_close(WSCloseCode(code))
            # What nobody reads would keep the socket open until the next ping is found unanswered.
            transport.disconnect(graceful=not self._blocked)

    # --- WSListener

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._start_due = self._loop.call_later(START_WITHIN_S, self._violated, POLICY, "no_start")
        self._port.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._transport is None:
            return
        if self._pace.too_fast(frame.payload_size):
            self._violated(POLICY, "flood")
        elif (kind := frame.msg_type) in DATA:
            self._read(frame)
        elif kind is WSMsgType.PING:
            answer_ping(transport, frame, blocked=self._blocked)
        elif kind is WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect(graceful=not self._blocked)

    def _read(self, frame: WSFrame) -> None:
        try:
            message = self._messages.feed(frame)
            if self._messages.binary:
                self._violated(UNSUPPORTED, "binary")
            elif message is not None:
                self._heard(self.leg.decode(message))
        except (BadFrame, BadMessage) as bad:
            self._violated(bad.code, bad.reason)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        said = transport.close_handshake.sent if transport.close_handshake is not None else None
        if self._transport is not None and said is not None and said.code in _PICOWS_CLOSES:
            self._port.count(_PICOWS_CLOSES[said.code])
        session, self._session = self._session, None
        self._transport = None
        self._cancel_start()
        self._port.left(self)
        if session is not None:
            session.feed(ev.CarrierLost())

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked, self._unsent = False, 0

    # --- what is said

    def _heard(self, said: ev.Event | Started | None) -> None:
        if said is None:
            return
        if not isinstance(said, Started):
            if self._session is not None:
                self._session.feed(said)
            return
        self._cancel_start()
        admitted = self._port.admit(self, said)
        if isinstance(admitted, str):
            self._violated(POLICY, admitted)
        else:
            self._session = admitted

    def _violated(self, code: int, reason: str) -> None:
        """Close with the code; the call, if there is one, lost its carrier and may be taken up elsewhere."""
        self._port.count(reason)
        log.info("socket refused", extra={"reason": reason, "code": code})
        session = self._session
        self.close(code)
        if session is not None:
            session.feed(ev.CarrierLost())

    def _cancel_start(self) -> None:
        if self._start_due is not None:
            self._start_due.cancel()
            self._start_due = None
