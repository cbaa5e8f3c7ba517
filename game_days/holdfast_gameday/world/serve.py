"""Serves one aiohttp application on one address for as long as a block lasts."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serving(
    application: web.Application, host: str, port: int, *, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Address]:
    """Port 0 takes a free one; the address that was bound is given to the block."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=ssl_context, reuse_address=True)
        await site.start()
        bound = runner.addresses[0]
        yield Address(bound[0], bound[1])
    finally:
        await runner.cleanup()
