"""What the dialects of OpenAI's realtime protocol share: items and audio on their way out, events on their way in.

The GA dialect and the beta dialect that Azure's Voice Live keeps configure a session in different ways and name a few
events differently; all else stands here once. It knows no session, no address and no key.

https://platform.openai.com/docs/api-reference/realtime
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, TypeAlias

import msgspec

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.providers import history

MAX_ARGUMENTS = 16_384
MAX_CALLS = 256
"""So many calls of tools are remembered, so that one that is told twice runs once."""
_APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_HEAD_BYTES = 120
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
_CALL_ID = re.compile(r"[A-Za-z0-9_.:-]{1,32}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_NOT_AGAIN = frozenset({Failure.AUTH, Failure.QUOTA, Failure.RATE_LIMITED, Failure.CONFIG})

END_CALL_TOOL: dict[str, Any] = {
    "type": "function",
    "name": history.END_CALL_TOOL.name,
    "description": history.END_CALL_TOOL.description,
    "parameters": history.END_CALL_TOOL.parameters,
}

Id: TypeAlias = Annotated[str, msgspec.Meta(max_length=128)]
Reader: TypeAlias = Callable[[bytes], Iterable[ev.Event]]
Lasting: TypeAlias = ev.AppendAudio | ev.Truncate | ev.SeedConversation | ev.ToolOutput
"""What every dialect says in the same way: all but the wish that the model speak."""


class _Head(msgspec.Struct, frozen=True):
    type: str


class _AudioDelta(msgspec.Struct, frozen=True, gc=False):
    item_id: Id
    delta: bytes


class _OfItem(msgspec.Struct, frozen=True):
    item_id: Id
    delta: str | None = None
    transcript: str | None = None


class _FunctionCall(msgspec.Struct, frozen=True):
    type: str
    status: str | None = None
    call_id: Id = ""
    name: str = ""
    arguments: str = ""


class _OutputItem(msgspec.Struct, frozen=True):
    item: _FunctionCall


class _ErrorDetail(msgspec.Struct, frozen=True):
    type: str | None = None
    code: str | int | None = None


class _StatusDetails(msgspec.Struct, frozen=True):
    error: msgspec.Raw = msgspec.Raw(b"null")
    """An object with a type and a code; Azure's description leaves its shape open."""


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
_detail = msgspec.json.Decoder(_ErrorDetail)


# --- to the provider


def append(payload: bytes) -> bytes:
    return _APPEND_HEAD + b2a_base64(payload, newline=False) + b'"}'


def tools(offered: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """`offered`: each with name, description and parameters. The end of the call comes last."""
    named = ({"type": "function", **tool, "parameters": tool.get("parameters") or _NO_PARAMETERS} for tool in offered)
    return [*named, END_CALL_TOOL]


def instructions(wish: ev.Respond, persona: str) -> dict[str, str]:
    """What a response is told, which stands in the place of the session's persona: so that is said again.

    Not where words are given to the letter: a persona could only change them.
    """
    if wish.instructions is None:
        return {}
    told = wish.instructions if wish.words or not persona else f"{persona}\n\n{wish.instructions}"
    return {"instructions": told}


def language(code: str) -> dict[str, str]:
    """For OpenAI's transcription, which takes ISO 639 without a region."""
    return {"language": code.partition("-")[0].lower()} if code else {}


def encode(effect: Lasting, *, said_part: str) -> list[bytes]:
    """`said_part`: what the dialect calls a text that the agent has said."""
    match effect:
        case ev.AppendAudio(payload=payload):
            return [append(payload)]
        case ev.Truncate(item=item, heard_ms=heard_ms):
            cut = {"item_id": item, "content_index": 0, "audio_end_ms": heard_ms}
            return [to_json({"type": "conversation.item.truncate", **cut})]
        case ev.SeedConversation(items=items):
            return [_item(item) for seed in items for item in _items_of(seed, said_part)]
        case ev.ToolOutput(id=call, output=output):
            return [_item({"type": "function_call_output", "call_id": call, "output": output})]


def to_json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)


def _items_of(seed: ev.Seed, said_part: str) -> list[dict[str, Any]]:
    match seed:
        case ev.SeedTool(id=key, name=name, arguments=arguments, output=output):
            call = _call_id(key)
            return [
                {"type": "function_call", "call_id": call, "name": name, "arguments": arguments or "{}"},
                {"type": "function_call_output", "call_id": call, "output": output},
            ]
        case ev.SeedText(role=role, text=text):
            kind = said_part if role == "assistant" else "input_text"
            item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
            return [item] if text.strip() else []


def _call_id(key: str) -> str:
    """Other vendors' ids may be longer than this one takes, or hold other letters."""
    return key if _CALL_ID.fullmatch(key) else f"call_{blake2b(key.encode(), digest_size=12).hexdigest()}"


def _item(item: dict[str, Any]) -> bytes:
    return to_json({"type": "conversation.item.create", "item": item})


