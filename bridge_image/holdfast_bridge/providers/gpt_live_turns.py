"""Cuts the streams of a GPT-Live session, the agent's sound and both sides' words, into lines and turns. Pure.

The vendor's sound never stops: it runs at the pace of speech, silence included, and says neither where a line begins
nor where it ends. Words come in pieces that have a place in time and no end. So all of it is inferred here:

    what comes                                   what it becomes
    sound, while no line is open                 a line begins; a caller who had the floor has stopped
    0.8 s of silence within a line               the line is over: no more sound, its whole text, the response
    the caller's words, while no line is open    the caller's turn, and the floor
    the caller's words over a line               the caller's turn; the floor only once the model yields, which is when
                                                 it is silent for 0.2 s: the line is over there. A model that speaks on
                                                 has heard an "uh-huh", and nothing is cut
    0.8 s without more words of the caller       the turn is over: its whole text, and no answer is due
    3 s of silence after a turn                  the model chose to say nothing, as it may; three times running, a stall
    3 s of silence after it was asked to speak   a stall; where its backend works, 8 s

Time is that of the agent's sound (8 bytes are a millisecond), which runs on while the vendor lives: when it stands
still, nothing is concluded, and whoever listens to the link sees the stall. What is overdue is decided here alone: the
deadline that a call sets whenever it asks for speech is sooner than this vendor answers, so it is lifted with the next
sound, by a turn's end without words. It knows no JSON, no tools and no clock.

The vendor's first sound comes 0.85 s after a request to say given words, and 1.6 s after other ones:
https://github.com/aplisay/llm-agent/pull/306
https://github.com/livekit/agents/pull/7239
"""

from __future__ import annotations

import math

import msgspec

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.ulaw import LEVELS

HANG_MS = 800
"""So long a silence ends a line, and a turn: LiveKit's and Pipecat's adapters use the same."""
YIELD_MS = 200
ANSWER_MS = 3_000
BACKEND_MS = 8_000
UNANSWERED_MAX = 2
WORDS_LATE_MS = 600
"""The words of two lines are further apart than this; they come on frames of 200 ms."""
MAX_CHARACTERS = 8_000
_WINDOW = 20 * ev.BYTES_PER_MS
_ZEROS = b"\xff\x7f"
"""The two codes of µ-law that stand for no sound at all."""


_SQUARES = tuple(level * level for level in LEVELS)
_LOUD = (0.0006 * 32_768) ** 2
"""The mean square above which a window is sound: an RMS of 0.0006, LiveKit's threshold."""


class Words(msgspec.Struct, frozen=True, gc=False):
    """A piece of a transcript, and its place in the session as the vendor counts, in milliseconds."""

    delta: str
    start_ms: float | None = None
    end_ms: float | None = None


class Gate:
    """Lets sound through, and the silence within it; a silence of `HANG_MS` shuts it."""

    def __init__(self) -> None:
        self.open = False
        self.quiet_ms = 0
        """How long the silence has lasted by now."""

    def feed(self, payload: bytes) -> tuple[bool, bytes]:
        """Whether what was open has ended before this payload, and what of the payload is to be heard."""
        bounds = _sounding(payload)
        if bounds is None:
            self.quiet_ms += len(payload) // ev.BYTES_PER_MS
            if not self.open:
                return False, b""
            self.open = self.quiet_ms < HANG_MS
            return not self.open, payload if self.open else b""
        first, end = bounds
        ended = self.open and self.quiet_ms + first // ev.BYTES_PER_MS >= HANG_MS
        heard = payload if self.open and not ended else payload[first:]
        self.open, self.quiet_ms = True, (len(payload) - end) // ev.BYTES_PER_MS
        return ended, heard

    def shut(self) -> None:
        self.open = False


