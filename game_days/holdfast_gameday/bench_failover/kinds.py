"""The trials: what is broken, how often, in which fleet, and what is promised of it. Pure data and arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum


class Victim(Enum):
    """What a trial breaks."""

    REGION = "a region that does not lead"
    LEADER = "the region that leads"
    SILENT = "a region falls silent"
    PROVIDER = "the speech provider of one region"
    RELAY = "a TURN server"
    CARRIER = "the carrier's API"
    UPLINK = "the uplink of one operator"


@dataclass(frozen=True, slots=True)
class Kind:
    """`p95_s`: the promise for the whole way from the fault until it is effective; None: nothing is to be moved."""

    name: str
    victim: Victim
    trials: int
    layout: str = "three"
    calls: int = 0
    p95_s: float | None = None


KINDS = (
    Kind("region-killed", Victim.REGION, 30, p95_s=8.0),
    Kind("leader-killed", Victim.LEADER, 30, p95_s=10.0),
    Kind("silent-50-calls", Victim.SILENT, 30, calls=50, p95_s=10.0),
    Kind("provider-down", Victim.PROVIDER, 15, p95_s=2.0),
    Kind("relay-down", Victim.RELAY, 15, p95_s=8.0),
    Kind("carrier-down", Victim.CARRIER, 15, p95_s=8.0),
    Kind("uplink-lost", Victim.UPLINK, 15),
    Kind("two-and-witness", Victim.REGION, 15, layout="witness", p95_s=8.0),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}

Done = Collection[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Trial:
    kind: Kind
    number: int


def left(done: Done, *, only: Collection[str] = (), at_most: int | None = None) -> list[Trial]:
    """What is still to be done: a fleet at a time, and within it all kinds in turn, so that a part tells of each."""
    wanted = [kind for kind in KINDS if not only or kind.name in only]
    trials = [
        Trial(kind, number)
        for layout in dict.fromkeys(kind.layout for kind in wanted)
        for number in range(max(kind.trials for kind in wanted))
        for kind in wanted
        if kind.layout == layout and number < min(kind.trials, at_most or kind.trials)
    ]
    return [trial for trial in trials if (trial.kind.name, trial.number) not in done]
