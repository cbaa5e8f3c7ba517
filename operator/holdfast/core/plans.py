"""What the failover core is shown and what it answers: View in, Plan out. Values only, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from holdfast.core import evidence
from holdfast.core.fallback import Fallback
from holdfast.core.means import Lever
from holdfast.core.values import (
    NEVER_S,
    Budget,
    Cause,
    Cordon,
    Fence,
    Intent,
    Load,
    Observation,
    OriginState,
    Override,
    Reason,
    Region,
    RegionMemory,
    Shift,
    Withdrawal,
    Zone,
)


class Turn(Enum):
    """What a move does to a region: takes it out, gives it back, or raises it to the next step of its ramp."""

    OUT = "out"
    BACK = "back"
    RAISE = "raise"


@dataclass(frozen=True, slots=True)
class Move:
    """A change of the fleet's mind about a region, for one cause. It takes effect by being stored, then written."""

    region: str
    turn: Turn
    cause: Cause
    reason: Reason

    @property
    def intent(self) -> Intent:
        return Intent.CORDONED if self.turn is Turn.OUT else Intent.SERVING


@dataclass(frozen=True, slots=True)
class CarrierMove:
    """A change of the fleet's mind about a carrier: whether others are preferred to it."""

    carrier: str
    turn: Turn
    reason: Reason


@dataclass(frozen=True, slots=True)
class StoreMemory:
    """Store the memory in a majority of votes, which also proves the fence anew. The rest waits for it."""

    fence: Fence
    memory: Mapping[str, RegionMemory]
    carriers: Mapping[str, Cordon] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class SetOrigin:
    """Write one region's own origin at one lever, within 500 ms of an acknowledged renewal.

    `share`: the percentage of its weight, for levers that take one.
    """

    lever: str
    region: str
    enabled: bool
    fence: Fence
    key: str
    reason: Reason
    share: int = 100


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Read an origin. `expected` None: nothing was written, the state is merely unknown."""

    lever: str
    region: str
    expected: bool | None = None


Action = Move | SetOrigin
Step = StoreMemory | SetOrigin | ReadBack


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that was wanted and not allowed, and the guard's word why."""

    action: Action | CarrierMove
    reason: Reason


@dataclass(frozen=True, slots=True)
class Overridden:
    """An action that was allowed although a guard refused it, because a person named that guard."""

    action: Action
    guard: Reason
    override: Override


