"""The one list of what must never break, by name, for the simulator and for live game days. Pure data.

What a name means is its sentence; how it is looked up differs between simulated and real worlds, and lies with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Invariant(Enum):
    """Each with its short name and the sentence that has to be true."""

    NEVER_EMPTY = ("I1", "no write takes the last origin that is on and well out of a lever")
    RESIDENCY = ("I2", "no call is ever routed outside its zone's jurisdiction")
    FENCED = ("I3", "at most one holder may write, its epoch never falls, and a stale fence changes nothing")
    CAPACITY = ("I4", "no region is given more calls than it takes; what no region can take is shed in words")
    MIN_HEALTHY = ("I5", "the last serving region is never cordoned, and all is held when everything looks ill")
    CALLS_KEPT = ("I6", "a change of routing never ends a call")
    OWNERSHIP = ("I9", "what lacks our mark is never changed")
    DWELL = ("I10", "opposite moves of one cause lie a dwell apart")
    TRUTHFUL = ("I11", "a status that says a route is in sync is true")
    ISOLATION = ("I13", "what no fault has touched is neither moved nor delayed")
    ONCE = ("I14", "each effect happens once for one intent")
    QUORUM = ("D1", "no region is moved for its health against what a quorum sees, or without one")
    ORDERS = ("D2", "what a person holds is held, an order lifts the guard it names, an incident ends a rehearsal")
    SETTLES = ("L1", "after the last fault all is as wanted within a minute and its dwells; then nothing is written")
    DETECTS = ("L3", "a region lost in plain sight of a quorum is found, decided and taken out in time")

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach: which invariant, when, and what was seen."""

    invariant: Invariant
    at_s: float
    what: str

    def __str__(self) -> str:
        return f"{self.invariant.code} {self.invariant.name.lower()} broken at {self.at_s:.3f} s: {self.what}"
