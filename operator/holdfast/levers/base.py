"""The seam of every routing back end: read, normalise, apply.

A driver refuses to know why a change is wanted, computes no weights and never retries. Its vendor's words stay in its
own module, its failures are `DriverError`. A write whose answer did not come has an *unknown* outcome: the next thing
done with that origin is a read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from holdfast.core.values import Budget
from holdfast.errors import DriverError

__all__ = ["WRITE_DEADLINE_S", "DriverError", "OriginChange", "OriginReading", "RoutingDriver"]

WRITE_DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class OriginReading:
    """What the vendor says about one region's own object. `epoch` is the fence found in our mark there, 0 if none."""

    region: str
    enabled: bool
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class OriginChange:
    """One wanted write: a region's own origin on or off, under the epoch of the leader who wants it.

    `share`: the percentage of its weight, for back ends that take one; the others leave it to the webhook's answer.
    """

    region: str
    enabled: bool
    epoch: int
    share: int = 100


class RoutingDriver(Protocol):
    """A place where routing is written. One instance per lever of a zone."""

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        ...

    async def read(self, region: str) -> OriginReading:
        """The vendor's present state of the region's origin; DriverError when unknown, unmarked or not configured."""
        ...

    def normalise(self, change: OriginChange) -> OriginReading:
        """What `read` will answer once the change is in force, so that a read-back compares equal."""
        ...

    def budget(self) -> Budget | None:
        """How many requests the vendor takes from us now; None where nothing is counted."""
        ...

    async def apply(self, change: OriginChange) -> None:
        """Write it, within the deadline, unless the mark is missing or carries a higher epoch."""
        ...
