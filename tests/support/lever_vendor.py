"""What the contract suites ask of a vendor under test: the driver, the faults, and a look at the vendor's own side.

A fault that a vendor cannot have raises `CannotHappen` with the reason, and the case is skipped in those words.
"""

from __future__ import annotations

from typing import Protocol

from holdfast.levers.base import PointingDriver, RoutingDriver


class CannotHappen(Exception):
    """This fault is not one of this vendor's."""


class Faults(Protocol):
    """Faults that are the vendor's to have, whatever is routed there."""

    def lose_next_write(self) -> None:
        """The next write is done, and its answer never comes."""
        ...

    def break_next_write(self) -> None:
        """Of what the next change needs, a part is done and then it fails (a partial commit)."""
        ...

    def lock_out(self, for_s: float) -> None:
        """From now on everything is refused as too many requests, for so long on the driver's clock."""
        ...

    def revoke(self) -> None:
        """Our credentials are no longer taken."""
        ...

    def go_down(self) -> None:
        """Nothing answers."""
        ...

    def requests(self) -> int:
        """How many requests have come in, of any kind."""
        ...

    def writes(self) -> int:
        """How many requests have come in that were to change something."""
        ...


class OriginVendor(Faults, Protocol):
    """Stands with origins for `fra` and `ams`, both on and marked for zone `eu`; the driver also names `gone`."""

    driver: RoutingDriver

    def unmark(self, region: str) -> None:
        """The region's origin is no longer ours."""
        ...

    def meddle(self, region: str) -> None:
        """Somebody changes what we keep of the origin, beside whether it is on."""
        ...

    def enabled(self, region: str) -> bool:
        """Whether the vendor itself would send the region new calls."""
        ...


class PointingVendor(Faults, Protocol):
    """Stands with one number or application of somebody else, which no case may touch."""

    driver: PointingDriver
    names: tuple[str, str]
    """Two names that may be pointed; neither has been yet."""

    def meddle(self, name: str) -> None:
        """Somebody writes another address to one of ours."""
        ...

    def address(self, name: str) -> tuple[str, str] | None:
        """Where the vendor itself would send its calls, and where if that fails."""
        ...

    def foreign(self) -> object:
        """Everything that is somebody else's, to be compared."""
        ...
