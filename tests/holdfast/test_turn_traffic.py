"""Callers' media through a real coturn while it is probed: nothing of it is lost, and no quota is shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)
from real_coturn import Coturn, coturn
from turn_prober import PATIENT, Prober, nothing_left

from holdfast.core.relays import Sight, Transport
from holdfast.gather.turn_probe import Outcome, TurnProbe

pytestmark = pytest.mark.programs

FRAME_S = 0.02
FRAMES = 100


@dataclass
class Call:
    """Two WebRTC peers that may use nothing but the relay. The far one sends back what it hears."""

    near: RTCDataChannel
    sent: int = 0
    heard: list[int] = field(default_factory=list)

    async def speak(self) -> None:
        for _ in range(FRAMES):
            self.near.send(self.sent.to_bytes(4, "big") + bytes(156))
            self.sent += 1
            await asyncio.sleep(FRAME_S)

    async def all_heard(self) -> None:
        async with asyncio.timeout(30):
            while len(self.heard) < self.sent:  # noqa: ASYNC110 - a lost frame rings no bell
                await asyncio.sleep(FRAME_S)


@asynccontextmanager
async def call(relay: Coturn, scheme: str) -> AsyncIterator[Call]:
    credential = await Prober(user="caller").issue()
    url = f"turn:127.0.0.1:{relay.port}?transport={scheme}"
    servers = [RTCIceServer(url, credential.username, credential.password)]
    configuration = RTCConfiguration(
        servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE, iceTransportPolicy=RTCIceTransportPolicy.RELAY
    )
    near, far = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
    opened = asyncio.Event()
    channel = near.createDataChannel("media", ordered=False, maxRetransmits=0)
    channel.on("open", opened.set)
    call = Call(channel)
    channel.on("message", lambda message: call.heard.append(int.from_bytes(message[:4], "big")))

    @far.on("datachannel")
    def reflect(channel: RTCDataChannel) -> None:
        channel.on("message", channel.send)

    try:
        await near.setLocalDescription(await near.createOffer())
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription(await far.createAnswer())
        await near.setRemoteDescription(far.localDescription)
        async with asyncio.timeout(30):
            await opened.wait()
        yield call
    finally:
        await asyncio.gather(near.close(), far.close())


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
async def test_a_call_through_the_relay_loses_nothing_while_it_is_probed(tmp_path: Path, scheme: str) -> None:
    """The callers have all of their quota in use, and the prober its own."""
    async with coturn(tmp_path, "user-quota=2") as relay:
        probe = TurnProbe(relay.tls, PATIENT)
        async with call(relay, scheme) as media:
            speaking = asyncio.create_task(media.speak())
            outcomes: list[Outcome] = []
            while not speaking.done():
                # coturn counts an allocation over UDP for a second longer than it has it: each has a name of its own.
                users = [(each, Prober(user=f"{each.value}-{len(outcomes)}")) for each in Transport]
                outcomes += await asyncio.gather(*(probe.probe(relay.address(each), user) for each, user in users))
                await asyncio.sleep(0.1)
            await speaking
            await media.all_heard()
            assert sorted(media.heard) == list(range(FRAMES))
            assert {outcome.sight for outcome in outcomes} == {Sight.WELL}
            assert relay.allocated() == 2 + 2 * len(outcomes)
        await nothing_left(relay)
