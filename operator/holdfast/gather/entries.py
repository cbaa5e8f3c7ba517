"""Watching the public entries of the fleet: which there are, how each is probed, and what all calls together say.

When to call, and how often to ask again, is `watches`. A call that is not answered after 600 ms is overlapped by the
next. This module refuses to know what follows from a verdict.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from holdfast.core import evidence
from holdfast.core.values import Observation, Probe, Region, Zone
from holdfast.gather.watches import Manner, Watches

UNANSWERED_S = 0.6


@dataclass(frozen=True, slots=True)
class Watched:
    """One region to watch, and how its zones want it to be probed."""

    region: str
    host: str
    probe: Probe


def watched(regions: Mapping[str, Region], zones: Collection[Zone]) -> dict[str, Watched]:
    """Every region of the fleet, probed as the most impatient of its zones wants it."""
    found = {}
    for name, region in regions.items():
        probes = [zone.probe for zone in zones if name in zone.members]
        found[name] = Watched(name, region.host, min(probes, key=lambda p: p.interval_s, default=Probe()))
    return found


class Entries:
    """Own verdicts on every region's entry. `on_change` is called when a verdict turns, and on a first failure."""

    def __init__(
        self,
        *,
        call: Callable[[Watched], Awaitable[evidence.Result]],
        targets: Callable[[], Mapping[str, Watched]],
        clock: Callable[[], float],
        on_change: Callable[[], None],
        dice: random.Random,
    ) -> None:
        self._clock = clock
        manner: Manner[Watched, evidence.Result] = Manner(
            kind="region",
            named=lambda watched: watched.region,
            ask=call,
            result=lambda result: result,
            probe=lambda watched: watched.probe,
            unanswered_s=UNANSWERED_S,
        )
        self._watches: Watches[str, Watched, evidence.Result] = Watches(
            manner, targets=targets, clock=clock, on_change=on_change, dice=dice
        )

    async def run(self) -> None:
        """Watch whatever there is to watch, until cancelled. Regions may come and go."""
        await self._watches.run()

    def stir(self, region: str) -> None:
        """Something else looks wrong with this region: call now."""
        self._watches.stir(region)

    def histories(self) -> Mapping[str, evidence.History]:
        """The verdict on each region with how long it has stood."""
        return self._watches.histories()

    def settled_since(self, moment: float) -> bool:
        """Whether every verdict was borne out by a call launched since then."""
        return self._watches.settled_since(moment)

    def suspicious(self) -> bool:
        """Whether any region is down or on its way there: a reason to listen to the peers more often."""
        return self._watches.suspicious()

    def observations(self, observer: str, *, self_doubt: bool) -> list[Observation]:
        """What this region says of every entry now."""
        now = self._clock()
        return [
            Observation(
                observer=observer,
                target=name,
                verdict=history.verdict,
                heard_age_s=0.0,
                held_s=max(0.0, now - history.since),
                self_doubt=self_doubt,
                detail=history.detail,
            )
            for name, history in self.histories().items()
        ]
