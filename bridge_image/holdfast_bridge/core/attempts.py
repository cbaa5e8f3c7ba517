"""Which of the agent's attempts a call uses, and when it gives up. A working link's first failure is forgiven."""

from __future__ import annotations

TRIES = 2
HEALTHY_AFTER_S = 10.0


class Attempts:
    def __init__(self, count: int) -> None:
        self._count = count
        self.current = 0
        self.link = 0
        """How many links were opened so far; the number of the present one."""
        self._tries = 0
        self._ready_at: float | None = None

    @property
    def ready(self) -> bool:
        return self._ready_at is not None

    def connect(self, attempt: int) -> None:
        self.current = attempt
        self.link += 1

    def became_ready(self, now: float) -> None:
        self._ready_at = now

    def after_loss(self, now: float, *, retry_same: bool) -> int | None:
        """The attempt to try next, or None when it is time to let the carrier ask elsewhere."""
        was_ready = self._ready_at is not None
        if self._ready_at is not None and now - self._ready_at >= HEALTHY_AFTER_S:
            self._tries = 0
        self._ready_at = None
        self._tries += 1
        if self._tries > TRIES:
            return None
        if self._count == 1:
            return 0 if retry_same else None
        if retry_same and was_ready and self._tries == 1:
            return self.current
        return (self.current + 1) % self._count
