"""The world's own account of its calls: where each is now, and how each ended. Times are given.

Whether that was well is judged elsewhere.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum

LATELY_S = 10.0
"""So long a bridge may still have a call in its book that the world has ended."""


class Ended(Enum):
    BY_CALLER = "the caller hung up"
    BY_AGENT = "the agent hung up"
    LOST = "lost"


@dataclass(slots=True, kw_only=True)
class Call:
    """One call from its placing to its end. Times in nanoseconds of the monotonic clock; `call`: the carrier's id."""

    call: str
    number: int
    began: int
    until: int = 0
    ended: Ended | None = None
    why: str = ""
    """Of a lost call."""
    given_up: bool = False
    """Its caller was told that nobody could serve him."""
    streams: int = 0
    longest_gap_ns: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    """Those that were too long: from, to."""
    strange: int = 0
    """Frames of another call that its caller heard."""

    @property
    def cleanly(self) -> bool:
        return self.ended in (Ended.BY_CALLER, Ended.BY_AGENT)

    @property
    def over_for_the_zone(self) -> bool:
        """Its end is to be in the journals."""
        return self.cleanly or self.given_up


@dataclass(slots=True)
class Book:
    calls: list[Call] = field(default_factory=list)
    live: Counter[str] = field(default_factory=Counter)
    """Streams that are open, by pod."""
    said_no: int = 0
    """Calls that went on although the agent hung up, until their caller did."""
    _left: dict[str, deque[float]] = field(default_factory=dict)

    def opened(self, pod: str) -> None:
        self.live[pod] += 1

    def left(self, pod: str, now: float) -> None:
        self.live[pod] -= 1
        self._left.setdefault(pod, deque()).append(now)

    def at_most(self, pod: str, now: float) -> int:
        """So many calls this pod may have in its book: those that are open, and those that left it lately."""
        left = self._left.setdefault(pod, deque())
        while left and now - left[0] > LATELY_S:
            left.popleft()
        return self.live[pod] + len(left)
