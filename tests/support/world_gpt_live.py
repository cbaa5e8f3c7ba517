"""What the tests of the simulated GPT-Live share: its events held against the vendor's own types, and two clients.

One client says what the test says; the other is the bridge's codec on a socket.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pydantic
from openai.types.live import ServerEvent
from openai.types.responses import ResponseStreamEvent
from picows import WSListener, WSMsgType, ws_connect

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gpt_live import GptLiveCodec, LiveSession
from holdfast_gameday.world import voice
from holdfast_gameday.world.gpt_live import GptLive
from holdfast_gameday.world.gpt_live_mouth import Pace
from holdfast_gameday.world.vendor_sockets import VendorSockets

KEY = "sk-practice"
QUICK = Pace(start_s=0.001, first_audio_s=0.005, backend_s=0.005, speed=20.0)
PATH = "/v1/live/sessions"
BOOK = {
    "name": "book", "description": "Books a table.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}},
}  # fmt: skip


@functools.cache
def _types() -> tuple[pydantic.TypeAdapter[Any], pydantic.TypeAdapter[Any]]:
    return pydantic.TypeAdapter(ServerEvent), pydantic.TypeAdapter(ResponseStreamEvent)


def check_live_event(event: dict[str, Any]) -> None:
    """Fails unless the vendor's own types hold the event, and what lies within it."""
    outer, inner = _types()
    outer.validate_python(event)
    if event["type"] == "response.event":
        inner.validate_python(event["event"])


def start(**more: Any) -> dict[str, Any]:
    """The session of a telephone call, as `session.start` carries it."""
    tools = [{"type": "function", **BOOK}]
    return {
        "model": "gpt-live-1",
        "audio": {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}},
        "delegation": {"type": "responses", "responses": {"model": "gpt-5.5", "tools": tools}},
        **more,
    }


def caller(text: str, *, quiet_frames: int = 25, utterance: int = 1) -> bytes:
    """The caller says this and is silent for half a second."""
    return voice.encode_utterance(voice.Speaker.CALLER, 1, utterance, text) + voice.silence(quiet_frames)


def listening(seconds: int = 20) -> bytes:
    """Nobody speaks. The model says as much as it is sent audio."""
    return voice.silence(50 * seconds)


def agent_frames(audio: bytes) -> list[voice.VoiceFrame]:
    """What of the audio is the agent's speech."""
    sounds = voice.VoiceScanner().feed(audio)
    return [sound for sound in sounds if isinstance(sound, voice.VoiceFrame) and sound.kind == voice.Speaker.AGENT]


@contextlib.asynccontextmanager
async def serving(vendor: GptLive) -> AsyncIterator[tuple[VendorSockets, str]]:
    """The sockets, and where they are."""
    sockets = VendorSockets(vendor)
    async with sockets.serving("127.0.0.1", 0) as address:
        yield sockets, str(address)


