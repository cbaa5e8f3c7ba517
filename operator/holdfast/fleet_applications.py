"""Keeps the carrier application of every agent right while this pod leads the zone, and removes those of the deleted.

Level-triggered: read, compare, write on a difference, every fifteen seconds and on change. An application goes only for
a tombstone of its agent; an agent that merely is not listed keeps it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from holdfast.core import copies, fallback, status
from holdfast.core.values import AgentRef, Carrier, Region, Zone
from holdfast.desired import AgentEntry, Desired
from holdfast.errors import DriverError
from holdfast.levers.base import Pointer, PointingDriver
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

EVERY_S = 15.0
LOOK_S = 1.0
TWILIO = "twilio"

Accounts = Callable[[Zone, Carrier], PointingDriver]


class ApplicationLoop:
    """The applications of one zone. `wanted`: the fallback of the zone's plan, None when there is none."""

    def __init__(
        self,
        *,
        zone: str,
        desired: Desired,
        accounts: Accounts,
        leading: Callable[[], bool],
        wanted: Callable[[], fallback.Fallback | None],
        stones: Callable[[], Iterable[copies.Tombstone]],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._zone = zone
        self._desired = desired
        self._accounts = accounts
        self._leading = leading
        self._wanted = wanted
        self._stones = stones
        self._clock = clock
        self._metrics = metrics
        self._done: dict[tuple[str, str], tuple[Pointer, float]] = {}
        self._again: dict[str, float] = {}
        self._removed: set[tuple[str, str]] = set()
        self._conditions: dict[AgentRef, status.Condition] = {}

    def conditions(self) -> Mapping[AgentRef, status.Condition]:
        """Whether each agent's fallback stands at its carrier; nothing while somebody else leads."""
        return dict(self._conditions) if self._leading() else {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._leading() and (zone := self._desired.zones.get(self._zone)) is not None:
                await self.round(zone)
            elif not self._leading():
                self._done.clear()
            await asyncio.sleep(LOOK_S)

    async def round(self, zone: Zone) -> None:
        """Look at every agent of the zone once; what was seen right lately costs nothing."""
        regions = self._desired.regions
        chosen = self._wanted()
        if chosen is None or chosen.region not in regions:
            return
        for entry in self._desired.agents_of(zone.name):
            for carrier in carriers_of(entry, zone):
                await self._ensure(entry.ref, zone, carrier, chosen=chosen, regions=regions)
        await self._remove_deleted(zone)

    async def _ensure(
        self,
        agent: AgentRef,
        zone: Zone,
        carrier: Carrier,
        *,
        chosen: fallback.Fallback,
        regions: Mapping[str, Region],
    ) -> None:
        desired = fallback.application(agent, zone, host=regions[chosen.region].host)
        wanted = Pointer(desired.friendly_name, desired.voice_url, desired.fallback_url)
        key, now = (carrier.name, wanted.name), self._clock()
        last, at = self._done.get(key, (None, float("-inf")))
        if (last == wanted and now - at < EVERY_S) or now < self._again.get(carrier.name, 0.0) or not self._leading():
            return
        try:
            account = self._accounts(zone, carrier)
            wrote = await account.read(wanted.name) != wanted
            if wrote:
                await account.apply(wanted)
        except DriverError as e:
            self._again[carrier.name] = now + (e.retry_after_s or (2.0 if e.retryable else EVERY_S))
            self._done.pop(key, None)
            self._conditions[agent] = status.fallback_ready(chosen, read_back=None)
            log.warning("application held", extra={"agent": str(agent), "carrier": carrier.name, "why": str(e)})
            return
        if wrote:
            # Read back in the next round: only what was read to be right counts as right.
            self._conditions[agent] = status.fallback_ready(chosen, read_back=None)
            self._done.pop(key, None)
            log.info("application written", extra={"agent": str(agent), "carrier": carrier.name})
            return
        self._done[key] = (wanted, now)
        self._conditions[agent] = status.fallback_ready(chosen, read_back=True)

    async def _remove_deleted(self, zone: Zone) -> None:
        for stone in self._stones():
            agent = AgentRef(stone.key.namespace, stone.key.name)
            if stone.key.kind != "VoiceAgent" or agent in self._desired.agents:
                continue
            self._conditions.pop(agent, None)
            for carrier in zone.carriers:
                done = (carrier.name, stone.uid)
                if carrier.kind.lower() != TWILIO or done in self._removed or not self._leading():
                    continue
                if self._clock() < self._again.get(carrier.name, 0.0):
                    continue
                name = fallback.application(agent, zone, host="").friendly_name
                try:
                    removed = await self._accounts(zone, carrier).remove(name)
                except DriverError as e:
                    self._again[carrier.name] = self._clock() + (e.retry_after_s or 2.0)
                    log.warning("application not removed", extra={"agent": str(agent), "why": str(e)})
                    continue
                self._removed.add(done)
                self._done.pop((carrier.name, name), None)
                if removed:
                    log.info("application removed", extra={"agent": str(agent), "carrier": carrier.name})


def carriers_of(entry: AgentEntry, zone: Zone) -> tuple[Carrier, ...]:
    """The accounts in which an agent has an application: those of its numbers, else those its namespace may use."""
    named = {number.carrier for number in entry.spec.numbers}
    if not named:
        named = {c for tenant in zone.tenants if entry.ref.namespace in tenant.namespaces for c in tenant.carriers}
    return tuple(c for c in zone.carriers if c.name in named and c.kind.lower() == TWILIO)
