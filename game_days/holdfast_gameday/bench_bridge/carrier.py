"""The simulated carrier: callers on Media Streams, each with a frame of sound every 20 ms, spread over those 20 ms.

Audio that comes back is played at once, so a mark is returned as it comes. It knows nothing of who answers.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import picows

from holdfast_gameday.bench_bridge import shapes
from holdfast_gameday.bench_bridge.codings import FRAME_MS, Coding

OPEN_WITHIN_S = 10.0
CLOSED_WITHIN_S = 2.0
MAX_BEHIND = 50
"""Frames that a late carrier still sends after one another; what is older than a second nobody waits for."""
_TEXT = picows.WSMsgType.TEXT
_PAYLOAD = b'"payload"'


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a call's stream goes, and what it shows there."""

    url: str
    headers: Mapping[str, str]
    parameters: dict[str, str]


class _Named(msgspec.Struct):
    name: str


class _Other(msgspec.Struct):
    event: str
    mark: _Named | None = None


_other = msgspec.json.Decoder(_Other)


class Caller(picows.WSListener):
    """One call. `say`: its next frame; the carrier's clock calls it."""

    def __init__(self, call: str, account: str, up: Coding, down: Coding) -> None:
        self.call = call
        self.stream = "MZ" + secrets.token_hex(16)
        self.lost = ""
        """Why the stream is over, if it is."""
        self.over = asyncio.Event()
        self.frames = 0
        self._account = account
        self._next_frame, self._hear = up.say, down.hear
        self._transport: picows.WSTransport | None = None
        self._sid = self.stream.encode()
        self._sequence = 1

    def begin(self, parameters: dict[str, str]) -> None:
        self._put(shapes.CONNECTED)
        self._put(shapes.start(self.stream, self._account, self.call, parameters))

    def say(self) -> None:
        transport = self._transport
        if transport is None:
            return
        frame = self.frames
        self.frames = frame + 1
        self._sequence += 1
        sound = self._next_frame(frame, time.monotonic_ns())
        message = shapes.MEDIA % (self._sequence, frame + 1, frame * FRAME_MS, sound, self._sid)
        transport.send(_TEXT, message)

    def hang_up(self) -> None:
        """The last words, and then the bridge closes the connection, as RFC 6455 §7.1.1 wants of a server.

        To close it here at once would reset it under sound that is not read yet, and take the last words with it.
        """
        transport, self._transport = self._transport, None
        if transport is not None:
            stop = shapes.STOP % (self._sequence + 1, self._sid, self._account.encode(), self.call.encode())
            transport.send(picows.WSMsgType.TEXT, stop)
            transport.send_close(picows.WSCloseCode.OK)
            asyncio.get_running_loop().call_later(CLOSED_WITHIN_S, transport.disconnect)

    def drop(self) -> None:
        """The socket dies without a word."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - the signature is picows'
        if self._transport is not None:
            self.lost, self._transport = self.lost or "the socket ended", None
        self.over.set()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is _TEXT:
            message = frame.get_payload_as_bytes()
            place = message.find(_PAYLOAD)
            if place >= 0:
                begin = message.index(b'"', place + 10) + 1
                self._hear(message[begin : message.index(b'"', begin)], time.monotonic_ns())
            else:
                self._told(message)
        elif frame.msg_type is picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            self.lost = f"closed with {int(frame.get_close_code().value)}"
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    def _told(self, message: bytes) -> None:
        other = _other.decode(message)
        if other.event == "mark" and other.mark is not None:
            self._sequence += 1
            self._put(shapes.MARK % (self._sequence, self._sid, other.mark.name.encode()))

    def _put(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, message)


async def dial(caller: Caller, stream: Stream) -> None:
    async with asyncio.timeout(OPEN_WITHIN_S):
        await picows.ws_connect(
            lambda: caller,
            stream.url,
            extra_headers=dict(stream.headers),
            max_frame_size=1 << 20,
            logger_name="carrier",
        )
    caller.begin(stream.parameters)


class Clock:
    """Has every caller speak each 20 ms, each at its own millisecond of them."""

    def __init__(self) -> None:
        self._places: list[list[Callable[[], None]]] = [[] for _ in range(FRAME_MS)]
        self._tick = 0
        self._began = 0
        self.late_ms = 0.0
        """The longest that the clock itself has been behind."""

    def __len__(self) -> int:
        return sum(map(len, self._places))

    def add(self, caller: Caller) -> None:
        min(self._places, key=len).append(caller.say)

    def remove(self, caller: Caller) -> None:
        for place in self._places:
            if caller.say in place:
                place.remove(caller.say)

    async def run(self) -> None:
        """For ever. A carrier that was held up sends what it missed, as real ones do."""
        self._began, self._tick = time.monotonic_ns(), 0
        while True:
            now_ms = (time.monotonic_ns() - self._began) / 1e6
            behind = int(now_ms) - self._tick
            self.late_ms = max(self.late_ms, float(behind))
            if behind > MAX_BEHIND * FRAME_MS:
                self._tick = int(now_ms)
            while self._tick <= now_ms:
                for say in self._places[self._tick % FRAME_MS]:
                    say()
                self._tick += 1
            await asyncio.sleep(max(0.0, (self._tick - (time.monotonic_ns() - self._began) / 1e6) / 1000))
