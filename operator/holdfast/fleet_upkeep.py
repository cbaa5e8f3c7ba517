"""Looks after what stands by at the levers while this pod leads: a load balancer's lists, a trunk's disaster address.

They act without us when a region is lost, so they are looked at in calm and never during a move. What is wrong is told;
it is put right only where the lever's drift is to be enforced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from holdfast.core import edge
from holdfast.core.means import Lever
from holdfast.core.plans import View
from holdfast.core.values import Region, Zone
from holdfast.desired import Desired
from holdfast.errors import DriverError
from holdfast.levers.base import RoutingDriver
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast.levers.twilio_trunk import TwilioTrunk
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

EVERY_S = 30.0
LOOK_S = 1.0

Levers = Callable[[Zone, Mapping[str, Region]], Mapping[str, RoutingDriver]]


class Upkeep:
    """One zone's. `view` answers None while we do not lead; `may_write`: whether a write may begin now."""

    def __init__(
        self,
        *,
        zone: str,
        desired: Desired,
        levers: Levers,
        view: Callable[[], View | None],
        may_write: Callable[[], Awaitable[bool]],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._zone = zone
        self._desired = desired
        self._levers = levers
        self._view = view
        self._may_write = may_write
        self._clock = clock
        self._metrics = metrics
        self._looked_at: dict[str, float] = {}
        self._found: dict[str, tuple[str, ...]] = {}

    def found(self) -> Mapping[str, Sequence[str]]:
        """By lever: what does not stand by as it should, in words; nothing while somebody else leads."""
        return {name: words for name, words in self._found.items() if words} if self._view() is not None else {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(LOOK_S)

    async def round(self) -> None:
        """Whatever is due. One lever that cannot be read does not hold up the others."""
        view, zone = self._view(), self._desired.zones.get(self._zone)
        if view is None or view.fence is None or zone is None:
            self._looked_at.clear()
            self._found.clear()
            return
        drivers = self._levers(zone, self._desired.regions)
        for lever in zone.levers:
            if self._clock() - self._looked_at.get(lever.name, float("-inf")) < EVERY_S:
                continue
            self._looked_at[lever.name] = self._clock()
            try:
                self._found[lever.name] = await self._look(lever, drivers.get(lever.name), view)
            except DriverError as e:
                self._metrics.failures.labels("upkeep").inc()
                self._found[lever.name] = (f"{e.code}: {e}",)

    async def _look(self, lever: Lever, driver: RoutingDriver | None, view: View) -> tuple[str, ...]:
        if isinstance(driver, CloudflareLoadBalancer) and lever.settings.get("loadBalancerId"):
            return await self._balancer(lever, driver, view)
        if isinstance(driver, TwilioTrunk) and _repairs(lever):
            await self._disaster_url(lever, driver)
        return ()

    async def _disaster_url(self, lever: Lever, driver: TwilioTrunk) -> None:
        """Where it differs, the trunk's own reading tells it as drift."""
        url = lever.settings.get("disasterUrl", "")
        if url and await self._may_write() and await driver.ensure_disaster_url(url):
            log.info("disaster address written", extra={"lever": lever.name})

    async def _balancer(self, lever: Lever, driver: CloudflareLoadBalancer, view: View) -> tuple[str, ...]:
        origins = {name: region.origins.get(lever.name, "") for name, region in view.regions.items()}
        pools = {name: origins.get(name, "") for name in view.zone.members}
        found = await driver.read_balancer()
        steering = lever.settings.get("steering", edge.OFF)
        wanted = edge.wanted(view.zone, view.regions, pools, found, steering=steering)
        fence = view.fence
        if wanted is not None and wanted != found.balancer and _repairs(lever) and fence and await self._may_write():
            await driver.apply_balancer(wanted, found=found.balancer, epoch=fence.epoch)
            log.info("load balancer written", extra={"lever": lever.name})
            found = await driver.read_balancer()
        problems = edge.problems(view.zone, view.regions, pools, found, steering=steering)
        return tuple(f"{reason.code}: {reason.message}" for reason in problems)


def _repairs(lever: Lever) -> bool:
    return lever.enforce and not lever.dry_run
