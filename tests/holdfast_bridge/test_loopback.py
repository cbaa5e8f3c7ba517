"""The canary's provider."""

from __future__ import annotations

import asyncio

from bridge_world import bridge, dial_in, settings

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.loopback import LoopbackCodec


def test_it_is_ready_at_once_and_returns_what_it_hears() -> None:
    codec = LoopbackCodec()
    assert [event for message in codec.opening() for event in codec.decode(message)] == [ev.ProviderReady()]
    assert list(codec.decode(codec.append(b"abc"))) == [ev.ProviderAudio("echo", b"abc")]
    assert codec.encode(ev.Respond("Say hi")) == []


async def test_a_probe_hears_its_own_audio() -> None:
    async with bridge(settings(1, kind="loopback", greeting="never said")) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        async with asyncio.timeout(30):
            await b.book.changed.wait()
        socket.speak(b"ping" * 40)
        await socket.until(lambda: socket.audio == b"ping" * 40)
        assert all(message["event"] == "media" for message in socket.heard)
