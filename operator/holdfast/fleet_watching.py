"""What this region watches beside entries and its own pods: its TURN servers, and the carriers of its zones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from holdfast.core.relays import IceList
from holdfast.core.values import Observation, Zone
from holdfast.fleet_carriers import FleetCarriers
from holdfast.fleet_relays import FleetRelays


@dataclass(frozen=True, slots=True)
class FleetWatching:
    """The two together, as the rest of the operator asks for them."""

    relays: FleetRelays
    carriers: FleetCarriers

    async def run(self) -> None:
        """While this pod is its region's active one."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.relays.run())
            group.create_task(self.carriers.run())

    def observations(self, *, self_doubt: bool) -> Iterable[Observation]:
        """Of carriers and relays."""
        of_relays = [replace(seen, self_doubt=self_doubt) for seen in self.relays.observations()]
        return [*self.carriers.observations(self_doubt=self_doubt), *of_relays]

    def suspect_carrier(self, carrier: str, why: str) -> None:
        """A live call's request to its API failed: look now."""
        self.carriers.suspect(carrier, why)

    def ice_list(self, zone: Zone) -> IceList | None:
        """What callers of the zone are offered here."""
        return self.relays.ice_list(zone)
