"""What both listening endpoints of the simulated Deepgram share: words out of µ-law, and messages that leave in order.

Time is the audio's own: a caller who stops sending ends no turn, as at the vendor. It knows no endpoint's messages.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from holdfast_gameday.world import voice
from holdfast_gameday.world.vendor_sockets import Wire

OCTETS_PER_MS = 8
_LETTERS = 4
_DIGITS_MAX = 10
_WATCHES = 10


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly the vendor hears and how patient it is. Milliseconds are the audio's, seconds the wall's."""

    latency_s: float = 0.02
    """From a sound's arrival to what is said of it."""
    update_ms: int = 250
    """v2: between two messages when nothing happens."""
    sure_after_ms: int = 400
    """v2: the silence after which it is as sure as it gets that the turn is over; half of it makes it half as sure."""
    inactive_s: float = 20.0
    """v2: without audio for so long, the link is ended. The vendor names no number."""
    interim_ms: int = 1000
    """v1: between two results."""
    final_ms: int = 4000
    """v1: the longest stretch of audio that is not final yet."""
    nothing_heard_s: float = 10.0
    """v1: without audio or KeepAlive for so long, the link is closed."""


class Refusal(Exception):
    """What was asked for, by query or message, is not to be had."""

    def __init__(self, description: str, code: str = "INVALID_PARAMETER") -> None:
        super().__init__(description)
        self.description = description
        self.code = code


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session needs of its server."""

    wire: Wire
    request_id: str
    pace: Pace
    sent: Callable[[bytes], None]
    """Told each message that leaves."""
    left: Callable[[], None]
    """Told that the session is over; more than once does not matter."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    """With the space before it, where the script has one."""
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """At most 20 ms of audio, taken in."""

    speech: bool
    grew: bool
    """New words were understood."""


class Listener:
    """Hears callers only: an agent's own frames that come back are an echo and count as silence.

    Words are understood one by one as their frames come. Every frame holds its whole utterance, so one that was cut
    off is known whole once silence follows, and says nothing new should it go on after all.
    """

    def __init__(self) -> None:
        self.words: list[Word] = []
        self._scanner = voice.VoiceScanner()
        self._octets = 0
        self._quiet_octets = 0
        self._utterance: tuple[int, int] | None = None
        self._index = 0
        """Of the utterance's last frame that came."""
        self._coming: deque[tuple[int, Word]] = deque()
        """Each with the number of frames after which it is understood."""

    @property
    def at_ms(self) -> int:
        return self._octets // OCTETS_PER_MS

    @property
    def quiet_ms(self) -> int:
        return self._quiet_octets // OCTETS_PER_MS

    def steps(self, data: bytes) -> Iterator[Step]:
        for sound in self._scanner.feed(data):
            if isinstance(sound, voice.VoiceFrame) and sound.kind == voice.Speaker.CALLER:
                self._octets += voice.FRAME_OCTETS
                self._quiet_octets = 0
                yield Step(speech=True, grew=self._speech(sound))
                continue
            left = sound.octets if isinstance(sound, voice.Silence) else voice.FRAME_OCTETS
            while left > 0:
                piece = min(left, voice.FRAME_OCTETS)
                left -= piece
                self._octets += piece
                self._quiet_octets += piece
                yield Step(speech=False, grew=self._finish_utterance())

    def take(self) -> list[Word]:
        """The words so far; the next ones begin anew."""
        words, self.words = self.words, []
        return words

    def _speech(self, frame: voice.VoiceFrame) -> bool:
        grew = False
        # One that begins anew is said a second time.
        if (frame.speaker, frame.utterance) != self._utterance or frame.index <= self._index:
            grew = self._finish_utterance()
            self._utterance = (frame.speaker, frame.utterance)
            self._coming = _words_of(frame, self.at_ms)
        self._index = frame.index
        while self._coming and self._coming[0][0] <= frame.index + 1:
            self.words.append(self._coming.popleft()[1])
            grew = True
        return grew

    def _finish_utterance(self) -> bool:
        grew = bool(self._coming)
        now = self.at_ms
        self.words += [Word(word.text, min(word.start_ms, now), min(word.end_ms, now)) for _, word in self._coming]
        self._coming.clear()
        return grew


def transcript(words: list[Word]) -> str:
    return "".join(word.text for word in words).strip()


def _words_of(frame: voice.VoiceFrame, at_ms: int) -> deque[tuple[int, Word]]:
    """The words of the frame's utterance, spread evenly over it; `at_ms`: where the frame ends."""
    began_ms = max(0, at_ms - (frame.index + 1) * voice.FRAME_MS)
    tokens = _tokens(frame.text)
    ends = [math.ceil(frame.total * (place + 1) / len(tokens)) for place in range(len(tokens))]
    starts = [0, *ends][: len(ends)]
    return deque(
        (end, Word(token, began_ms + start * voice.FRAME_MS, began_ms + end * voice.FRAME_MS))
        for token, start, end in zip(tokens, starts, ends, strict=True)
    )


def _tokens(text: str) -> list[str]:
    """Words with their spaces; a script that knows no spaces is cut every few letters."""
    words = text.split()
    if len(words) != 1 or text.isascii():
        return [f" {word}" for word in words]
    cut = [words[0][start : start + _LETTERS] for start in range(0, len(words[0]), _LETTERS)]
    return [f" {cut[0]}", *cut[1:]]


class Outbox:
    """Messages on their way out, in order; one that begins a turn is as late as a fault wants it, and so are those
    behind it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._queue: list[tuple[bytes, bool]] = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, message: bytes, *, begins: bool = False) -> None:
        self._queue.append((message, begins))
        late_s = self._around.wire.delay_s() if begins else 0.0
        if late_s:
            self._stop()
        if self._timer is None:
            self._timer = self._around.wire.later(self._around.pace.latency_s + late_s, self.flush)

    def flush(self) -> None:
        self._stop()
        queue, self._queue = self._queue, []
        for message, begins in queue:
            self._around.sent(message)
            self._around.wire.text(message)
            if begins:
                self._around.wire.reached("speaking")

    def drop(self) -> None:
        self._stop()
        self._queue.clear()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Watch:
    """Expires when nothing was heard for `after_s`, or a tenth of that later."""

    def __init__(self, wire: Wire, after_s: float, expire: Callable[[], None]) -> None:
        self._wire = wire
        self._every_s = after_s / _WATCHES
        self._expire = expire
        self._quiet = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = self._wire.later(self._every_s, self._look)

    def heard(self) -> None:
        self._quiet = 0

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._quiet += 1
        if self._quiet > _WATCHES:
            self._expire()
        else:
            self.start()


def one(query: Mapping[str, list[str]], name: str, default: str = "") -> str:
    return query.get(name, [default])[0]


def whole_number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS_MAX) or not least <= int(text) <= most:
        raise Refusal(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def flag(query: Mapping[str, list[str]], name: str) -> bool:
    text = one(query, name, "false")
    if text not in ("true", "false"):
        raise Refusal(f"{name} must be true or false")
    return text == "true"
