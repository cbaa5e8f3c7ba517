"""Tool webhooks: one POST per call of a tool, bounded in time and size. Whatever goes wrong is the tool's output.

It knows neither calls in progress nor the journal: who may call a tool, and when, was decided before. How each
webhook behaved is told to `on_result`, in the few kinds that people must tell apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from holdfast_bridge.settings import Tool

MAX_OUTPUT_BYTES = 16 * 1024

log = logging.getLogger(__name__)


class ToolFailure(Enum):
    """How a webhook failed: the words of the report to the operator. What a call asked wrongly is no failure of it."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TOO_LONG = "too-long"
    RATE_LIMITED = "429"
    REFUSED = "refused"


OnResult = Callable[[str, ToolFailure | None], None]
_ASKED_WRONGLY = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


class ToolRunner:
    """`on_result`: told of every answer, with None for a good one."""

    def __init__(self, http: aiohttp.ClientSession, *, on_result: OnResult = lambda _tool, _failure: None) -> None:
        self._http = http
        self._on_result = on_result

    async def run(self, tool: Tool, *, call: str, key: str, arguments: str) -> str:
        """The output for the model: the webhook's answer, or an object with `error`."""
        try:
            given = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            return _error("the arguments are not a JSON object")
        body = msgspec.json.encode({"call": call, "tool": tool.name, "arguments": given})
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{call}/{key}"}
        try:
            async with (
                asyncio.timeout(tool.timeout_ms / 1000),
                self._http.post(tool.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                output, failure = await self._output(answer)
        except TimeoutError:
            self._on_result(tool.name, ToolFailure.TIMEOUT)
            log.warning("tool timed out", extra={"tool": tool.name, "timeout_ms": tool.timeout_ms})
            return _error("the tool did not answer in time; whether it took effect is not known")
        except aiohttp.ClientError as error:
            self._on_result(tool.name, ToolFailure.UNREACHABLE)
            log.warning("tool unreachable", extra={"tool": tool.name, "error": type(error).__name__})
            return _error("the tool could not be reached")
        self._on_result(tool.name, failure)
        return output

    async def _output(self, answer: aiohttp.ClientResponse) -> tuple[str, ToolFailure | None]:
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return _error(f"the tool answered with status {answer.status}"), _said_by(answer.status)
        raw = bytearray()
        async for chunk in answer.content.iter_chunked(4096):
            raw += chunk
            if len(raw) > MAX_OUTPUT_BYTES:
                return _error("the tool's answer is too long"), ToolFailure.TOO_LONG
        return raw.decode("utf-8", "replace"), None


def _said_by(status: int) -> ToolFailure | None:
    if status in _ASKED_WRONGLY:
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ToolFailure.RATE_LIMITED
    return ToolFailure.ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ToolFailure.REFUSED


def _error(text: str) -> str:
    return msgspec.json.encode({"error": text}).decode()
