"""How many calls a region is given at a time after another is lost, so that the herd does not take it down too.

Paced are calls that we bring: those pushed over to another region, and new ones that were turned away and told when
to ask again. A call that the carrier brings by itself is exempt: it is answered at once or not at all.
Which region is lost, and how a call is moved, is not known here.

    a bucket for each region     fills with      holds at most              a call takes
    of set-ups                   `rate` a second BURST_S seconds of it      one
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from holdfast.core.values import NEVER_S, Load

SETUPS_PER_POD_S = 10.0
"""Reckoned with 20 ms of a pod's core for each: an upgrade, a TLS handshake with the provider, a greeting.

At ten a second four fifths of the core are left for the audio of the calls that are there already.
"""

BURST_S = 1.0
HINT_MIN_S = 1.0
HINT_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Wave:
    """What may go now, and what is left in the bucket for the next time."""

    admitted: int
    carried: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that nobody carries. `idle_s`: since its caller or its agent last spoke."""

    call: str
    idle_s: float


def rates(
    loads: Mapping[str, Load], serving: Collection[str], *, ceilings: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Set-ups a second for each region that serves and has room. `ceilings`: what its providers are known to allow."""
    known = ceilings or {}
    return {
        name: min(load.ready_pods * SETUPS_PER_POD_S, known.get(name, NEVER_S))
        for name, load in loads.items()
        if name in serving and load.room > 0 and load.ready_pods > 0
    }


def wave(waiting: int, *, room: int, rate: float, elapsed_s: float, carried: float = 0.0) -> Wave:
    """How many of those who wait may go to one region now; `elapsed_s` since the last wave, which left `carried`."""
    # A rate below one a burst must still let one through, once it has been saved up.
    tokens = min(carried + rate * elapsed_s, max(rate * BURST_S, 1.0))
    admitted = max(min(waiting, room, int(tokens)), 0)
    return Wave(admitted, tokens - admitted)


def spread(waiting: Iterable[Waiting], admitted: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """Each call that goes now, with its region: the most recently active first, evenly over the regions."""
    order = sorted(waiting, key=lambda one: (one.idle_s, one.call))
    places = sorted((number / count, name) for name, count in admitted.items() for number in range(count))
    return tuple((one.call, name) for one, (_, name) in zip(order, places, strict=False))


def hint_s(ahead: int, rate: float) -> float:
    """When a caller who was turned away should ask again, with `ahead` others before him."""
    wait_s = (ahead + 1) / rate if rate > 0 else HINT_MAX_S
    return min(max(wait_s, HINT_MIN_S), HINT_MAX_S)
