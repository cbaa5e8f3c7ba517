"""The operator, as a pod hears it: the same directive at every poll, held back as long as nothing is new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from holdfast_gameday.world import serve

HELD_S = 10.0
DIRECTIVE = {
    "version": 1,
    "buddy": "there",
    "regions": [{"name": "here", "weight": 1}, {"name": "there", "weight": 0}],
    "attempts": ["first", "second"],
}


@contextlib.asynccontextmanager
async def operator(port: int) -> AsyncIterator[None]:
    async def poll(request: web.Request) -> web.Response:
        report = await request.json()
        if report["version"] == DIRECTIVE["version"]:
            await asyncio.sleep(HELD_S)
        return web.json_response(DIRECTIVE)

    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/v1/poll", poll)
    async with serve.serving(app, "127.0.0.1", port):
        yield
