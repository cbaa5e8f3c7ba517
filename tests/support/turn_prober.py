"""A prober with real credentials, and relays that are none: what the tests of the TURN probe share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from real_coturn import HOST, SECRET, Coturn

from holdfast.core.relays import Transport
from holdfast.gather.turn_credentials import CoturnSecret
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_probe import Timeouts
from holdfast.gather.turn_url import TurnAddress

QUICK = Timeouts(connect_s=0.5, allocate_s=0.5, relay_s=1.0, forbidden_s=0.2, release_s=0.5, credentials_s=0.5)
"""For relays that never answer."""
PATIENT = Timeouts(connect_s=30, allocate_s=30, relay_s=30, forbidden_s=1.0, release_s=30, credentials_s=30)
"""For relays that answer: a busy machine's slowness is no verdict on them."""
TTL_S = 300


class Prober:
    """Credentials from coturn secrets, by the real clock, which coturn reads too. `late_s`: ours is behind."""

    def __init__(self, *secrets: str, user: str = "holdfast-fra", late_s: int = 0) -> None:
        async def given() -> Sequence[bytes]:
            return [secret.encode() for secret in secrets or (SECRET,)]

        self._user = user
        self.issuer = CoturnSecret(name="test", secrets=given, wall=lambda: time.time() - late_s)

    async def issue(self) -> Credential:
        return await self.issuer.issue(self._user, ttl_s=TTL_S)

    async def another(self, refused: Credential) -> Credential | None:
        return await self.issuer.another(refused, ttl_s=TTL_S)


async def nothing_left(relay: Coturn) -> None:
    """coturn writes its log a moment later, and rings no bell."""
    async with asyncio.timeout(30):
        while relay.left_behind():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def black_hole(transport: Transport) -> AsyncIterator[TurnAddress]:
    """Takes packets and connections, and never says a word."""
    kind = socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as silent:
        silent.bind((HOST, 0))
        if transport is not Transport.UDP:
            silent.listen()
        yield TurnAddress(HOST, silent.getsockname()[1], transport)


class _Upstream(asyncio.DatagramProtocol):
    """One client's way to the relay behind the path."""

    def __init__(self, back: Callable[[bytes], None]) -> None:
        self._back = back

    def datagram_received(self, data: bytes, _addr: object) -> None:
        self._back(data)


class _Path(asyncio.DatagramProtocol):
    def __init__(self, relay: tuple[str, int], delay_s: float, passes: Callable[[bytes], bool]) -> None:
        self._relay = relay
        self._delay_s = delay_s
        self._passes = passes
        self._upstreams: dict[Any, Any] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr in self._upstreams:
            self._later(self._upstreams[addr].sendto, data)
            return
        task = asyncio.create_task(self._open(addr, data))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def close(self) -> None:
        for transport in (self._transport, *self._upstreams.values()):
            transport.close()

    async def _open(self, addr: Any, data: bytes) -> None:
        def back(data: bytes) -> None:
            self._later(lambda said: self._transport.sendto(said, addr), data)

        loop = asyncio.get_running_loop()
        self._upstreams[addr], _ = await loop.create_datagram_endpoint(
            lambda: _Upstream(back), remote_addr=self._relay
        )
        self.datagram_received(data, addr)

    def _later(self, send: Callable[[bytes], None], data: bytes) -> None:
        if self._passes(data):
            asyncio.get_running_loop().call_later(self._delay_s, send, data)


@contextlib.asynccontextmanager
async def path_to(
    relay: Coturn, *, delay_s: float = 0.0, passes: Callable[[bytes], bool] = lambda _: True
) -> AsyncIterator[TurnAddress]:
    """A network between a client and the relay, over UDP: each way takes `delay_s`, and not everything passes."""
    loop = asyncio.get_running_loop()
    path = _Path((relay.host, relay.port), delay_s, passes)
    transport, _ = await loop.create_datagram_endpoint(lambda: path, local_addr=(HOST, 0))
    try:
        yield TurnAddress(HOST, transport.get_extra_info("sockname")[1], Transport.UDP)
    finally:
        path.close()
