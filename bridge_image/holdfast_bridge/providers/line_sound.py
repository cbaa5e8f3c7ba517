"""The sound of one line as it comes, which of its characters that sound holds, and which lines are over. Pure; it knows
no vendor.

Vendors tell where the words are before, with or after the sound that holds them: what they tell is given on when that
sound has come, in the order in which it was told, and each character once.
"""

from __future__ import annotations

from collections import deque

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import BYTES_PER_MS

LONGEST_MS = 3_600_000.0
"""What a vendor places beyond this is placed here: its numbers may be any."""
REMEMBERED = 64


class LinesOver:
    """The last lines that were cancelled or have sounded to their end: late text of one must not begin it again."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=REMEMBERED)

    def add(self, line: str) -> None:
        if line not in self._lines:
            self._lines.append(line)

    def __contains__(self, line: str) -> bool:
        return line in self._lines


class LineSound:
    __slots__ = ("_ahead", "_line", "_octets", "_placed")

    def __init__(self, line: str) -> None:
        self._line = line
        self._octets = 0
        self._placed = 0
        self._ahead: deque[st.Aligned] = deque()

    @property
    def ms(self) -> int:
        """How much of it has come."""
        return self._octets // BYTES_PER_MS

    def came(self, payload: bytes) -> list[st.SpeakingEvent]:
        self._octets += len(payload)
        return [st.Sound(self._line, payload), *self.reached()]

    def place(self, characters: int, upto_ms: float) -> None:
        """By `upto_ms` of the line's sound, so many characters of its text are spoken."""
        if characters > self._placed:
            self._placed = characters
            self._ahead.append(st.Aligned(self._line, characters, round(min(max(upto_ms, 0.0), LONGEST_MS))))

    def reached(self, *, whole: bool = False) -> list[st.Aligned]:
        """What is known of the sound that has come by now. `whole`: no more sound comes of what was placed."""
        out: list[st.Aligned] = []
        while self._ahead and (whole or self._ahead[0].upto_ms <= self.ms):
            out.append(self._ahead.popleft())
        return out
