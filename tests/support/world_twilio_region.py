"""A tiny region for tests of the simulated carrier: answers webhooks, and an agent that talks over Media Streams."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, WSMsgType, encode_basic_auth, web

from holdfast_gameday.world import serve, voice
from holdfast_gameday.world.twilio import TwilioSettings, TwilioSim
from holdfast_gameday.world.twilio_call import Ending
from holdfast_gameday.world.twilio_stream import StreamOptions
from holdfast_gameday.world.voice import Speaker, VoiceFrame, VoiceScanner

ACCOUNT = "AC" + "a" * 32
TOKEN = "token-of-the-account"
KEY, SECRET = "SK" + "b" * 32, "secret-of-the-key"
NUMBER = "+4930123456"
NAMES = {"fra.test": "127.0.0.1", "ams.test": "127.0.0.1"}

Answer = str | tuple[int, str]


@dataclass
class Request:
    path: str
    method: str
    headers: dict[str, str]
    form: dict[str, str]
    query: dict[str, str]


class Socket:
    """One Media Stream as the agent sees it."""

    def __init__(self, ws: web.WebSocketResponse, headers: dict[str, str]) -> None:
        self.ws = ws
        self.headers = headers
        self.messages: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.closed = asyncio.Event()
        self.heard: list[VoiceFrame] = []
        self.scanner = VoiceScanner()
        self.utterance = 0

    @property
    def stream_sid(self) -> str:
        return next(str(m["streamSid"]) for m in self.messages if m["event"] == "start")

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    async def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        async with asyncio.timeout(30):
            while len(self.of(event)) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.of(event)

    async def send(self, event: str, **content: Any) -> None:
        await self.ws.send_str(json.dumps({"event": event, "streamSid": self.stream_sid, **content}))

    async def play(self, sound: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(sound).decode()})

    async def say(self, text: str, *, session: int, frames: int | None = None, cut: int | None = None) -> None:
        """`cut` sends only so many frames of the utterance."""
        self.utterance += 1
        sound = voice.encode_utterance(Speaker.AGENT, session, self.utterance, text, frames)
        await self.play(sound if cut is None else sound[: cut * voice.FRAME_OCTETS])


Agent = Callable[[Socket, str], Any]
"""Called with the text of each finished caller utterance, and with "" at the start."""


@dataclass
class Region:
    host: str
    answers: dict[str, Callable[[Request], Answer] | Answer] = field(default_factory=dict)
    agent: Agent | None = None
    scheme: str = "http"
    upgrade_status: int = 101
    requests: list[Request] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{path}"

    @property
    def stream_url(self) -> str:
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.host}:{self.port}/media"

    def connect(self, then: str = "", *, action: str = "", **parameters: str) -> str:
        values = "".join(f'<Parameter name="{name}" value="{value}"/>' for name, value in parameters.items())
        action = f' action="{action}"' if action else ""
        stream = f'<Stream url="{self.stream_url}">{values}</Stream>'
        return f"<Response><Connect{action}>{stream}</Connect>{then}</Response>"

    @contextlib.asynccontextmanager
    async def serving(self, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Region]:
        self.scheme = "https" if ssl_context else "http"
        app = web.Application()
        app.router.add_get("/media", self._media)
        app.router.add_route("*", "/{path:.*}", self._webhook)
        async with serve.serving(app, "127.0.0.1", 0, ssl_context=ssl_context) as address:
            self.port = address.port
            try:
                yield self
            finally:
                await self.drop_sockets()

    async def drop_sockets(self) -> None:
        """As when the region's machine dies: no close frame, the connections are reset."""
        for socket in self.sockets:
            transport = socket.ws._req.transport if socket.ws._req else None
            if transport is not None:
                transport.abort()

    async def socket(self, count: int = 1) -> Socket:
        async with asyncio.timeout(30):
            while len(self.sockets) < count:
                self.opened.clear()
                await self.opened.wait()
        await self.sockets[count - 1].until("start")
        return self.sockets[count - 1]

    async def _webhook(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        seen = Request(request.path, request.method, dict(request.headers), form, dict(request.query))
        self.requests.append(seen)
        answer = self.answers.get(request.path, (404, ""))
        if callable(answer):
            answer = answer(seen)
        if asyncio.iscoroutine(answer):
            answer = await answer
        status, text = answer if isinstance(answer, tuple) else (200, answer)
        return web.Response(status=status, text=text, content_type="text/xml")

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if self.upgrade_status != 101:
            return web.Response(status=self.upgrade_status)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        socket = Socket(ws, dict(request.headers))
        self.sockets.append(socket)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    await self._message(socket, json.loads(message.data))
                    self.opened.set()
        finally:
            socket.closed.set()
        return ws

    async def _message(self, socket: Socket, message: dict[str, Any]) -> None:
        socket.messages.append(message)
        socket.arrived.set()
        if self.agent is None:
            return
        if message["event"] == "start":
            await self.agent(socket, "")
        if message["event"] == "media":
            for sound in socket.scanner.feed(base64.b64decode(message["media"]["payload"])):
                if isinstance(sound, VoiceFrame):
                    socket.heard.append(sound)
                    if sound.last:
                        await self.agent(socket, sound.text)


@dataclass
class Handset:
    """A phone that says what it is given and keeps what it hears."""

    frames: list[bytes] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    heard_at: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ending: Ending | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def speak(self, now: float) -> bytes | None:
        return self.frames.pop(0) if self.frames else None

    def hear(self, sound: bytes, now: float) -> None:
        if sound:
            self.heard += sound
            self.heard_at.append(now)
            self.arrived.set()

    def carrier_said(self, text: str, now: float) -> None:
        self.said.append(text)

    def ended(self, ending: Ending, now: float) -> None:
        self.ending = ending


@contextlib.asynccontextmanager
async def carrier(
    *, trust: ssl.SSLContext | None = None, connect_timeout_s: float = 5.0, **options: Any
) -> AsyncIterator[TwilioSim]:
    """The simulated carrier on loopback with one account, and room for a number."""
    log = options.pop("log", None)
    streams = StreamOptions(connect_timeout_s=connect_timeout_s, allow_plain=trust is None)
    settings = TwilioSettings(names=NAMES, trust=trust, streams=streams, **options)
    async with TwilioSim(settings, log=log).serving("127.0.0.1", 0) as sim:
        sim.state.add_account(ACCOUNT, auth_token=TOKEN, api_keys={KEY: SECRET})
        yield sim


def number(sim: TwilioSim, url: str, fallback: str = "") -> None:
    """One number, routed by an application."""
    account = sim.state.accounts[ACCOUNT]
    application = sim.state.add_application(account, voice_url=url, voice_fallback_url=fallback)
    sim.state.add_number(account, NUMBER, voice_application_sid=application.sid)


async def rest(sim: TwilioSim, method: str, path: str, **form: str) -> tuple[int, dict[str, Any]]:
    url = f"http://{sim.address}/2010-04-01/Accounts/{ACCOUNT}{path}.json"
    async with ClientSession() as session, session.request(
        method, url, data=form or None, headers={"Authorization": encode_basic_auth(KEY, SECRET)}
    ) as response:
        return response.status, json.loads(await response.read() or b"{}")
