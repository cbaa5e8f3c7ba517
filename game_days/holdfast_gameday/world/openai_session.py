"""One session of the simulated Realtime API: client events in, server events out.

It holds the session's settings, its conversation, its ear and at most one response. It knows no sockets, no clocks and
no keys: time reaches it as audio and through the timers it is given. It thinks in the GA dialect; a vendor that words
the same protocol differently gives it a `Dialect`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from holdfast_gameday.world import openai_model
from holdfast_gameday.world.openai_conversation import Conversation, public
from holdfast_gameday.world.openai_errors import FORMATS, Refusal, check_session
from holdfast_gameday.world.openai_listening import OCTETS_PER_MS, Ear, SpeechStarted, SpeechStopped
from holdfast_gameday.world.openai_response import Event, Pace, Response, Surroundings, Timer

APPEND_OCTETS_MAX = 15 * 1024 * 1024
COMMIT_MS_MIN = 100
_RESPONSE_PARAMS = frozenset({
    "instructions", "output_modalities", "conversation", "metadata", "tools", "tool_choice", "max_output_tokens",
    "audio", "input", "prompt", "parallel_tool_calls", "reasoning",
})  # fmt: skip
_TURN_DEFAULTS: dict[str, Any] = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
    "idle_timeout_ms": None, "create_response": True, "interrupt_response": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    number: int  # the `speaker` of this session's voice frames
    prefix: str  # keeps the ids of two servers apart
    model: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What the next responses of a session end in instead of speech."""

    type: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a vendor words this protocol."""

    inward: Callable[[Event], Event]
    """A client's event in the words of GA; a `Refusal` where the vendor would refuse it."""
    outward: Callable[[Event], Iterable[Event]]
    """What the client is told for a server's event of GA, perhaps nothing."""


GA = Dialect(inward=lambda event: event, outward=lambda event: (event,))


