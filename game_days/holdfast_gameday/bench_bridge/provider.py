"""The simulated provider: an OpenAI Realtime session that answers each frame of the caller with one of its own.

Its reply is one long talk in lines of ten seconds, each with the events that a real session sends around it. Answering
frame by frame makes both directions flow all the time, which is more than a conversation does.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import partial

import picows

from holdfast_gameday.bench_bridge import shapes
from holdfast_gameday.bench_bridge.codings import Coding

LINE_FRAMES = 500
WORD_FRAMES = 20
_TEXT = picows.WSMsgType.TEXT
_APPEND = b"input_audio_buffer.append"
_UPDATE = b'session.update"'


class Provider:
    """Accepts sessions; `sound` makes the two directions of one: what it hears, and what the caller hears of it."""

    def __init__(self, sound: Callable[[], tuple[Coding, Coding]]) -> None:
        self._sound = sound
        self.opened = 0
        """Sessions so far."""

    async def serve(self, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
        return await picows.ws_create_server(
            self.accept, "127.0.0.1", port, ssl=tls, max_frame_size=1 << 20, logger_name="provider"
        )

    def accept(self, _: picows.WSUpgradeRequest) -> Session:
        return Session(self, *self._sound())


class Session(picows.WSListener):
    def __init__(self, provider: Provider, up: Coding, down: Coding) -> None:
        self._provider = provider
        self._hear, self._repeat = up.hear, down.repeat
        self._frames = 0
        self.line = 0
        """The number of the line that is being said; 0: none was begun."""
        self._send: Callable[[bytes], None] = lambda _: None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.begin(partial(transport.send, _TEXT))

    def begin(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._provider.opened += 1
        self._send(shapes.session("created"))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is not _TEXT:
            if frame.msg_type is picows.WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type is picows.WSMsgType.CLOSE:
                transport.send_close(picows.WSCloseCode.OK)
                transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        if message.find(_APPEND, 0, 160) >= 0:
            self._heard(message)
        elif message.find(_UPDATE, 0, 160) >= 0:
            self._send(shapes.session("updated"))

    def _heard(self, message: bytes) -> None:
        begin = message.index(b'"', message.index(b'"audio"') + 8) + 1
        sound = message[begin : message.index(b'"', begin)]
        now = time.monotonic_ns()
        number = self._hear(sound, now)
        place = self._frames % LINE_FRAMES
        if place % WORD_FRAMES == 0:
            if place == 0:
                self._next_line()
            self._send(shapes.words(self.line, place // WORD_FRAMES))
        self._frames += 1
        said = self._repeat(sound, number, now)
        self._send(shapes.DELTA % (self._frames, self.line, self.line, said))

    def _next_line(self) -> None:
        if self.line:
            for event in shapes.line_ends(self.line, LINE_FRAMES // WORD_FRAMES):
                self._send(event)
        self.line += 1
        for event in shapes.line_begins(self.line):
            self._send(event)
