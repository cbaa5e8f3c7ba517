"""What callers are offered while real relays stop, fill up, redirect and come back."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from real_coturn import HOST, Coturn, coturn
from turn_prober import PATIENT, Prober, nothing_left

from holdfast import clock
from holdfast.core import reasons
from holdfast.core.relays import Home, Relay, Sight, Transport
from holdfast.core.values import Probe
from holdfast.gather.relays import Relays, WatchedRelay
from holdfast.gather.turn_probe import TurnProbe

pytestmark = pytest.mark.programs

UDP, TCP = Transport.UDP, Transport.TCP
OFTEN = Probe(interval_s=0.3, timeout_s=2, confirmations=2, confirm_every_s=0.05)
UNHURRIED = replace(PATIENT, allocate_s=3.0, release_s=3.0)
"""A relay that stopped is waited for, yet not so long that the test is."""
HOME = Home("eu")


def watched(name: str, relay: Coturn) -> WatchedRelay:
    urls = {each: f"turn:{HOST}:{relay.port}?transport={each.value}" for each in (UDP, TCP)}
    return WatchedRelay(Relay(name, "eu", urls), "own", probe=OFTEN)


@asynccontextmanager
async def watching(*known: WatchedRelay) -> AsyncIterator[tuple[Relays, Callable[..., object]]]:
    changed = asyncio.Event()
    relays = Relays(
        probe=TurnProbe(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), UNHURRIED),
        relays=lambda: known,
        issuer=lambda _: Prober().issuer,
        user="holdfast-fra",
        clock=clock.now,
        on_change=changed.set,
        dice=random.Random(1),
    )

    async def until(**sights: Sight) -> None:
        async with asyncio.timeout(30):
            while any(relays.sights().get((name, each)) is not sights[name] for name in sights for each in (UDP, TCP)):
                changed.clear()
                await changed.wait()

    task = asyncio.create_task(relays.run())
    try:
        yield relays, until
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def offered(relays: Relays) -> list[str]:
    return [f"{server.relay}/{server.transport.value}" for server in relays.ice_list(HOME).servers]


async def test_a_relay_that_stops_is_left_out_and_one_that_redirects_comes_last(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(coturn(tmp_path / "a"))
        stopping = await stack.enter_async_context(coturn(tmp_path / "b"))
        leaving = await stack.enter_async_context(coturn(tmp_path / "c", f"alternate-server={HOST}:9"))
        known = (watched("leaving", leaving), watched("good", good), watched("stopping", stopping))
        relays, until = await stack.enter_async_context(watching(*known))
        await until(good=Sight.WELL, stopping=Sight.WELL, leaving=Sight.DRAINING)
        assert offered(relays) == [
            "good/udp", "stopping/udp", "good/tcp", "stopping/tcp", "leaving/udp", "leaving/tcp",
        ]  # fmt: skip
        await stopping.stop()
        await until(stopping=Sight.ILL)
        assert offered(relays) == ["good/udp", "good/tcp", "leaving/udp", "leaving/tcp"]
        assert "stopping over udp: ill" in relays.ice_list(HOME).reason.message
        await leaving.stop()
        await good.stop()
        await until(good=Sight.ILL, leaving=Sight.ILL)
        assert offered(relays) == ["good/udp", "good/tcp", "leaving/udp", "leaving/tcp"]
        assert relays.ice_list(HOME).reason.code == reasons.ALL_RELAYS_ILL


async def test_an_open_relay_is_offered_to_nobody(tmp_path: Path) -> None:
    async with coturn(tmp_path / "a", "no-auth") as relay, watching(watched("a", relay)) as (relays, until):
        await until(a=Sight.OPEN)
        assert relays.ice_list(HOME).reason.code == reasons.NO_RELAY


async def test_a_watch_that_ends_leaves_nothing_behind(tmp_path: Path) -> None:
    async with coturn(tmp_path / "a") as relay:
        async with watching(watched("a", relay)) as (_, until):
            await until(a=Sight.WELL)
        assert relay.allocated() >= 8
        await nothing_left(relay)
