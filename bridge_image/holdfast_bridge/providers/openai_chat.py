"""OpenAI's chat completions as a stream, and what speaks like it: Groq, Fireworks, vLLM, Azure, Workers AI, gateways.

Pure. They differ in the base URL, in the header of the key, in the name of one field and in what they refuse; all of
that is configuration. Unknown fields are let pass, as the API grows.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from holdfast_bridge.core import sse
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import history, http_request, tool_calls
from holdfast_bridge.providers.reply_so_far import ReplySoFar

_DONE = b"[DONE]"
_OF_THIS_CALL = {"content_filter": False, "tool_use_failed": True}
"""Refusals that one call's content or the model's own words caused, and whether to ask the same again."""
_STATUS = {
    "authentication_error": 401,
    "context_length_exceeded": 400,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}
"""With which status an error would have come before the stream began, by its code or its type."""
_ENDS = {
    "length": st.Ended.TOO_LONG,
    "model_length": st.Ended.TOO_LONG,
    "content_filter": st.Ended.FILTERED,
    "tool_calls": st.Ended.TOOLS,
}
_FAILED = ("error", "insufficient_system_resource")
"""What gateways and DeepSeek say in the place of an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIChatConfig:
    base_url: str
    """Up to the version, as https://api.openai.com/v1 or https://x.openai.azure.com/openai/v1; may have a query."""
    model: str
    key: str = field(default="", repr=False)
    key_header: str = "Authorization"
    """`Authorization` carries the key as a bearer; any other header (Azure: `api-key`) as it is."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """What is put for {tenant}, {agent}, {region} and {call} in the URL, the query and the headers."""
    instructions_role: Literal["system", "developer"] = "system"
    notes_role: Literal["system", "developer", "user"] = "system"
    """`user` for models whose chat template refuses a system message that is not the first one."""
    tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    usage: bool = True
    """Asks for the count of tokens; some servers refuse `stream_options`."""
    no_store: bool = False
    """Sends `store: false`, where the vendor has such a field."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the body as the vendor names them, such as `reasoning_effort`, `prompt_cache_key`, `tool_choice`."""


class _Error(msgspec.Struct, frozen=True):
    type: str | None = None
    code: str | int | None = None
    message: str | None = None


class _Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _ToolDelta(msgspec.Struct, frozen=True):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None


class _Delta(msgspec.Struct, frozen=True):
    content: str | list[_Part] | None = None
    """In parts where a model's thinking comes with its words, as Mistral's does."""
    refusal: str | None = None
    tool_calls: list[_ToolDelta] | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct, frozen=True):
    object: str = ""
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: _Error | str | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_error = msgspec.json.Decoder(_Error)


class OpenAIChat:
    def __init__(self, config: OpenAIChatConfig) -> None:
        self._config = config
        self._ids = tool_calls.CallIds()

    def request(self, thought: st.Thought, *, now: float) -> st.Request:  # noqa: ARG002 - the protocol's signature
        config = self._config
        fields: dict[str, Any] = {
            "model": config.model,
            "messages": messages(thought, config),
            "tools": [_tool(tool) for tool in history.tools(thought)],
            config.tokens_field: thought.max_tokens,
            "stream": True,
        }
        if config.usage:
            fields["stream_options"] = {"include_usage": True}
        if config.no_store:
            fields["store"] = False
        own = {"content-type": "application/json", "accept": "text/event-stream"}
        if config.key:
            name = config.key_header.lower()
            own[name] = f"Bearer {config.key}" if name == "authorization" else config.key
        return st.Request(
            http_request.url(
                config.base_url, "/chat/completions", query=config.query, placeholders=config.placeholders
            ),
            http_request.headers(own, config.headers, placeholders=config.placeholders),
            http_request.body(fields, config.extra),
        )

    def reply(self) -> ChatReply:
        return ChatReply(self._ids)

    def status_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
        return status_failure(status, headers, body)


