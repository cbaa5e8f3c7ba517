"""OpenAI Realtime, the GA dialect, µ-law both ways with the server's own turn detection. Pure, one object per link.

Unknown events are let pass, as the API grows; what cannot be read is dropped, and too much of it means the link is ill.
Most `error` events leave the session usable; those that do not are told apart in `core.failures`.

https://platform.openai.com/docs/api-reference/realtime
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.call import END_CALL

TRANSCRIPTION_MODEL = "gpt-4o-mini-transcribe"
UNREADABLE_MAX = 10
MAX_ARGUMENTS = 16_384
_APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_DELTA = b'"response.output_audio.delta"'
_HEAD_BYTES = 120

END_CALL_TOOL = {
    "type": "function",
    "name": END_CALL,
    "description": "End the phone call. Say goodbye first; call this only when the caller has nothing left to ask.",
    "parameters": {"type": "object", "properties": {}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSession:
    """What a session is configured with."""

    model: str
    voice: str
    instructions: str
    language: str = "en"
    barge_in: bool = True
    silence_ms: int = 500
    tools: Sequence[Mapping[str, Any]] = ()
    """Each with name, description and parameters."""


class _Head(msgspec.Struct, frozen=True):
    type: str


class _AudioDelta(msgspec.Struct, frozen=True, gc=False):
    item_id: str
    delta: bytes


class _OfItem(msgspec.Struct, frozen=True):
    item_id: str
    delta: str = ""
    transcript: str = ""


class _FunctionCall(msgspec.Struct, frozen=True):
    type: str
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class _OutputItem(msgspec.Struct, frozen=True):
    item: _FunctionCall


class _ErrorDetail(msgspec.Struct, frozen=True):
    type: str = ""
    code: str | None = None


class _StatusDetails(msgspec.Struct, frozen=True):
    error: _ErrorDetail | None = None


class _ResponseBody(msgspec.Struct, frozen=True):
    status: str
    status_details: _StatusDetails | None = None


class _Response(msgspec.Struct, frozen=True):
    response: _ResponseBody


class _Error(msgspec.Struct, frozen=True):
    error: _ErrorDetail


_audio_delta = msgspec.json.Decoder(_AudioDelta)
_head = msgspec.json.Decoder(_Head)
_of_item = msgspec.json.Decoder(_OfItem)
_output_item = msgspec.json.Decoder(_OutputItem)
_response = msgspec.json.Decoder(_Response)
_error = msgspec.json.Decoder(_Error)


def link_url(base_url: str, *, model: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(query=urlencode({"model": model, **query})))


class OpenAIRealtimeCodec:
    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self._configured = False
        self._unreadable = 0

    # --- to the provider

    def opening(self) -> list[bytes]:
        asked = self._session
        tools = [{"type": "function", **tool} for tool in asked.tools]
        session = {
            "type": "realtime",
            "model": asked.model,
            "output_modalities": ["audio"],
            "instructions": asked.instructions,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": {"model": TRANSCRIPTION_MODEL, "language": asked.language},
                    "turn_detection": {
                        "type": "server_vad",
                        "silence_duration_ms": asked.silence_ms,
                        "create_response": True,
                        "interrupt_response": asked.barge_in,
                    },
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": asked.voice},
            },
            "tools": [*tools, END_CALL_TOOL],
            "tool_choice": "auto",
        }
        return [_json({"type": "session.update", "session": session})]

    def append(self, payload: bytes) -> bytes:
        return _APPEND_HEAD + b2a_base64(payload, newline=False) + b'"}'

    def encode(self, effect: ev.ToProvider) -> list[bytes]:
        match effect:
            case ev.AppendAudio(payload=payload):
                return [self.append(payload)]
            case ev.Truncate(item=item, heard_ms=heard_ms):
                cut = {"item_id": item, "content_index": 0, "audio_end_ms": heard_ms}
                return [_json({"type": "conversation.item.truncate", **cut})]
            case ev.SeedConversation(items=items):
                return [_item(item) for seed in items for item in _items_of(seed)]
            case ev.Respond(instructions=None):
                return [_json({"type": "response.create"})]
            case ev.Respond(instructions=instructions):
                return [_json({"type": "response.create", "response": {"instructions": instructions}})]
            case ev.ToolOutput(id=call, output=output):
                return [_item({"type": "function_call_output", "call_id": call, "output": output})]

    # --- from the provider

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        try:
            if message.find(_DELTA, 0, _HEAD_BYTES) >= 0:
                audio = _audio_delta.decode(message)
                return (ev.ProviderAudio(audio.item_id, audio.delta),) if audio.delta else ()
            return self._seldom(_head.decode(message).type, message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (ev.ProviderLost("unreadable"),) if self._unreadable == UNREADABLE_MAX else ()

    def _seldom(self, kind: str, message: bytes) -> Iterable[ev.Event]:
        if kind == "session.updated":
            first, self._configured = not self._configured, True
            return (ev.ProviderReady(),) if first else ()
        if kind == "error":
            return self._failed(_error.decode(message).error)
        read = _READERS.get(kind)
        return read(message) if read is not None else ()

    def _failed(self, error: _ErrorDetail) -> Iterable[ev.Event]:
        ends = failures.error_event(error.type, error.code or "", configured=self._configured)
        return () if ends is None else (ev.ProviderLost(ends[0], retry_same=ends[1]),)


def _plain(event: ev.Event) -> Callable[[bytes], Iterable[ev.Event]]:
    return lambda _message: (event,)


def _agent_text(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.ProviderTranscript(said.item_id, said.delta, final=False),)


def _agent_text_done(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.ProviderTranscript(said.item_id, said.transcript, final=True),)


def _caller_text(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.UserTranscript(said.item_id, said.delta, final=False),)


def _caller_text_done(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.UserTranscript(said.item_id, said.transcript, final=True),)


def _output_item_done(message: bytes) -> Iterable[ev.Event]:
    item = _output_item.decode(message).item
    if item.type != "function_call" or not item.call_id or len(item.arguments) > MAX_ARGUMENTS:
        return ()
    return (ev.ToolCall(item.call_id, item.name, item.arguments),)


def _response_done(message: bytes) -> Iterable[ev.Event]:
    body = _response.decode(message).response
    if body.status != "failed":
        return (ev.ResponseDone(ok=True, detail=body.status),)
    error = body.status_details.error if body.status_details else None
    return (ev.ResponseDone(ok=False, detail=(error.code or error.type) if error else "failed"),)


_READERS: Mapping[str, Callable[[bytes], Iterable[ev.Event]]] = {
    "response.output_audio.delta": lambda m: (ev.ProviderAudio((a := _audio_delta.decode(m)).item_id, a.delta),),
    "response.output_audio.done": lambda m: (ev.ProviderAudioDone(_of_item.decode(m).item_id),),
    "response.output_audio_transcript.delta": _agent_text,
    "response.output_audio_transcript.done": _agent_text_done,
    "conversation.item.input_audio_transcription.delta": _caller_text,
    "conversation.item.input_audio_transcription.completed": _caller_text_done,
    "input_audio_buffer.committed": lambda m: (ev.UserTurn(_of_item.decode(m).item_id),),
    "input_audio_buffer.speech_started": _plain(ev.SpeechStarted()),
    "input_audio_buffer.speech_stopped": _plain(ev.SpeechStopped()),
    "response.created": _plain(ev.ResponseStarted()),
    "response.output_item.done": _output_item_done,
    "response.done": _response_done,
}


def _items_of(seed: ev.Seed) -> list[dict[str, Any]]:
    match seed:
        case ev.SeedTool(id=call, name=name, arguments=arguments, output=output):
            return [
                {"type": "function_call", "call_id": call, "name": name, "arguments": arguments},
                {"type": "function_call_output", "call_id": call, "output": output},
            ]
        case ev.SeedText(role=role, text=text):
            kind = "output_text" if role == "assistant" else "input_text"
            return [{"type": "message", "role": role, "content": [{"type": kind, "text": text}]}]


def _item(item: dict[str, Any]) -> bytes:
    return _json({"type": "conversation.item.create", "item": item})


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