@dataclass(frozen=True, slots=True)
class Shed:
    """Calls that no region of the zone can take. They are turned away in words, never in silence."""

    calls: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps to run in order; every prefix is safe.

    A StoreMemory that fails ends the plan. A write or a read that fails ends it for its lever only, so that
    one vendor's bad hour does not hold the others. What follows the steps is desired state that others keep right:
    `weights` (region to weight, for the answer to a webhook), `fallback` (None: no region may legally take calls)
    and the order of `carriers`.
    """

    steps: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    carrier_moves: tuple[CarrierMove, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    overridden: tuple[Overridden, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    shed: Shed | None = None
    fallback: Fallback | None = None
    carriers: tuple[str, ...] = ()
    wake_at: float | None = None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return (*(move.reason for move in self.moves), *(move.reason for move in self.carrier_moves))


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known of a zone at one moment.

    `memory` is what a majority remembers; a region missing from it was never seen well. `rewound`: that memory is
    older than what we wrote at a vendor. `heard_ago_s`: since each voter's heartbeat last moved.
    `fence` None: this operator does not lead. `last_ack_age_s` counts from before the last majority
    renewal was sent. `paused`: a person stopped the whole fleet, in these words.
    """

    zone: Zone
    regions: Mapping[str, Region]
    observations: tuple[Observation, ...] = ()
    origins: tuple[OriginState, ...] = ()
    memory: Mapping[str, RegionMemory] = field(default_factory=dict)
    carriers: Mapping[str, Cordon] = field(default_factory=dict)
    rewound: bool = False
    loads: Mapping[str, Load] = field(default_factory=dict)
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    heard_ago_s: Mapping[str, float] = field(default_factory=dict)
    paused: str = ""
    fence: Fence | None = None
    last_ack_age_s: float = NEVER_S
    counted: dict[str, evidence.Tally] = field(default_factory=dict, init=False, repr=False, compare=False)
    listed: list[tuple[str, ...]] = field(default_factory=list, init=False, repr=False, compare=False)

    def tally(self, region: str) -> evidence.Tally:
        """What counts of what is said about a region; all regions are counted at the first question."""
        if not self.counted:
            self.counted.update(evidence.tallies(self.observations, self.zone))
        return self.counted[region]

    def remembered(self, region: str) -> RegionMemory:
        return self.memory.get(region) or RegionMemory()

    def joined(self, region: str) -> bool:
        """Whether it was ever seen well since the zone names it."""
        return region in self.memory

    def legal(self, region: str) -> bool:
        """Whether calls of this zone may be there at all. Asked before health and before availability."""
        known = self.regions.get(region)
        return known is not None and known.jurisdiction == self.zone.residency

    def serving(self) -> tuple[str, ...]:
        """The regions that the fleet wants to take calls; they are looked up at the first question."""
        if not self.listed:
            self.listed.append(tuple([
                name
                for name in self.zone.members
                if self.legal(name) and self.remembered(name).intent is Intent.SERVING
            ]))
        return self.listed[0]

    def able(self) -> tuple[str, ...]:
        """The regions that would carry calls now: meant to serve, and seen up."""
        return tuple([name for name in self.serving() if self.tally(name).seen_up])

    def share(self, region: str) -> int:
        """The percentage of its weight that a region is given at its step of the ramp."""
        step = self.remembered(region).step
        return 100 if step is None or step >= len(self.zone.ramp) else self.zone.ramp[step]

    def given(self, region: str) -> int:
        """The percentage asked of the levers: all of it where no other region is able to take the rest."""
        return self.share(region) if any(name != region for name in self.able()) else 100

    def lever(self, name: str) -> Lever:
        """One of the zone's levers; KeyError for another's."""
        return {lever.name: lever for lever in self.zone.levers}[name]

    def written_levers_of(self, region: str) -> tuple[str, ...]:
        """The levers at which it may be written, too."""
        return tuple([name for name in self.levers_of(region) if not self.lever(name).dry_run])

    def levers_of(self, region: str) -> tuple[str, ...]:
        """The levers at which a region has an origin, in the policy's order."""
        known = self.regions.get(region)
        return tuple([lever.name for lever in self.zone.levers if known and lever.name in known.origins])

    def origin(self, lever: str, region: str) -> OriginState:
        """What was last read of an origin."""
        for state in self.origins:
            if state.region == region and state.lever == lever:
                return state
        return OriginState(lever, region, enabled=None)

    def enabled(self, lever: str, region: str) -> bool | None:
        """Whether an origin was last read to be on; None: unknown."""
        return self.origin(lever, region).enabled

    def surely_on(self, lever: str, region: str) -> bool:
        """Whether an origin was read to be on and nothing of ours says otherwise: what another one may lean on."""
        state = self.origin(lever, region)
        return state.enabled is True and not state.contradicts

    def with_memory(self, region: str, remembered: RegionMemory) -> View:
        return self._with(memory={**self.memory, region: remembered})

    def with_origin(self, lever: str, region: str, *, enabled: bool | None) -> View:
        others = tuple(state for state in self.origins if (state.lever, state.region) != (lever, region))
        return self._with(origins=(*others, OriginState(lever, region, enabled)))

    def with_spent(self, lever: str) -> View:
        """One request less in a lever's budget, so that several do not together spend what each alone may."""
        if lever not in self.budgets:
            return self
        budget = self.budgets[lever]
        return self._with(budgets={**self.budgets, lever: replace(budget, left=budget.left - 1)})

    def _with(self, **changes: Any) -> View:
        """A copy that keeps the tallies: what they are counted from is not among the changes."""
        changed = replace(self, **changes)
        changed.counted.update(self.counted)
        return changed
