"""A second link, held ready beside the one in use: for a provider that is slow to answer, and before a session's end.

It decides when one is opened, dropped and changed over to. Vendors end sessions after a time, or say shortly before
that they will: the same attempt is then opened once more, and taken at a moment in which nobody speaks, so that nobody
hears it. If no such moment comes, the change is made in time all the same, as after a loss. Knows no sockets, no clock.
"""

from __future__ import annotations

from enum import Enum

from holdfast_bridge.core import events as ev

OPEN_AT_LEAST_S = 8.0
"""So long before the end a successor is being opened, whoever speaks."""
CHANGE_AT_LEAST_S = 3.0
"""So long before the end the change is made, whoever speaks."""
AGAIN_AFTER_S = 5.0
"""A second link is not opened more often than this: vendors limit new connections by the minute."""


class _For(Enum):
    NOTHING = "nothing"
    SLOW = "a slow answer"
    END = "the end of a session"


class Relief:
    def __init__(self) -> None:
        self._for = _For.NOTHING
        self._attempt = 0
        self._ready = False
        self._said = 0
        self._opened_at = float("-inf")
        self._ends_at: float | None = None
        self._due: float | None = None

    @property
    def stands_by(self) -> bool:
        """A link is held because the one in use was slow."""
        return self._for is _For.SLOW

    def overdue(self, now: float, attempt: int | None) -> list[ev.Effect]:
        """An answer is late: the attempt that would be next is made ready."""
        if attempt is None or self._for is not _For.NOTHING or now < self._opened_at + AGAIN_AFTER_S:
            return []
        return [self._open(now, attempt, _For.SLOW, said=0)]

    def answered(self) -> list[ev.Effect]:
        """It came after all."""
        return self._drop() if self._for is _For.SLOW else []

    def ends(self, in_s: float, now: float) -> None:
        """The session in use will be closed. What was said first counts, unless it comes to be sooner."""
        self._ends_at = min(self._ends_at or float("inf"), now + in_s)

    def prepared(self, attempt: int) -> None:
        self._ready = self._for is not _For.NOTHING and attempt == self._attempt

    def failed(self, attempt: int) -> None:
        """It could not be opened, or is gone: another try may be made after a while."""
        if attempt == self._attempt:
            self._for, self._ready = _For.NOTHING, False

    def taken(self) -> None:
        """Another link is in use from now on: what was held for the old one is spent or gone, and so is its end."""
        self._for, self._ready, self._ends_at, self._due = _For.NOTHING, False, None, None

    def look(self, now: float, *, current: int, idle: bool, said: int) -> tuple[list[ev.Effect], bool]:
        """What to do about the end of the session, and whether to change over to the successor now.

        `said`: anything that grows with what was said. A successor was told what was said until it was opened, so one
        that is older than the last words is opened anew while there is time.
        """
        self._due = self._next(now)
        if self._ends_at is None or self._for is _For.SLOW:
            return [], False
        left_s = self._ends_at - now
        if self._for is _For.NOTHING:
            wanted = idle or left_s <= OPEN_AT_LEAST_S
            if wanted and now >= self._opened_at + AGAIN_AFTER_S:
                return [self._open(now, current, _For.END, said=said)], False
            return [], False
        if not self._ready:
            return [], False
        if left_s <= CHANGE_AT_LEAST_S or (idle and said == self._said):
            return [], True
        return (self._drop() if said != self._said and left_s > OPEN_AT_LEAST_S + AGAIN_AFTER_S else []), False

    def get_timer(self) -> float | None:
        """When to look again, if nothing happens until then."""
        return self._due

    def _next(self, now: float) -> float | None:
        if self._ends_at is None:
            return None
        dues = (self._opened_at + AGAIN_AFTER_S, self._ends_at - OPEN_AT_LEAST_S, self._ends_at - CHANGE_AT_LEAST_S)
        return min((due for due in dues if due > now), default=None)

    def _open(self, now: float, attempt: int, why: _For, *, said: int) -> ev.Prepare:
        self._for, self._attempt, self._ready, self._said, self._opened_at = why, attempt, False, said, now
        return ev.Prepare(attempt)

    def _drop(self) -> list[ev.Effect]:
        self._for, self._ready = _For.NOTHING, False
        return [ev.Unprepare()]
