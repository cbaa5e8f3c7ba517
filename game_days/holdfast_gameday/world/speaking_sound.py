"""The sound of a simulated text-to-speech vendor: text as utterances of voice frames, sent in pieces at a pace.

What a vendor speaks at once is one utterance, if it fits a frame of voice (140 octets), else several. So what a caller
of the practice range hears depends on when a vendor speaks. Aura waits for the flush: a line is one utterance, with the
text of the whole line. ElevenLabs and Cartesia speak each piece as it comes: a line of three clauses is three
utterances, one after the other without a gap, whose texts joined by spaces are the line's (where its script has any).

It knows no vendor's messages: what a piece of sound is wrapped in is the business of who sends it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from holdfast_gameday.world import voice
from holdfast_gameday.world.openai_listening import OCTETS_PER_MS
from holdfast_gameday.world.openai_response import Timer
from holdfast_gameday.world.vendor_sockets import Wire

_TOKEN = re.compile(r"\S+\s*|\s+")
_UNSPACED = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
"""Scripts without spaces between words: there each character counts as a word, as vendors do it."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a vendor speaks: the first sound soon, then faster than it is heard."""

    first_audio_s: float = 0.08
    chunk_ms: int = 200
    speed: float = 4.0


class Timed(NamedTuple):
    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of text and its sound. The frames hold the text without the spaces around it."""

    text: str
    sound: bytes

    @property
    def ms(self) -> int:
        return len(self.sound) // OCTETS_PER_MS

    def chunks(self, chunk_ms: int) -> list[bytes]:
        size = chunk_ms * OCTETS_PER_MS
        return [self.sound[at : at + size] for at in range(0, len(self.sound), size)]

    def characters(self) -> list[Timed]:
        """Each character, all of the same length."""
        edges = [self.ms * at // len(self.text) for at in range(len(self.text) + 1)]
        return [Timed(*each) for each in zip(self.text, edges, edges[1:], strict=False)]

    def words(self) -> list[Timed]:
        timed = self.characters()
        return [
            Timed(word[0], timed[word.start()].start_ms, timed[word.end() - 1].end_ms)
            for word in _WORD.finditer(self.text)
        ]


def utterances(text: str, *, speaker: int, number: Callable[[], int]) -> list[Utterance]:
    """The text as speech of the agent; `number` gives each utterance its own."""
    return [Utterance(part, _sound(part.strip(), speaker, number())) for part in _parts(text) if part.strip()]


def _sound(text: str, speaker: int, number: int) -> bytes:
    """As long as it takes: a piece of a sentence may be shorter than an utterance of its own."""
    frames = min(voice.FRAMES_MAX, voice.frames_of_speech(text))
    return voice.encode_utterance(voice.Speaker.AGENT, speaker, number, text, frames)


def _parts(text: str) -> list[str]:
    """Text that fits a voice frame, cut between words, and within them only where a script has no spaces."""
    parts = [""]
    for token in _TOKEN.findall(text):
        for bit in [token] if len(token.encode()) <= voice.TEXT_OCTETS_MAX else token:
            if len((parts[-1] + bit).encode()) > voice.TEXT_OCTETS_MAX:
                parts.append("")
            parts[-1] += bit
    return parts


class Outlet:
    """Does what it is given, in order: the first after a while, the next ones at the speed of the pace.

    One timer is pending while anything is left.
    """

    __slots__ = ("_pace", "_steps", "_timer", "_wire")

    def __init__(self, wire: Wire, pace: Pace) -> None:
        self._wire = wire
        self._pace = pace
        self._steps: deque[tuple[Callable[[], None], int]] = deque()
        self._timer: Timer | None = None

    @property
    def busy(self) -> bool:
        return bool(self._steps)

    def add(self, do: Callable[[], None], *, ms: int = 0) -> None:
        """`ms`: how much sound goes out with it."""
        self._steps.append((do, ms))
        if self._timer is None:
            self._timer = self._wire.later(self._pace.first_audio_s + self._wire.delay_s(), self._step)

    def stop(self) -> list[Callable[[], None]]:
        """Ends it where it is, and tells what was still to be done."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rest = [do for do, _ in self._steps]
        self._steps.clear()
        return rest

    def _step(self) -> None:
        do, ms = self._steps.popleft()
        later_s = ms / 1000 / self._pace.speed
        self._timer = self._wire.later(later_s, self._step) if self._steps else None
        do()
