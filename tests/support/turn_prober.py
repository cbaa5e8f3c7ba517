"""A prober with real credentials, and relays that are none: what the tests of the TURN probe share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Sequence

from real_coturn import HOST, SECRET, Coturn

from holdfast.core.relays import Transport
from holdfast.gather.turn_credentials import CoturnSecret
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_probe import Timeouts
from holdfast.gather.turn_url import TurnAddress

QUICK = Timeouts(connect_s=0.5, allocate_s=0.5, relay_s=1.0, forbidden_s=0.2, release_s=0.5, credentials_s=0.5)
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
    async with asyncio.timeout(5):
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
