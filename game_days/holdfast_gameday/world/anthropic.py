"""The simulated Anthropic Messages API: `POST /v1/messages` as a stream.

Beside it only `GET /v1/models`, the cheap probe of a key. It refuses what the vendor refuses: a missing or unknown
version, sampling parameters under the newest one, a missing `max_tokens`, histories out of order, a last turn of the
assistant's. The streams themselves are `vendor_http`'s.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from holdfast_gameday.world import dialogue, openai_model
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import Asked, Step, Streamed
from holdfast_gameday.world.vendor_sockets import Answer

MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5")
VERSIONS = ("2023-06-01", "2026-10-21")
SAMPLING = ("temperature", "top_p", "top_k")
FIELDS = frozenset({
    "cache_control", "container", "diagnostics", "inference_geo", "max_tokens", "messages", "metadata", "model",
    "output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "thinking", "tool_choice", "tools",
    "user_profile_id", "workspace_id",
})  # fmt: skip
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip


class _Refusal(Exception):
    pass


class AnthropicVendor:
    """`keys` maps a key to the name by which faults and counts speak of it."""

    kind = "anthropic-messages"
    garbage = b'event: content_block_delta\ndata: {"type": "content_block_delta", \xff\xfe\n\n'
    unknown = b'event: practice_unheard_of\ndata: {"type":"practice_unheard_of","index":{"a":1}}\n\n'

    def __init__(self, *, keys: Mapping[str, str], models: Sequence[str] = MODELS) -> None:
        self._keys = dict(keys)
        self._models = tuple(models)
        self._prefix = secrets.token_hex(4)

    def key_name(self, asked: Asked) -> str | Answer:
        scheme, _, key = asked.headers.get("authorization", "").partition(" ")
        name = self._keys.get(asked.headers.get("x-api-key") or (key if scheme == "Bearer" else ""))
        return name or self._refused(401, "invalid x-api-key")

    def answer(self, asked: Asked, number: int) -> Streamed | Answer:
        version = asked.headers.get("anthropic-version")
        if version is None:
            return self._refused(400, "anthropic-version: header is required")
        if version not in VERSIONS:
            return self._refused(400, f'anthropic-version: "{version}" is not a valid version')
        listed = [_model(name) for name in self._models]
        if (asked.method, asked.path) == ("GET", "/v1/models"):
            ends = {"first_id": self._models[0], "last_id": self._models[-1]}
            return Answer(200, {"data": listed, "has_more": False, **ends})
        if asked.method == "GET" and asked.path.startswith("/v1/models/"):
            name = asked.path.removeprefix("/v1/models/")
            found = [one for one in listed if one["id"] == name]
            return Answer(200, found[0]) if found else self._refused(404, f"model: {name}")
        if (asked.method, asked.path) != ("POST", "/v1/messages"):
            return self._refused(404, "Not found")
        try:
            body = checked(asked.fields(), version=version)
        except _Refusal as refusal:
            return self._refused(400, str(refusal))
        if body["model"] not in self._models:
            return self._refused(404, f"model: {body['model']}")
        headers = {"request-id": f"req_{self._prefix}{number:06d}", "Cache-Control": "no-cache"}
        return Streamed("text/event-stream; charset=utf-8", tuple(self._steps(body, number)), headers)

    def refusal(self, fault: Fault) -> Answer:
        retry = {"retry-after": str(fault.retry_after_s)} if fault.status == HTTPStatus.TOO_MANY_REQUESTS else {}
        return self._refused(fault.status, "Refused on demand", headers=retry)

    def error(self, fault: Fault) -> bytes:
        """The names of other vendors' errors that faults have by default are this one's `api_error`."""
        kind = fault.error_type if fault.error_type in _TYPES.values() else "api_error"
        return _event("error", error={"type": kind, "message": "Failed on demand"}, request_id=None)

    def _steps(self, body: Mapping[str, Any], number: int) -> list[Step]:
        heard = _heard(body["messages"])
        outputs = heard.answer([(tool["name"], tool["input_schema"]) for tool in body.get("tools", ())])
        read = dialogue.tokens(heard.items)
        usage = {"input_tokens": read, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        message = {
            "id": f"msg_{self._prefix}{number:06d}", "type": "message", "role": "assistant", "model": body["model"],
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage | {"output_tokens": 1},
        }  # fmt: skip
        steps = [Step(_event("message_start", message=message)), Step(_event("ping"))]
        written = 1
        for index, output in enumerate(outputs):
            if isinstance(output, openai_model.Say):
                begin: dict[str, Any] = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in dialogue.words(output.text)]
            else:
                call = f"toolu_{self._prefix}{number:06d}x{index}"
                begin = {"type": "tool_use", "id": call, "name": output.name, "input": {}}
                pieces = ["", *dialogue.arguments(output.arguments)]
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            spoken = begin["type"] == "text"
            written += len(deltas)
            steps.append(Step(_event("content_block_start", index=index, content_block=begin)))
            steps += [
                Step(_event("content_block_delta", index=index, delta=delta), "speaking" if spoken else None)
                for delta in deltas
            ]
            steps.append(Step(_event("content_block_stop", index=index), None if spoken else "tool"))
        called = any(isinstance(output, openai_model.Call) for output in outputs)
        delta = {"stop_reason": "tool_use" if called else "end_turn", "stop_sequence": None}
        steps.append(Step(_event("message_delta", delta=delta, usage=usage | {"output_tokens": written})))
        return [*steps, Step(_event("message_stop"))]

    def _refused(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        error = {"type": _TYPES.get(status, "api_error"), "message": message}
        return Answer(status, {"type": "error", "error": error, "request_id": f"req_{self._prefix}"}, headers or {})


def checked(body: Mapping[str, Any] | None, *, version: str) -> Mapping[str, Any]:
    """Refuses what the vendor refuses."""
    if body is None:
        raise _Refusal("The request body is not valid JSON")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise _Refusal(f"{name}: Field required")
    sampled = SAMPLING if version == VERSIONS[0] else ()
    if unknown := sorted(set(body) - FIELDS - set(sampled)):
        raise _Refusal(f"{unknown[0]}: Extra inputs are not permitted")
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 0:
        raise _Refusal("max_tokens: Input should be greater than or equal to 0")
    if not body.get("stream"):
        raise _Refusal("stream: the practice range answers with streams only")
    _check_tools(body.get("tools", ()))
    if not isinstance(body["messages"], list) or not body["messages"]:
        raise _Refusal("messages: at least one message is required")
    _check_messages(_merged(body["messages"]))
    return body


def _check_tools(tools: Sequence[Mapping[str, Any]]) -> None:
    for index, tool in enumerate(tools):
        if not _NAME.fullmatch(str(tool.get("name", ""))):
            raise _Refusal(f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if (tool.get("input_schema") or {}).get("type") != "object":
            raise _Refusal(f"tools.{index}.custom.input_schema.type: Field required")
    if len({tool["name"] for tool in tools}) < len(tools):
        raise _Refusal("tools: Tool names must be unique.")


def _check_messages(messages: Sequence[tuple[str, list[dict[str, Any]]]]) -> None:
    if messages[0][0] != "user":
        raise _Refusal('messages: first message must use the "user" role')
    asked: list[str] = []
    for index, (_, content) in enumerate(messages):
        where = f"messages.{index}"
        results = [block.get("tool_use_id") for block in content if block.get("type") == "tool_result"]
        if missing := [call for call in asked if call not in results]:
            raise _Refusal(
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        if stray := [call for call in results if call not in asked]:
            raise _Refusal(f"{where}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {stray[0]}.")
        kinds = [block.get("type") for block in content]
        if results and "tool_result" in kinds[len(results) :]:
            raise _Refusal(f"{where}: `tool_result` blocks must come before other content in the message.")
        for block in content:
            _check_block(block, where)
        asked = [block["id"] for block in content if block.get("type") == "tool_use"]
    if messages[-1][0] == "assistant":
        raise _Refusal(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


def _check_block(block: Mapping[str, Any], where: str) -> None:
    kind = block.get("type")
    if kind == "text" and not str(block.get("text") or "").strip():
        raise _Refusal(f"{where}: text content blocks must contain non-whitespace text")
    if kind == "tool_use":
        if not _ID.fullmatch(str(block.get("id"))):
            raise _Refusal(f"{where}.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not isinstance(block.get("input"), dict):
            raise _Refusal(f"{where}.content.0.tool_use.input: Input should be a valid dictionary")
    if kind not in ("text", "tool_use", "tool_result"):
        raise _Refusal(f"{where}: the practice range knows no content of the type '{kind}'")


def _merged(messages: Sequence[Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Turns of one role in a row are combined into one, as the vendor does."""
    merged: list[tuple[str, list[dict[str, Any]]]] = []
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role not in ("user", "assistant") or not content:
            raise _Refusal(f"messages.{index}: a role and content are required")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if merged and merged[-1][0] == role:
            merged[-1][1].extend(blocks)
        else:
            merged.append((str(role), blocks))
    return merged


def _heard(messages: Sequence[Any]) -> dialogue.Dialogue:
    heard = dialogue.Dialogue()
    for role, content in _merged(messages):
        for block in content:
            match block["type"]:
                case "text":
                    heard.said(role, block["text"])
                case "tool_use":
                    heard.called(block["id"], block["name"], msgspec.json.encode(block["input"]).decode())
                case "tool_result":
                    heard.returned(block["tool_use_id"], _result(block.get("content")))
    return heard


def _result(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model", "id": name, "display_name": name, "created_at": "2026-09-01T00:00:00Z", "lifecycle": "active",
    }  # fmt: skip


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"
