"""What goes wrong, when and where, and how long callers talk: all of it from a seed. Pure.

It knows neither sockets nor calls. Seconds are counted from the run's beginning. While a provider is wholly down the
other one refuses nothing and is not slow, unless it is down, too: only then may a call find nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random

VENDORS = ("first", "second")
EVERY_S = (2.0, 6.0)
"""From one fault to the next."""
DOWN_EVERY_S = (90.0, 360.0)
DOWN_S = 20.0
WEATHER_S = (3.0, 10.0)
"""How long a share of upgrades is refused or slow."""
SHARE = (0.1, 0.6)
SLOW_S = (0.5, 3.0)
SESSIONS_MAX = 5
LIFE_S = (30.0, 180.0)
PAUSE_S = (0.0, 1.0)
PULLED = 0.15
"""The share of calls whose socket dies once before their end."""
BY_AGENT = 0.4


class Kind(Enum):
    REFUSED_503 = "upgrades refused with 503"
    REFUSED_429 = "upgrades refused with 429"
    REFUSED_401 = "upgrades refused with 401"
    SLOW = "slow to confirm a session"
    CUT = "links cut mid-sentence"
    CLOSED = "links closed with 1011"
    STALLED = "links that fell silent"
    GARBAGE = "links that sent garbage"
    ERROR = "links that sent an error event"
    DOWN = "wholly down"


REFUSALS = {Kind.REFUSED_503: 503, Kind.REFUSED_429: 429, Kind.REFUSED_401: 401}
_WEATHER = frozenset({*REFUSALS, Kind.SLOW})
_OFTEN = (
    Kind.REFUSED_503, Kind.REFUSED_429, Kind.REFUSED_401, Kind.SLOW,
    Kind.CUT, Kind.CUT, Kind.CLOSED, Kind.STALLED, Kind.STALLED, Kind.GARBAGE, Kind.ERROR,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`lasts_s`, `share`, `slow_s`: of upgrades. `sessions`: so many links are hit at once."""

    at_s: float
    vendor: str
    kind: Kind
    lasts_s: float = 0.0
    share: float = 0.0
    slow_s: float = 0.0
    sessions: int = 0

    @property
    def until_s(self) -> float:
        return self.at_s + self.lasts_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One call: how long it lasts, who ends it, when its socket dies first (0: never), and the wait before the next."""

    lasts_s: float
    by_agent: bool
    pulled_at_s: float
    pause_s: float


def faults(seed: int, seconds: float) -> list[Fault]:
    """All of a run, in order; none begins in its last 25 s, so that the calls end in good weather."""
    dice, last = Random(f"faults {seed}"), seconds - DOWN_S - 5.0
    down = [fault for vendor in VENDORS for fault in _downs(dice, vendor, last)]
    found, at = list(down), dice.uniform(*EVERY_S)
    while at < last:
        fault = _fault(dice, at)
        if not _leaves_nobody(fault, down):
            found.append(fault)
        at += dice.uniform(*EVERY_S)
    return sorted(found, key=lambda fault: fault.at_s)


def _downs(dice: Random, vendor: str, last: float) -> list[Fault]:
    found, at = [], dice.uniform(*DOWN_EVERY_S) / 2
    while at < last:
        found.append(Fault(at_s=at, vendor=vendor, kind=Kind.DOWN, lasts_s=DOWN_S))
        at += DOWN_S + dice.uniform(*DOWN_EVERY_S)
    return found


def _fault(dice: Random, at_s: float) -> Fault:
    vendor, kind = dice.choice(VENDORS), dice.choice(_OFTEN)
    if kind not in _WEATHER:
        return Fault(at_s=at_s, vendor=vendor, kind=kind, sessions=dice.randint(1, SESSIONS_MAX))
    lasts_s, share, slow_s = dice.uniform(*WEATHER_S), dice.uniform(*SHARE), dice.uniform(*SLOW_S)
    return Fault(at_s=at_s, vendor=vendor, kind=kind, lasts_s=lasts_s, share=share, slow_s=slow_s)


def _leaves_nobody(fault: Fault, down: list[Fault]) -> bool:
    others = [each for each in down if each.vendor != fault.vendor]
    return fault.kind in _WEATHER and any(fault.at_s < each.until_s and each.at_s < fault.until_s for each in others)


def life(dice: Random) -> Life:
    lasts_s = dice.uniform(*LIFE_S)
    pulled = dice.random() < PULLED
    return Life(
        lasts_s=lasts_s,
        by_agent=dice.random() < BY_AGENT,
        pulled_at_s=lasts_s * dice.uniform(0.2, 0.8) if pulled else 0.0,
        pause_s=dice.uniform(*PAUSE_S),
    )
