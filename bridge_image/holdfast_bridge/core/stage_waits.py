"""How long the stages of a cascade take, each from what it was given to the first of what it makes of it. Pure.

    hearing    from the sound with which a turn was over, as the ear tells it, until it is told
    thinking   from a request to the first piece of its answer, be it a word or a tool
    speaking   from the first words of a line to its first sound

Of hearing only what comes after the last sound is known: how long a caller has to be silent is no matter of speed.
"""

from __future__ import annotations

from collections import deque

from holdfast_bridge.core.events import BYTES_PER_MS
from holdfast_bridge.core.latency import Stage, Waited

FED_KEPT = 256
"""Pieces of audio whose time is known: five seconds of the shortest."""


class StageWaits:
    def __init__(self) -> None:
        self._fed_bytes = 0
        self._fed: deque[tuple[float, float]] = deque(maxlen=FED_KEPT)
        """Up to which millisecond, and when."""
        self._asked: dict[int, tuple[float, float | None]] = {}
        """When, by the number of the request, and when it was asked for the first time, if that was in vain."""
        self._line = ""
        self._told: float | None = None

    def fed(self, nbytes: int, now: float) -> None:
        """Audio went to the ear: µ-law at 8 kHz."""
        self._fed_bytes += nbytes
        self._fed.append((self._fed_bytes / BYTES_PER_MS, now))

    def turn_ended(self, upto_ms: float, now: float) -> Waited | None:
        """The ear has told the end of a turn, at this place in all the audio it was fed; 0: it does not say where."""
        if upto_ms <= 0:
            return None
        began = next((at for fed_ms, at in self._fed if fed_ms >= upto_ms), now)
        return Waited(Stage.HEARING, began, now)

    def asked(self, request: int, now: float) -> None:
        """The model is asked; a second time under the same number when the first has failed."""
        before = self._asked.get(request)
        self._asked[request] = (now, None if before is None else before[0])

    def answered(self, request: int, now: float, *, failed: bool = False) -> Waited | None:
        """It has begun to answer, or never will. Only the first of an answer counts."""
        asked = self._asked.get(request)
        if asked is None or (failed and asked[1] is None):
            return None
        del self._asked[request]
        began, first = asked
        return Waited(Stage.THINKING, began, now, None if first is None else began - first, failed)

    def not_wanted(self, request: int) -> None:
        self._asked.pop(request, None)

    def told(self, line: str, now: float) -> None:
        """The voice is given words of a line."""
        if line != self._line:
            self._line, self._told = line, now

    def sounded(self, line: str, now: float) -> Waited | None:
        """A piece of a line's sound has come."""
        if line != self._line or self._told is None:
            return None
        began, self._told = self._told, None
        return Waited(Stage.SPEAKING, began, now)
