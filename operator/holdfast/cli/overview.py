"""What `status` says, as one value: zones, regions, levers, the last decisions. Text and JSON are both made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCHEMA = "holdfast.dev/status/v1"


@dataclass(frozen=True, slots=True)
class Held:
    """Something that is not as one wants it. `kind`: the condition that says so, or Heartbeat, Paused or Order.

    `about`: the region or zone to ask `explain` about.
    """

    kind: str
    sign: str
    words: str
    reason: str
    message: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """One zone as the best of the clusters that were read shows it. `shown_by`: which that is."""

    name: str
    sign: str
    words: str
    leader: str
    epoch: int
    serving: tuple[str, ...]
    cordoned: tuple[str, ...]
    ready_for_loss: bool | None
    shown_by: str


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region. `shown_by`: whose cluster told this, and `age_s` how old it is; None is unknown throughout.

    `seen_up` of `observers` see its entry up. `ill`: its providers, relays and carriers that are not up, by tier;
    `well`: how many are, by tier. A tier that nobody tells of is absent from both.
    """

    name: str
    zones: tuple[str, ...]
    witness: bool
    read: bool
    sign: str
    words: str
    serving: bool | None
    calls: int | None
    room: int | None
    pods: int | None
    seen_up: int
    observers: int
    well: Mapping[str, int]
    ill: Mapping[str, tuple[str, ...]]
    ordered: str
    until: str
    shown_by: str
    age_s: float | None


@dataclass(frozen=True, slots=True)
class LeverRow:
    """One lever of a zone, and which regions it is known to have on, off, or otherwise than wanted."""

    name: str
    zone: str
    kind: str
    sign: str
    words: str
    on: tuple[str, ...]
    off: tuple[str, ...]
    unsure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The last move of a zone."""

    at: str
    zone: str
    region: str
    action: str
    reason: str
    message: str
    leader: str
    epoch: int
    read_back: str


@dataclass(frozen=True, slots=True)
class Unread:
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole answer. `state`: healthy, degraded, down or unknown."""

    as_of: str
    state: str
    words: str
    zones: tuple[ZoneRow, ...] = ()
    regions: tuple[RegionRow, ...] = ()
    levers: tuple[LeverRow, ...] = ()
    held: tuple[Held, ...] = ()
    decisions: tuple[Decision, ...] = ()
    unread: tuple[Unread, ...] = ()
    next: str = ""
    schema: str = field(default=SCHEMA)

    @property
    def healthy(self) -> bool:
        return self.state == "healthy"

    @property
    def cordoned(self) -> bool:
        """A region of the zones is out of service, and known to be."""
        return any(row.serving is False for row in self.regions)

    @property
    def drained(self) -> bool:
        """Every region that is out of service is known to hold no call."""
        return self.cordoned and all(row.calls == 0 for row in self.regions if row.serving is False)