class ChatReply:
    def __init__(self, ids: tool_calls.CallIds) -> None:
        self._events = sse.EventReader()
        self._so_far = ReplySoFar(ids, _ENDS)

    @property
    def pieces(self) -> int:
        return self._so_far.pieces

    def feed(self, chunk: bytes) -> Iterable[st.ThinkingEvent]:
        messages = (event.data.strip() for event in self._events.feed(chunk))
        return self._so_far.read(messages, self._read, broken=lambda: self._events.too_long)

    def end(self) -> Iterable[st.ThinkingEvent]:
        return self._so_far.end()

    def _read(self, data: bytes) -> list[st.ThinkingEvent]:
        if data == _DONE:
            return self._so_far.end()
        try:
            chunk = _chunk.decode(data)
            error = _error.decode(data) if chunk.object == "error" else chunk.error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._so_far.unreadable()
        if error is not None:
            return self._so_far.lost(_failure(_Error(message=error) if isinstance(error, str) else error))
        if chunk.usage is not None:
            self._so_far.tokens_in = chunk.usage.prompt_tokens or 0
            self._so_far.tokens_out = chunk.usage.completion_tokens or 0
        return self._choice(chunk.choices[0]) if chunk.choices else []

    def _choice(self, choice: _Choice) -> list[st.ThinkingEvent]:
        out: list[st.ThinkingEvent] = []
        if choice.delta is not None:
            out = self._so_far.said(_words(choice.delta))
            for asked in choice.delta.tool_calls or ():
                self._tool_piece(asked)
        if choice.finish_reason in _FAILED and not self._so_far.over:
            return [*out, *self._so_far.lost(st.StageLost("server"))]
        self._so_far.stopped = choice.finish_reason or self._so_far.stopped
        return out

    def _tool_piece(self, asked: _ToolDelta) -> None:
        calls, index, call = self._so_far.calls, asked.index or 0, asked.id or ""
        function = asked.function or _Function()
        # A new id and a name at an old index are another call: not every server counts them. A new id alone is not, as
        # some servers make one up for each piece.
        if not calls.known(index, call if function.name else ""):
            calls.begin(index, call, function.name or "")
        calls.piece(index, function.arguments or "", name=function.name or "")


def status_failure(status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
    """A request that was answered with this status instead of a stream."""
    try:
        named = _chunk.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        named = None
    code = named.code if isinstance(named, _Error) else None
    if isinstance(code, str) and code in _OF_THIS_CALL:
        return st.StageLost(code, retry_same=_OF_THIS_CALL[code])
    # Groq says 413 when the request is over what its account may ask in a minute.
    return http_request.refused(429 if code == "rate_limit_exceeded" else status, headers, body)


def messages(thought: st.Thought, config: OpenAIChatConfig) -> list[dict[str, Any]]:
    built: list[dict[str, Any]] = []
    if thought.instructions.strip():
        built.append({"role": config.instructions_role, "content": thought.instructions})
    for turn in history.turns(thought):
        built += _callers(turn, config.notes_role) if turn.caller else [_agents(turn)]
    return built


def _callers(turn: history.Turn, notes_role: str) -> list[dict[str, Any]]:
    built: list[dict[str, Any]] = []
    for part in turn.parts:
        match part:
            case history.Returned(id=call, output=output):
                built.append({"role": "tool", "tool_call_id": call, "content": output})
                continue
            case history.Note() if notes_role == "user":
                role, text = "user", history.remark(part)
            case history.Note(text=text):
                role = notes_role
            case history.Said(text=text):
                role = "user"
            case history.Called():
                continue
        if built and built[-1]["role"] == role:
            built[-1]["content"] += "\n" + text
        else:
            built.append({"role": role, "content": text})
    return built


def _agents(turn: history.Turn) -> dict[str, Any]:
    said = [part.text for part in turn.parts if isinstance(part, history.Said)]
    calls = [_call(part) for part in turn.parts if isinstance(part, history.Called)]
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(said) or None}
    return message | ({"tool_calls": calls} if calls else {})


def _call(part: history.Called) -> dict[str, Any]:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}


def _tool(tool: st.Tool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": described}


def _words(delta: _Delta) -> str:
    content = delta.content or ""
    if not isinstance(content, str):
        content = "".join(part.text or "" for part in content if part.type == "text")
    return content + (delta.refusal or "")


def _failure(error: _Error) -> st.StageLost:
    """An error that was named in the stream, after the request had been accepted."""
    code = str(error.code or "")
    if code in _OF_THIS_CALL:
        return st.StageLost(code, retry_same=_OF_THIS_CALL[code])
    known = next((_STATUS[name] for name in (code, error.type or "") if name in _STATUS), 500)
    status = int(code) if code.isdecimal() and len(code) == 3 else known
    return http_request.refused(status, {}, f"{error.type} {code} {error.message}".encode())
