"""What one caller hears, frame by frame, and how long it waited for speech that was due. Pure: the time is given.

Speech is *due*

- inside an utterance of the agent: from each frame that is not the utterance's last until the next frame of any agent;
- after the caller's turn: from the end of its last word until the first frame of any agent.

A *gap* is the silence from the moment speech became due until the next agent frame was heard. Nothing but agent speech
ends it: not a reconnected stream, not the carrier's own voice, not the caller asking again. After a finished utterance
nothing is due until the caller has spoken. A normal answer takes some hundred milliseconds (end-of-turn detection and
the model) and is a gap like any other, of kind ANSWER; waiting for the greeting is set-up, not a gap.

A *silence* is a time without any sound at all, due or not: a gap may be filled with a sound that is no speech.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast_gameday.world import voice
from holdfast_gameday.world.voice import Sound, VoiceFrame, VoiceScanner

GAP_MIN_S = 0.06
"""Shorter silences are the jitter of a 20 ms clock."""
_FRAME_S = voice.FRAME_MS / 1000
_NO_SOUND = b"\x7f\xff"
"""The two codes of G.711 µ-law that stand for zero."""


class Due(enum.Enum):
    UTTERANCE = "utterance"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Gap:
    since: float
    until: float
    due: Due
    open: bool = False
    """True when no agent was heard again: the call ended, or the report was made, in the silence."""

    @property
    def seconds(self) -> float:
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class Stillness:
    """Nothing at all was heard."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive frames of one utterance, heard without a gap."""

    since: float
    until: float
    speaker: int
    utterance: int
    first: int
    last: int
    total: int
    text: str

    @property
    def complete(self) -> bool:
        """Its end was heard; the beginning may lie in an earlier segment."""
        return self.last == self.total - 1


class Scanner(Protocol):
    """Finds frames of speech in a line's bytes; pauses may be among them, or not."""

    @property
    def damaged(self) -> int: ...

    def feed(self, data: bytes, /) -> Sequence[Sound]: ...


class Ear:
    def __init__(self, scanner: Scanner | None = None) -> None:
        self.gaps: list[Gap] = []
        self.silences: list[Stillness] = []
        self._still_since: float | None = None
        self.finished: list[Segment] = []
        """Utterances heard to their end, in the order of their ends; `first` > 0 where the beginning is missing."""
        self.first_heard_at: float | None = None
        self.last_heard_at: float | None = None
        self.frames = 0
        self.frames_skipped = 0
        self.frames_repeated = 0
        self._scanner: Scanner = VoiceScanner() if scanner is None else scanner
        self._done: list[Segment] = []
        self._current: Segment | None = None
        self._due: tuple[float, Due] | None = None

    @property
    def octets_damaged(self) -> int:
        return self._scanner.damaged

    def hear(self, sound: bytes, now: float) -> None:
        """The sound played in the 20 ms that end now."""
        if not sound.strip(_NO_SOUND):
            self._still_since = now - _FRAME_S if self._still_since is None else self._still_since
        elif self._still_since is not None:
            self.silences.append(Stillness(self._still_since, now - _FRAME_S))
            self._still_since = None
        if not sound:
            return
        for heard in self._scanner.feed(sound):
            if isinstance(heard, VoiceFrame) and heard.kind == voice.Speaker.AGENT:
                self._frame(heard, now)

    def turn_ended(self, now: float) -> None:
        if self._due is None:
            self._due = (now, Due.ANSWER)

    def segments(self) -> tuple[Segment, ...]:
        return (*self._done, self._current) if self._current is not None else tuple(self._done)

    def gaps_until(self, now: float) -> tuple[Gap, ...]:
        """All gaps, the one that is still open last."""
        if self._due is None or now - self._due[0] <= GAP_MIN_S:
            return tuple(self.gaps)
        return (*self.gaps, Gap(self._due[0], now, self._due[1], open=True))

    def quiet_for(self, now: float) -> float:
        """Seconds without agent speech; the longest time when there never was any."""
        return now - self.last_heard_at if self.last_heard_at is not None else float("inf")

    def spoken_for(self, since: float) -> float:
        """For how long the utterance that is being heard has been heard, if it began after that moment."""
        current = self._current
        return 0.0 if current is None or current.since < since or current.complete else current.until - current.since

    def interrupted(self) -> bool:
        """The last thing heard was not the end of an utterance."""
        return self._current is not None and not self._current.complete

    def _frame(self, frame: VoiceFrame, now: float) -> None:
        if self._due is not None and now - self._due[0] > GAP_MIN_S:
            self.gaps.append(Gap(self._due[0], now, self._due[1]))
        self._due = None if frame.last else (now, Due.UTTERANCE)
        self.frames += 1
        if self.first_heard_at is None:
            self.first_heard_at = now
        self.last_heard_at = now
        segment = self._extended(frame, now)
        self._current = segment
        if segment.complete:
            self.finished.append(segment)

    def _extended(self, frame: VoiceFrame, now: float) -> Segment:
        current = self._current
        same = current is not None and (current.speaker, current.utterance) == (frame.speaker, frame.utterance)
        if current is not None and same:
            step = frame.index - current.last
            if step == 1 and now - current.until <= GAP_MIN_S:
                return Segment(
                    current.since, now, frame.speaker, frame.utterance, current.first, frame.index, frame.total,
                    frame.text,
                )  # fmt: skip
            self.frames_skipped += max(0, step - 1)
            self.frames_repeated += step <= 0
        if current is not None:
            self._done.append(current)
        return Segment(
            now - _FRAME_S, now, frame.speaker, frame.utterance, frame.index, frame.index, frame.total, frame.text
        )
