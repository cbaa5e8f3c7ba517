"""The webhook of a tool, on loopback: one handler of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

LOOPBACK = ("127.0.0.0/8",)
"""What a tool has to be granted to be asked here."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def hook(handler: Handler, *also: str) -> AsyncIterator[str]:
    """Its URL, for as long as the block lasts. `also`: further paths that the handler answers."""
    app = web.Application()
    for path in ("/t", *also):
        app.router.add_post(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/t"
    finally:
        await runner.cleanup()
