"""The seam of every routing back end: read, normalise, apply.

A driver refuses to know why a change is wanted, computes no weights and never retries. Its vendor's words stay in its
own module, its failures are `DriverError`. A write whose answer did not come has an *unknown* outcome: the next thing
done with that origin is a read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast.core.values import Budget
from holdfast.errors import DriverError

__all__ = [
    "WRITE_DEADLINE_S",
    "DriverError",
    "OriginChange",
    "OriginReading",
    "Pointer",
    "PointingDriver",
    "RoutingDriver",
]

WRITE_DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class OriginReading:
    """What the vendor says about one region's own object. `epoch` is the fence found in our mark there, 0 if none.

    `share`: the percentage of its weight that it is given; None where the back end only knows on and off.
    `drift`: what else of it is not as we keep it, in words that name the field, what was seen and what is meant.
    """

    region: str
    enabled: bool
    epoch: int = 0
    share: int | None = None
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OriginChange:
    """One wanted write: a region's own origin on or off, under the epoch of the leader who wants it.

    `share`: the percentage of its weight, for back ends that take one; the others leave it to the webhook's answer.
    """

    region: str
    enabled: bool
    epoch: int
    share: int = 100


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where one number or one application sends its calls: the first address, and the one for when that fails.

    `name` finds it at the vendor: the number in E.164, or the application's name, which is our mark.
    """

    name: str
    voice_url: str
    fallback_url: str


class RoutingDriver(Protocol):
    """A place where routing is written, with one object per region that is on or off. One instance per lever."""

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
        """Write it, within the deadline, unless the mark is missing or carries a higher epoch; nothing if it is so."""
        ...


class PointingDriver(Protocol):
    """A place where each number or application names an address: what fleets without an edge move, one by one."""

    @property
    def name(self) -> str:
        """The name of the lever or the carrier account in its policy."""
        ...

    async def list(self) -> Mapping[str, Pointer]:
        """Everything of ours there, by name, in as few requests as the vendor's pages allow."""
        ...

    async def read(self, name: str) -> Pointer | None:
        """One of ours; None when there is none of this name."""
        ...

    async def apply(self, pointer: Pointer) -> None:
        """Make it so, within the deadline: one write, after a read that finds whether it is ours."""
        ...

    async def remove(self, name: str) -> bool:
        """Take away what we made there; what we only wrote to is left as it is. False when there was nothing."""
        ...

    def budget(self) -> Budget | None:
        """How many requests the vendor takes from us now; None where nothing is counted."""
        ...
