"""How the simulated carrier reaches the world: names from a table, its own source address, its own trust."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from holdfast_gameday.world.connections import ConnectionLog


class UnknownHostError(OSError):
    """The name is not in the table of names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Everything that decides where a connection of the carrier goes and comes from."""

    names: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    """The address connections come from; None leaves it to the kernel."""
    trust: ssl.SSLContext | None = None
    """For https and wss; None means the machine's own authorities."""
    log: ConnectionLog | None = None

    def address_of(self, host: str) -> str:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(host))
        try:
            return self.names[host]
        except KeyError:
            raise UnknownHostError(f"{host} is not a name of this world") from None

    def record(self, host: str, port: int, *, kind: str, path: str) -> None:
        if self.log is None:
            return
        with contextlib.suppress(UnknownHostError):
            address = self.address_of(host)
            self.log.record(
                source=self.source or "127.0.0.1", name=host, address=f"{address}:{port}", kind=kind, path=path
            )

    def http_session(self) -> aiohttp.ClientSession:
        """Every request on a connection of its own: a pooled one would hide that a region is gone."""
        connector = aiohttp.TCPConnector(
            resolver=_TableResolver(self),
            local_addr=(self.source, 0) if self.source else None,
            ssl=self.trust or True,
            force_close=True,
            use_dns_cache=False,
            limit=0,
        )
        return aiohttp.ClientSession(connector=connector, auto_decompress=True)

    async def dial(self, host: str, port: int, *, silence_s: float) -> socket.socket:
        """A connected socket that fails by itself when the peer acknowledged nothing for `silence_s`."""
        address = self.address_of(host)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence_s * 1000))
            if self.source:
                sock.bind((self.source, 0))
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock


class _TableResolver(AbstractResolver):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=self._network.address_of(host),
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Holds nothing."""
