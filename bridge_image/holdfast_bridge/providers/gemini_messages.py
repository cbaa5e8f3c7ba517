"""The messages of Gemini Live that a call needs, typed, and their shapes on the wire. Pure; it knows no turns.

Unknown messages and fields are let pass, as the API grows.

https://ai.google.dev/api/live
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from typing import Any

import msgspec

MAX_ARGUMENTS = 16_384
_APPEND_HEAD = b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":"'
_APPEND_TAIL = b'"}}}'
TOO_LONG = '"(too long to be read)"'
"""Arguments that no tool takes, so that the model is told that it may not."""
NEED_MORE_INPUT = "NEED_MORE_INPUT"
_RATE = "rate=24000"
_END_MAX_S = 3_600.0
_CONTENT_REASONS = ("PROHIBITED", "SAFETY", "BLOCKLIST", "INPUT_", "GENERATED_")
_WORD = re.compile(r"[A-Z_]{1,60}")
_NO_FAILURE = frozenset({"", "TURN_COMPLETE_REASON_UNSPECIFIED", NEED_MORE_INPUT})


class Blob(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    data: bytes = b""
    mime_type: str = ""


class Part(msgspec.Struct, frozen=True, rename="camel"):
    inline_data: Blob | None = None


class ModelTurn(msgspec.Struct, frozen=True):
    parts: list[Part] = []


class Transcription(msgspec.Struct, frozen=True):
    text: str = ""


class Content(msgspec.Struct, frozen=True, rename="camel"):
    model_turn: ModelTurn | None = None
    input_transcription: Transcription | None = None
    output_transcription: Transcription | None = None
    interrupted: bool = False
    generation_complete: bool = False
    turn_complete: bool = False
    turn_complete_reason: str = ""
    waiting_for_input: bool = False
    interaction_status: str = ""

    @property
    def more_follows(self) -> bool:
        """The model has not done with this turn: it thinks on, and may speak again by itself."""
        return self.interaction_status == "IN_PROGRESS"


class Call(msgspec.Struct, frozen=True):
    name: str = ""
    id: str = ""
    args: msgspec.Raw = msgspec.Raw(b"{}")


class ToolCall(msgspec.Struct, frozen=True, rename="camel"):
    function_calls: list[Call] = []


class Cancellation(msgspec.Struct, frozen=True):
    ids: list[str] = []


class GoAway(msgspec.Struct, frozen=True, rename="camel"):
    time_left: str = ""


class Resumption(msgspec.Struct, frozen=True, rename="camel"):
    new_handle: str = ""
    resumable: bool = False


class Activity(msgspec.Struct, frozen=True, rename="camel"):
    voice_activity_type: str = ""


class Said(msgspec.Struct, frozen=True, rename="camel"):
    server_content: Content | None = None
    tool_call: ToolCall | None = None
    tool_call_cancellation: Cancellation | None = None
    voice_activity: Activity | None = None
    setup_complete: dict[str, Any] | None = None
    session_resumption_update: Resumption | None = None
    go_away: GoAway | None = None


decoder = msgspec.json.Decoder(Said)


def readable(content: Content) -> bool:
    """Its sound, if there is any, is of the kind that we read."""
    blobs = (part.inline_data for part in content.model_turn.parts) if content.model_turn is not None else ()
    return all(blob is None or _is_pcm(blob.mime_type) for blob in blobs)


def _is_pcm(mime_type: str) -> bool:
    return not mime_type or (mime_type.startswith("audio/pcm") and (_RATE in mime_type or "rate=" not in mime_type))


def arguments(call: Call) -> str:
    """The call's arguments as JSON, whatever it is."""
    text = bytes(call.args).decode(errors="replace")
    if len(text) > MAX_ARGUMENTS:
        return TOO_LONG
    return "{}" if text in ("", "null") else text


def failure(reason: str) -> str:
    """The word for a turn that ended without an answer; empty when that is no failure."""
    if reason in _NO_FAILURE:
        return ""
    if any(sign in reason for sign in _CONTENT_REASONS):
        return "content_filter"
    # It becomes a label and a field of the log: a text in its place may hold what must not be there.
    return reason.lower() if _WORD.fullmatch(reason) else "response-failed"


def seconds(duration: str) -> float:
    """Of a protobuf duration such as `50s`; 0 when it cannot be read, because the end is near then, too."""
    try:
        left_s = float(duration.removesuffix("s"))
    except ValueError:
        return 0.0
    return min(left_s, _END_MAX_S) if left_s > 0 else 0.0


def audio(pcm: bytes) -> bytes:
    """The caller's sound, at 16 kHz."""
    return _APPEND_HEAD + b2a_base64(pcm, newline=False) + _APPEND_TAIL


def text(words: str) -> bytes:
    """Words that interrupt, and are answered at once."""
    return message({"realtimeInput": {"text": words}})


def content(turns: list[dict[str, Any]], *, complete: bool) -> bytes:
    return message({"clientContent": {"turns": turns, "turnComplete": complete}})


def message(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
