"""A small world around one bridge's audio port: its services, a carrier's socket and a scripted speech provider."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import picows

from holdfast_bridge.agent_config import Attempt, decode_agent
from holdfast_bridge.audio_port import AudioPort
from holdfast_bridge.core import signature
from holdfast_bridge.core.choice import Facts
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.latency import Sample
from holdfast_bridge.core.token import Claim, Refusal, Refused
from holdfast_bridge.seams import LiveCall, Services
from holdfast_bridge.settings import FleetSecrets, Settings
from holdfast_bridge.tools import ToolFailure

HOST = "fra.voice.example.com"
PATH = "/a/clinic/front-desk/media"
Secret = Callable[[Attempt, Settings], str]
ACCOUNT = "AC00000000000000000000000000000001"


def settings(
    provider: int,
    *,
    kind: str = "openai",
    tools: list[dict[str, Any]] | None = None,
    more: dict[str, int] | None = None,
    **persona: str,
) -> Settings:
    """`more`: further attempts by name, each with the port of its provider."""
    ports = {"first": provider, **(more or {})}
    agent = {
        "version": 1, "namespace": "clinic", "agent": "front-desk", "region": "fra", "zone": "eu",
        "policyHost": "eu.voice.example.com", "buddy": None,
        "regions": [{"name": "fra", "host": HOST, "weight": 50}],
        "persona": persona,
        "attempts": [
            {"name": name, "kind": kind, "model": "m", "baseUrl": f"ws://127.0.0.1:{port}/v1/realtime"}
            for name, port in ports.items()
        ],
        "tools": tools or [],
        "carrier": {"name": "t", "kind": "twilio", "accountSid": ACCOUNT, "apiUrl": "https://api.twilio.com"},
    }  # fmt: skip
    return Settings(
        agent=decode_agent(json.dumps(agent).encode(), source="test"),
        fleet=FleetSecrets(zone_keys=(b"zone",), carrier_tokens=("carrier",)),
        provider_keys=dict.fromkeys(ports, "sk-test"),
        pod="p1",
    )


def held(attempt: Attempt, given: Settings) -> str:
    return given.provider_keys.get(attempt.name, "")


class News:
    """Something of which a test waits to hear."""

    def __init__(self) -> None:
        self.news = asyncio.Event()

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not what():
                self.news.clear()
                await self.news.wait()


class Journal(News):
    """Keeps records in memory; the buddy is what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[CallRecord] = []
        self.order: list[str] = []
        self.intents: list[str] = []
        self.buddy = False
        self.acknowledges = True
        self.known: CallRecord | None = None

    def put(self, record: CallRecord, *, now: bool = False) -> None:
        self.records.append(record)
        self.news.set()

    async def intent(self, call: str, tool: str, *, timeout_s: float = 0.3) -> bool:
        self.intents.append(tool)
        return self.buddy and self.acknowledges

    def has_buddy(self) -> bool:
        return self.buddy

    async def settle(self, record: CallRecord, *, timeout_s: float = 0.3) -> bool:
        self.records.append(record)
        self.order.append("journal")
        return self.buddy and self.acknowledges

    async def load(self, call: str, *, timeout_s: float = 0.3) -> CallRecord | None:
        return self.known


class Carrier:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def hang_up(self, call: str) -> None:
        self._journal.order.append("hang-up")

    async def redirect(self, call: str, url: str) -> None:
        self._journal.order.append("redirect")


class Book:
    def __init__(self) -> None:
        self.calls: dict[str, LiveCall] = {}
        self.changed = asyncio.Event()

    def add(self, call: LiveCall) -> None:
        self.calls[call.record.call] = call
        self.changed.set()

    def remove(self, call: LiveCall) -> None:
        if self.calls.get(call.record.call) is call:
            del self.calls[call.record.call]
        self.changed.set()

    def find(self, call: str) -> LiveCall | None:
        return self.calls.get(call)

    def __len__(self) -> int:
        return len(self.calls)

    def all(self) -> list[LiveCall]:
        return list(self.calls.values())


class Bridge:
    def __init__(self, given: Settings, secret: Secret) -> None:
        self.settings = given
        self.journal = Journal()
        self.book = Book()
        self.counted: list[str] = []
        self.results: list[tuple[str, bool, str]] = []
        self.began: list[tuple[str, ...]] = []
        self.spoke: list[str] = []
        self.took: list[tuple[str, Sample]] = []
        self.tool_results: list[tuple[str, ToolFailure | None]] = []
        self.accepting = True
        self.services = Services(
            settings=lambda: self.settings,
            journal=self.journal,
            carrier=Carrier(self.journal),
            calls=self.book,
            claim=self._claim,
            accepting=lambda: self.accepting,
            provider_secret=secret,
            provider_began=lambda parts: self.began.append(tuple(parts)),
            provider_result=lambda attempt, ok, error, _wait_s: self.results.append((attempt, ok, error)),
            provider_spoke=self.spoke.append,
            tool_result=lambda tool, failure: self.tool_results.append((tool, failure)),
            took=lambda attempt, sample: self.took.append((attempt.name, sample)),
        )
        self.port = AudioPort(self.services, count=self.counted.append)

    def _claim(self, token: str) -> Claim | Refusal:
        """`good <call> <epoch> [<lot>]` is a good token; the real desk has tests of its own."""
        word, *rest = token.split(" ")
        if word != "good":
            return Refusal(Refused.BAD_SIGNATURE)
        call, epoch, lot = [*rest, "-1"][:3]
        return Claim(
            call=call,
            agent="clinic/front-desk",
            region="fra",
            epoch=int(epoch),
            expires=0,
            nonce="n",
            facts=Facts(lot=int(lot)),
        )


