"""What a run of many seeds must have reached: a path that is never taken is not tested, and fails the run."""

from __future__ import annotations

from holdfast_gameday.faults import Kind

ENOUGH_SEEDS = 200

EXPECTED = (
    *(f"fault {kind.word}" for kind in Kind),
    "takeover",
    "memory stored",
)
