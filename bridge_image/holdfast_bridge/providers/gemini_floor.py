"""Whether the caller of a Gemini Live session speaks, and when his turn is over. Pure; it knows no messages.

The developer API says neither, and the caller's words may come while he speaks, seconds after he was answered, or
never. So two witnesses are heard: the server, which shows that it has understood something or was interrupted, and the
caller's own sound, which shows when he is done. Neither is enough: sound may be noise, and words have no place in time.

Time is that of the caller's sound (8 bytes are a millisecond of µ-law).
https://github.com/pipecat-ai/pipecat/issues/4108 (words that come 3 to 8 seconds late)
"""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.ulaw import LEVELS

SPOKEN_MS = 200
"""So much sound of the caller's is speech and no crack."""
LATEST_MS = 5_000
"""Noise on the line must not keep an answer from being due for ever."""
_LOUD_LEVEL = 124
"""The mean, as an RMS, of a frame that is taken for speech: 48 dB below full scale."""
_UNIT = 4
_LOUD_FRAME = 160 * _UNIT


_ENERGY = bytes(min(255, round(_UNIT * (level / _LOUD_LEVEL) ** 2)) for level in LEVELS)
"""Of each code of µ-law: `_UNIT` at the loud level, by the square of it, and at most what fits a byte."""


def audible(ulaw: bytes) -> bool:
    """There is as much sound in it as in 20 ms of soft speech, and more than a faint hiss from end to end."""
    return sum(ulaw.translate(_ENERGY)) >= max(_LOUD_FRAME, len(ulaw) // 4)


class Floor:
    """`words`: a model that was spoken to owes an answer."""

    def __init__(self, *, silence_ms: int, words: bool) -> None:
        self.spoke = False
        """The caller has said something since the agent last began to."""
        self.hears = False
        """The caller's sound is loud enough to be told from silence: it was, at some time."""
        self._silence_ms = silence_ms
        self._words = words
        self._told = False
        """That the caller speaks, and not yet that he has stopped."""
        self._by_server = False
        """The server has said that he speaks, and will say when he stops."""
        self._due = False
        self._waited_ms = 0
        self._quiet_ms = silence_ms
        self._loud_ms = 0

    def hear(self, ulaw: bytes) -> list[ev.Event]:
        """A piece of the caller's sound."""
        ms = len(ulaw) // ev.BYTES_PER_MS
        if audible(ulaw):
            self._quiet_ms = 0
            self._loud_ms += ms
            if self._loud_ms >= SPOKEN_MS:
                self.spoke = self.hears = True
        else:
            self._quiet_ms += ms
            if self._quiet_ms >= self._silence_ms:
                self._loud_ms = 0
        if not self._due:
            return []
        self._waited_ms += ms
        return self._stop() if self._quiet_ms >= self._silence_ms or self._waited_ms >= LATEST_MS else []

    def activity(self, kind: str) -> list[ev.Event]:
        """The server says that the caller begins or ends to speak."""
        if kind == "ACTIVITY_START":
            self._by_server = True
            return self.interrupted()
        if kind == "ACTIVITY_END" and self._by_server:
            self._by_server = False
            return self._stop()
        return []

    def interrupted(self) -> list[ev.Event]:
        """He speaks, says the server."""
        self.spoke = True
        if self._told:
            return []
        self._told = True
        return [ev.SpeechStarted()]

    def understood(self) -> list[ev.Event]:
        """The server has heard him: an answer is due as soon as he is quiet."""
        if self._by_server:
            return []
        if self._quiet_ms >= self._silence_ms:
            return self._stop()
        self._due, self._waited_ms = True, 0
        return []

    def answered(self) -> list[ev.Event]:
        """The agent begins to speak or to act. An answer is due from here on, and this is it."""
        expected = self._told or self._due
        self._reset()
        self.spoke, self._loud_ms = False, 0
        return [ev.SpeechStopped()] if expected else []

    def unanswered(self) -> list[ev.Event]:
        """No answer will come, and none is missing."""
        self._reset()
        return [ev.SpeechStopped(words=False)]

    def _stop(self) -> list[ev.Event]:
        self._reset()
        return [ev.SpeechStopped(words=self._words)]

    def _reset(self) -> None:
        self._told = self._due = self._by_server = False
