"""What stands between the carrier and the bridges: one TLS port, and the way to each bridge by the host that was asked.

An upgrade goes to a bridge's audio port, everything else to its control port. Every connection carries one request or
one stream, as the simulated carrier makes them; nothing of it is read but the head.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

HEAD_OCTETS_MAX = 16_384
HEAD_WITHIN_S = 5.0
PIECE_OCTETS = 65_536


@dataclass(frozen=True, slots=True)
class Ports:
    control: int
    audio: int


@dataclass(slots=True)
class Entry:
    """`bridges`: the ports of each host; add one before calls come for it."""

    bridges: dict[str, Ports] = field(default_factory=dict)
    port: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def serving(self, context: ssl.SSLContext) -> AsyncIterator[Entry]:
        server = await asyncio.start_server(self._met, "127.0.0.1", 0, ssl=context, limit=HEAD_OCTETS_MAX)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                await self._carry(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(_field(line) for line in head.decode("latin-1").split("\r\n")[1:] if line)
        ports = self.bridges.get(fields.get("host", "").partition(":")[0])
        if ports is None:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        upgrades = "websocket" in fields.get("upgrade", "").lower()
        inner_reader, inner_writer = await asyncio.open_connection(
            "127.0.0.1", ports.audio if upgrades else ports.control
        )
        inner_writer.write(head)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, inner_writer))
                both.create_task(_pass_on(inner_reader, writer))
        except* OSError:
            pass  # One side is gone without a word: the other one is, too.
        finally:
            inner_writer.transport.abort()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while (data := await source.read(PIECE_OCTETS)) and not sink.is_closing():
        sink.write(data)
        await sink.drain()
    # The end of one way ends both: neither a request nor a stream is half open for long.
    raise ConnectionResetError


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
