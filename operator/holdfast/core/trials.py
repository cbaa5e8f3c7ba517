"""Whether somebody should ask a provider now, because no call does: one trial at a time, and never without need.

Each part of an attempt is tried by itself.

    the part's breakers           a trial is due
    any is open                   never
    any is half-open              when nobody else is on trial there
    all are closed                after SILENCE_S in which no pod here heard of it, and as long after the last trial;
                                  after CONFIRM_S when that trial failed, because one failure proves little

A provider that the fleet's own key tries is left to it while it is half-open: no tenant's key is risked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from holdfast.core import providers
from holdfast.core.providers import AttemptLine, Breaker, State

SILENCE_S = 60.0
CONFIRM_S = 5.0


class Why(Enum):
    """What a trial is for."""

    HALF_OPEN = "half-open"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of one key at one provider: how long ago anything was heard, and since it was last put on trial.

    `failed`: the last thing heard is a failure that a trial met.
    """

    heard_ago_s: float
    asked_ago_s: float
    failed: bool = False


def due(
    part: AttemptLine,
    heard: Heard,
    breakers: Mapping[str, Breaker],
    *,
    now: float,
    by_fleet: frozenset[str] = frozenset(),
    silence_s: float = SILENCE_S,
) -> Why | None:
    """Why this part should be tried now, if it should. `by_fleet`: providers that the fleet's own keys try."""
    known = {name: breakers[name] for name in part.breakers if name in breakers}
    states = {name: providers.state(breaker, now) for name, breaker in known.items()}
    if State.OPEN in states.values():
        return None
    half = [name for name, where in states.items() if where is State.HALF_OPEN]
    if half:
        left_to_fleet = half == [part.provider] and part.provider in by_fleet
        free = all(providers.may_try(known[name], now) for name in half)
        return Why.HALF_OPEN if free and not left_to_fleet else None
    if heard.failed and heard.asked_ago_s >= CONFIRM_S:
        return Why.SILENT
    return Why.SILENT if min(heard.heard_ago_s, heard.asked_ago_s) >= silence_s else None


def tried(part: AttemptLine, breakers: Mapping[str, Breaker], *, now: float) -> dict[str, Breaker]:
    """Those of the breakers that know somebody was sent."""
    return {name: providers.tried(breakers[name], now) for name in part.breakers if name in breakers}
