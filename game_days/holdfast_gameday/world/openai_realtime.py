"""The simulated OpenAI Realtime API (GA) on a socket: `wss://…/v1/realtime?model=`, bearer keys, faults on demand.

Beside it only `GET /v1/models`, the cheap probe of a key.

It owns addresses and keys; sockets and faults are `vendor_sockets`', and what a session says is in `openai_session`. It
knows nothing of calls or regions.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from picows import WSCloseCode

from holdfast_gameday.world import vendor_faults
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.openai_response import Event, Pace
from holdfast_gameday.world.openai_session import GA, Dialect, Failure, Identity, Session
from holdfast_gameday.world.vendor_faults import Counts
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, VendorSockets, Wire

PATH = "/v1/realtime"
MODELS_PATH = "/v1/models"
MODELS = ("gpt-realtime", "gpt-realtime-mini")
SESSION_S_MAX = 3600.0
_BETA_CLOSE = 4000


Fault = vendor_faults.Fault


class RealtimeLink:
    """A session of `openai_session` on the wire of one socket; nothing in it waits."""

    def __init__(
        self,
        wire: Wire,
        who: Identity,
        *,
        pace: Pace,
        dialect: Dialect = GA,
        session_s: float = SESSION_S_MAX,
        retired: bool = False,
        sent: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        """`retired`: the client speaks the beta, which is no longer served."""
        self.session = Session(
            who, send=self._send, later=wire.later, pace=pace, dialect=dialect, late_s=wire.delay_s
        )
        self._wire = wire
        self._retired = retired
        self._sent = sent
        self._silent = True  # the present response has not begun to sound
        self._expiry = wire.later(session_s, self._expire)

    def open(self) -> None:
        if not self._retired:
            self.session.open()
            return
        message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
        self.session.error("invalid_request_error", "beta_api_shape_disabled", message)
        self._wire.leave(_BETA_CLOSE, "invalid_request_error.beta_api_shape_disabled")

    def receive(self, message: bytes, *, binary: bool) -> None:
        if binary:
            self._wire.leave(WSCloseCode.UNSUPPORTED_DATA.value, "text frames only")
        else:
            self.session.receive(message)

    def fail(self, fault: Fault | None) -> None:
        message = "The server had an error on demand."
        self.session.failure = Failure(fault.error_type, fault.error_code, message) if fault is not None else None
        if fault is not None:
            self.session.break_off()

    def close(self) -> None:
        self._expiry.cancel()
        self.session.close()

    def _send(self, event: Event) -> None:
        self._sent(event)
        self._wire.text(msgspec.json.encode(event))
        kind = event["type"]
        if kind == "response.created":
            self._silent = True
        elif self._silent and kind.startswith("response.") and kind.endswith(("audio.delta", "text.delta")):
            self._silent = False
            self._wire.reached("speaking")
        elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
            self._wire.reached("tool")

    def _expire(self) -> None:
        message = "Your session hit the maximum duration of 60 minutes."
        self.session.error("invalid_request_error", "session_expired", message)
        self._wire.leave(WSCloseCode.GOING_AWAY.value, message)


class OpenAIVendor:
    """Serve it with `VendorSockets`. `keys` maps a bearer key to the name by which faults and counts speak of it.

    `sent` is told of every server event.
    """

    kind = "openai-realtime"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        sent: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self.pace = pace
        self._keys = dict(keys)
        self._sent = sent
        self._prefix = secrets.token_hex(3)

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        if asked.path not in (PATH, MODELS_PATH):
            return refused(404, "invalid_request_error", None, "Unknown request URL.")
        scheme, _, key = asked.headers.get("authorization", "").partition(" ")
        name = self._keys.get(key) if scheme == "Bearer" else None
        if name is None:
            return refused(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
        if asked.path == MODELS_PATH:
            return models(MODELS, key_name=name)
        model = asked.one("model")
        if not model:
            return refused(400, "invalid_request_error", "missing_model", "You must provide a model parameter.")
        retired = "realtime=v1" in asked.headers.get("openai-beta", "")
        return Admitted(name, lambda wire, number: self._link(wire, number, model, retired=retired))

    def refusal(self, fault: Fault) -> Answer:
        return refused(
            fault.status, fault.error_type, fault.error_code, "Refused on demand.", retry_after_s=fault.retry_after_s
        )

    def _link(self, wire: Wire, number: int, model: str, *, retired: bool) -> RealtimeLink:
        who = Identity(number, self._prefix, model, int(time.time() + SESSION_S_MAX))
        return RealtimeLink(wire, who, pace=self.pace, retired=retired, sent=self._sent)


class OpenAIRealtime:
    """The vendor and its sockets as one, with its sessions at hand."""

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
        self.events: list[Event] = []  # every server event, when asked for: tests check them
        self.vendor = OpenAIVendor(keys=keys, pace=pace, sent=self._record if record_events else lambda _event: None)
        self._sockets = VendorSockets(
            self.vendor, first_session=first_session, connection_log=connection_log, name=name
        )
        self.inject = self._sockets.inject
        self.heal = self._sockets.heal
        self.serving = self._sockets.serving

    @property
    def counts(self) -> Counts:
        return self._sockets.counts

    @property
    def refusals(self) -> list[tuple[float, str]]:
        """When, and whose key, on demand; on the clock that the callers measure with."""
        return self._sockets.refusals

    @property
    def sessions(self) -> list[Session]:
        return [link.session for link in self._sockets.sessions if isinstance(link, RealtimeLink)]

    def _record(self, event: Event) -> None:
        self.events.append(msgspec.json.decode(msgspec.json.encode(event)))


def refused(status: int, kind: str, code: str | None, message: str, *, retry_after_s: int = 1) -> Answer:
    headers = {"Retry-After": str(retry_after_s)} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return Answer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}}, headers)


def models(names: tuple[str, ...], *, key_name: str) -> Answer:
    """What a cheap authenticated probe asks for."""
    listed = [{"id": name, "object": "model", "created": 1_756_000_000, "owned_by": "practice"} for name in names]
    return Answer(200, {"object": "list", "data": listed}, key_name=key_name)
