"""Faults of the carrier's API, switched on by a test or a game day and spent one request at a time."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class FaultKind(enum.Enum):
    SLOW = "slow"
    """Answers rightly, `delay_s` late."""
    ERROR = "error"
    """Answers `status` without doing anything."""
    TOO_MANY = "too-many"
    """429 with code 20429, without doing anything."""
    COMMIT_THEN_TIMEOUT = "commit-then-timeout"
    """Does what was asked, then never answers: the connection is dropped after `delay_s`."""
    DROP = "drop"
    """Drops the connection after `delay_s` without doing anything."""
    STALE = "stale"
    """A read answers as of before the first write since this fault was armed. Arm it for GET only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    kind: FaultKind
    method: str = ".*"
    path: str = ".*"
    """A regular expression searched for in the request's path."""
    times: int | None = None
    """How many requests it hits; None is all until it is healed."""
    status: int = 503
    delay_s: float = 0.0


class Faults:
    def __init__(self) -> None:
        self._armed: list[tuple[Fault, int | None]] = []

    def arm(self, fault: Fault) -> None:
        self._armed.append((fault, fault.times))

    def heal(self) -> None:
        self._armed.clear()

    def awaits(self, kind: FaultKind) -> bool:
        """Whether a fault of this kind is armed."""
        return any(fault.kind is kind for fault, _ in self._armed)

    def take(self, method: str, path: str) -> Fault | None:
        """The first armed fault that this request meets; it is spent by one."""
        for position, (fault, left) in enumerate(self._armed):
            if not re.fullmatch(fault.method, method) or not re.search(fault.path, path):
                continue
            if left is not None and left <= 1:
                del self._armed[position]
            else:
                self._armed[position] = (fault, None if left is None else left - 1)
            return fault
        return None
