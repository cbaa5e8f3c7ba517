"""What a run of many seeds must have reached: a path that is never taken is not tested, and fails the run."""

from __future__ import annotations

from holdfast.core import reasons
from holdfast.core.values import Cause
from holdfast_gameday.faults import Kind

ENOUGH_SEEDS = 200

REFUSALS = (
    reasons.PAUSED,
    reasons.INCIDENT,
    reasons.STALE_EVIDENCE,
    reasons.OBSERVER_DOUBTS,
    reasons.NOT_CONFIRMED,
    reasons.SEEN_ELSEWHERE,
    reasons.TARGET_LOST,
    reasons.EVERYTHING_ILL,
    reasons.LAST_SERVING,
    reasons.NEVER_EMPTY,
    reasons.MAX_CORDONED,
    reasons.CAPACITY,
    reasons.UNKNOWN_HISTORY,
    reasons.DWELL,
    reasons.RAMP,
    reasons.BUDGET,
)

EXPECTED = (
    *(f"fault {kind.word}" for kind in Kind),
    *(f"refused {code}" for code in REFUSALS),
    *(f"moved out {cause.value}" for cause in Cause if cause is not Cause.FOUND_OFF),
    *(f"moved back {cause.value}" for cause in Cause),
    "moved out carrier",
    "moved back carrier",
    "moved raise lost",
    "ramp completed",
    "two causes at once",
    "overridden Dwell",
    "takeover",
    "memory stored",
    "unknown read",
    "write read back",
    "lever answered Timeout",
    "lever answered VendorError",
    "lever answered RateLimited",
    "lever answered NotOurs",
    "provider order changed",
    "every provider ill",
    "relays held",
    "withdrawal asked",
    "not asked SeenElsewhere",
    "standby used",
    "shed",
    "clean loss",
)
