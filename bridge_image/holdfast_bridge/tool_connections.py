"""Connections to tools' webhooks: pooled, kept warm, and only to addresses that a tool may reach.

Every name is resolved here and its addresses are judged by `core.addresses`; the connection goes to what was judged, so
a name that means something else a moment later changes nothing. One refused address refuses the name. Tools that were
granted other networks share no connection. No proxy, no cookie; redirects are whoever asks' business.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from holdfast_bridge import http_out
from holdfast_bridge.agent_config import Tool
from holdfast_bridge.core import addresses

KEPT_OPEN_S = 45.0
"""Less than the idle time-outs of common load balancers, so that it is we who close."""
CONNECTIONS_MAX = 200
CONNECT_WITHIN_S = 1.0
WARMED_MAX = 8

log = logging.getLogger(__name__)


class ForbiddenAddress(OSError):
    """The webhook's name or address leads where this tool may not go."""


class GuardedResolver(AbstractResolver):
    """Answers with addresses that are allowed, or ForbiddenAddress. `resolver`: who is asked what a name means."""

    def __init__(self, resolver: AbstractResolver, granted: tuple[addresses.Network, ...]) -> None:
        self._resolver = resolver
        self._granted = granted

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(addresses.allowed(each["host"], self._granted) for each in found):
            raise ForbiddenAddress("the name leads to an address that tools may not reach")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class ToolConnections:
    """A context: sessions are made when first used and end with it. `resolver` makes one for each of them."""

    def __init__(
        self,
        *,
        resolver: Callable[[], AbstractResolver] = ThreadedResolver,
        clock: Callable[[], float],
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._sessions: dict[tuple[str, ...], aiohttp.ClientSession] = {}
        self._used_at: dict[tuple[tuple[str, ...], str], float] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def session(self, tool: Tool) -> aiohttp.ClientSession:
        """The session with which this tool may be asked. ForbiddenAddress: its URL names such an address itself."""
        url = URL(tool.url)
        self._check(url, tool)
        self._used_at[_origin(tool)] = self._clock()
        return self._session(tool.networks)

    async def warm(self, tools: Iterable[Tool]) -> None:
        """Open a connection to each webhook that was not asked lately. Never raises for what a webhook does."""
        cold = {_origin(tool): tool for tool in tools if self._cold(tool)}
        async with asyncio.TaskGroup() as group:
            for origin, tool in list(cold.items())[:WARMED_MAX]:
                self._used_at[origin] = self._clock()
                group.create_task(self._open(tool))

    def _cold(self, tool: Tool) -> bool:
        used_at = self._used_at.get(_origin(tool))
        return bool(tool.url) and (used_at is None or self._clock() - used_at >= KEPT_OPEN_S)

    async def _open(self, tool: Tool) -> None:
        url = URL(tool.url)
        try:
            self._check(url, tool)
            connector = self._session(tool.networks).connector
            assert connector is not None
            asked = aiohttp.ClientRequest("POST", url, loop=asyncio.get_running_loop())
            within = aiohttp.ClientTimeout(connect=CONNECT_WITHIN_S)
            (await connector.connect(asked, [], within)).release()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._used_at.pop(_origin(tool), None)
            log.info("tool not warmed", extra={"tool": tool.name, "error": type(error).__name__})

    def _check(self, url: URL, tool: Tool) -> None:
        host = url.host or ""
        if addresses.literal(host) and not addresses.allowed(host, addresses.networks(tool.networks)):
            raise ForbiddenAddress("the URL names an address that tools may not reach")

    def _session(self, granted: tuple[str, ...]) -> aiohttp.ClientSession:
        session = self._sessions.get(granted)
        if session is None:
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(self._resolver(), addresses.networks(granted)),
                keepalive_timeout=KEPT_OPEN_S,
                limit=CONNECTIONS_MAX,
            )
            session = self._sessions[granted] = http_out.session(connector)
            self._stack.push_async_callback(session.close)
        return session


def _origin(tool: Tool) -> tuple[tuple[str, ...], str]:
    url = URL(tool.url)
    return tool.networks, f"{url.scheme}://{url.host}:{url.port}"
