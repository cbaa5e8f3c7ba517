"""The simulated chat completions of OpenAI and of those who speak like it: `POST …/chat/completions` as a stream.

Beside it only `GET …/models`, the cheap probe of a key. It refuses fields it does not know and histories that are
out of order, in the vendor's words. Answers are given as streams only; the streams themselves are `vendor_http`'s.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from holdfast_gameday.world import dialogue, openai_model
from holdfast_gameday.world.openai_errors import Refusal
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import Asked, Step, Streamed
from holdfast_gameday.world.vendor_sockets import Answer

MODELS = ("gpt-5.4-mini", "gpt-4.1-mini")
FIELDS = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format",
    "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature",
    "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
})  # fmt: skip
ROLES = ("system", "developer", "user", "assistant", "tool")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_BASE = "/v1"


class OpenAIChatVendor:
    """`keys` maps a key to the name by which faults and counts speak of it."""

    kind = "openai-chat"
    garbage = b'data: {"choices": \xff\xfe not a chunk\n\n'
    unknown = b': a comment\nevent: practice.unheard_of\ndata: {"practice":{"a":[1,2,3]}}\n\n'

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        models: Sequence[str] = MODELS,
        base: str = _BASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = dict(keys)
        self._models = tuple(models)
        self._base = base
        self._clock = clock
        self._prefix = secrets.token_hex(4)

    def key_name(self, asked: Asked) -> str | Answer:
        scheme, _, key = asked.headers.get("authorization", "").partition(" ")
        name = self._keys.get(key if scheme == "Bearer" else asked.headers.get("api-key", ""))
        return name or _refused(401, "Incorrect API key provided.", code="invalid_api_key")

    def answer(self, asked: Asked, number: int) -> Streamed | Answer:
        path = asked.path.removeprefix(self._base) if asked.path.startswith(self._base) else ""
        listed = [_model(name) for name in self._models]
        if (asked.method, path) == ("GET", "/models"):
            return Answer(200, {"object": "list", "data": listed})
        if asked.method == "GET" and path.startswith("/models/"):
            found = [one for one in listed if one["id"] == path.removeprefix("/models/")]
            return Answer(200, found[0]) if found else _no_model(path.removeprefix("/models/"))
        if (asked.method, path) != ("POST", "/chat/completions"):
            return _refused(404, f"Invalid URL ({asked.method} {asked.path})")
        try:
            body = checked(asked.fields())
        except Refusal as refusal:
            return _refused(400, refusal.message, code=refusal.code, param=refusal.param)
        if body["model"] not in self._models:
            return _no_model(body["model"])
        steps = tuple(self._steps(body, number))
        return Streamed("text/event-stream; charset=utf-8", steps, unstored=body.get("store") is False)

    def refusal(self, fault: Fault) -> Answer:
        headers = {}
        if fault.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers["Retry-After"] = str(fault.retry_after_s)
        said = {"kind": fault.error_type, "code": fault.error_code}
        return _refused(fault.status, "Refused on demand.", **said, headers=headers)

    def error(self, fault: Fault) -> bytes:
        said = {"message": "The server had an error on demand.", "type": fault.error_type, "param": None}
        return _data({"error": said | {"code": fault.error_code}})

    def _steps(self, body: Mapping[str, Any], number: int) -> list[Step]:
        heard = _heard(body["messages"])
        tools = [(tool["function"]["name"], tool["function"].get("parameters") or {}) for tool in body.get("tools", ())]
        outputs = heard.answer(tools)
        head = {
            "id": f"chatcmpl-{self._prefix}{number:06d}", "object": "chat.completion.chunk",
            "created": int(self._clock()), "model": body["model"], "service_tier": "default",
            "system_fingerprint": f"fp_{self._prefix}",
        }  # fmt: skip
        counted = bool((body.get("stream_options") or {}).get("include_usage"))
        usage = {"usage": None} if counted else {}

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return _data({**head, "choices": [choice], **usage, "obfuscation": "practice"})

        steps = [Step(chunk({"role": "assistant", "content": "", "refusal": None}))]
        calls = written = 0
        for output in outputs:
            if isinstance(output, openai_model.Say):
                pieces = dialogue.words(output.text)
                written += len(pieces)
                steps += [Step(chunk({"content": piece}), "speaking") for piece in pieces]
            else:
                call = f"call_{self._prefix}{number:06d}x{calls}"
                steps += [Step(chunk({"tool_calls": [delta]})) for delta in _call_deltas(output, calls, call)]
                steps[-1] = Step(steps[-1].data, "tool")
                calls += 1
                written += 10
        # No token has to be made for the end: it comes in one piece.
        end = chunk({}, "tool_calls" if calls else "stop")
        if counted:
            read = dialogue.tokens(heard.items)
            total = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            end += _data({**head, "choices": [], "usage": total})
        return [*steps, Step(end + b"data: [DONE]\n\n")]


def checked(body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Refuses what the vendor refuses."""
    if body is None:
        raise Refusal("We could not parse the JSON body of your request.")
    for name in ("model", "messages"):
        if not body.get(name):
            raise Refusal(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    if unknown := sorted(set(body) - FIELDS):
        raise Refusal(f"Unknown parameter: '{unknown[0]}'.", "unknown_parameter", unknown[0])
    if "max_tokens" in body and "max_completion_tokens" in body:
        raise Refusal("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and (not isinstance(body[name], int) or body[name] < 1):
            raise Refusal(f"Invalid '{name}': integer below minimum value.", "integer_below_min_value", name)
    if not body.get("stream"):
        raise Refusal("The practice range answers with streams only: set 'stream'.", "unsupported_value", "stream")
    if not isinstance(body["messages"], list):
        raise Refusal("Invalid type for 'messages': expected an array of objects.", "invalid_type", "messages")
    _check_messages(body["messages"])
    _check_tools(body.get("tools", ()))
    return body


def _check_tools(tools: Sequence[Mapping[str, Any]]) -> None:
    for index, tool in enumerate(tools):
        name = (tool.get("function") or {}).get("name") if tool.get("type") == "function" else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            param = f"tools[{index}].function.name"
            raise Refusal(f"Invalid '{param}': string does not match pattern.", "invalid_value", param)
        schema = tool["function"].get("parameters")
        if schema is not None and (schema.get("type") != "object" or "properties" not in schema):
            param = f"tools[{index}].function.parameters"
            raise Refusal(
                f"Invalid schema for function '{name}': In context=(), object schema missing properties.",
                "invalid_function_parameters", param,
            )  # fmt: skip


def _check_messages(messages: Sequence[Any]) -> None:
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        where = f"messages[{index}]"
        if role not in ROLES:
            raise Refusal(f"Invalid value: '{role}'.", "invalid_value", f"{where}.role")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise Refusal(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.", param=f"{where}.role",
                )  # fmt: skip
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            raise _unanswered(open_calls, f"{where}.role")
        calls = message.get("tool_calls") or []
        if message.get("content") is None and not calls:
            raise Refusal("Invalid value for 'content': expected a string, got null.", param=f"{where}.content")
        for call in calls:
            if not _NAME.fullmatch(str((call.get("function") or {}).get("name"))):
                raise Refusal("Invalid function name.", "invalid_value", f"{where}.tool_calls")
            open_calls.append(call["id"])
    if open_calls:
        raise _unanswered(open_calls, "messages")


def _unanswered(calls: Sequence[str], param: str) -> Refusal:
    return Refusal(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(calls)}", param=param,
    )  # fmt: skip


def _heard(messages: Sequence[Mapping[str, Any]]) -> dialogue.Dialogue:
    """The first system message is who the model is; a later one is an instruction."""
    heard = dialogue.Dialogue()
    for index, message in enumerate(messages):
        text, role = _text(message.get("content")), message["role"]
        if role in ("system", "developer"):
            if index:
                heard.told(text)
        elif role == "tool":
            heard.returned(message["tool_call_id"], text)
        else:
            heard.said(role, text)
            for call in message.get("tool_calls") or ():
                heard.called(call["id"], call["function"]["name"], call["function"]["arguments"])
    return heard


def _text(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _call_deltas(output: openai_model.Call, index: int, call: str) -> list[dict[str, Any]]:
    first = {"index": index, "id": call, "type": "function", "function": {"name": output.name, "arguments": ""}}
    pieces = dialogue.arguments(output.arguments)
    return [first, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_756_000_000, "owned_by": "practice"}


def _no_model(name: object) -> Answer:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return _refused(404, message, code="model_not_found")


def _refused(
    status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None,
    param: str | None = None, headers: Mapping[str, str] | None = None,
) -> Answer:  # fmt: skip
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Answer(status, {"error": error}, headers or {})


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
