"""A machine's clocks: CLOCK_BOOTTIME, which may run a little wrong, and the wall clock, which may also jump."""

from __future__ import annotations

from collections.abc import Callable


class Clock:
    """`true` is simulated time, which nobody in the fleet can see."""

    def __init__(self, true: Callable[[], float], *, offset_s: float) -> None:
        self._true = true
        self._rate = 1.0
        self._then = true()
        self._there = offset_s
        self.wall_offset_s = 0.0

    def boot(self) -> float:
        return self._there + (self._true() - self._then) * self._rate

    def wall(self) -> float:
        return self._true() + self.wall_offset_s

    def drift(self, rate: float) -> None:
        """From now on so many seconds pass here for each true one."""
        self._there, self._then, self._rate = self.boot(), self._true(), rate
