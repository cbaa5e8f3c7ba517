"""Runs, for every dispatcher lever of a zone, what puts back that which its proxies forget. It decides nothing.

Where a lever's drift is only reported, a region that serves is left as others put it; one that is out is kept out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from holdfast.core import writes
from holdfast.core.plans import View
from holdfast.core.values import Region, Zone
from holdfast.desired import Desired
from holdfast.levers.base import OriginChange, RoutingDriver
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.kamailio_reassert import Reassert

LOOK_S = 1.0

Dice = random.Random
Levers = Callable[[Zone, Mapping[str, Region]], Mapping[str, RoutingDriver]]


@dataclass(frozen=True, slots=True)
class Decided:
    """What stands for one lever while we lead. `view` answers None while we do not."""

    lever: str
    view: Callable[[], View | None]
    may: Callable[[], Awaitable[bool]]

    def wanted(self) -> Mapping[str, OriginChange]:
        """By region, of those whose origin there was read to be as it is wanted since it was last wanted otherwise."""
        view = self.view()
        if view is None or view.fence is None or view.lever(self.lever).dry_run:
            return {}
        keeps_all = view.lever(self.lever).enforce
        return {
            region: OriginChange(region=region, enabled=enabled, epoch=view.fence.epoch)
            for region, lever, enabled in writes.desired(view)
            if lever == self.lever
            and (keeps_all or not enabled)
            and (settled := view.origin(lever, region).settled) is not None
            and settled[0] is enabled
        }

    async def may_write(self) -> bool:
        """The vote's word."""
        return await self.may()


class Reasserts:
    """One task per dispatcher lever; drivers may come, change and go."""

    def __init__(
        self,
        *,
        zone: str,
        desired: Desired,
        levers: Levers,
        view: Callable[[], View | None],
        may_write: Callable[[], Awaitable[bool]],
        dice: Dice,
    ) -> None:
        self._zone = zone
        self._desired = desired
        self._levers = levers
        self._view = view
        self._may_write = may_write
        self._dice = dice
        self._running: dict[str, tuple[KamailioDispatcher, Reassert, asyncio.Task[None]]] = {}

    def troubles(self) -> Mapping[str, str]:
        """By proxy: why it cannot be kept as decided, in words."""
        return {who: why for _, each, _ in self._running.values() for who, why in each.troubles().items()}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._follow(group)
                await asyncio.sleep(LOOK_S)

    def _follow(self, group: asyncio.TaskGroup) -> None:
        zone = self._desired.zones.get(self._zone)
        drivers = self._levers(zone, self._desired.regions) if zone else {}
        wanted = {name: each for name, each in drivers.items() if isinstance(each, KamailioDispatcher)}
        for name in [name for name, (driver, _, _) in self._running.items() if wanted.get(name) is not driver]:
            self._running.pop(name)[2].cancel()
        for name, driver in wanted.items():
            if name not in self._running:
                decided = Decided(name, self._view, self._may_write)
                each = Reassert(driver=driver, decided=decided, dice=self._dice)
                self._running[name] = (driver, each, group.create_task(each.run(), name=f"reassert-{name}"))
