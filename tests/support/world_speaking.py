"""What the tests of the simulated voices share: our codecs on the bridge's own link, what was heard on it, and a wire
whose time is moved by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from holdfast_bridge import provider_link
from holdfast_bridge.core import stages as st
from holdfast_gameday.world import voice
from holdfast_gameday.world.serve import Address
from holdfast_gameday.world.speaking_sound import Pace
from holdfast_gameday.world.vendor_sockets import Upgrade, VendorSockets

KEY = "practice"
QUICK = Pace(first_audio_s=0.005, chunk_ms=100, speed=40.0)
CALM = Pace(first_audio_s=0.1, chunk_ms=100, speed=1.0)
"""For the wire whose time is moved by hand."""


@contextlib.asynccontextmanager
async def served(vendor: Any) -> AsyncIterator[tuple[VendorSockets, Address]]:
    sockets = VendorSockets(vendor)
    async with sockets.serving("127.0.0.1", 0) as address:
        yield sockets, address


def asked(url: str, headers: Mapping[str, str]) -> Upgrade:
    """What a simulator is asked when a client opens this address."""
    path, _, query = url.partition("://")[2].partition("/")[2].partition("?")
    fields: dict[str, list[str]] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        fields.setdefault(name, []).append(value)
    return Upgrade(f"/{path}", fields, {name.lower(): value for name, value in headers.items()})


def spoken(sound: bytes) -> list[str]:
    """The texts of the utterances in it, in order; fails unless each is whole and there once."""
    scanner = voice.VoiceScanner()
    frames = [each for each in scanner.feed(sound) if isinstance(each, voice.VoiceFrame)]
    assert scanner.damaged == 0
    assert all(frame.kind == voice.Speaker.AGENT for frame in frames)
    texts = []
    for _, of_one in itertools.groupby(frames, key=lambda frame: (frame.speaker, frame.utterance)):
        whole = list(of_one)
        assert [frame.index for frame in whole] == list(range(whole[0].total))
        texts.append(whole[0].text)
    return texts


class Voice:
    """A speaking codec on a link: sends what it gives out, and keeps what it makes of the answers."""

    def __init__(self, codec: Any) -> None:
        self.events: list[st.SpeakingEvent] = []
        self.sent: list[dict[str, Any]] = []
        self.came: list[dict[str, Any]] = []
        """The messages of text, either way."""
        self._codec = codec
        self._stirred = asyncio.Event()
        self._link: provider_link.SocketLink | None = None

    @classmethod
    async def open(cls, codec: Any, url: str, headers: Mapping[str, str]) -> Voice:
        own = cls(codec)
        own._link = await provider_link.dial(
            url, headers, on_message=own._text, on_binary=own._binary, on_lost=own._lost
        )
        own.give(codec.opening())
        return own

    def say(self, line: str, *texts: str) -> None:
        for text in texts:
            self.give(self._codec.say(line, text))

    def end(self, line: str) -> None:
        self.give(self._codec.end(line))

    def cancel(self, line: str) -> None:
        self.give(self._codec.cancel(line))

    def give(self, messages: list[bytes]) -> None:
        assert self._link is not None
        for message in messages:
            self.sent.append(json.loads(message))
            self._link.send(message)

    def close(self) -> None:
        assert self._link is not None
        self._link.close()

    async def until(self, *wanted: st.SpeakingEvent, within: float = 30) -> None:
        """All of these have come."""
        await self._until(lambda: all(event in self.events for event in wanted), within)

    async def until_sound(self, line: str, within: float = 30) -> None:
        await self._until(lambda: bool(self.sound(line)), within)

    async def until_lost(self, within: float = 30) -> st.StageLost:
        await self._until(lambda: any(isinstance(event, st.StageLost) for event in self.events), within)
        return next(event for event in self.events if isinstance(event, st.StageLost))

    def sound(self, line: str) -> bytes:
        return b"".join(each.payload for each in self.events if isinstance(each, st.Sound) and each.line == line)

    def aligned(self, line: str) -> list[st.Aligned]:
        return [event for event in self.events if isinstance(event, st.Aligned) and event.line == line]

    async def _until(self, holds: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self._stirred.clear()
                await self._stirred.wait()

    def _text(self, message: bytes) -> None:
        with contextlib.suppress(ValueError):
            self.came.append(json.loads(message))
        self._read(message, binary=False)

    def _binary(self, message: bytes) -> None:
        self._read(message, binary=True)

    def _read(self, message: bytes, *, binary: bool) -> None:
        self.events += self._codec.decode(message, binary=binary)
        self._stirred.set()

    def _lost(self, word: str, retry_same: bool) -> None:
        self.events.append(st.StageLost(word, retry_same))
        self._stirred.set()


class HandWire:
    """A `vendor_sockets.Wire` in memory: nothing happens before `advance`."""

    def __init__(self, *, late_s: float = 0.0) -> None:
        self.now = 0.0
        self.said: list[tuple[float, dict[str, Any]]] = []
        """Messages of text, each with the second in which it left."""
        self.sounds: list[tuple[float, bytes]] = []
        """Sound, wrapped in a message or not, likewise."""
        self.left: tuple[float, int, str] | None = None
        self.moments: list[tuple[float, str]] = []
        self.session: Any = None
        self._late_s = late_s
        self._timers: list[tuple[float, int, _Timer]] = []
        self._count = itertools.count()

    def open(self, admitted: Any) -> HandWire:
        self.session = admitted.session(self, 7)
        self.session.open()
        return self

    def send(self, **message: object) -> None:
        self.session.receive(json.dumps(message).encode(), binary=False)

    def give(self, messages: list[bytes]) -> None:
        for message in messages:
            self.session.receive(message, binary=False)

    def kinds(self, name: str = "type") -> list[Any]:
        """That field of each message, sound left out."""
        return [message.get(name) for _, message in self.said if not _wrapped(message)]

    # --- `Wire`

    def text(self, message: bytes) -> None:
        if self.left is None:
            read = json.loads(message)
            self.said.append((self.now, read))
            if _wrapped(read):
                self.sounds.append((self.now, base64.b64decode(_wrapped(read))))

    def binary(self, message: bytes) -> None:
        if self.left is None:
            self.sounds.append((self.now, message))

    def leave(self, code: int, reason: str = "") -> None:
        if self.left is None:
            self.left = (self.now, code, reason)
            self.session.close()

    def later(self, delay_s: float, do: Callable[[], None]) -> _Timer:
        timer = _Timer(do)
        heapq.heappush(self._timers, (self.now + delay_s, next(self._count), timer))
        return timer

    def reached(self, moment: str) -> None:
        self.moments.append((self.now, moment))

    def delay_s(self) -> float:
        return self._late_s

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._timers)
            timer.fire()
        self.now = end

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled for _, _, timer in self._timers)


class _Timer:
    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self.cancelled = False

    def fire(self) -> None:
        if not self.cancelled:
            self._do()

    def cancel(self) -> None:
        self.cancelled = True


def _wrapped(message: Mapping[str, Any]) -> str:
    return message.get("audio") or message.get("data") or ""
