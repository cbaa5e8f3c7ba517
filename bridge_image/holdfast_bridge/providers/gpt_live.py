"""OpenAI GPT-Live, and the same dialect on Azure v1: µ-law both ways, full duplex. Pure, one object per link.

It differs from every turn-based protocol, and this is how it is made to look like one:

- History and settings are fixed by `session.start`, and nothing may be sent before `session.started`. So the call's
  past has to be given to the constructor; what is seeded later (`SeedConversation`) becomes silent notes, and what
  repeats that past is left out. `gpt_live_history` writes both.
- The agent's sound never stops, and neither lines nor turns have ends: `gpt_live_turns` cuts them.
- Nothing can be cancelled or truncated, as barge-in is the model's own: `Truncate` sends nothing. What is lost by that
  is small, because sound comes at the pace of speech: the model takes for heard what the carrier had not played yet.
- Tools are called by a second model, the backend (`responses` delegation). Its calls are given out when its response
  has completed, and are forgotten when it has not; it is told to go on once every open call has its output. A backend
  that fails loses the provider, as a failed response does elsewhere.
- Asking to speak is `session.commentary.append`, which the model puts into its own words: not even "Say exactly" binds
  it. After a tool the backend's answer is spoken anyway, so that `Respond` without instructions sends nothing then.
- The model speaks only while the caller's audio is appended, silence included: a call that holds it back waits in vain.

It knows no sockets and no clock, neither `client` delegation nor fixtures, forks and stored sessions.

https://developers.openai.com/api/docs/guides/voice-websockets
https://learn.microsoft.com/azure/foundry/openai/gpt-live-reference
https://github.com/livekit/agents/pull/7239
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.dialogue import END_CALL
from holdfast_bridge.providers import gpt_live_history as past
from holdfast_bridge.providers.gpt_live_turns import LiveTurns, Words
from holdfast_bridge.providers.openai_items import END_CALL_TOOL, MAX_ARGUMENTS, to_json

PATH = "/v1/live/sessions"
AZURE_PATH = "/openai/v1/live/sessions"
STARTS_WITHIN_S = 2.5
"""More than a call waits for a session at most: until then a stall is the call's business."""
SILENCE_MAX_S = 1.0
"""The agent's sound comes ten times a second, silence included, as long as the vendor lives."""
INSTRUCTIONS_TOKENS = 16_384
_PERSONA_TOKENS = 14_000
"""The rest is for what the tools are for."""
DELEGATIONS_MAX = 16
CALLS_MAX = 16
_APPEND_HEAD = b'{"type":"session.input_audio.append","audio":"'
_DELTA = b'"session.output_audio.delta"'
_HEAD_BYTES = 120
_EXACTLY = "Say exactly: "
_FOLLOW = "Do this at once, without waiting for the caller, and do not read it out: "
_ANSWER = "Answer the caller now, without waiting for more words."
_DELEGATE = "What you cannot do yourself and have to delegate, when the caller wants it:"

_CLOSED: Mapping[str, tuple[str, bool]] = {
    "expired": ("session_expired", True),
    "content": ("content_filter", False),
    "connection_lost": ("connection_lost", True),
    "close_requested": ("closed_1000", True),
    "remote_hangup": ("closed_1000", True),
}
"""Why the vendor ended a session: our word for it, and whether to ask the same again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """What a session is started with."""

    model: str
    """On Azure, the deployment."""
    backend_model: str
    """Who thinks and calls the tools; on Azure, another deployment of the same resource."""
    instructions: str
    voice: str = ""
    """Empty: the vendor's choice."""
    tools: Sequence[Mapping[str, Any]] = ()
    """Each with name, description and parameters."""

    def __post_init__(self) -> None:
        if not (self.model and self.backend_model):
            raise ValueError("model, backendModel: both have to be given")


class _Head(msgspec.Struct, frozen=True):
    type: str


class _AudioDelta(msgspec.Struct, frozen=True, gc=False):
    delta: bytes


class _Closed(msgspec.Struct, frozen=True):
    reason: str = ""


class _ErrorDetail(msgspec.Struct, frozen=True):
    type: str | None = None
    code: str | None = None
    param: str | None = None


class _Error(msgspec.Struct, frozen=True):
    error: _ErrorDetail


class _Envelope(msgspec.Struct, frozen=True):
    """Around an event of the backend's response."""

    event: msgspec.Raw
    delegation_id: str | None = None


class _OutputItem(msgspec.Struct, frozen=True):
    item: msgspec.Raw


class _FunctionCall(msgspec.Struct, frozen=True):
    call_id: str
    name: str
    arguments: str = ""
    status: str | None = None


class _Failed(msgspec.Struct, frozen=True):
    error: _ErrorDetail | None = None


class _Failure(msgspec.Struct, frozen=True):
    """A response that failed, or an error in its place."""

    response: _Failed | None = None
    code: str | None = None


