"""Tool webhooks: one POST per call of a tool, bounded in time and size. Whatever goes wrong is the tool's output.

It knows neither calls in progress nor the journal: who may call a tool, and when, was decided before.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from holdfast_bridge.settings import Tool

MAX_OUTPUT_BYTES = 16 * 1024

log = logging.getLogger(__name__)


class ToolRunner:
    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

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
                return await self._output(answer)
        except TimeoutError:
            log.warning("tool timed out", extra={"tool": tool.name, "timeout_ms": tool.timeout_ms})
            return _error("the tool did not answer in time; whether it took effect is not known")
        except aiohttp.ClientError as error:
            log.warning("tool unreachable", extra={"tool": tool.name, "error": type(error).__name__})
            return _error("the tool could not be reached")

    async def _output(self, answer: aiohttp.ClientResponse) -> str:
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return _error(f"the tool answered with status {answer.status}")
        raw = bytearray()
        async for chunk in answer.content.iter_chunked(4096):
            raw += chunk
            if len(raw) > MAX_OUTPUT_BYTES:
                return _error("the tool's answer is too long")
        return raw.decode("utf-8", "replace")


def _error(text: str) -> str:
    return msgspec.json.encode({"error": text}).decode()
