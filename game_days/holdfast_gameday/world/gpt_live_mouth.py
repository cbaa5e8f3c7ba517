"""The mouth of a simulated GPT-Live session: sound that never stops, at the pace of speech, silence included.

Each frame of 100 ms is sent when it is due; where nothing is to be said it is silence. Words follow the sound that
holds them, every 200 ms, cut anywhere. As at the vendor nothing is said unless audio comes in: here for as long as it
has come. It is given texts to say and knows neither conversations nor events but its own.

https://github.com/livekit/agents/pull/7239
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast_gameday.world import voice

OCTETS_PER_MS = 8
FRAME_MS = 100
WORDS_MS = 200
LATE_MAX_S = 1.0
"""Beyond this the lost time is not made up: the machine slept, and a burst of sound would only hide it."""
_DELTA_HEAD = b'{"type":"session.output_audio.delta","delta":"'
_SILENCE = voice.SILENT_OCTET * FRAME_MS * OCTETS_PER_MS


@dataclass(frozen=True, slots=True)
class Pace:
    """How the model behaves in time. A `speed` over 1 makes the session's own time pass faster than the wall's."""

    start_s: float = 0.02
    first_audio_s: float = 0.1
    backend_s: float = 0.05
    """How long the delegated model thinks."""
    speed: float = 1.0
    silence_ms: int = 300
    """Of the caller's silence, after which the model answers; in the time of the audio appended."""
    usage_ms: int = 15_000
    drain_s: float = 10.0


class Timer(Protocol):
    def cancel(self) -> object: ...


@dataclass(slots=True)
class Line:
    text: str
    audio: bytes
    over: Callable[[str], None]
    """Told how much of the text was said: all of it, unless the caller took the floor."""
    at: int = 0
    shown: int = 0
    words_from_ms: int = 0


class Mouth:
    def __init__(
        self,
        *,
        speaker: int,
        pace: Pace,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Timer],
        send_audio: Callable[[bytes], None],
        send_words: Callable[[dict[str, Any]], None],
        begins: Callable[[], None],
        tick: Callable[[], None],
    ) -> None:
        """`begins`: a line has begun to sound. `tick`: a frame has gone out."""
        self.at_ms = 0
        """The session's own time: how much has been sent."""
        self.heard_ms = 0
        """How much audio has come in."""
        self._spoken_ms = 0
        self._speaker = speaker
        self._frame_s = FRAME_MS / 1000 / pace.speed
        self._clock = clock
        self._later = later
        self._send_audio = send_audio
        self._send_words = send_words
        self._begins = begins
        self._tick = tick
        self._utterances = 0
        self._lines: deque[Line] = deque()
        self._timer: Timer | None = None
        self._due = 0.0

    @property
    def idle(self) -> bool:
        return not self._lines

    def start(self) -> None:
        self._due = self._clock()
        self._wait()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lines.clear()

    def say(self, text: str, over: Callable[[str], None], *, frames: int | None = None) -> None:
        """Behind what is being said already."""
        audio = b""
        for piece in pieces(text):
            self._utterances += 1
            audio += voice.encode_utterance(voice.Speaker.AGENT, self._speaker, self._utterances, piece, frames)
        self._lines.append(Line(text, audio, over))

    def hush(self) -> None:
        """The caller has the floor: silence from the next frame on."""
        lines, self._lines = self._lines, deque()
        for line in lines:
            line.over(line.text[: line.shown])

    def _wait(self) -> None:
        now = self._clock()
        self._due = max(self._due + self._frame_s, now - LATE_MAX_S)
        self._timer = self._later(max(0.0, self._due - now), self._frame)

    def _frame(self) -> None:
        self._wait()
        started_ms, self.at_ms = self.at_ms, self.at_ms + FRAME_MS
        if self._lines and self._spoken_ms < self.heard_ms:
            self._spoken_ms += FRAME_MS
            self._speak(self._lines[0], started_ms)
        else:
            self._sound(_SILENCE)
        self._tick()

    def _speak(self, line: Line, started_ms: int) -> None:
        begins = line.at == 0
        if begins:
            line.words_from_ms = started_ms
        chunk = line.audio[line.at : line.at + len(_SILENCE)]
        line.at += len(chunk)
        self._sound(chunk.ljust(len(_SILENCE), voice.SILENT_OCTET))
        ended = line.at >= len(line.audio)
        if ended or self.at_ms - line.words_from_ms >= WORDS_MS:
            self._words(line)
        if begins:
            self._begins()
        if ended and self._lines and self._lines[0] is line:
            self._lines.popleft()
            line.over(line.text)

    def _sound(self, frame: bytes) -> None:
        self._send_audio(_DELTA_HEAD + b64encode(frame) + b'"}')

    def _words(self, line: Line) -> None:
        upto = math.ceil(len(line.text) * line.at / max(1, len(line.audio)))
        piece = line.text[line.shown : upto]
        span = {"start_ms": line.words_from_ms, "end_ms": self.at_ms}
        line.shown, line.words_from_ms = upto, self.at_ms
        if piece:
            self._send_words({"type": "session.output_transcript.delta", "delta": piece, **span})


def pieces(text: str) -> list[str]:
    """A text in parts that each fit a voice frame, cut between words where there are any."""
    parts: list[str] = []
    rest = text.strip()
    while len(rest.encode()) > voice.TEXT_OCTETS_MAX:
        fits = len(rest.encode()[: voice.TEXT_OCTETS_MAX].decode(errors="ignore"))
        at = rest.rfind(" ", 1, fits + 1)
        cut = at if at > 0 else fits
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest]