_head = msgspec.json.Decoder(_Head)
_audio_delta = msgspec.json.Decoder(_AudioDelta)
_words = msgspec.json.Decoder(Words)
_closed = msgspec.json.Decoder(_Closed)
_error = msgspec.json.Decoder(_Error)
_envelope = msgspec.json.Decoder(_Envelope)
_output_item = msgspec.json.Decoder(_OutputItem)
_function_call = msgspec.json.Decoder(_FunctionCall)
_failure = msgspec.json.Decoder(_Failure)


def link_url(base_url: str, query: Mapping[str, str]) -> str:
    """`base_url`: wss://api.openai.com/v1/live/sessions, or wss://RESOURCE.openai.azure.com/openai/v1/live/sessions.

    ValueError says which field is wrong.
    """
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    if query or parts.query:
        raise ValueError("query: a live session takes no query string, not even for its model")
    if not path.endswith(PATH):
        raise ValueError(f"base_url: the path of a live session ends in {PATH}")
    return urlunsplit(parts._replace(path=path))


def on_azure(link: str) -> bool:
    """Told by the path, which is the same behind every host and gateway, and not by the host's name."""
    return urlsplit(link).path.endswith(AZURE_PATH)


class GptLiveCodec:
    """`history`: what was said and done before this link, oldest first."""

    def __init__(self, session: LiveSession, history: tuple[ev.Seed, ...] = ()) -> None:
        self.silence_max_s = STARTS_WITHIN_S
        self._session = session
        self._history = history
        self._repeated = history
        """What the first seeding may repeat."""
        self._turns = LiveTurns()
        self._backend = _Backend()
        self._unanswered = ""
        """What the caller said that the model was only told of."""
        self._started = False
        self._unreadable = 0

    # --- to the provider

    def opening(self) -> list[bytes]:
        asked = self._session
        tools = [*({"type": "function", **tool} for tool in asked.tools), END_CALL_TOOL]
        persona = past.bounded(asked.instructions, _PERSONA_TOKENS)
        audio: dict[str, Any] = {"format": {"type": "audio/pcmu", "rate": 8_000}}
        if asked.voice:
            audio["output"] = {"voice": asked.voice}
        backend = {"model": asked.backend_model, "instructions": persona, "tools": tools, "tool_choice": "auto"}
        session: dict[str, Any] = {
            "model": asked.model,
            "instructions": past.bounded(f"{persona}\n\n{_abilities(tools)}", INSTRUCTIONS_TOKENS),
            "audio": audio,
            "delegation": {"type": "responses", "responses": backend},
            "store": False,
        }
        if known := past.messages(self._history):
            session["input"] = known
        return [to_json({"type": "session.start", "session": session})]

    def append(self, payload: bytes) -> bytes:
        return _APPEND_HEAD + b2a_base64(payload, newline=False) + b'"}'

    def noticed(self) -> tuple[()]:
        return ()

    def encode(self, effect: ev.ToProvider) -> list[bytes]:
        match effect:
            case ev.AppendAudio(payload=payload):
                return [self.append(payload)]
            case ev.Truncate():
                return []
            case ev.SeedConversation(items=items):
                late = past.new(items, self._repeated)
                self._repeated = ()
                if said := past.last_said(late):
                    # Keys come one by one, and are answered together.
                    said = past.bounded(f"{self._unanswered} {said}", past.APPEND_TOKENS // 2)
                self._unanswered = said
                return [_context(kind, text) for kind, text in past.notes(late)]
            case ev.Respond(instructions=None):
                return self._answer()
            case ev.Respond(instructions=instructions, words=words):
                self._turns.ask()
                before, text = (_EXACTLY, words) if words else (_FOLLOW, instructions or "")
                pieces = past.to_say(text, before=before)
                return [_commentary(piece) for piece in pieces]
            case ev.ToolOutput(id=call, output=output):
                return self._returned(call, output)

    def _answer(self) -> list[bytes]:
        if self._turns.continues:
            self._turns.await_answer()
            return []
        self._turns.ask()
        just, self._unanswered = self._unanswered, ""
        quoted = f' The caller has just said: "{just}"' if just else ""
        return [_commentary(_ANSWER + quoted)]

    def _returned(self, call: str, output: str) -> list[bytes]:
        if not self._backend.knows(call):
            return []
        messages = [_item({"type": "function_call_output", "call_id": call, "output": output})]
        if self._backend.returned(call):
            self._turns.go_on()
            messages.append(to_json({"type": "response.create"}))
        return messages

    # --- from the provider

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        try:
            if message.find(_DELTA, 0, _HEAD_BYTES) >= 0:
                return self._turns.sound(_audio_delta.decode(message).delta)
            return self._seldom(_head.decode(message).type, message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (ev.ProviderLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()

    def _seldom(self, kind: str, message: bytes) -> Iterable[ev.Event]:
        match kind:
            case "session.output_audio.delta":
                return self._turns.sound(_audio_delta.decode(message).delta)
            case "session.output_transcript.delta":
                return self._turns.agent_words(_words.decode(message))
            case "session.input_transcript.delta":
                told = self._turns.caller_words(_words.decode(message))
                self._unanswered = "" if told else self._unanswered
                return told
            case "response.event":
                return self._delegated(_envelope.decode(message))
            case "session.delegation.created":
                self._turns.delegated()
            case "session.started":
                first, self._started, self.silence_max_s = not self._started, True, SILENCE_MAX_S
                return (ev.ProviderReady(attentive=False),) if first else ()
            case "session.closed":
                word, retry_same = _CLOSED.get(_closed.decode(message).reason, ("session_closed", True))
                return (ev.ProviderLost(word, retry_same),)
            case "error":
                return self._failed(_error.decode(message).error)
        return ()

    def _delegated(self, envelope: _Envelope) -> Iterable[ev.Event]:
        delegation, kind = envelope.delegation_id or "", _head.decode(envelope.event).type
        match kind:
            case "response.output_item.done":
                item = _output_item.decode(envelope.event).item
                if _head.decode(item).type == "function_call":
                    self._backend.asked(delegation, _function_call.decode(item))
            case "response.completed":
                return self._call(self._backend.completed(delegation))
            case "response.failed" | "error":
                self._backend.forget(delegation)
                failure = _failure.decode(envelope.event)
                error = failure.response.error if failure.response else None
                code = (error.code if error else failure.code) or "backend_failed"
                return (ev.ResponseDone(ok=False, detail=code),)
            case "response.incomplete" | "response.cancelled":
                self._backend.forget(delegation)
                self._turns.delegated()
        return ()

    def _call(self, calls: list[ev.ToolCall]) -> list[ev.Event]:
        if not calls:
            return []
        self._turns.called()
        told: list[ev.Event] = [*calls]
        if not self._turns.speaking and not self._turns.asked:
            # A call ends its response, unless a line is being said, which will end it.
            told.append(ev.ResponseDone(ok=True, detail="tools"))
        return told

    def _failed(self, error: _ErrorDetail) -> Iterable[ev.Event]:
        kind, code = error.type or "", error.code or ""
        if code == "forbidden" and error.param:
            # Said of a setting, as of a voice that the account may not use: the key is not to blame.
            return (ev.ProviderLost("config", retry_same=False),) if not self._started else ()
        # What is refused for want of room is an answer that will not come: no response is there to tell of it.
        refused = failures.Failure.RATE_LIMITED in (failures.kind(code), failures.kind(kind))
        ends = failures.error_event(kind, code, configured=self._started and not refused)
        return () if ends is None else (ev.ProviderLost(ends[0], retry_same=ends[1]),)


class _Backend:
    """The calls of delegated responses: given out when a response has completed, and until then only kept."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[str, ev.ToolCall]] = {}
        self._open: dict[str, str] = {}
        self._goes_on = False

    def asked(self, delegation: str, call: _FunctionCall) -> None:
        if call.status not in (None, "completed") or not call.call_id or call.call_id in self._open:
            return
        if delegation not in self._asked and len(self._asked) == DELEGATIONS_MAX:
            self._asked.pop(next(iter(self._asked)))
        calls = self._asked.setdefault(delegation, {})
        if len(calls) < CALLS_MAX:
            # A call that is too long is asked for under no name, because without an output the backend waits for ever.
            fits = len(call.arguments) <= MAX_ARGUMENTS
            given = (call.name, call.arguments) if fits else ("", "{}")
            calls[call.call_id] = ev.ToolCall(call.call_id, *given)

    def completed(self, delegation: str) -> list[ev.ToolCall]:
        calls = list(self._asked.pop(delegation, {}).values())
        self._open.update({call.id: call.name for call in calls})
        return calls

    def forget(self, delegation: str) -> None:
        self._asked.pop(delegation, None)

    def knows(self, call: str) -> bool:
        return call in self._open

    def returned(self, call: str) -> bool:
        """Whether the backend has to be told to go on: nothing is open or being asked for, and not all of it was to end
        the call. It refuses to go on with less."""
        self._goes_on = self._goes_on or self._open[call] != END_CALL
        del self._open[call]
        if self._open or self._asked or not self._goes_on:
            return False
        self._goes_on = False
        return True


def _abilities(tools: Sequence[Mapping[str, Any]]) -> str:
    """The speaking model is not shown the tools, only told what they are for."""
    return "\n".join((_DELEGATE, *(f"- {tool.get('description') or tool['name']}" for tool in tools)))


def _context(kind: str, text: str) -> bytes:
    return to_json({"type": kind, "content": text, "delegation_id": None})


def _commentary(text: str) -> bytes:
    return _context("session.commentary.append", text)


def _item(item: dict[str, Any]) -> bytes:
    return to_json({"type": "response.item.create", "item": item})
