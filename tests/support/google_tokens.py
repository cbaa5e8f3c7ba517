"""Google's token endpoints on loopback, and a clock by which tokens end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from world_vendors_tls import contexts

Reply = Callable[[web.Request], Awaitable[web.Response]]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Google(AbstractResolver):
    """The hosts that are asked, on loopback: what they were asked, and what they answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.reply: Reply = token_reply("ya29.first")
        self._ports: dict[int, int] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        where = {"host": "127.0.0.1", "port": self._ports[port], "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [ResolveResult(hostname=host, **where)]  # type: ignore[typeddict-item]

    async def close(self) -> None:
        """There is nothing to close."""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((f"{request.method} {request.host}{request.path}", dict(await request.post())))  # type: ignore[arg-type]
        return await self.reply(request)

    @contextlib.asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
        server, client = contexts(folder, "sts.googleapis.com", "iamcredentials.googleapis.com")
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        for port, tls in ((80, None), (443, server)):
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            self._ports[port] = runner.addresses[-1][1]
        connector = aiohttp.TCPConnector(resolver=self, ssl=client)
        try:
            async with aiohttp.ClientSession(connector=connector) as http:
                yield http
        finally:
            await runner.cleanup()


def token_reply(token: str, *, life_s: float = 3_600) -> Reply:
    async def reply(request: web.Request) -> web.Response:
        if request.path.endswith(":generateAccessToken"):
            return web.json_response({"accessToken": f"{token}.sa", "expireTime": "2026-11-21T10:00:00Z"})
        return web.json_response({"access_token": token, "expires_in": life_s, "token_type": "Bearer"})

    return reply


def status_reply(status: int, **changes: Any) -> Reply:
    async def reply(_: web.Request) -> web.Response:
        return web.Response(status=status, **changes)

    return reply
