"""The record of moves: when a fault was first seen, when it was decided, when the lever was read back.

The list in the status is bounded and newest first. Times are wall-clock text for people; nothing is computed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.core.values import Intent, Reason

KEPT = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One move of a region's traffic. `read_back` is empty until every lever reads as wanted."""

    region: str
    intent: Intent
    reason: Reason
    epoch: int
    leader: str
    lever: str
    detected: str
    decided: str
    began: float
    read_back: str = ""

    def rendered(self) -> dict[str, Any]:
        """As the status shows it."""
        return {
            "action": "cordon" if self.intent is Intent.CORDONED else "restore",
            "region": self.region,
            "lever": self.lever,
            "reason": self.reason.code,
            "message": self.reason.message[:1024],
            "epoch": self.epoch,
            "leader": self.leader,
            "detected": self.detected,
            "decided": self.decided,
            "readBack": self.read_back,
        }


@dataclass(slots=True)
class Ledger:
    """The moves of one zone made by this operator. Owned by the zone's loop."""

    clock: Callable[[], float]
    wall: Callable[[], str]
    entries: list[Entry] = field(default_factory=list)
    _suspected: dict[str, tuple[float, str]] = field(default_factory=dict)

    def suspect(self, regions: Iterable[str]) -> None:
        """Regions about which any evidence of a fault stands now; the first sight of each is what `detected` means."""
        now = set(regions)
        for region in [region for region in self._suspected if region not in now]:
            del self._suspected[region]
        for region in now - set(self._suspected):
            self._suspected[region] = (self.clock(), self.wall())

    def decide(
        self, region: str, intent: Intent, reason: Reason, *, epoch: int, leader: str, lever: str
    ) -> Entry | None:
        """Open an entry, unless this very move is open already. None when there is nothing new to tell."""
        latest = self._latest(region)
        if latest is not None and latest.intent is intent and not latest.read_back:
            return None
        wall = self.wall()
        suspected = self._suspected.get(region) if intent is Intent.CORDONED else None
        began, detected = suspected or (self.clock(), wall)
        entry = Entry(region, intent, reason, epoch, leader, lever, detected=detected, decided=wall, began=began)
        self.entries.insert(0, entry)
        del self.entries[KEPT:]
        return entry

    def read_back(self, region: str, intent: Intent) -> Entry | None:
        """Close the open entry of this move; None when it was closed before."""
        latest = self._latest(region)
        if latest is None or latest.intent is not intent or latest.read_back:
            return None
        closed = replace(latest, read_back=self.wall())
        self.entries[self.entries.index(latest)] = closed
        return closed

    def _latest(self, region: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.region == region), None)
