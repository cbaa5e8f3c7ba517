"""What concerns one region alone: its providers, its relay, its pods, and how they look from inside."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from holdfast.core import reasons
from holdfast.core.values import Reason, Tier, Verdict
from holdfast_gameday.simulation.ears import Asked

if TYPE_CHECKING:
    from holdfast_gameday.simulation.world import World

PROVIDERS = ("realtime", "cascade")


class Local:
    """The state of the dependencies, and what each region's operator makes of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._providers: Counter[str] = Counter()
        self._relays: Counter[str] = Counter()
        self._carriers: Counter[str] = Counter()
        self._pods: Counter[str] = Counter()

    def provider(self, region: str, *, ill: bool) -> None:
        self._providers[region] += 1 if ill else -1
        self._world.tell(region)

    def relay(self, region: str, *, ill: bool) -> None:
        self._relays[region] += 1 if ill else -1

    def carrier(self, carrier: str, *, ill: bool) -> None:
        self._carriers[carrier] += 1 if ill else -1
        for name in self._world.zone.voters:
            self._world.tell(name)

    def pods(self, region: str, *, ill: bool) -> None:
        self._pods[region] += 1 if ill else -1
        self._world.tell(region)

    def others(self, observer: str) -> dict[str, tuple[Tier, Verdict]]:
        """What an operator sees of the other tiers."""
        seen = {
            carrier.name: (Tier.CARRIER, Verdict.DOWN if self._carriers[carrier.name] else Verdict.UP)
            for carrier in self._world.zone.carriers
        }
        if observer in self._world.zone.members:
            seen[PROVIDERS[0]] = (Tier.PROVIDER, Verdict.DOWN if self._providers[observer] else Verdict.UP)
        return seen

    def asked(self, region: str) -> Asked | None:
        """Whether a region's operator asks for it to be withdrawn."""
        if self._pods[region]:
            return Asked(Reason(reasons.REGION_WITHDRAWN, "most of my pods answer with errors"), 4, 4, ())
        if self._providers[region]:
            return Asked(Reason(reasons.REGION_WITHDRAWN, "realtime fails here"), 4, 4, (PROVIDERS[0],))
        return None
