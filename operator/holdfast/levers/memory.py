"""A lever that lives in this process: the verified fake. It passes the same contract tests as the vendors' drivers.

Used by tests and game-day simulations; it can be told to be down, slow to show a write, or to lose an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.levers.base import DriverError, OriginChange, OriginReading


@dataclass(slots=True)
class Origins:
    """The vendor's side: what it stores, and the faults it is told to have. Shared by all operators of a fleet."""

    readings: dict[str, OriginReading]
    unmarked: set[str] = field(default_factory=set)
    stale: dict[str, OriginReading] = field(default_factory=dict)
    down: bool = False
    lose_next_answer: bool = False
    history: list[OriginChange] = field(default_factory=list)


class MemoryLever:
    """One operator's driver for a shared `Origins`."""

    def __init__(self, name: str, origins: Origins) -> None:
        self._name = name
        self._origins = origins

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    async def read(self, region: str) -> OriginReading:
        """The stored reading."""
        if self._origins.down:
            raise DriverError("Unreachable", f"lever {self._name}: down", retryable=True)
        if region not in self._origins.readings:
            raise DriverError("NoOrigin", f"lever {self._name}: no origin for {region}", retryable=False)
        if region in self._origins.unmarked:
            raise DriverError("NotOurs", f"lever {self._name}: {region} lacks our mark", retryable=False)
        return self._origins.stale.get(region, self._origins.readings[region])

    def normalise(self, change: OriginChange) -> OriginReading:
        """The reading once the change is in force."""
        return OriginReading(region=change.region, enabled=change.enabled, epoch=change.epoch)

    def budget(self) -> None:
        """Nothing is counted."""

    async def apply(self, change: OriginChange) -> None:
        """Store it, under the same fence as a real vendor's mark."""
        reading = await self.read(change.region)
        if reading.epoch > change.epoch:
            raise DriverError("Fenced", f"lever {self._name}: epoch {reading.epoch} was there first", retryable=False)
        if reading == self.normalise(change):
            return
        self._origins.readings[change.region] = replace(reading, enabled=change.enabled, epoch=change.epoch)
        self._origins.history.append(change)
        if self._origins.lose_next_answer:
            self._origins.lose_next_answer = False
            raise DriverError("Timeout", f"lever {self._name}: no answer", retryable=True, outcome_unknown=True)
