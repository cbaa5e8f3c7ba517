"""Anthropic's Messages API as a stream. Pure.

A model's thinking is neither shown nor kept: a request that calls for it in `extra` gets its answer later and without
it. The newest API version takes no sampling parameters; nothing here sends any.

https://platform.claude.com/docs/en/build-with-claude/streaming
https://platform.claude.com/docs/en/api/versioning
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from holdfast_bridge.core import sse
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import history, http_request, tool_calls
from holdfast_bridge.providers.reply_so_far import ReplySoFar

VERSION = "2026-10-21"
_SPEND_LIMIT = b"spend_limit_reached"
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""With which status an error would have come before the stream began."""
_ENDS = {
    "max_tokens": st.Ended.TOO_LONG,
    "model_context_window_exceeded": st.Ended.TOO_LONG,
    "refusal": st.Ended.FILTERED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicConfig:
    base_url: str = "https://api.anthropic.com"
    model: str
    key: str = field(default="", repr=False)
    version: str = VERSION
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """What is put for {tenant}, {agent}, {region} and {call} in the URL, the query and the headers."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the body as the vendor names them, such as `thinking`, `inference_geo`, `cache_control`."""


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


class _Block(msgspec.Struct, frozen=True):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""
    input: dict[str, Any] | None = None


class _Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str = ""


class _Event(msgspec.Struct, frozen=True):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: _Error | None = None


_event = msgspec.json.Decoder(_Event)


class AnthropicMessages:
    def __init__(self, config: AnthropicConfig) -> None:
        self._config = config
        self._ids = tool_calls.CallIds()

    def request(self, thought: st.Thought, *, now: float) -> st.Request:  # noqa: ARG002 - the protocol's signature
        config = self._config
        fields: dict[str, Any] = {
            "model": config.model,
            "max_tokens": thought.max_tokens,
            "messages": [_message(turn) for turn in history.turns(thought)],
            "tools": [_tool(tool) for tool in history.tools(thought)],
            "tool_choice": {"type": "auto"},
            "stream": True,
        }
        if thought.instructions.strip():
            fields["system"] = thought.instructions
        own = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            "anthropic-version": config.version,
        }
        if config.key:
            own["x-api-key"] = config.key
        return st.Request(
            http_request.url(config.base_url, "/v1/messages", query=config.query, placeholders=config.placeholders),
            http_request.headers(own, config.headers, placeholders=config.placeholders),
            http_request.body(fields, config.extra),
        )

    def reply(self) -> MessageReply:
        return MessageReply(self._ids)

    def status_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
        return status_failure(status, headers, body)


class MessageReply:
    def __init__(self, ids: tool_calls.CallIds) -> None:
        self._events = sse.EventReader()
        self._so_far = ReplySoFar(ids, _ENDS)

    @property
    def pieces(self) -> int:
        return self._so_far.pieces

    def feed(self, chunk: bytes) -> Iterable[st.ThinkingEvent]:
        messages = (event.data for event in self._events.feed(chunk))
        return self._so_far.read(messages, self._read, broken=lambda: self._events.too_long)

    def end(self) -> Iterable[st.ThinkingEvent]:
        return self._so_far.end()

    def _read(self, data: bytes) -> list[st.ThinkingEvent]:
        try:
            event = _event.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._so_far.unreadable()
        match event.type:
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
            case "content_block_start" if event.content_block is not None:
                return self._block(event.index, event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._piece(event.index, event.delta)
            case "message_delta":
                self._count(event.usage)
                self._so_far.stopped = (event.delta.stop_reason if event.delta else None) or self._so_far.stopped
            case "message_stop":
                return self._so_far.end()
            case "error":
                kind = event.error.type if event.error else ""
                return self._so_far.lost(status_failure(_STATUS.get(kind, 500), {}, data))
        return []

    def _block(self, index: int, block: _Block) -> list[st.ThinkingEvent]:
        if block.type == "tool_use":
            self._so_far.calls.begin(index, block.id, block.name)
            if block.input:
                self._so_far.calls.piece(index, msgspec.json.encode(block.input).decode())
        return self._so_far.said(block.text) if block.type == "text" else []

    def _piece(self, index: int, delta: _Delta) -> list[st.ThinkingEvent]:
        if delta.type == "input_json_delta":
            self._so_far.calls.piece(index, delta.partial_json)
        return self._so_far.said(delta.text) if delta.type == "text_delta" else []

    def _count(self, usage: _Usage | None) -> None:
        """The counts are sums so far. What was read from a cache or written into it was given to the model, too."""
        if usage is None:
            return
        cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
        so_far = self._so_far
        so_far.tokens_in = max(so_far.tokens_in, (usage.input_tokens or 0) + cached)
        so_far.tokens_out = max(so_far.tokens_out, usage.output_tokens or 0)


def status_failure(status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
    """A request that was answered with this status, or a stream in which such an error came."""
    if _SPEND_LIMIT in body:
        return st.StageLost("quota", retry_same=False)
    return http_request.refused(status, headers, body)


def _message(turn: history.Turn) -> dict[str, Any]:
    return {"role": "user" if turn.caller else "assistant", "content": [_content(part) for part in turn.parts]}


def _content(part: history.Part) -> dict[str, Any]:
    match part:
        case history.Said(text=text):
            return {"type": "text", "text": text}
        case history.Note():
            return {"type": "text", "text": history.remark(part)}
        case history.Called(id=call, name=name, arguments=arguments):
            return {"type": "tool_use", "id": call, "name": name, "input": msgspec.Raw(arguments.encode())}
        case history.Returned(id=call, output=output):
            return {"type": "tool_result", "tool_use_id": call, "content": output}


def _tool(tool: st.Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
