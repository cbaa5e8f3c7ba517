"""Whether a tool's webhook is asked again, and after how long. Pure: what was met, the time left and a die go in.

    what was met                                        asked again
    no connection came about, so nothing was sent        any tool
    the connection was lost after the request was sent   a tool without side effects
    429, 502, 503, 504                                   a tool without side effects, not before Retry-After
    anything else, silence included                      no

At most TRIES in all, never beyond the tool's whole time-out, and only while the pod's budget lasts: each question that
is asked a first time earns a tenth of a second one, so a webhook that is down is asked at most a tenth more often.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

TRIES = 3
PAUSE_S = 0.1
"""Before the second try; before the third it is twice that. Each is varied by half."""
ROOM_S = 0.05
"""With less than that left no answer would come in time."""
EARNED = 0.1
SAVED_MAX = 5.0


class Met(enum.Enum):
    """What a try came to, as far as asking again depends on it."""

    NOT_CONNECTED = "not-connected"
    LOST = "lost"
    BUSY = "busy"
    OTHER = "other"


BUSY_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Tried:
    """`number`: which try it was, from 1. `asked_to_wait_s`: Retry-After; None: it was not named."""

    met: Met
    number: int
    asked_to_wait_s: float | None = None


class Budget:
    """The second questions that one pod may still ask."""

    def __init__(self) -> None:
        self._saved = SAVED_MAX

    def earn(self) -> None:
        """A question is asked for the first time."""
        self._saved = min(SAVED_MAX, self._saved + EARNED)

    def spend(self) -> bool:
        """Whether there is one left; it is taken."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


def pause_s(tried: Tried, *, left_s: float, side_effects: bool, die: float) -> float | None:
    """How long to wait before the next try; None: there is none. `left_s`: of the whole time-out; `die`: in [0, 1)."""
    if tried.number >= TRIES or tried.met is Met.OTHER:
        return None
    if side_effects and tried.met is not Met.NOT_CONNECTED:
        return None
    pause = PAUSE_S * 2 ** (tried.number - 1) * (0.5 + die)
    if tried.asked_to_wait_s is not None:
        pause += tried.asked_to_wait_s
    return pause if pause + ROOM_S < left_s else None


def wait_s(retry_after: str) -> float | None:
    """Seconds of a Retry-After; None where there is none. A date is not read, and counts as too late to wait for."""
    if not retry_after:
        return None
    return float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else float("inf")
