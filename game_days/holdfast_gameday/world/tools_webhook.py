"""The tool webhook of the practice tenants: books, counts how often, and can be slow or failing on demand.

Like a careful service it does a thing once per `Idempotency-Key` and gives a repeated key its first result again, so a
repeated request and a repeated side effect can be told apart. It knows nothing of calls beyond the id it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from holdfast_gameday.world import serve
from holdfast_gameday.world.connections import ConnectionLog

KEY_HEADER = "Idempotency-Key"
FIRST_BOOKING = 1001


@dataclass(frozen=True, slots=True)
class Execution:
    """One side effect that happened."""

    at: float
    monotonic: float
    key: str
    call: str
    booking: str
    source: str


class ToolsWebhook:
    def __init__(self, *, connection_log: ConnectionLog | None = None, name: str = "tools.example.com") -> None:
        self.executions: list[Execution] = []
        self.requests_by_key: Counter[str] = Counter()
        self.delay_s = 0.0  # before the answer; the side effect has happened by then
        self.status: int | None = None  # answer this instead, without doing anything
        self._results: dict[str, dict[str, Any]] = {}
        self._log = connection_log
        self._name = name
        self._address = ""
        self._executed = asyncio.Condition()

    @property
    def executions_by_key(self) -> Counter[str]:
        return Counter(execution.key for execution in self.executions)

    @property
    def executions_by_call(self) -> Counter[str]:
        return Counter(execution.call for execution in self.executions)

    async def wait_executions(self, count: int, *, timeout_s: float) -> None:
        """Returns once so many side effects have happened; TimeoutError otherwise."""
        async with asyncio.timeout(timeout_s), self._executed:
            await self._executed.wait_for(lambda: len(self.executions) >= count)

    @contextlib.asynccontextmanager
    async def serving(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[serve.Address]:
        application = web.Application()
        application.router.add_post("/book", self._book)
        async with serve.serving(application, host, port, ssl_context=ssl_context) as address:
            self._address = str(address)
            yield address

    async def _book(self, request: web.Request) -> web.Response:
        source = request.remote or ""
        if self._log is not None:
            self._log.record(
                source=source, address=self._address, kind="tool-webhook", name=self._name, path=request.path
            )
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return web.json_response({"error": "the body must be a JSON object"}, status=400)
        key = request.headers.get(KEY_HEADER, "")
        if not key:
            return web.json_response({"error": f"{KEY_HEADER} is required"}, status=400)
        self.requests_by_key[key] += 1
        if self.status is not None:
            return web.json_response({"error": "failing on demand"}, status=self.status)
        if key not in self._results:
            call = str(body.get("call") or "")
            self._results[key] = await self._execute(key, call=call, source=source)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return web.json_response(self._results[key])

    async def _execute(self, key: str, *, call: str, source: str) -> dict[str, Any]:
        booking = f"B{FIRST_BOOKING + len(self.executions)}"
        self.executions.append(Execution(time.time(), time.monotonic(), key, call, booking, source))
        result = {"result": "booked", "booking": booking}
        self._results[key] = result
        async with self._executed:
            self._executed.notify_all()
        return result
