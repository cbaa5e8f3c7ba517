"""Amazon Bedrock's ConverseStream: one language for the models of many makers, over signed HTTP. Pure.

The stream is framed in binary; its last frame holds the count of tokens and comes after the model's last word.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import aws_signature, bedrock_eventstream, history, http_request, tool_calls
from holdfast_bridge.providers.reply_so_far import ReplySoFar

SERVICE = "bedrock"
_STATUS = {
    "accessdeniedexception": 403,
    "expiredtokenexception": 403,
    "incompletesignatureexception": 403,
    "internalserverexception": 500,
    "invalidsignatureexception": 403,
    "missingauthenticationtokenexception": 403,
    "modelerrorexception": 500,
    "modelnotreadyexception": 503,
    "modelstreamerrorexception": 500,
    "modeltimeoutexception": 408,
    "resourcenotfoundexception": 404,
    "servicequotaexceededexception": 402,
    "serviceunavailableexception": 503,
    "throttlingexception": 429,
    "unrecognizedclientexception": 403,
    "validationexception": 400,
}
"""What an exception means, as a status. The vendor's own differ where it blames the sender for what a model did."""
_ENDS = {
    "max_tokens": st.Ended.TOO_LONG,
    "model_context_window_exceeded": st.Ended.TOO_LONG,
    "guardrail_intervened": st.Ended.FILTERED,
    "content_filtered": st.Ended.FILTERED,
}
_MALFORMED = ("malformed_model_output", "malformed_tool_use")
_CACHE_POINT = {"cachePoint": {"type": "default"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockConfig:
    region: str
    model: str
    """A model's id, an inference profile's id or an ARN."""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    base_url: str = ""
    """Empty: the region's own endpoint."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """What is put for {tenant}, {agent}, {region} and {call} in the URL, the query and the headers."""
    tools_apart: bool = False
    """For models that refuse words beside tool calls or results in one turn, as Llama does."""
    cache: bool = False
    """Marks tools and instructions, which are the same for the whole call, to be cached. Some models refuse it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the body as the vendor names them, such as `guardrailConfig` or `additionalModelRequestFields`."""


class _ToolUse(msgspec.Struct, frozen=True):
    toolUseId: str = ""  # noqa: N815 - the vendor's name
    name: str = ""
    input: str = ""


class _Piece(msgspec.Struct, frozen=True):
    text: str = ""
    toolUse: _ToolUse | None = None  # noqa: N815 - the vendor's name


class _Usage(msgspec.Struct, frozen=True):
    inputTokens: int = 0  # noqa: N815 - the vendor's name
    cacheReadInputTokens: int = 0  # noqa: N815 - the vendor's name
    cacheWriteInputTokens: int = 0  # noqa: N815 - the vendor's name
    outputTokens: int = 0  # noqa: N815 - the vendor's name


class _Event(msgspec.Struct, frozen=True):
    contentBlockIndex: int = 0  # noqa: N815 - the vendor's name
    start: _Piece | None = None
    delta: _Piece | None = None
    stopReason: str = ""  # noqa: N815 - the vendor's name
    usage: _Usage | None = None


_event = msgspec.json.Decoder(_Event)


class BedrockConverse:
    def __init__(self, config: BedrockConfig) -> None:
        self._config = config
        self._scope = aws_signature.AwsScope(
            access_key_id=config.access_key_id,
            secret_access_key=config.secret_access_key,
            session_token=config.session_token,
            region=config.region,
            service=SERVICE,
        )
        self._ids = tool_calls.CallIds()

    def request(self, thought: st.Thought, *, now: float) -> st.Request:
        config = self._config
        # The colon stays: HTTP clients write it so anyway, and the path is signed as it is sent.
        path = f"/model/{quote(config.model, safe=':')}/converse-stream"
        base = config.base_url or f"https://bedrock-runtime.{config.region}.amazonaws.com"
        url = http_request.url(base, path, query=config.query, placeholders=config.placeholders)
        own = {"content-type": "application/json", "accept": "application/vnd.amazon.eventstream"}
        headers = http_request.headers(own, config.headers, placeholders=config.placeholders)
        body = http_request.body(_fields(thought, config), config.extra)
        unsigned = aws_signature.Unsigned("POST", url, headers, body)
        return st.Request(url, aws_signature.signed_headers(unsigned, self._scope, now=now), body)

    def reply(self) -> ConverseReply:
        return ConverseReply(self._ids)

    def status_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
        return status_failure(status, headers, body)


class ConverseReply:
    def __init__(self, ids: tool_calls.CallIds) -> None:
        self._frames = bedrock_eventstream.FrameReader()
        self._so_far = ReplySoFar(ids, _ENDS)

    @property
    def pieces(self) -> int:
        return self._so_far.pieces

    def feed(self, chunk: bytes) -> Iterable[st.ThinkingEvent]:
        return self._so_far.read(self._frames.feed(chunk), self._one, broken=lambda: self._frames.broken)

    def end(self) -> Iterable[st.ThinkingEvent]:
        return self._so_far.end()

    def _one(self, frame: bedrock_eventstream.Frame | None) -> list[st.ThinkingEvent]:
        return self._so_far.unreadable() if frame is None else self._read(frame)

    def _read(self, frame: bedrock_eventstream.Frame) -> list[st.ThinkingEvent]:
        match frame.headers.get(":message-type"):
            case "exception":
                return self._so_far.lost(_failure(frame.headers.get(":exception-type", ""), frame.payload))
            case "error":
                said = frame.headers.get(":error-message", "").encode()
                return self._so_far.lost(_failure(frame.headers.get(":error-code", ""), said))
        try:
            event = _event.decode(frame.payload or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._so_far.unreadable()
        match frame.headers.get(":event-type"):
            case "contentBlockStart" if event.start is not None and event.start.toolUse is not None:
                asked = event.start.toolUse
                self._so_far.calls.begin(event.contentBlockIndex, asked.toolUseId, asked.name)
            case "contentBlockDelta" if event.delta is not None:
                return self._piece(event.contentBlockIndex, event.delta)
            case "messageStop" if event.stopReason in _MALFORMED:
                return self._so_far.lost(st.StageLost("server"))
            case "messageStop":
                self._so_far.stopped = event.stopReason or "end_turn"
            case "metadata" if event.usage is not None:
                return self._counted(event.usage)
        return []

    def _piece(self, index: int, delta: _Piece) -> list[st.ThinkingEvent]:
        if delta.toolUse is not None:
            self._so_far.calls.piece(index, delta.toolUse.input)
        return self._so_far.said(delta.text)

    def _counted(self, usage: _Usage) -> list[st.ThinkingEvent]:
        self._so_far.tokens_in = usage.inputTokens + usage.cacheReadInputTokens + usage.cacheWriteInputTokens
        self._so_far.tokens_out = usage.outputTokens
        return self._so_far.end() if self._so_far.stopped else []


def status_failure(status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
    """A request that was answered with this status instead of a stream. The exception's name says more than that."""
    name = http_request.header(headers, "x-amzn-errortype").partition(":")[0].lower()
    return http_request.refused(_STATUS.get(name, status), headers, body)


def _failure(name: str, said: bytes) -> st.StageLost:
    return http_request.refused(_STATUS.get(name.lower(), 500), {}, said)


def _fields(thought: st.Thought, config: BedrockConfig) -> dict[str, Any]:
    turns = history.turns(thought)
    mark = [_CACHE_POINT] if config.cache else []
    fields: dict[str, Any] = {
        "messages": [_message(turn) for turn in (history.apart(turns) if config.tools_apart else turns)],
        "inferenceConfig": {"maxTokens": thought.max_tokens},
        "toolConfig": {"tools": [*(_tool(tool) for tool in history.tools(thought)), *mark]},
    }
    if thought.instructions.strip():
        fields["system"] = [{"text": thought.instructions}, *mark]
    return fields


def _message(turn: history.Turn) -> dict[str, Any]:
    return {"role": "user" if turn.caller else "assistant", "content": [_content(part) for part in turn.parts]}


def _content(part: history.Part) -> dict[str, Any]:
    match part:
        case history.Said(text=text):
            return {"text": text}
        case history.Note():
            return {"text": history.remark(part)}
        case history.Called(id=call, name=name, arguments=arguments):
            return {"toolUse": {"toolUseId": call, "name": name, "input": msgspec.Raw(arguments.encode())}}
        case history.Returned(id=call, output=output):
            # Only some makers' models take a `status`; what went wrong stands in the text.
            return {"toolResult": {"toolUseId": call, "content": [{"text": output}]}}


def _tool(tool: st.Tool) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": tool.parameters}}
    # An empty description would be refused.
    return {"toolSpec": spec | ({"description": tool.description} if tool.description else {})}
