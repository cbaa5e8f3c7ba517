"""Whether a relay forwards to addresses that it must not reach: through such a one any caller gets behind a firewall.

Permission is asked for one address of each forbidden network. A relay in order answers 403. Where it grants one, a
STUN Binding request is sent there, at the relay's own port: a relay that listens on its loop-back answers it itself,
and a socket of our own hears it where we have an address in a forbidden network. Only what is heard is proof that it
relays; a grant alone is a warning. Nothing is ever sent that a stranger's service could take for more than STUN.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aioice import stun

from holdfast.gather.turn_end import End, Gone, Peer, Refused

DEFAULT_NETWORKS = ("127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
METADATA = "169.254.169.254"
REQUESTS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Forbidden:
    """`networks`: what the relay must not reach. `allowed`: what of it is meant to be reached, such as our pods."""

    networks: tuple[str, ...] = DEFAULT_NETWORKS
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for network in (*self.networks, *self.allowed):
            ipaddress.IPv4Network(network)

    def samples(self) -> tuple[str, ...]:
        """One address of each: the cloud's metadata service where it lies in it, else the first host."""
        return tuple(address for address in map(_sample, self.networks) if not _within(address, self.allowed))

    def covers(self, address: str) -> bool:
        """Whether the relay must not reach this address."""
        return _within(address, self.networks) and not _within(address, self.allowed)


@dataclass(frozen=True, slots=True)
class Finding:
    """Empty when all was refused. `relayed`: it was not only granted, it happened."""

    words: str = ""
    relayed: bool = False


async def ask(end: End, forbidden: Forbidden, *, port: int, wait_s: float) -> Finding:
    """Ask for every sample, then listen. An allocation that is lost meanwhile finds nothing."""
    loop = asyncio.get_running_loop()
    peers = [(address, port) for address in forbidden.samples()]
    async with contextlib.AsyncExitStack() as stack:
        heard: asyncio.Future[str] = loop.create_future()
        transaction = os.urandom(12)
        if forbidden.covers(end.local_address):
            with contextlib.suppress(OSError):
                peers.append(await stack.enter_async_context(_ear(end.local_address, transaction, heard)))
        answers = await asyncio.gather(*(_granted(end, address, wait_s) for address, _ in peers))
        granted = [peer for peer, yes in zip(peers, answers, strict=True) if yes]
        if not granted:
            return Finding()
        reached = await _reached(end, granted, transaction, heard, wait_s)
    if reached:
        return Finding(f"it relays to {reached}, which it must not reach: deny private peers there", relayed=True)
    names = ", ".join(dict.fromkeys(address for address, _ in granted))
    return Finding(f"it grants permission for {names}, where it must not relay: deny private peers there")


async def _granted(end: End, address: str, wait_s: float) -> bool:
    try:
        async with asyncio.timeout(wait_s):
            await end.permit(address)
    except (Refused, Gone, TimeoutError):
        return False
    return True


async def _reached(
    end: End, granted: list[Peer], transaction: bytes, heard: asyncio.Future[str], wait_s: float
) -> str:
    """The first address that answers, by way of the relay or at our own ear; empty when none does."""
    addresses = {address for address, _ in granted}
    hearing = asyncio.create_task(_from_any(end, addresses, transaction))
    sending = [asyncio.create_task(_request(end, peer, transaction)) for peer in granted]
    try:
        await asyncio.wait((hearing, heard), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if heard.done():
            return heard.result()
        return hearing.result() if hearing.done() else ""
    except Gone:
        return ""
    finally:
        hearing.cancel()
        for task in sending:
            task.cancel()
        await asyncio.gather(hearing, *sending, return_exceptions=True)


async def _request(end: End, peer: Peer, transaction: bytes) -> None:
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction))
    with contextlib.suppress(Refused, Gone):
        while True:
            await end.send(request, peer)
            await asyncio.sleep(REQUESTS_EVERY_S)


async def _from_any(end: End, addresses: set[str], transaction: bytes) -> str:
    while True:
        data, (address, _) = await end.hear()
        if address in addresses and transaction in data:
            return address


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes, on_heard: Callable[[], None]) -> None:
        self._transaction = transaction
        self._on_heard = on_heard

    def datagram_received(self, data: bytes, _addr: Peer) -> None:
        if self._transaction in data:
            self._on_heard()


@contextlib.asynccontextmanager
async def _ear(address: str, transaction: bytes, heard: asyncio.Future[str]) -> AsyncIterator[Peer]:
    def on_heard() -> None:
        if not heard.done():
            heard.set_result(f"{address}, the prober's own address")

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(transaction, on_heard), local_addr=(address, 0))
    try:
        host, port = transport.get_extra_info("sockname")[:2]
        yield host, port
    finally:
        transport.close()


def _sample(network: str) -> str:
    parsed = ipaddress.IPv4Network(network)
    if ipaddress.IPv4Address(METADATA) in parsed:
        return METADATA
    return str(next(iter(parsed.hosts())))


def _within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network) for network in networks)
