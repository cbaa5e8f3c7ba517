"""What people order of a region, as values: what was asked, what became of it, and how that is said."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.cli.foresee import Foreseen
from holdfast.cli.moments import at
from holdfast.cli.overview import Unread

SCHEMA = "holdfast.dev/order/v1"
DONE = {"cordon": "cordoned", "drain": "draining", "uncordon": "uncordoned"}
WOULD = {"cordon": "would be cordoned", "drain": "would be drained", "uncordon": "would be uncordoned"}


@dataclass(frozen=True, slots=True)
class Wish:
    """`verb`: cordon, drain or uncordon. `until` empty: an uncordon."""

    verb: str
    region: str
    until: str = ""
    reason: str = ""
    length_s: float = 0.0

    @property
    def cordon(self) -> Mapping[str, Any] | None:
        """As the Region's spec says it; None takes it back. A drain is a cordon that hands over calls, too."""
        if self.verb == "uncordon":
            return None
        return {"until": self.until, "reason": self.reason, "drain": True if self.verb == "drain" else None}

    def stands(self, held: Mapping[str, Any]) -> bool:
        """Whether an order that is there already says at least as much."""
        wider = held.get("drain") is True or self.verb == "cordon"
        return wider and at(str(held.get("until", ""))) >= at(self.until)


@dataclass(frozen=True, slots=True)
class Ordered:
    """What became of a wish. `outcome`: written, unchanged, dry-run, done (waited for), refused, timed-out or
    incomplete (it still stands somewhere).

    `written_in`: the clusters that hold it now. `stands_in`: those in which an order still stands.
    """

    verb: str
    region: str
    outcome: str
    words: str
    until: str
    reason: str
    written_in: tuple[str, ...] = ()
    stands_in: tuple[str, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    unread: tuple[Unread, ...] = ()
    next: str = ""
    schema: str = field(default=SCHEMA)


def again(wish: Wish) -> str:
    """The command that orders it, as one would type it."""
    length = int(wish.length_s)
    size, unit = next(each for each in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")) if length % each[0] == 0)
    flags = f"--for {length // size}{unit} --reason {shlex.quote(wish.reason)}"
    return f"kubectl holdfast {wish.verb} {wish.region} {flags}"
