"""What a cluster keeps: the vote's Lease with its memory, and the objects that people write.

The Lease is a compare-and-set register. Old states are kept for a while, because a backup may be restored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from holdfast.core.lease import LeaseView
from holdfast.core.values import Cause

BACKUP_EVERY_S = 15.0
BACKUPS = 24
GARBAGE = "\u0000not a memory{"


@dataclass(frozen=True, slots=True)
class WrittenShift:
    """A cordon as a person or a rehearsal wrote it; `until_s` is a date, on whoever's wall clock reads it."""

    region: str
    by: Cause
    until_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class WrittenOverride:
    region: str
    guard: str
    until_s: float
    reason: str


@dataclass(slots=True)
class Cluster:
    """One cluster's API server and what lies behind it."""

    name: str
    down: int = 0
    reads_only: int = 0
    lease: LeaseView = field(default_factory=lambda: LeaseView(stamp="given back"))
    shifts: list[WrittenShift] = field(default_factory=list)
    overrides: list[WrittenOverride] = field(default_factory=list)
    paused: int = 0
    _writes: int = 0
    _backups: deque[tuple[float, LeaseView]] = field(default_factory=lambda: deque(maxlen=BACKUPS))

    def answers(self, *, write: bool) -> bool:
        return not self.down and not (write and self.reads_only)

    def write(self, seen: str, changed: LeaseView, now: float) -> bool:
        """Compare-and-set: only over exactly the state that was read."""
        if self.lease.stamp != seen:
            return False
        self._keep(now)
        self._put(changed)
        return True

    def garble(self) -> None:
        self._put(replace(self.lease, memory=GARBAGE))

    def delete(self) -> None:
        self.lease = LeaseView()

    def restore(self, age_s: float, now: float) -> None:
        """As of then, or as old as there is."""
        old = [kept for at, kept in self._backups if at <= now - age_s]
        if old or self._backups:
            self._put(old[-1] if old else self._backups[0][1])

    def _keep(self, now: float) -> None:
        if not self._backups or now - self._backups[-1][0] >= BACKUP_EVERY_S:
            self._backups.append((now, self.lease))

    def _put(self, changed: LeaseView) -> None:
        self._writes += 1
        self.lease = replace(changed, stamp=f"{self.name}-{self._writes}")
