"""Which calls to hand over now, so that nobody hears it.

Pure. A call is handed over at a moment when neither side speaks, or, when no such moment came, shortly before the time
is up. At most `AT_ONCE` are on their way together: the carrier's REST API counts concurrent requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

AT_ONCE = 10
RESERVE_S = 10.0
RETRY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A call still in this pod. `tried_at` is when a hand-over of it was last attempted and failed."""

    call: str
    silent: bool
    moving: bool = False
    tried_at: float | None = None


def forced_from(started: float, deadline: float) -> float:
    """From when a call is moved whether or not somebody speaks."""
    return max(started, deadline - min(RESERVE_S, (deadline - started) / 2))


def due(calls: Sequence[Carried], *, now: float, forced_at: float) -> tuple[str, ...]:
    free = AT_ONCE - sum(1 for call in calls if call.moving)
    ready = [
        call.call
        for call in calls
        if not call.moving
        and (call.silent or now >= forced_at)
        and (call.tried_at is None or now - call.tried_at >= RETRY_S)
    ]
    return tuple(ready[: max(0, free)])
