"""The one clock of leases, ages and decisions: it counts time asleep, so that a suspended holder wakes up expired."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds on CLOCK_BOOTTIME; where the platform has none, on the monotonic clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
