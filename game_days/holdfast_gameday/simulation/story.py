"""What happened, as lines of text: the story of a seed for people, and the trace whose hash proves a replay.

Every number is written with a fixed count of digits, so that the same seed gives the same bytes on any machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    at_s: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:10.3f}  {self.who:<12} {self.what}"


class Story:
    """Lines in the order in which they happened. A line that repeats what the same one said last is left out."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._last: dict[tuple[str, str], str] = {}

    def tell(self, at_s: float, who: str, what: str) -> None:
        self.lines.append(Line(at_s, who, what))

    def tell_change(self, at_s: float, who: str, topic: str, what: str) -> None:
        """Only if it differs from what was last told of this topic."""
        if self._last.get((who, topic)) != what:
            self._last[who, topic] = what
            self.tell(at_s, who, f"{topic}: {what}" if what else f"{topic}: none")

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def digest(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()
