"""Who has the floor: the caller, the agent, or nobody. Knows no audio and no text, only that they begin and end.

It also says when a provider has been mute for too long: after it was asked, and in the middle of a line.
"""

from __future__ import annotations

FIRST_AUDIO_S = 1.8
"""A response that was asked for and has not begun to sound after this long has stalled."""
NEXT_AUDIO_S = 1.5
"""So has a line of which no more came for this long, and not its end either."""


class Turns:
    def __init__(self) -> None:
        self.caller_speaking = False
        self.responding = False
        self._first_audio_due: float | None = None
        self._line_due: float | None = None
        self._audio_at = 0.0

    def speech_started(self) -> None:
        self.caller_speaking = True
        self._first_audio_due = self._line_due = None

    def speech_stopped(self, now: float, *, words: bool = True) -> None:
        """The caller's turn ended: an answer is due, if there was a word in it."""
        self.caller_speaking = False
        self._first_audio_due = now + FIRST_AUDIO_S if words else None

    def asked(self, now: float) -> None:
        """We asked the model to speak."""
        self.responding = True
        self._first_audio_due = now + FIRST_AUDIO_S

    def response_started(self) -> None:
        self.responding = True

    def audio(self, now: float) -> None:
        """A piece of a line. Pieces come often: the deadline is set once, and looks at the last one when it is due."""
        self._first_audio_due = None
        self._audio_at = now
        if self._line_due is None:
            self._line_due = now + NEXT_AUDIO_S

    def line_done(self) -> None:
        self._line_due = None

    def acted(self) -> None:
        """The model did something else than speak."""
        self._first_audio_due = self._line_due = None

    def response_done(self) -> None:
        self.responding = False
        self._first_audio_due = self._line_due = None

    def provider_gone(self) -> None:
        self.caller_speaking = False
        self.responding = False
        self._first_audio_due = self._line_due = None

    def nobody_speaks(self) -> bool:
        return not self.caller_speaking and not self.responding and self._first_audio_due is None

    def answer_due(self) -> bool:
        return self._first_audio_due is not None

    def get_timer(self) -> float | None:
        first, line = self._first_audio_due, self._line_due
        if first is None or line is None:
            return line if first is None else first
        return min(first, line)

    def stalled(self, now: float) -> bool:
        """Whether a deadline has passed; one that was set for an earlier piece is put off."""
        if self._line_due is not None and now >= self._line_due:
            self._line_due = self._audio_at + NEXT_AUDIO_S
            if now >= self._line_due:
                return True
        return self._first_audio_due is not None and now >= self._first_audio_due
