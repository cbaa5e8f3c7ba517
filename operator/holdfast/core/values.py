"""The words of the domain as frozen values: what every other module of the core takes and returns.

Times are durations in seconds: the age of a thing on the clock of whoever reads it, never a date.
Nothing here knows the Kubernetes API, a vendor, or where a value came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from holdfast.core.means import CanaryKey, Carrier, Lever, ProviderRule, Tenant, TurnServer

NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was done or not done: the same words in log, Event, condition and report."""

    code: str
    message: str


class Tier(Enum):
    """The layers a call depends on, each watched on its own."""

    REGION = "region"
    PROVIDER = "provider"
    RELAY = "relay"
    CARRIER = "carrier"


class Verdict(Enum):
    """What an observer says about a target.

    DEGRADED answers, but not reliably. An API server out of reach is UNKNOWN, never DOWN.
    """

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Intent(Enum):
    """What the fleet wants of a region: new calls, or none."""

    SERVING = "serving"
    CORDONED = "cordoned"


class Cause(Enum):
    """Why a region takes no new calls, the gravest first. Each is remembered by itself: none hides another.

    ILLEGAL     it does not lie in the zone's residency
    LOST        a quorum sees its public entry down
    ABSENT      down, and never seen well since the zone names it: it has not joined yet
    FOUND_OFF   its origins were found off, with no record of why
    WITHDRAWN   its own operator asks to be taken out
    DEGRADED    a quorum sees it answer unreliably
    HUMAN       a person cordoned it, for a time
    GAME_DAY    a rehearsal cordoned it, for a time
    """

    ILLEGAL = "illegal"
    LOST = "lost"
    ABSENT = "absent"
    FOUND_OFF = "found-off"
    WITHDRAWN = "withdrawn"
    DEGRADED = "degraded"
    HUMAN = "human"
    GAME_DAY = "game-day"


GRAVEST_FIRST = tuple(Cause)


@dataclass(frozen=True, slots=True)
class Region:
    """One cluster with its public host. `origins` maps a lever's name to this region's origin there."""

    name: str
    host: str
    jurisdiction: str
    failure_domain: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    turn: tuple[TurnServer, ...] = ()


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
    headroom_percent: int = 20


@dataclass(frozen=True, slots=True)
class Zone:
    """The regions of one FailoverPolicy; nothing of a call ever leaves it.

    `ramp`: the percentages of its weight at which a region that comes back is given calls, in order.
    """

    name: str
    uid: str
    generation: int
    residency: str
    host: str
    regions: tuple[ZoneRegion, ...]
    witnesses: tuple[str, ...] = ()
    probe: Probe = Probe()
    dwell_s: float = 300.0
    ramp: tuple[int, ...] = (5, 25, 50, 100)
    guards: Guards = Guards()
    drain_s: float = 600.0
    grace_s: float = 660.0
    paused: bool = False
    levers: tuple[Lever, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    signing_secret: str = ""
    provider: ProviderRule = field(default_factory=ProviderRule)
    canary_keys: tuple[CanaryKey, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The regions that carry calls, in the edge's order."""
        return tuple([region.name for region in self.regions])

    @property
    def voters(self) -> tuple[str, ...]:
        """Every cluster with a vote and an eye on the zone, in the one fixed order in which votes are taken."""
        return self.members + self.witnesses

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def observers_of(self, target: str) -> tuple[str, ...]:
        """A region never testifies about itself."""
        return tuple([voter for voter in self.voters if voter != target])


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
    tier: Tier = Tier.REGION


@dataclass(frozen=True, slots=True)
class OriginState:
    """What a lever was last read to say of a region; `enabled` None: not read, or an outcome unknown.

    `share`: the percentage read there; None where the lever only knows on and off. `settled`: what it was last read
    to be, on and with which share, that was also wanted; what differs from that now was changed by somebody else.
    `contradicts`: our own last write said otherwise, and no reading has shown it: this one may be of a stale copy.
    """

    lever: str
    region: str
    enabled: bool | None
    read_age_s: float = 0.0
    share: int | None = None
    settled: tuple[bool, int | None] | None = None
    contradicts: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What a region's heartbeat says of its pods. `room`: how many more calls they take."""

    ready_pods: int
    active_calls: int
    room: int

    @property
    def capacity(self) -> int:
        return self.active_calls + self.room


@dataclass(frozen=True, slots=True)
class Budget:
    """How many requests a lever's vendor takes from us now, and how many of them are kept for failover."""

    left: int
    reserve: int = 0


@dataclass(frozen=True, slots=True)
class Shift:
    """A region taken out on purpose, for a time. `by` is HUMAN or GAME_DAY; `told_by`: the cluster it is written in.

    `drain`: its calls under way are to be handed over, too.
    """

    region: str
    by: Cause
    remaining_s: float
    reason: str
    told_by: str = ""
    drain: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """Break-glass: for a time, the one guard with this reason code does not bind for this region."""

    region: str
    guard: str
    remaining_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A region's own operator asks to be taken out of service.

    `ill`: the targets of other tiers that it blames, by name. `agents` of `of_agents` are affected.
    """

    region: str
    reason: Reason
    heard_age_s: float
    agents: int = 1
    of_agents: int = 1
    ill: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cordon:
    """One cause's word on a target: whether it stands, since when that is so, and how often it stood before.

    `changed_ago_s` None: unknown, which counts as just now. `remaining_s`: when a person's or a rehearsal's ends
    by itself; `told_by`: the cluster it is written in.
    """

    stands: bool
    changed_ago_s: float | None
    flaps: int = 0
    reason: str = ""
    remaining_s: float | None = None
    told_by: str = ""


@dataclass(frozen=True, slots=True)
class RegionMemory:
    """What a majority remembers of a region. There is none of a region that was never seen well: it has not joined.

    `step`: the entry of the zone's ramp at which it stands since `stepped_ago_s`; None: it has its whole weight.
    """

    cordons: Mapping[Cause, Cordon] = field(default_factory=dict)
    step: int | None = None
    stepped_ago_s: float | None = 0.0

    @property
    def standing(self) -> tuple[Cause, ...]:
        """The causes that keep it out of service, the gravest first."""
        standing = [cause for cause, cordon in self.cordons.items() if cordon.stands]
        return tuple(sorted(standing, key=GRAVEST_FIRST.index))

    @property
    def intent(self) -> Intent:
        return Intent.CORDONED if any(cordon.stands for cordon in self.cordons.values()) else Intent.SERVING

    @property
    def changed_ago_s(self) -> float | None:
        """Since its last move of any cause; infinite when it was never moved, None when that is unknown."""
        ages = [cordon.changed_ago_s for cordon in self.cordons.values()]
        known = [age for age in ages if age is not None]
        return None if len(known) < len(ages) else min(known, default=NEVER_S)

    @property
    def reason(self) -> str:
        """Why it is out, or why it came back."""
        if self.standing:
            return self.cordons[self.standing[0]].reason
        latest = sorted(self.cordons.values(), key=lambda cordon: cordon.changed_ago_s or 0.0)
        return latest[0].reason if latest else ""


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write: an epoch stored in a majority, and the pod that stored it."""

    zone: str
    epoch: int
    holder: str
