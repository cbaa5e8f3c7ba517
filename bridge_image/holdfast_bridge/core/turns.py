"""Who has the floor: the caller, the agent, or nobody. Knows no audio and no text, only that they begin and end."""

from __future__ import annotations

FIRST_AUDIO_S = 5.0
"""A response that was asked for and has not begun to sound after this long has stalled."""


class Turns:
    def __init__(self) -> None:
        self.caller_speaking = False
        self.responding = False
        self._first_audio_due: float | None = None

    def speech_started(self) -> None:
        self.caller_speaking = True
        self._first_audio_due = None

    def speech_stopped(self, now: float) -> None:
        """The caller's turn ended: an answer is due."""
        self.caller_speaking = False
        self._first_audio_due = now + FIRST_AUDIO_S

    def asked(self, now: float) -> None:
        """We asked the model to speak."""
        self.responding = True
        self._first_audio_due = now + FIRST_AUDIO_S

    def response_started(self) -> None:
        self.responding = True

    def audio(self) -> None:
        self._first_audio_due = None

    def response_done(self) -> None:
        self.responding = False
        self._first_audio_due = None

    def provider_gone(self) -> None:
        self.caller_speaking = False
        self.responding = False
        self._first_audio_due = None

    def nobody_speaks(self) -> bool:
        return not self.caller_speaking and not self.responding and self._first_audio_due is None

    def answer_due(self) -> bool:
        return self._first_audio_due is not None

    def get_timer(self) -> float | None:
        return self._first_audio_due

    def stalled(self, now: float) -> bool:
        return self._first_audio_due is not None and now >= self._first_audio_due