class LiveTurns:
    def __init__(self) -> None:
        self.asked = False
        """The model was asked to speak, and no line has begun since."""
        self.continues = False
        """The backend was told to go on, and nothing has been said since."""
        self._gate = Gate()
        self._lines = 0
        self._line = ""
        self._text = ""
        self._words_from_ms: float | None = None
        self._words_until_ms: float | None = None
        self._early: list[Words] = []
        self._turns = 0
        self._turn = ""
        self._said = ""
        self._wordless_ms = 0
        self._has_floor = False
        self._over_line = False
        self._lift = False
        """The call has set its deadline, which does not hold here."""
        self._waited_ms: int | None = None
        self._patience_ms: float = ANSWER_MS
        self._unanswered = 0

    @property
    def speaking(self) -> bool:
        """A line is open."""
        return bool(self._line)

    # --- what we did ourselves

    def ask(self) -> None:
        """The model was asked to speak: if no line comes, that is a stall."""
        self.asked = self._lift = True
        self._waited_ms = 0

    def await_answer(self) -> None:
        """The call waits for what the backend was told to do anyway."""
        self._lift = True

    def go_on(self) -> None:
        """The backend has all that it asked for, and it is its turn again."""
        self.continues = True
        self.delegated()

    # --- what comes

    def delegated(self) -> None:
        """The backend works for an answer."""
        self._waited_ms, self._patience_ms, self._unanswered = 0, BACKEND_MS, 0

    def called(self) -> None:
        """The backend waits for tools of ours."""
        self._waited_ms, self._patience_ms, self._unanswered = None, math.inf, 0

    def sound(self, payload: bytes) -> list[ev.Event]:
        """A piece of the agent's stream."""
        told: list[ev.Event] = []
        ended, heard = self._gate.feed(payload)
        if ended:
            told += self._end_line("completed")
        if heard:
            if not self._line:
                told += self._begin_line()
            elif self.continues:
                # The answer may be said within the line that is open: that counts as its response.
                self._settle()
                told.append(ev.ResponseStarted())
            told.append(ev.ProviderAudio(self._line, heard))
            if self._over_line and self._gate.quiet_ms >= YIELD_MS:
                told += self._yielded()
        told += self._pass_time(len(payload) // ev.BYTES_PER_MS)
        if self._lift and not self._line and not self._has_floor:
            self._lift = False
            told.append(ev.SpeechStopped(words=False))
        return told

    def agent_words(self, words: Words) -> list[ev.Event]:
        if not words.delta or (self._words_from_ms is None and self._late(words)):
            return []
        if self._line:
            return self._add(words)
        if sum(len(early.delta) for early in self._early) < MAX_CHARACTERS:
            self._early.append(words)
        return []

    def caller_words(self, words: Words) -> list[ev.Event]:
        if not words.delta or not (self._turn or words.delta.strip()):
            return []
        told: list[ev.Event] = []
        self._wordless_ms = 0
        begins = not self._turn
        if begins:
            self._turns += 1
            self._turn = f"turn{self._turns}"
        if not self._line:
            told += self._take_floor()
        elif self._spoken_over(words):
            self._over_line = True
            if self._gate.quiet_ms >= YIELD_MS:
                told += self._yielded()
        if begins:
            told.append(ev.UserTurn(self._turn))
        if piece := words.delta[: MAX_CHARACTERS - len(self._said)]:
            self._said += piece
            told.append(ev.UserTranscript(self._turn, piece, final=False))
        return told

    # --- lines

    def _begin_line(self) -> list[ev.Event]:
        told: list[ev.Event] = []
        if self._has_floor:
            # Before the sound, because an answer is due from then on and the sound is it.
            self._has_floor = False
            told.append(ev.SpeechStopped())
        self._lines += 1
        self._line, self._text = f"line{self._lines}", ""
        self.asked = self._lift = False
        self._unanswered = 0
        self._settle()
        told.append(ev.ResponseStarted())
        early, self._early = self._early, []
        for words in early:
            told += self._add(words)
        return told

    def _settle(self) -> None:
        """What was waited for is being said."""
        self.continues = False
        self._waited_ms, self._patience_ms = None, ANSWER_MS

    def _add(self, words: Words) -> list[ev.Event]:
        if self._words_from_ms is None:
            self._words_from_ms = words.start_ms
        self._words_until_ms = words.end_ms
        piece = words.delta[: MAX_CHARACTERS - len(self._text)]
        self._text += piece
        return [ev.ProviderTranscript(self._line, piece, final=False)] if piece else []

    def _end_line(self, how: str) -> list[ev.Event]:
        line, self._line = self._line, ""
        self._words_from_ms, self._over_line = None, False
        return [
            ev.ProviderAudioDone(line),
            ev.ProviderTranscript(line, self._text.strip(), final=True),
            ev.ResponseDone(ok=True, detail=how),
        ]

    def _late(self, words: Words) -> bool:
        """Of a line whose text has been told already."""
        if words.start_ms is None or self._words_until_ms is None:
            return False
        return words.start_ms - self._words_until_ms < WORDS_LATE_MS

    # --- the caller's turns

    def _spoken_over(self, words: Words) -> bool:
        """The caller said this since the line began: words that were said before it come late."""
        if self._words_from_ms is None:
            return False
        return words.end_ms is None or words.end_ms > self._words_from_ms

    def _take_floor(self) -> list[ev.Event]:
        if self._has_floor:
            return []
        self._has_floor = True
        return [ev.SpeechStarted()]

    def _yielded(self) -> list[ev.Event]:
        self._gate.shut()
        return [*self._take_floor(), *self._end_line("interrupted")]

    def _pass_time(self, ms: int) -> list[ev.Event]:
        if self._turn:
            self._wordless_ms += ms
            return self._end_turn() if self._wordless_ms >= HANG_MS else []
        if self._line or self._waited_ms is None:
            return []
        self._waited_ms += ms
        return self._left_unanswered() if self._waited_ms >= self._patience_ms else []

    def _end_turn(self) -> list[ev.Event]:
        """The text goes first: with the end of the speech, the call lets go of its sound."""
        turn, text = self._turn, self._said.strip()
        self._turn, self._said, self._over_line = "", "", False
        told: list[ev.Event] = [ev.UserTranscript(turn, text, final=True)]
        if self._has_floor:
            self._has_floor = self._lift = False
            self._waited_ms = 0
            told.append(ev.SpeechStopped(words=False))
        return told

    def _left_unanswered(self) -> list[ev.Event]:
        self._waited_ms = None
        chosen = not self.asked and self._patience_ms == ANSWER_MS and self._unanswered < UNANSWERED_MAX
        if not chosen:
            return [ev.ProviderLost("stall")]
        self._unanswered += 1
        return []


def _sounding(payload: bytes) -> tuple[int, int] | None:
    """Where the first window with sound begins and where the last one ends; None: all is silence."""
    if not payload.strip(_ZEROS):
        return None
    starts = range(0, len(payload), _WINDOW)
    first = next((start for start in starts if _loud(payload[start : start + _WINDOW])), None)
    if first is None:
        return None
    last = next(start for start in reversed(starts) if _loud(payload[start : start + _WINDOW]))
    return first, min(last + _WINDOW, len(payload))


def _loud(window: bytes) -> bool:
    if not window.strip(_ZEROS):
        return False
    return sum(map(_SQUARES.__getitem__, window)) > _LOUD * len(window)