# --- from the provider


class Incoming:
    """Reads the server's events. One object per link.

    Unknown events are let pass, as the API grows; what cannot be read is dropped, and too much of it means the link is
    ill. Most `error` events leave the session usable; those that do not are told apart in `core.failures`.
    """

    def __init__(self, *, audio: str, transcript: str) -> None:
        """What the dialect calls the agent's sound and its words, without `.delta` and `.done`."""
        self._delta = f'"{audio}.delta"'.encode()
        self._readers: dict[str, Reader] = {
            **_READERS,
            f"{audio}.delta": _agent_audio,
            f"{audio}.done": _agent_audio_done,
            f"{transcript}.delta": _agent_text,
            f"{transcript}.done": _agent_text_done,
        }
        self._configured = False
        self._called: dict[str, None] = {}
        self._unreadable = 0

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        try:
            if message.find(self._delta, 0, _HEAD_BYTES) >= 0:
                return _agent_audio(message)
            return self._seldom(_head.decode(message).type, message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (ev.ProviderLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()

    def _seldom(self, kind: str, message: bytes) -> Iterable[ev.Event]:
        if kind == "session.updated":
            first, self._configured = not self._configured, True
            return (ev.ProviderReady(),) if first else ()
        if kind == "error":
            return self._failed(_error.decode(message).error)
        if kind == "response.output_item.done":
            return self._acted(_output_item.decode(message).item)
        read = self._readers.get(kind)
        return read(message) if read is not None else ()

    def _failed(self, error: _ErrorDetail) -> Iterable[ev.Event]:
        ends = failures.error_event(_word(error.type), _word(error.code), configured=self._configured)
        return () if ends is None else (ev.ProviderLost(ends[0], retry_same=ends[1]),)

    def _acted(self, item: _FunctionCall) -> Iterable[ev.Event]:
        """A call that is not completed was cut off with its reply, perhaps in the middle of its arguments."""
        cut = item.status not in (None, "completed")
        if item.type != "function_call" or cut or not item.call_id or item.call_id in self._called:
            return ()
        if len(self._called) == MAX_CALLS:
            del self._called[next(iter(self._called))]
        self._called[item.call_id] = None
        # A call that is too long is asked for under no name, because without an output the model waits for ever.
        fits = len(item.arguments) <= MAX_ARGUMENTS
        return (ev.ToolCall(item.call_id, *((item.name, item.arguments) if fits else ("", "{}"))),)


def _plain(event: ev.Event) -> Reader:
    return lambda _message: (event,)


def _agent_audio(message: bytes) -> Iterable[ev.Event]:
    audio = _audio_delta.decode(message)
    return (ev.ProviderAudio(audio.item_id, audio.delta),) if audio.delta else ()


def _agent_audio_done(message: bytes) -> Iterable[ev.Event]:
    return (ev.ProviderAudioDone(_of_item.decode(message).item_id),)


def _agent_text(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.ProviderTranscript(said.item_id, said.delta or "", final=False),)


def _agent_text_done(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.ProviderTranscript(said.item_id, said.transcript or "", final=True),)


def _caller_text(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    return (ev.UserTranscript(said.item_id, said.delta or "", final=False),)


def _caller_text_done(message: bytes) -> Iterable[ev.Event]:
    said = _of_item.decode(message)
    # Some models end what they heard with a line feed, and hear nothing but that in a noise.
    return (ev.UserTranscript(said.item_id, (said.transcript or "").strip(), final=True),)


def _response_done(message: bytes) -> Iterable[ev.Event]:
    body = _response.decode(message).response
    if body.status != "failed":
        return (ev.ResponseDone(ok=True, detail=body.status),)
    word = _why(body.status_details)
    if failures.kind(word) in _NOT_AGAIN:
        return (ev.ProviderLost(word, retry_same=False),)
    return (ev.ResponseDone(ok=False, detail=word),)


def _why(details: _StatusDetails | None) -> str:
    try:
        error = _detail.decode(details.error) if details is not None else _ErrorDetail()
    except msgspec.ValidationError:
        error = _ErrorDetail()
    return _word(error.code) or _word(error.type) or "response-failed"


def _word(said: str | int | None) -> str:
    """A vendor's own word for an error, unless it is a text: those may hold what must not be logged."""
    return str(said) if said is not None and _WORD.fullmatch(str(said)) else ""


_READERS: Mapping[str, Reader] = {
    "conversation.item.input_audio_transcription.delta": _caller_text,
    "conversation.item.input_audio_transcription.completed": _caller_text_done,
    "input_audio_buffer.committed": lambda m: (ev.UserTurn(_of_item.decode(m).item_id),),
    "input_audio_buffer.speech_started": _plain(ev.SpeechStarted()),
    "input_audio_buffer.speech_stopped": _plain(ev.SpeechStopped()),
    "response.created": _plain(ev.ResponseStarted()),
    "response.done": _response_done,
}