class Session:
    def __init__(
        self,
        who: Identity,
        *,
        send: Callable[[Event], None],
        later: Callable[[float, Callable[[], None]], Timer],
        pace: Pace,
        dialect: Dialect = GA,
        late_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.who = who
        self.failure: Failure | None = None
        self.conversation = Conversation()
        self.responses = 0
        self._transmit = send
        self._dialect = dialect
        self._ids = 0
        self._events = 0
        self._utterances = 0
        self._ear = Ear()
        self._turn_item = self._new_id("item")
        self._response: Response | None = None
        self._around = Surroundings(
            conversation=self.conversation, send=self._send, later=later, new_id=self._new_id,
            next_utterance=self._next_utterance, speaker=who.number, pace=pace, late_s=late_s,
        )  # fmt: skip
        self._settings = _defaults(who)
        self._handlers: dict[str, Callable[[Event], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    @property
    def speaking(self) -> bool:
        return self._response is not None

    def open(self) -> None:
        self._send({"type": "session.created", "session": self._shown_settings()})

    def close(self) -> None:
        """The socket is gone: nothing may be sent any more."""
        if self._response is not None:
            self._response.drop()
            self._response = None

    def break_off(self) -> None:
        """The response under way, if there is one, ends in the failure that is in force."""
        if self._response is not None and self.failure is not None:
            self._fail(self._response, self.failure)

    def receive(self, data: bytes) -> None:
        """One client event. A bad one is answered with an error; the session goes on."""
        event_id = None
        try:
            event = _decoded(data)
            event_id = event.get("event_id")
            event = self._dialect.inward(event)
            self._handlers.get(str(event.get("type")), self._unknown)(event)
        except Refusal as refusal:
            self.error("invalid_request_error", refusal.code, refusal.message, param=refusal.param, event_id=event_id)

    def error(
        self, kind: str, code: str | None, message: str, *, param: str | None = None, event_id: str | None = None
    ) -> None:
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        self._send({"type": "error", "error": error})

    # Client events, in the order of the vendor's reference.

    def _update(self, event: Event) -> None:
        patch = check_session(event.get("session"))
        if self._voice_would_change(patch):
            raise Refusal("Cannot update a conversation's voice if assistant audio is present.", "cannot_update_voice")
        self._settings = _merged(self._settings, patch)
        turns = self._settings["audio"]["input"].get("turn_detection")
        if turns is not None:
            self._settings["audio"]["input"]["turn_detection"] = _TURN_DEFAULTS | turns
        self._send({"type": "session.updated", "session": self._shown_settings()})

    def _append(self, event: Event) -> None:
        audio = event.get("audio")
        if not isinstance(audio, str):
            raise Refusal("Missing required parameter: 'audio'.", "missing_required_parameter", "audio")
        try:
            data = base64.b64decode(audio, validate=True)
        except binascii.Error as error:
            raise Refusal("Invalid 'audio'. Expected base64-encoded audio.", "invalid_value", "audio") from error
        if len(data) > APPEND_OCTETS_MAX:
            raise Refusal("Invalid 'audio': more than 15 MiB.", "invalid_value", "audio")
        _require_ulaw(self._settings["audio"]["input"], "session.audio.input.format.type")
        turns = self._turns()
        for heard in self._ear.feed(data, silence_ms=_silence_ms(turns)):
            if turns is None:
                continue
            if isinstance(heard, SpeechStarted):
                self._speech_started(heard, turns)
            else:
                self._speech_stopped(heard, turns)

    def _commit(self, _event: Event) -> None:
        held_ms = self._ear.buffered_octets // OCTETS_PER_MS
        if held_ms < COMMIT_MS_MIN:
            raise Refusal(
                f"Error committing input audio buffer: buffer too small. Expected at least {COMMIT_MS_MIN}ms of audio, "
                f"but buffer only has {held_ms:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        stopped = self._ear.take()
        self._committed(stopped)
        self._transcribed(stopped, self.conversation.items[-1]["id"])

    def _clear(self, _event: Event) -> None:
        self._ear.clear()
        self._send({"type": "input_audio_buffer.cleared"})

    def _create_item(self, event: Event) -> None:
        item, previous = self.conversation.create(
            event.get("item"), after=event.get("previous_item_id"), new_id=self._new_id("item")
        )
        self._send({"type": "conversation.item.added", "previous_item_id": previous, "item": public(item)})
        self._send({"type": "conversation.item.done", "previous_item_id": previous, "item": public(item)})

    def _retrieve_item(self, event: Event) -> None:
        item = self.conversation.retrieve(event.get("item_id"))
        self._send({"type": "conversation.item.retrieved", "item": public(item)})

    def _truncate_item(self, event: Event) -> None:
        place = {"content_index": event.get("content_index"), "audio_end_ms": event.get("audio_end_ms")}
        self.conversation.truncate(event.get("item_id"), **place)
        self._send({"type": "conversation.item.truncated", "item_id": event["item_id"], **place})

    def _delete_item(self, event: Event) -> None:
        self.conversation.delete(event.get("item_id"))
        self._send({"type": "conversation.item.deleted", "item_id": event["item_id"]})

    def _create_response(self, event: Event) -> None:
        params = event.get("response") or {}
        if not isinstance(params, dict):
            raise Refusal("Invalid type for 'response': expected an object.", "invalid_type", "response")
        for name in params:
            if name not in _RESPONSE_PARAMS:
                raise Refusal(f"Unknown parameter: 'response.{name}'.", "unknown_parameter", f"response.{name}")
        self._respond(params)

    def _cancel_response(self, event: Event) -> None:
        wanted = event.get("response_id")
        if self._response is None or (wanted is not None and wanted != self._response.id):
            raise Refusal("Cancellation failed: no active response found", "response_cancel_not_active")
        self._response.cancel("client_cancelled")

    def _unknown(self, event: Event) -> None:
        named = ", ".join(f"'{name}'" for name in self._handlers)
        raise Refusal(f"Invalid value: '{event.get('type')}'. Supported values are: {named}.", "invalid_value", "type")

    # What audio and the model bring about.

    def _speech_started(self, heard: SpeechStarted, turns: Mapping[str, Any]) -> None:
        start_ms = max(0, heard.at_ms - int(turns.get("prefix_padding_ms") or 0))
        self._send(
            {"type": "input_audio_buffer.speech_started", "audio_start_ms": start_ms, "item_id": self._turn_item}
        )
        if self._response is not None and turns["interrupt_response"]:
            self._response.cancel("turn_detected")

    def _speech_stopped(self, heard: SpeechStopped, turns: Mapping[str, Any]) -> None:
        item_id = self._turn_item
        self._send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": heard.at_ms, "item_id": item_id})
        self._committed(heard)
        try:
            if turns["create_response"]:
                self._respond({})
        except Refusal as refusal:
            self.error("invalid_request_error", refusal.code, refusal.message)
        self._transcribed(heard, item_id)

    def _committed(self, heard: SpeechStopped) -> None:
        item: Event = {
            "id": self._turn_item, "object": "realtime.item", "type": "message", "status": "completed",
            "role": "user", "content": [{"type": "input_audio", "transcript": heard.text}],
        }  # fmt: skip
        self._turn_item = self._new_id("item")
        previous = self.conversation.append(item)
        where = {"previous_item_id": previous}
        self._send({"type": "input_audio_buffer.committed", **where, "item_id": item["id"]})
        self._send({"type": "conversation.item.added", **where, "item": public(item)})
        self._send({"type": "conversation.item.done", **where, "item": public(item)})

    def _transcribed(self, heard: SpeechStopped, item_id: str) -> None:
        if not self._settings["audio"]["input"].get("transcription"):
            return
        where = {"item_id": item_id, "content_index": 0}
        kind = "conversation.item.input_audio_transcription"
        self._send({"type": f"{kind}.delta", **where, "delta": heard.text})
        usage = {"type": "duration", "seconds": round(heard.octets / OCTETS_PER_MS / 1000, 2)}
        self._send({"type": f"{kind}.completed", **where, "transcript": heard.text, "usage": usage})

    def _respond(self, params: Mapping[str, Any]) -> None:
        if self._response is not None:
            raise Refusal(
                f"Conversation already has an active response in progress: {self._response.id}. "
                "Wait until the response is finished before creating a new one.",
                "conversation_already_has_active_response",
            )
        modality = (params.get("output_modalities") or self._settings["output_modalities"])[0]
        if modality == "audio":
            _require_ulaw(self._settings["audio"]["output"], "session.audio.output.format.type")
        choice = params.get("tool_choice") or self._settings["tool_choice"]
        tools = [] if choice == "none" else params.get("tools") or self._settings["tools"]
        outputs = openai_model.answer(self._context(params), instructions=params.get("instructions"), tools=tools)
        in_conversation = params.get("conversation") != "none"
        around = self._around if in_conversation else replace(self._around, conversation=Conversation())
        self._response = response = Response(
            around, outputs, modality=modality, in_conversation=in_conversation, done=self._response_done
        )
        self.responses += 1
        if self.failure is None:
            response.start()
        else:
            self._fail(response, self.failure)

    def _fail(self, response: Response, failure: Failure) -> None:
        response.fail(failure.type, failure.code)
        self.error(failure.type, failure.code, failure.message)

    def _context(self, params: Mapping[str, Any]) -> list[openai_model.Item]:
        """The conversation, or the items that this response names instead."""
        if params.get("input") is None:
            return list(self.conversation.items)
        return [
            self.conversation.retrieve(item["id"]) if item.get("type") == "item_reference" else item
            for item in params["input"]
        ]

    def _response_done(self) -> None:
        self._response = None

    def _turns(self) -> Mapping[str, Any] | None:
        turns: Mapping[str, Any] | None = self._settings["audio"]["input"].get("turn_detection")
        return turns

    def _voice_would_change(self, patch: Mapping[str, Any]) -> bool:
        voice = ((patch.get("audio") or {}).get("output") or {}).get("voice")
        spoken = any(self.conversation.audio_ms.values())
        return bool(voice and spoken and voice != self._settings["audio"]["output"]["voice"])

    def _shown_settings(self) -> Event:
        """Without what is unset: the vendor's own description gives those fields no null."""
        audio = {side: _without_nulls(given, keep="turn_detection") for side, given in self._settings["audio"].items()}
        return _without_nulls(self._settings | {"audio": audio})

    def _send(self, event: Event) -> None:
        for worded in self._dialect.outward(event):
            self._events += 1
            self._transmit({"event_id": f"event_{self.who.prefix}{self.who.number:x}_{self._events}", **worded})

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self.who.prefix}{self.who.number:04x}{self._ids:06x}"

    def _next_utterance(self) -> int:
        self._utterances += 1
        return self._utterances


def _decoded(data: bytes) -> Event:
    try:
        event = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("We could not parse the JSON body of your message.", "invalid_json") from error
    if not isinstance(event, dict):
        raise Refusal("Invalid value: expected an object.", "invalid_value")
    return event


def _defaults(who: Identity) -> dict[str, Any]:
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": f"sess_{who.prefix}{who.number:04x}",
        "model": who.model,
        "expires_at": who.expires_at,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": dict(_TURN_DEFAULTS)},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
        },
    }


def _merged(settings: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`audio` and its two sides are merged; every other field given replaces the old one whole."""
    merged = {**settings, **patch}
    audio = patch.get("audio") or {}
    merged["audio"] = {side: {**settings["audio"][side], **(audio.get(side) or {})} for side in ("input", "output")}
    return merged


def _require_ulaw(side: Mapping[str, Any], param: str) -> None:
    if side["format"]["type"] not in FORMATS:
        raise Refusal("The practice range speaks audio/pcmu only: set it by session.update.", "invalid_value", param)


def _silence_ms(turns: Mapping[str, Any] | None) -> int:
    return int(turns.get("silence_duration_ms") or 500) if turns else 1 << 40


def _without_nulls(given: Mapping[str, Any], *, keep: str = "") -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None or key == keep}
