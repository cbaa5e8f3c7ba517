"""What the tests of the simulated Live API share: the server with and without TLS, and a bare client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from picows import WSListener, WSMsgType, ws_connect

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gemini_live import GeminiCodec
from holdfast_bridge.providers.gemini_session import LiveSession, headers, link_url
from holdfast_gameday.world import voice
from holdfast_gameday.world.gemini_live import GeminiLive
from holdfast_gameday.world.gemini_session import Limits
from holdfast_gameday.world.serve import Address
from holdfast_gameday.world.speaking_sound import Pace
from holdfast_gameday.world.vendor_sockets import VendorSockets
from holdfast_gameday.world.voice_linear import EitherScanner, LinearScanner, ulaw_to_pcm

KEY, TOKEN = "AIza-practice", "ya29.practice"
MODEL = "gemini-3.8-live"
SOON = Pace(first_audio_s=0.005, chunk_ms=200, speed=40.0)
SLOWLY = Pace(first_audio_s=0.005, chunk_ms=100, speed=4.0)
BOOK = {
    "name": "book", "description": "Books.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
}  # fmt: skip


@dataclass(frozen=True)
class Running:
    sockets: VendorSockets
    address: Address

    @property
    def session(self) -> Any:
        """The only one that is open."""
        [session] = self.sockets.sessions
        return session


@contextlib.asynccontextmanager
async def serving(*, ssl_context: Any = None, limits: Limits | None = None, **changes: Any) -> AsyncIterator[Running]:
    vendor = GeminiLive(
        keys={KEY: "clinic"}, tokens={TOKEN: "clinic-vertex"}, limits=limits or Limits(),
        **{"pace": SOON, "waits_for_playback": False, **changes},
    )  # fmt: skip
    sockets = VendorSockets(vendor)
    async with sockets.serving("127.0.0.1", 0, ssl_context=ssl_context) as address:
        yield Running(sockets, address)


def spoken(text: str, number: int = 1) -> bytes:
    """The caller's µ-law, and the silence that ends the turn."""
    return voice.encode_utterance(voice.Speaker.CALLER, 7, number, text) + voice.silence(15)


def doubled(ulaw: bytes) -> bytes:
    """16 kHz PCM of the plainest resampler: each sample twice."""
    return np.repeat(np.frombuffer(ulaw_to_pcm(ulaw), "<i2"), 2).tobytes()


def understood(pcm: bytes) -> list[str]:
    """The utterances in the agent's 24 kHz PCM that were heard to their end."""
    frames = [sound for sound in LinearScanner(24_000).feed(pcm) if isinstance(sound, voice.VoiceFrame)]
    return [frame.text for frame in frames if frame.last]


class Call(WSListener):
    """The bridge's codec on a socket: what it sends is sent, and what it makes of the answers is kept."""

    def __init__(self, codec: GeminiCodec) -> None:
        self.codec = codec
        self.events: list[ev.Event] = []
        self.ulaw = b""
        self.close: tuple[int, str] | None = None
        self._came = asyncio.Event()
        self._transport: Any = None
        self._read = 0

    @classmethod
    async def connect(
        cls, address: Address, session: LiveSession, *, secret: str = KEY, past: tuple[ev.Seed, ...] = ()
    ) -> Call:
        """A session that is set up, or closed already."""
        call = cls(GeminiCodec(session, past))
        await ws_connect(
            lambda: call, link_url(f"ws://{address}", session), extra_headers=headers(session, secret)
        )
        call._send(call.codec.opening())
        await call.until(lambda event: isinstance(event, ev.ProviderReady))
        return call

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.close = int(frame.get_close_code()), (frame.get_close_message() or b"").decode()
            transport.disconnect()
        else:
            said = list(self.codec.decode(frame.get_payload_as_bytes()))
            self.ulaw += b"".join(event.payload for event in said if isinstance(event, ev.ProviderAudio))
            self.events += said
        self._came.set()

    def on_ws_disconnected(self, transport: Any) -> None:
        self._came.set()

    def tell(self, *effects: ev.ToProvider) -> None:
        for effect in effects:
            self._send(self.codec.encode(effect))

    def speak(self, text: str, number: int = 1) -> None:
        """In 20 ms frames, as a carrier brings them."""
        said = spoken(text, number)
        for start in range(0, len(said), 160):
            self._send([self.codec.append(said[start : start + 160])])
            self.events += self.codec.noticed()

    async def until(self, wanted: Callable[[ev.Event], object], *, within: float = 30) -> ev.Event | None:
        """The next such event after the last one asked for; None when the link is closed first."""
        async with asyncio.timeout(within):
            while True:
                while self._read < len(self.events):
                    self._read += 1
                    if wanted(self.events[self._read - 1]):
                        return self.events[self._read - 1]
                if self.close is not None:
                    return None
                self._came.clear()
                await self._came.wait()

    async def becomes(self, true: Callable[[GeminiCodec], object], *, within: float = 30) -> None:
        """Waits for what the codec keeps beside its events."""
        async with asyncio.timeout(within):
            while not true(self.codec):
                self._came.clear()
                await self._came.wait()

    async def answered(self) -> None:
        await self.until(lambda event: isinstance(event, ev.ResponseDone) and event.detail == "completed")

    def lines(self) -> list[str]:
        """What the agent said, as it was written down."""
        return [event.text for event in self.events if isinstance(event, ev.ProviderTranscript) and event.final]

    def turns(self) -> list[str]:
        """What the caller said, as it was written down."""
        said = [event for event in self.events if isinstance(event, ev.UserTranscript)]
        return list({event.item: event.text for event in said if event.final}.values())

    def heard(self) -> list[str]:
        """What the caller hears of the agent, to its end."""
        return [frame.text for frame in EitherScanner().feed(self.ulaw) if frame.last]

    def leave(self) -> None:
        self._transport.disconnect()

    def _send(self, messages: list[bytes]) -> None:
        for message in messages:
            if message:
                self._transport.send(WSMsgType.TEXT, message)


def live(**changes: Any) -> LiveSession:
    given = {"model": MODEL, "voice": "Kore", "instructions": "Be kind.", "silence_ms": 200, "tools": [BOOK]}
    return LiveSession(**{**given, **changes})
