"""The simulated Amazon Bedrock: `ConverseStream` in AWS's binary frames, and the list of models, the cheap probe.

It refuses what the vendor refuses: a wrong signature, an unknown model, histories out of order, tool blocks without a
`toolConfig`, blank texts. The streams themselves are `vendor_http`'s.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import itertools
import re
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from holdfast_gameday.world import aws_signed, dialogue, openai_model
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import Asked, Step, Streamed
from holdfast_gameday.world.vendor_sockets import Answer

MODELS = ("eu.amazon.nova-2-lite-v1:0", "eu.anthropic.claude-haiku-4-5-20251001-v1:0")
FIELDS = frozenset({
    "additionalModelRequestFields", "additionalModelResponseFieldPaths", "guardrailConfig", "inferenceConfig",
    "messages", "outputConfig", "performanceConfig", "promptVariables", "requestMetadata", "serviceTier", "system",
    "toolConfig",
})  # fmt: skip
_PATH = re.compile(r"/model/([^/]+)/converse-stream")
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_EXCEPTIONS = {
    400: "ValidationException", 403: "AccessDeniedException", 404: "ResourceNotFoundException",
    408: "ModelTimeoutException", 424: "ModelErrorException", 429: "ThrottlingException",
    500: "InternalServerException", 503: "ServiceUnavailableException",
}  # fmt: skip
_UNKNOWN_SIGNER = 401
_IN_STREAM = (
    "internalServerException", "modelStreamErrorException", "validationException", "throttlingException",
    "serviceUnavailableException",
)  # fmt: skip


class _Refusal(Exception):
    pass


class BedrockVendor:
    """`keys` maps the id of an access key to the rest of it.

    `tools_apart`: the models refuse words beside tool blocks.
    """

    kind = "bedrock-converse"

    def __init__(
        self,
        *,
        keys: Mapping[str, aws_signed.AwsKey],
        region: str,
        models: Sequence[str] = MODELS,
        tools_apart: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = dict(keys)
        self._region = region
        self._models = tuple(models)
        self._tools_apart = tools_apart
        self._clock = clock
        self._prefix = secrets.token_hex(4)

    @property
    def garbage(self) -> bytes:
        whole = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "not what was sent"}})
        return whole[:-1] + bytes([whole[-1] ^ 0xFF])

    @property
    def unknown(self) -> bytes:
        return event("practiceUnheardOf", {"practice": {"a": [1, 2, 3]}})

    def key_name(self, asked: Asked) -> str | Answer:
        found = aws_signed.signer(asked, self._keys, region=self._region, service="bedrock", now=self._clock())
        return found.name if isinstance(found, aws_signed.AwsKey) else _refused(403, found.exception, found.message)

    def answer(self, asked: Asked, number: int) -> Streamed | Answer:
        if (asked.method, asked.path) == ("GET", "/foundation-models"):
            return Answer(200, {"modelSummaries": [self._summary(name) for name in self._models]})
        path = _PATH.fullmatch(asked.path)
        if path is None or asked.method != "POST":
            return _refused(404, "UnknownOperationException", "")
        if unquote(path[1]) not in self._models:
            return _refused(400, "ValidationException", "The provided model identifier is invalid.")
        try:
            body = checked(asked.fields(), tools_apart=self._tools_apart)
        except _Refusal as refusal:
            return _refused(400, "ValidationException", str(refusal))
        headers = {"x-amzn-RequestId": f"{self._prefix}-{number:06d}"}
        return Streamed("application/vnd.amazon.eventstream", tuple(self._steps(body, number)), headers)

    def refusal(self, fault: Fault) -> Answer:
        """The vendor sends no Retry-After, and 403 where others say 401."""
        if fault.status == _UNKNOWN_SIGNER:
            return _refused(403, "UnrecognizedClientException", "Refused on demand.")
        return _refused(fault.status, _EXCEPTIONS.get(fault.status, "InternalServerException"), "Refused on demand.")

    def error(self, fault: Fault) -> bytes:
        """The names of other vendors' errors are this one's for rate limits, else `internalServerException`."""
        kind = "throttlingException" if fault.error_type == "rate_limit_error" else fault.error_type
        kind = kind if kind in _IN_STREAM else "internalServerException"
        return frame({":message-type": "exception", ":exception-type": kind}, {"message": "Failed on demand."})

    def _steps(self, body: Mapping[str, Any], number: int) -> list[Step]:
        heard = _heard(body["messages"])
        specs = [tool["toolSpec"] for tool in (body.get("toolConfig") or {}).get("tools", ()) if "toolSpec" in tool]
        outputs = heard.answer([(spec["name"], spec["inputSchema"]["json"]) for spec in specs])
        steps = [Step(event("messageStart", {"role": "assistant"}))]
        written = 0
        for index, output in enumerate(outputs):
            where = {"contentBlockIndex": index}
            if isinstance(output, openai_model.Say):
                pieces = [{"text": piece} for piece in dialogue.words(output.text)]
                steps += [Step(event("contentBlockDelta", where | {"delta": piece}), "speaking") for piece in pieces]
            else:
                call = {"toolUseId": f"tooluse_{self._prefix}{number:06d}x{index}", "name": output.name}
                steps.append(Step(event("contentBlockStart", where | {"start": {"toolUse": call}})))
                pieces = [{"input": piece} for piece in dialogue.arguments(output.arguments)]
                steps += [Step(event("contentBlockDelta", where | {"delta": {"toolUse": p}})) for p in pieces]
            written += len(pieces)
            spoken = isinstance(output, openai_model.Say)
            steps.append(Step(event("contentBlockStop", where), None if spoken else "tool"))
        called = any(isinstance(output, openai_model.Call) for output in outputs)
        steps.append(Step(event("messageStop", {"stopReason": "tool_use" if called else "end_turn"})))
        read = dialogue.tokens(heard.items)
        usage = {"inputTokens": read, "outputTokens": written, "totalTokens": read + written}
        return [*steps, Step(event("metadata", {"usage": usage, "metrics": {"latencyMs": 80}}))]

    def _summary(self, name: str) -> dict[str, Any]:
        return {
            "modelArn": f"arn:aws:bedrock:{self._region}::foundation-model/{name}", "modelId": name, "modelName": name,
            "providerName": "Practice", "inputModalities": ["TEXT"], "outputModalities": ["TEXT"],
            "responseStreamingSupported": True, "inferenceTypesSupported": ["ON_DEMAND"],
            "modelLifecycle": {"status": "ACTIVE"},
        }  # fmt: skip


def checked(body: Mapping[str, Any] | None, *, tools_apart: bool) -> Mapping[str, Any]:
    """Refuses what the vendor refuses."""
    if body is None:
        raise _Refusal("The request body is not valid JSON.")
    if unknown := sorted(set(body) - FIELDS):
        raise _Refusal(f"Malformed input request: extraneous key [{unknown[0]}] is not permitted.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(message.get("content") for message in messages):
        raise _Refusal("1 validation error detected: 'messages' must not be empty, nor the content of one.")
    if messages[0].get("role") != "user":
        raise _Refusal(
            "A conversation must start with a user message. Try again with a conversation that starts with a user "
            "message."
        )
    roles = [message.get("role") for message in messages]
    if any(role == before for before, role in itertools.pairwise(roles)):
        raise _Refusal(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
            "between user and assistant roles and try again."
        )
    if roles[-1] == "assistant":
        raise _Refusal("This model does not support assistant message prefill.")
    _check_tools(body, messages)
    _check_pairs(messages, tools_apart=tools_apart)
    return body


def _check_tools(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> None:
    blocks = [block for message in messages for block in message["content"]]
    tools = (body.get("toolConfig") or {}).get("tools") or []
    if not tools and any("toolUse" in block or "toolResult" in block for block in blocks):
        raise _Refusal("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    for index, spec in enumerate(tool["toolSpec"] for tool in tools if "cachePoint" not in tool):
        if not _NAME.fullmatch(str(spec.get("name", ""))) or spec.get("description") == "":
            raise _Refusal("1 validation error detected: a tool's name or description is out of its bounds.")
        if spec["inputSchema"]["json"].get("type") != "object":
            raise _Refusal(
                f"The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: "
                "object."
            )


def _check_pairs(messages: Sequence[Mapping[str, Any]], *, tools_apart: bool) -> None:
    asked: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages.{index}.content"
        content = message["content"]
        results = [block["toolResult"]["toolUseId"] for block in content if "toolResult" in block]
        if missing := [call for call in asked if call not in results]:
            raise _Refusal(f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing)}")
        if len(results) > len(asked):
            raise _Refusal(
                f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn."
            )
        asked = [block["toolUse"]["toolUseId"] for block in content if "toolUse" in block]
        for at, block in enumerate(content):
            if "text" in block and not block["text"].strip():
                raise _Refusal(f"The text field in the ContentBlock object at {where}.{at} is blank.")
            if "toolUse" in block and not isinstance(block["toolUse"].get("input"), dict):
                raise _Refusal(f"The value at {where}.{at}.toolUse.input is empty or no object.")
        if not all(_ID.fullmatch(call) for call in asked):
            raise _Refusal(f"Value at '{where}.toolUse.toolUseId' failed to satisfy constraint.")
        for kind, blocks in (("result", results), ("use", asked)):
            if tools_apart and blocks and any("text" in block for block in content):
                raise _Refusal(
                    f"{where}: Conversation blocks and tool {kind} blocks cannot be provided in the same turn."
                )


def _heard(messages: Sequence[Mapping[str, Any]]) -> dialogue.Dialogue:
    heard = dialogue.Dialogue()
    for message in messages:
        for block in message["content"]:
            match block:
                case {"text": text}:
                    heard.said(message["role"], text)
                case {"toolUse": {"toolUseId": call, "name": name, "input": given}}:
                    heard.called(call, name, msgspec.json.encode(given).decode())
                case {"toolResult": {"toolUseId": call, "content": content}}:
                    heard.returned(call, " ".join(str(part.get("text") or part.get("json")) for part in content))
    return heard


def _refused(status: int, exception: str, message: str) -> Answer:
    return Answer(status, {"message": message}, {"x-amzn-ErrorType": exception})


def event(kind: str, payload: Mapping[str, Any]) -> bytes:
    """An event as the vendor sends it, with padding that means nothing."""
    return frame({":message-type": "event", ":event-type": kind}, {**payload, "p": "abcdefghij"})


def frame(headers: Mapping[str, str], payload: Mapping[str, Any]) -> bytes:
    """One message of AWS's event stream."""
    said = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in {**headers, ":content-type": "application/json"}.items()
    )
    body = msgspec.json.encode(payload)
    prelude = struct.pack(">II", len(said) + len(body) + 16, len(said))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + said + body
    return message + struct.pack(">I", zlib.crc32(message))
