"""One allocation at a relay, on a socket of its own: aioice's client with its loose ends tied.

aioice speaks the protocol: credentials, stale nonces, retransmission, channels. Added here is what a prober of servers
that may be broken or hostile needs: the connection and the allocation can be timed apart, a socket that is refused or
closed ends the wait, malformed answers and floods are bounded, and the allocation is given back on every way out.
It follows no redirect: an ALTERNATE-SERVER (300) is an answer like any other error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import struct
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from aioice import stun, turn

from holdfast.core.relays import Transport
from holdfast.gather.turn_url import TurnAddress

LIFETIME_S = 600
CHANNEL_REFRESH_S = 500
ANSWERS_MAX_BYTES = 32_768

# What aioice raises when a server's answer is well-signed nonsense.
_SENSELESS = (ConnectionError, ValueError, TypeError, OverflowError, struct.error, AssertionError)

Peer = tuple[str, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name of the long-term mechanism with its password, which no representation shows."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r})"


class Refused(Exception):
    """The relay answered a request with this error."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Gone(Exception):
    """The socket is of no more use; the text says why."""


class Heard(asyncio.Queue[tuple[bytes, Peer]]):
    """What peers sent through the relay, in the shape in which aioice delivers it."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The relay gives an allocation back silently."""

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.put_nowait((data, addr))


class End:
    """One client of a relay. Open it, allocate, bind a peer, send and hear; release it whatever happened."""

    def __init__(self, client: turn.TurnClientProtocol, gone: asyncio.Future[str]) -> None:
        self._client = client
        self._gone = gone
        self._allocating: asyncio.Task[Peer] | None = None
        self.heard = Heard(maxsize=64)

    @classmethod
    async def open(cls, address: TurnAddress, credential: Credential, tls: ssl.SSLContext) -> End:
        """Connects; over UDP that proves nothing yet. OSError when it is refused."""
        loop = asyncio.get_running_loop()
        server = (address.host, address.port)
        gone: asyncio.Future[str] = loop.create_future()
        options: Any = (server, credential.username, credential.password, LIFETIME_S, CHANNEL_REFRESH_S)
        client: turn.TurnClientProtocol
        if address.transport is Transport.UDP:
            client = turn.TurnClientUdpProtocol(*options)
            await loop.create_datagram_endpoint(lambda: _Datagrams(_Guard(client, gone)), remote_addr=server)
        else:
            client = turn.TurnClientTcpProtocol(*options)
            secure = tls if address.transport is Transport.TLS else None
            await loop.create_connection(lambda: _Stream(_Guard(client, gone)), *server, ssl=secure)
        return cls(client, gone)

    async def allocate(self) -> Peer:
        """The relayed address. Refused or Gone otherwise."""
        self._allocating = asyncio.create_task(self._client.connect())
        self._allocating.add_done_callback(_retrieve)
        relayed = await self._until_gone(asyncio.shield(self._allocating))
        self._client.receiver = self.heard  # type: ignore[assignment]  # it is given nothing but these two calls
        return relayed

    @property
    def unauthenticated(self) -> bool:
        """Whether the relay took our request without ever asking who we are."""
        return self._client.integrity_key is None

    @property
    def local_address(self) -> str:
        """Our own side of the socket."""
        return str(self._client.transport.get_extra_info("sockname", ("",))[0])

    async def permit(self, host: str) -> None:
        """Asks that this peer may send to us and we to it."""
        request = stun.Message(message_method=stun.Method.CREATE_PERMISSION, message_class=stun.Class.REQUEST)
        request.attributes["XOR-PEER-ADDRESS"] = (host, 0)
        await self._until_gone(self._client.request_with_retry(request))

    async def send(self, data: bytes, peer: Peer) -> None:
        """Through a channel, which is bound first: that is a permission too."""
        await self._until_gone(self._client.send_data(data, peer))

    async def hear(self) -> tuple[bytes, Peer]:
        """The next that a peer sent."""
        return await self._until_gone(self.heard.get())

    async def release(self, deadline_s: float) -> bool:
        """Refresh with lifetime 0, and close. Whether the relay took it; nothing is raised."""
        try:
            await self._allocated(deadline_s / 2)
            # Not `_until_gone`: over UDP an error of the network is a hint only, the allocation may still be there.
            async with asyncio.timeout(deadline_s / 2):
                await self._client.delete()
        except (TimeoutError, stun.TransactionError, *_SENSELESS):
            return False
        finally:
            # A server that never ends the TLS session would keep a socket that is merely closed.
            self._client.transport.abort()
        return True

    async def _allocated(self, deadline_s: float) -> None:
        """Waits for an answer that is still out: a Refresh that overtakes its Allocate gives nothing back."""
        if self._allocating is not None:
            await asyncio.wait((self._allocating, self._gone), timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
            self._allocating.cancel()

    async def _until_gone(self, asked: Awaitable[T]) -> T:
        task = asyncio.ensure_future(asked)
        task.add_done_callback(_retrieve)
        try:
            await asyncio.wait((task, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Gone(self._gone.result())
            return task.result()
        except stun.TransactionFailed as e:
            raise Refused(e.response.error_code or 0) from None
        except stun.TransactionTimeout:
            raise Gone("no answer") from None
        except _SENSELESS:
            raise Gone("an answer that makes no sense") from None
        finally:
            task.cancel()


def _retrieve(task: asyncio.Future[Any]) -> None:
    """What a request that nobody waits for any more ended with is of no interest."""
    if not task.cancelled():
        task.exception()


class _Guard:
    """Stands between a socket and aioice, which trusts the server to be well-formed and brief."""

    def __init__(self, client: turn.TurnClientProtocol, gone: asyncio.Future[str]) -> None:
        self.client = client
        self._gone = gone
        self._bytes = 0

    def allows(self, data: bytes) -> bool:
        self._bytes += len(data)
        if self._bytes > ANSWERS_MAX_BYTES:
            self.lost("it sends more than any answer is long")
            self.client.transport.abort()
            return False
        return True

    def lost(self, why: str) -> None:
        if not self._gone.done():
            self._gone.set_result(why)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, guard: _Guard) -> None:
        self._guard = guard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._guard.client.connection_made(transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        # A malformed datagram says nothing: it may be anybody's. aioice drops most kinds itself.
        if self._guard.allows(data):
            with contextlib.suppress(struct.error, ValueError, IndexError):
                self._guard.client.datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        self._guard.lost(words(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.lost("closed")
        self._guard.client.connection_lost(exc)


class _Stream(asyncio.Protocol):
    def __init__(self, guard: _Guard) -> None:
        self._guard = guard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._guard.client.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        client = self._guard.client
        if self._guard.allows(data) and isinstance(client, turn.TurnClientTcpProtocol):
            try:
                client.data_received(data)
            except (struct.error, ValueError, IndexError):
                self._guard.lost("an answer that makes no sense")

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.lost("the relay closed the connection" if exc is None else words(exc))
        self._guard.client.connection_lost(exc)


def words(error: Exception) -> str:
    """What an engineer calls it; never the text of a server."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return "no TLS session"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return type(error).__name__
