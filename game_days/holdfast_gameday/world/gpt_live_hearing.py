"""The ear of a simulated GPT-Live session: when the caller begins and stops, and his words as they come.

Time is that of the audio appended (8 bytes are a millisecond), so that a caller who sends nothing ends no turn. Words
are given out every 200 ms and cut anywhere, as at the vendor. It knows no events and no conversation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast_gameday.world import voice

OCTETS_PER_MS = 8
WORDS_EVERY_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Began:
    pass


@dataclass(frozen=True, slots=True)
class Piece:
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    text: str


Heard = Began | Piece | Ended


@dataclass(slots=True)
class _Turn:
    texts: dict[tuple[int, int], str] = field(default_factory=dict)
    """What each utterance says, by its speaker and number."""
    last: tuple[int, int] = (0, 0)
    shown: int = 0
    """Characters given out of the last utterance."""
    frames: int = 0
    """Since words were given out."""
    quiet_octets: int = 0


class Hearing:
    """Hears callers only: the agent's own frames that come back are an echo and count as silence."""

    def __init__(self, *, silence_ms: int) -> None:
        """After so much silence the model takes the turn as ended."""
        self._silence_octets = silence_ms * OCTETS_PER_MS
        self._scanner = voice.VoiceScanner()
        self._turn: _Turn | None = None

    @property
    def speaking(self) -> bool:
        return self._turn is not None

    def feed(self, data: bytes) -> list[Heard]:
        heard: list[Heard] = []
        for sound in self._scanner.feed(data):
            if isinstance(sound, voice.VoiceFrame) and sound.kind == voice.Speaker.CALLER:
                heard += self._frame(sound)
            elif self._turn is not None:
                octets = sound.octets if isinstance(sound, voice.Silence) else voice.FRAME_OCTETS
                self._turn.quiet_octets += octets
                if self._turn.quiet_octets >= self._silence_octets:
                    heard += self._end()
        return heard

    def clear(self) -> None:
        self._turn = None

    def _frame(self, frame: voice.VoiceFrame) -> list[Heard]:
        heard: list[Heard] = []
        if self._turn is None:
            self._turn = _Turn()
            heard.append(Began())
        turn, utterance = self._turn, (frame.speaker, frame.utterance)
        if utterance not in turn.texts:
            heard += _rest(turn)
            if turn.texts:
                heard.append(Piece(" "))
            turn.texts[utterance] = frame.text
            turn.last, turn.shown, turn.frames = utterance, 0, 0
        turn.quiet_octets = 0
        turn.frames += 1
        if turn.frames == WORDS_EVERY_FRAMES or frame.last:
            upto = round(len(frame.text) * (frame.index + 1) / frame.total)
            heard += _pieces(turn, upto)
            turn.frames = 0
        return heard

    def _end(self) -> list[Heard]:
        turn, self._turn = self._turn, None
        assert turn is not None
        return [*_rest(turn), Ended(" ".join(turn.texts.values()))]


def _rest(turn: _Turn) -> list[Heard]:
    """What of the last utterance has not been given out, as when its end was lost."""
    return _pieces(turn, len(turn.texts.get(turn.last, "")))


def _pieces(turn: _Turn, upto: int) -> list[Heard]:
    text = turn.texts.get(turn.last, "")[turn.shown : upto]
    turn.shown = max(turn.shown, upto)
    return [Piece(text)] if text else []
