"""A client-side rate budget with a reserve, so that steady reading can never lock out a failover.

A token bucket on the caller's clock. It refuses to know which vendor it protects.
"""

from __future__ import annotations

from collections.abc import Callable

from holdfast.core.values import Budget


class RateBudget:
    """`requests` per `window_s`; what is not urgent may only spend what lies above the reserve."""

    def __init__(self, *, requests: int, window_s: float, reserve: int, clock: Callable[[], float]) -> None:
        self._capacity = float(requests)
        self._rate = requests / window_s
        self._reserve = float(reserve)
        self._clock = clock
        self._tokens = float(requests)
        self._filled_at = clock()
        self._blocked_until = float("-inf")

    def spend(self, *, urgent: bool) -> bool:
        """Take one request out of the budget; False when it must not be made now."""
        self._fill()
        if self._clock() < self._blocked_until:
            return False
        if self._tokens < (1.0 if urgent else 1.0 + self._reserve):
            return False
        self._tokens -= 1.0
        return True

    def left(self) -> Budget:
        """What may be spent now: nothing at all while the vendor does not listen."""
        self._fill()
        return Budget(0 if self.blocked_for_s() else int(self._tokens), int(self._reserve))

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def block(self, for_s: float) -> None:
        """The vendor said 429: nothing at all is sent until it said it would listen again."""
        self._blocked_until = max(self._blocked_until, self._clock() + for_s)

    def blocked_for_s(self) -> float:
        """Seconds until the vendor listens again; 0 when it does now."""
        return max(0.0, self._blocked_until - self._clock())
