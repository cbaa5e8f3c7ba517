"""Which of the agent's attempts a call uses, and when it gives up. A working link's first failure is forgiven.

The order is the operator's, as far as it was told, and may change while the call lasts: a loss leads to the first of
that order which has not failed this call lately. What is not in the order is not used.
"""

from __future__ import annotations

from holdfast_bridge.core.events import ProviderLost

TRIES = 2
OPEN_AND_USELESS = frozenset({"stall", "timeout", "deaf", "unreadable", "tool_loop"})
HEALTHY_AFTER_S = 10.0


class Attempts:
    def __init__(self, count: int) -> None:
        self._order = tuple(range(count))
        self.current = 0
        self.link = 0
        """How many links were opened so far; the number of the present one."""
        self._failed: set[int] = set()
        self._tries = 0
        self._ready_at: float | None = None

    @property
    def ready(self) -> bool:
        return self._ready_at is not None

    def put_in_order(self, order: tuple[int, ...]) -> None:
        """From now on these, in this order. The one in use stays until it fails."""
        self._order = order

    def connect(self, attempt: int) -> None:
        self.current = attempt
        self.link += 1
        self._ready_at = None

    def became_ready(self, now: float) -> None:
        self._ready_at = now

    def standby(self) -> int | None:
        """The attempt that would be next if the one in use stalled now."""
        others = [attempt for attempt in self._order if attempt != self.current]
        return next(iter([attempt for attempt in others if attempt not in self._failed] or others), None)

    def after_loss(self, now: float, lost: ProviderLost) -> int | None:
        """The attempt to try next, or None when it is time to let the carrier ask elsewhere.

        One that stayed open and said nothing of use is not asked again: it would cost the caller as long once more.
        """
        was_ready = self._ready_at is not None
        if self._ready_at is not None and now - self._ready_at >= HEALTHY_AFTER_S:
            self._tries = 0
            self._failed.clear()
        self._ready_at = None
        self._tries += 1
        self._failed.add(self.current)
        others = [attempt for attempt in self._order if attempt != self.current]
        if self._tries > max(TRIES, len(self._order)):
            return None
        preferred = self._order[:1] == (self.current,)
        again = was_ready and self._tries == 1 and lost.reason not in OPEN_AND_USELESS
        if lost.retry_same and preferred and (not others or again):
            return self.current
        fresh = [attempt for attempt in others if attempt not in self._failed]
        return next(iter(fresh or others), None)
