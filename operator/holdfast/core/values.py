"""The words of the domain as frozen values: what every other module of the core takes and returns.

Times are durations in seconds: the age of a thing on the clock of whoever reads it, never a date.
Nothing here knows the Kubernetes API, a vendor, or where a value came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was done or not done: the same words in log, Event, condition and report."""

    code: str
    message: str


class Verdict(Enum):
    """What an observer says about a target. An API server out of reach is UNKNOWN, never DOWN."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Intent(Enum):
    """What the fleet wants of a region: new calls, or none."""

    SERVING = "serving"
    CORDONED = "cordoned"


@dataclass(frozen=True, slots=True)
class Region:
    """One cluster with its public host. `origins` maps a lever's name to this region's origin there."""

    name: str
    host: str
    jurisdiction: str
    failure_domain: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ZoneRegion:
    """A region's place in a zone. Weight 0 is a standby: warm, takes calls only on failover."""

    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Probe:
    """How a public entry is probed."""

    interval_s: float = 5.0
    timeout_s: float = 1.5
    confirmations: int = 2
    confirm_every_s: float = 0.4


@dataclass(frozen=True, slots=True)
class Guards:
    """The bounds a plan must respect."""

    min_serving: int = 1
    max_cordoned: int = 1


@dataclass(frozen=True, slots=True)
class Lever:
    """A place where routing is written. `secret` names a Secret of the operator's namespace (key `token`)."""

    name: str
    kind: str
    api_url: str
    account_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier account. `secret` names a Secret of the operator's namespace."""

    name: str
    kind: str
    account_sid: str
    api_url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """What some namespaces may use of a zone."""

    namespaces: tuple[str, ...]
    carriers: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Zone:
    """The regions of one FailoverPolicy; nothing of a call ever leaves it."""

    name: str
    uid: str
    generation: int
    residency: str
    host: str
    regions: tuple[ZoneRegion, ...]
    witnesses: tuple[str, ...] = ()
    probe: Probe = Probe()
    dwell_s: float = 300.0
    guards: Guards = Guards()
    drain_s: float = 600.0
    levers: tuple[Lever, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    signing_secret: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """The regions that carry calls, in the edge's order."""
        return tuple(region.name for region in self.regions)

    @property
    def voters(self) -> tuple[str, ...]:
        """Every cluster with a vote and an eye on the zone, in the one fixed order in which votes are taken."""
        return self.members + self.witnesses

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def observers_of(self, target: str) -> tuple[str, ...]:
        """A region never testifies about itself."""
        return tuple(voter for voter in self.voters if voter != target)


@dataclass(frozen=True, slots=True, order=True)
class AgentRef:
    """A VoiceAgent's name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Observation:
    """One observer's verdict on one target, as read from its heartbeat.

    `heard_age_s`: since the observer's heartbeat last moved, on our clock.
    `held_s`: how long the verdict has stood, as the observer tells it.
    """

    observer: str
    target: str
    verdict: Verdict
    heard_age_s: float
    held_s: float = 0.0
    self_doubt: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OriginState:
    """What a lever was last read to say of a region; `enabled` None: not read, or an outcome unknown."""

    lever: str
    region: str
    enabled: bool | None
    read_age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RegionMemory:
    """What a majority remembers of a region. `changed_ago_s` None: unknown, which counts as moved just now."""

    intent: Intent
    changed_ago_s: float | None
    flaps: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write: an epoch stored in a majority, and the pod that stored it."""

    zone: str
    epoch: int
    holder: str
