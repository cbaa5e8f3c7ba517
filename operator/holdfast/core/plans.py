"""What the failover core is shown and what it answers: View in, Plan out. Values only, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from holdfast.core import evidence
from holdfast.core.values import Fence, Intent, Observation, OriginState, Reason, Region, RegionMemory, Zone

NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Move:
    """A change of the fleet's mind about a region. It takes effect by being stored, then written."""

    region: str
    intent: Intent
    reason: Reason


@dataclass(frozen=True, slots=True)
class StoreMemory:
    """Store the memory in a majority of votes, which also proves the fence anew. The rest waits for it."""

    fence: Fence
    memory: Mapping[str, RegionMemory]


@dataclass(frozen=True, slots=True)
class SetOrigin:
    """Write one region's own origin at one lever, within 500 ms of an acknowledged renewal."""

    lever: str
    region: str
    enabled: bool
    fence: Fence
    key: str
    reason: Reason


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

    action: Action
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps to run in order; every prefix is safe.

    A StoreMemory that fails ends the plan. A write or a read that fails ends it for its lever only, so that
    one vendor's bad hour does not hold the others.
    """

    steps: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    wake_at: float | None = None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(move.reason for move in self.moves)


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is known of a zone at one moment.

    `memory` is what a majority remembers; a region missing from it was never moved.
    `fence` None: this operator does not lead. `last_ack_age_s` counts from before the last majority
    renewal was sent.
    """

    zone: Zone
    regions: Mapping[str, Region]
    observations: tuple[Observation, ...] = ()
    origins: tuple[OriginState, ...] = ()
    memory: Mapping[str, RegionMemory] = field(default_factory=dict)
    fence: Fence | None = None
    last_ack_age_s: float = NEVER_S

    def tally(self, region: str) -> evidence.Tally:
        return evidence.tally(region, self.observations, self.zone)

    def remembered(self, region: str) -> RegionMemory:
        return self.memory.get(region, RegionMemory(Intent.SERVING, NEVER_S))

    def serving(self) -> tuple[str, ...]:
        """The regions that the fleet wants to take calls."""
        return tuple(name for name in self.zone.members if self.remembered(name).intent is Intent.SERVING)

    def levers_of(self, region: str) -> tuple[str, ...]:
        """The levers at which a region has an origin, in the policy's order."""
        known = self.regions.get(region)
        return tuple(lever.name for lever in self.zone.levers if known and lever.name in known.origins)

    def enabled(self, lever: str, region: str) -> bool | None:
        """What was last read of an origin; None: unknown."""
        states = (state for state in self.origins if (state.lever, state.region) == (lever, region))
        return next((state.enabled for state in states), None)

    def with_memory(self, region: str, remembered: RegionMemory) -> View:
        return replace(self, memory={**self.memory, region: remembered})

    def with_origin(self, lever: str, region: str, *, enabled: bool | None) -> View:
        others = tuple(state for state in self.origins if (state.lever, state.region) != (lever, region))
        return replace(self, origins=(*others, OriginState(lever, region, enabled)))