class Link(WSListener):
    """A WebSocket that hands on what comes, and lets a test wait for what it makes of it."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.close_code: int | None = None
        self.gone = asyncio.Event()
        self._hear = hear
        self._came = asyncio.Event()
        self._transport: Any = None

    async def dial(self, address: str, *, path: str = PATH, key: str = KEY, header: str = "Authorization") -> None:
        value = f"Bearer {key}" if header == "Authorization" else key
        await ws_connect(lambda: self, f"ws://{address}{path}", extra_headers={header: value})

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code())
            transport.disconnect()
            return
        self._hear(frame.get_payload_as_bytes())
        self._came.set()

    def on_ws_disconnected(self, transport: Any) -> None:
        self.gone.set()
        self._came.set()

    def send(self, message: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, message)

    async def holds(self, found: Callable[[], Any], *, within: float = 30) -> Any:
        """What is found, as soon as it is."""
        async with asyncio.timeout(within):
            while not (result := found()):
                if self.gone.is_set():
                    raise ConnectionError("the socket closed before")
                self._came.clear()
                await self._came.wait()
        return result


class LiveClient:
    """A bare client: sends events, keeps what came."""

    def __init__(self) -> None:
        self.link = Link(self._hear)
        self.holds = self.link.holds
        self.events: list[dict[str, Any]] = []
        self.audio = b""
        self._read = 0

    @classmethod
    async def dial(cls, address: str, **how: Any) -> LiveClient:
        client = cls()
        await client.link.dial(address, **how)
        return client

    def _hear(self, message: bytes) -> None:
        event = json.loads(message)
        if event["type"] == "session.output_audio.delta":
            self.audio += base64.b64decode(event["delta"])
        else:
            self.events.append(event)

    def send(self, kind: str, **fields: Any) -> None:
        self.link.send(msgspec.json.encode({"type": kind, **fields}))

    def append(self, audio: bytes) -> None:
        self.send("session.input_audio.append", audio=base64.b64encode(audio).decode())

    def speak(self, audio: bytes) -> None:
        """In 20 ms messages, as a bridge does."""
        for at in range(0, len(audio), 160):
            self.append(audio[at : at + 160])

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of the type after the last one asked for."""

        def found() -> dict[str, Any] | None:
            while self._read < len(self.events):
                self._read += 1
                if self.events[self._read - 1]["type"] == kind:
                    return self.events[self._read - 1]
            return None

        event: dict[str, Any] = await self.holds(found)
        return event

    async def inner(self, kind: str) -> dict[str, Any]:
        """The next event of the backend's response."""
        while (event := (await self.until("response.event"))["event"])["type"] != kind:
            pass
        return event

    async def until_said(self, text: str) -> None:
        """The agent has said all of this."""
        await self.holds(lambda: any(f.last and f.text == text for f in agent_frames(self.audio)))

    def said(self) -> str:
        return "".join(e["delta"] for e in self.events if e["type"] == "session.output_transcript.delta")

    async def ready(self, **session: Any) -> LiveClient:
        self.send("session.start", session=start(**session))
        await self.until("session.started")
        self.append(listening())
        return self


class CodecLink:
    """The bridge's codec on a socket, as a call drives it: what it makes of what came is kept in order."""

    def __init__(self, codec: GptLiveCodec) -> None:
        self.codec = codec
        self.link = Link(self._hear)
        self.holds = self.link.holds
        self.told: list[ev.Event] = []

    @classmethod
    async def begin(cls, address: str, *history: ev.Seed, **how: Any) -> CodecLink:
        session = LiveSession(
            model="gpt-live-1", backend_model="gpt-5.5", instructions="Be kind.", voice="marin", tools=[BOOK]
        )
        bridge = cls(GptLiveCodec(session, history))
        await bridge.link.dial(address, **how)
        for message in bridge.codec.opening():
            bridge.link.send(message)
        await bridge.until(ev.ProviderReady)
        bridge.link.send(bridge.codec.append(listening()))
        return bridge

    def _hear(self, message: bytes) -> None:
        self.told += self.codec.decode(message)

    def tell(self, *effects: ev.ToProvider) -> None:
        for effect in effects:
            for message in self.codec.encode(effect):
                self.link.send(message)

    def speak(self, audio: bytes) -> None:
        for at in range(0, len(audio), 160):
            self.link.send(self.codec.append(audio[at : at + 160]))

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    async def until(self, kind: type, *, count: int = 1) -> Any:
        """The event of this kind that is the `count`th of all."""
        await self.holds(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def until_line(self, text: str) -> None:
        """The agent has said this line to its end."""
        await self.holds(lambda: text in self.lines())

    def lines(self) -> list[str]:
        """What the agent has said to the end, line by line."""
        return [event.text for event in self.of(ev.ProviderTranscript) if event.final]

    def turns(self) -> list[str]:
        """What the caller has said to the end, turn by turn."""
        return [event.text for event in self.of(ev.UserTranscript) if event.final]

    def heard(self) -> list[voice.VoiceFrame]:
        return agent_frames(b"".join(event.payload for event in self.of(ev.ProviderAudio)))
