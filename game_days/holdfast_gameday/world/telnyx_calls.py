"""Calls at the simulated Telnyx, as its call commands see them: whether they live, and where their sound is streamed.

A command is obeyed once: the same `command_id` for the same call within a minute is answered and ignored. No sound is
carried here; whether a stream could be opened is asked of whoever built the world, and a failure is told as an event.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast_gameday.world.telnyx_state import Rejected

COMMAND_ID_S = 60.0


@dataclass(frozen=True, slots=True)
class Stream:
    """One order to stream a call's sound."""

    id: str
    url: str
    auth_token: str
    parameters: Mapping[str, str]
    mode: str
    codec: str
    open: bool


@dataclass(frozen=True, slots=True)
class Command:
    """One command that was obeyed."""

    at: float
    name: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class TelnyxCall:
    call_control_id: str
    connection_id: str
    leg_id: str
    session_id: str
    started_at: float
    client_state: str = ""
    ended_at: float | None = None
    transferred_to: str = ""
    stream: Stream | None = None
    streams: list[Stream] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    repeats: int = 0
    """Commands that were ignored because their id had been seen."""
    seen: dict[str, float] = field(default_factory=dict)
    """When each `command_id` was last obeyed."""

    @property
    def alive(self) -> bool:
        return self.ended_at is None


Told = Callable[[TelnyxCall, str, Mapping[str, Any]], None]
"""Called with an event of a call: its type and what its payload says beside the call's own ids."""


class TelnyxCalls:
    """`opens` says whether a stream to this address would be accepted."""

    def __init__(self, clock: Callable[[], float], *, told: Told, opens: Callable[[str], bool]) -> None:
        self.calls: dict[str, TelnyxCall] = {}
        self.opens = opens
        self._clock = clock
        self._told = told

    def place(self, connection_id: str, *, stream_url: str = "") -> TelnyxCall:
        """A call came in, was answered, and is streamed somewhere."""
        number = len(self.calls) + 1
        made = TelnyxCall(
            call_control_id=f"v3:call-{number:04d}-{'x' * 16}", connection_id=connection_id,
            leg_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"leg {number}")),
            session_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"session {number}")), started_at=self._clock(),
        )  # fmt: skip
        self.calls[made.call_control_id] = made
        if stream_url:
            self._start(made, {"stream_url": stream_url, "stream_bidirectional_mode": "rtp"})
        return made

    def hang_up(self, call: TelnyxCall) -> None:
        """The caller goes."""
        self._end(call, source="caller")

    def get(self, call_control_id: str) -> TelnyxCall:
        found = self.calls.get(call_control_id)
        if found is None:
            raise Rejected(404, "10005", "Resource not found")
        return found

    def active(self, connection_id: str) -> list[TelnyxCall]:
        return [call for call in self.calls.values() if call.connection_id == connection_id and call.alive]

    def command(self, call_control_id: str, name: str, body: Mapping[str, Any]) -> None:
        """Obeys, or says why not; a repeat of a command is answered like the first one."""
        call = self.get(call_control_id)
        if not call.alive:
            raise Rejected(422, "90018", "Call has already ended")
        if self._repeated(call, str(body.get("command_id", ""))):
            call.repeats += 1
            return
        if "client_state" in body:
            call.client_state = str(body["client_state"])
        obey = {
            "streaming_start": self._start, "streaming_stop": self._stop, "transfer": self._transfer,
            "hangup": self._obey_hang_up,
        }  # fmt: skip
        obey[name](call, body)
        call.commands.append(Command(self._clock(), name, dict(body)))
        if body.get("command_id"):
            call.seen[str(body["command_id"])] = self._clock()

    def _repeated(self, call: TelnyxCall, command_id: str) -> bool:
        seen = call.seen.get(command_id)
        return seen is not None and self._clock() - seen < COMMAND_ID_S

    def _start(self, call: TelnyxCall, body: Mapping[str, Any]) -> None:
        url = str(body.get("stream_url", ""))
        if not url.startswith(("ws://", "wss://")):
            raise Rejected(422, "10003", "Invalid URL", pointer="/stream_url")
        if call.stream is not None:
            # That one call has one two-way stream is known; the code of this refusal is not.
            raise Rejected(422, "10015", "Bad Request")
        opened = self.opens(url)
        parameters = {str(one["name"]): str(one["value"]) for one in body.get("custom_parameters", [])}
        stream = Stream(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{call.leg_id} {len(call.streams)}")), url=url,
            auth_token=str(body.get("stream_auth_token", "")), parameters=parameters,
            mode=str(body.get("stream_bidirectional_mode", "mp3")),
            codec=str(body.get("stream_bidirectional_codec", "PCMU")), open=opened,
        )  # fmt: skip
        call.streams.append(stream)
        about = {"stream_id": stream.id, "stream_type": "websocket"}
        params = {"stream_url": url, "track": str(body.get("stream_track", "inbound_track"))}
        if opened:
            call.stream = stream
            self._told(call, "streaming.started", {**about, "stream_url": url})
        else:
            failed = {**about, "failure_reason": "connection_failed", "stream_params": params}
            self._told(call, "streaming.failed", failed)

    def _stop(self, call: TelnyxCall, body: Mapping[str, Any]) -> None:
        wanted = body.get("stream_id")
        if call.stream is None or (wanted and wanted != call.stream.id):
            return
        stopped, call.stream = call.stream, None
        self._told(call, "streaming.stopped", {"stream_id": stopped.id, "stream_url": stopped.url})

    def _transfer(self, call: TelnyxCall, body: Mapping[str, Any]) -> None:
        if not body.get("to"):
            raise Rejected(422, "10004", "Missing required parameter", pointer="/to")
        call.transferred_to = str(body["to"])
        self._stop(call, {})

    def _obey_hang_up(self, call: TelnyxCall, _body: Mapping[str, Any]) -> None:
        self._end(call, source="callee")

    def _end(self, call: TelnyxCall, *, source: str) -> None:
        if not call.alive:
            return
        self._stop(call, {})
        call.ended_at = self._clock()
        self._told(call, "call.hangup", {"hangup_source": source, "hangup_cause": "normal_clearing"})