@asynccontextmanager
async def bridge(given: Settings, *, secret: Secret = held) -> AsyncIterator[Bridge]:
    made = Bridge(given, secret)
    serving = asyncio.create_task(made.port.run("127.0.0.1", 0))
    async with asyncio.timeout(30):
        await made.port.bound.wait()
    try:
        yield made
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


class CarrierSocket(picows.WSListener, News):
    """The carrier's end of a stream. Marks come back at once, as if all audio were heard as it arrives."""

    def __init__(self, *, play: bool = True) -> None:
        News.__init__(self)
        self.play = play
        self.heard: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self.code = 0
        self.transport: picows.WSTransport | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.CLOSE:
            self.code = int(frame.get_close_code().value)
            transport.disconnect()
            return
        if frame.msg_type is not picows.WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        self.heard.append(message)
        if message["event"] == "mark" and self.play:
            self.send({"event": "mark", "streamSid": "MZ1", "mark": message["mark"]})
        self.news.set()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self.closed.set()
        self.news.set()

    def send(self, message: Any) -> None:
        data = message if isinstance(message, str | bytes) else json.dumps(message)
        assert self.transport is not None
        self.transport.send(picows.WSMsgType.TEXT, data)

    def start(self, token: str, *, call: str = "CA1") -> None:
        self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        body = {
            "streamSid": "MZ1", "accountSid": ACCOUNT, "callSid": call, "tracks": ["inbound"],
            "customParameters": {"token": token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }  # fmt: skip
        self.send({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": body})

    def speak(self, payload: bytes) -> None:
        media = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": base64.b64encode(payload).decode()}
        self.send({"event": "media", "sequenceNumber": "2", "streamSid": "MZ1", "media": media})

    @property
    def audio(self) -> bytes:
        return b"".join(base64.b64decode(m["media"]["payload"]) for m in self.heard if m["event"] == "media")


async def dial_in(
    port: int, *, path: str = PATH, host: str = HOST, key: str = "carrier", play: bool = True
) -> CarrierSocket:
    socket = CarrierSocket(play=play)
    headers = {"Host": host, "X-Twilio-Signature": signature.sign(f"wss://{host}{path}", None, key)}
    await picows.ws_connect(lambda: socket, f"ws://127.0.0.1:{port}{path}", extra_headers=headers)
    return socket


class ScriptedProvider(News):
    """Speaks just enough of the Realtime dialect: it says what it is told to say exactly, else `answer`."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = "fine"
        self.sessions: list[ProviderSession] = []
        self.refuse: int | None = None
        self.mute = False
        self.calls_tool: str | None = None

    def upgrade(self, request: picows.WSUpgradeRequest) -> Any:
        if self.refuse is not None:
            refusal = picows.WSUpgradeResponse.create_error_response(self.refuse)
            return picows.WSUpgradeResponseWithListener(refusal, None)
        session = ProviderSession(self, request)
        self.sessions.append(session)
        return session


class ProviderSession(picows.WSListener):
    def __init__(self, world: ScriptedProvider, request: picows.WSUpgradeRequest) -> None:
        self.world = world
        self.path = request.path.decode()
        self.key = request.headers["Authorization"]
        self.received: list[dict[str, Any]] = []
        self.transport: picows.WSTransport | None = None
        self._responses = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        self.send({"type": "session.created", "session": {}})

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type is not picows.WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        self.received.append(message)
        if message["type"] == "session.update":
            self.send({"type": "session.updated", "session": {}})
        elif message["type"] == "response.create" and not self.world.mute:
            told = message.get("response", {}).get("instructions", "")
            self.respond(told.partition("Say exactly: ")[2] or self.world.answer)
        self.world.news.set()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == kind]

    def send(self, event: dict[str, Any]) -> None:
        assert self.transport is not None
        self.transport.send(picows.WSMsgType.TEXT, json.dumps(event))

    def caller_said(self, text: str) -> None:
        self.send({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u"})
        self.send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1, "item_id": "u"})
        self.send({"type": "input_audio_buffer.committed", "item_id": "u"})
        done = "conversation.item.input_audio_transcription.completed"
        self.send({"type": done, "item_id": "u", "content_index": 0, "transcript": text})

    def respond(self, text: str) -> None:
        self._responses += 1
        item = f"i{self._responses}"
        self.send({"type": "response.created", "response": {"status": "in_progress"}})
        self.send({"type": "response.output_audio_transcript.done", "item_id": item, "transcript": text})
        audio = base64.b64encode(text.encode() * 100).decode()
        self.send({"type": "response.output_audio.delta", "item_id": item, "delta": audio})
        self.send({"type": "response.output_audio.done", "item_id": item})
        if (tool := self.world.calls_tool) is not None:
            self.world.calls_tool = None
            call = {"type": "function_call", "call_id": "c1", "name": tool, "arguments": '{"day": 1}'}
            self.send({"type": "response.output_item.done", "item": call})
        self.send({"type": "response.done", "response": {"status": "completed"}})


@asynccontextmanager
async def provider() -> AsyncIterator[tuple[ScriptedProvider, int]]:
    world = ScriptedProvider()
    server = await picows.ws_create_server(world.upgrade, "127.0.0.1", 0)
    try:
        yield world, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for session in world.sessions:
            if session.transport is not None:
                session.transport.disconnect(graceful=False)


__all__ = ["ACCOUNT", "HOST", "PATH", "bridge", "dial_in", "provider", "settings"]
