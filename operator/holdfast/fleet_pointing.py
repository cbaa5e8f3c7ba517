"""Keeps every address at the carriers right while this pod leads the zone, and removes the applications of the deleted.

Level-triggered: list, compare, write what differs; every fifteen seconds, and at once when something else is wanted. A
move of new calls goes before a repair of what only stands by, and the agents with the most calls go first. Repairs are
paced, so that a thousand of them never spend what a failover may need. What is so already costs nothing, and a pod that
takes over goes on where the last one stopped, because it lists before it writes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.core import addresses, copies, status
from holdfast.core.addresses import Address
from holdfast.core.fallback import Fallback
from holdfast.core.pointing import Pointing
from holdfast.core.values import AgentRef, Zone
from holdfast.desired import Desired
from holdfast.errors import DriverError
from holdfast.levers.base import Pointer, PointingDriver
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

EVERY_S = 15.0
LOOK_S = 0.5
AT_ONCE = 8
REPAIRS_A_ROUND = 5
FIRST_RETRY_S = 2.0

Drivers = Callable[[Zone], Mapping[str, PointingDriver]]


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the leader wants calls to go: the first address of all, and the region that stands behind it."""

    pointing: Pointing
    fallback: Fallback


@dataclass(slots=True)
class _Holder:
    """What is known of one lever or account.

    `written`: since the last listing, and so not read back yet. `settled`: what was read to be as it was wanted.
    """

    listed: dict[str, Pointer] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    listed_at: float = float("-inf")
    wanted: tuple[Address, ...] = ()
    settled: dict[str, Pointer] = field(default_factory=dict)
    again_at: float = float("-inf")
    trouble: str = ""


class PointingLoop:
    """The addresses of one zone. `fenced`: whether we lead and may begin a write at this moment."""

    def __init__(
        self,
        *,
        zone: str,
        desired: Desired,
        drivers: Drivers,
        leading: Callable[[], bool],
        fenced: Callable[[], Awaitable[bool]],
        aim: Callable[[], Aim | None],
        calls: Callable[[AgentRef], int],
        stones: Callable[[], Iterable[copies.Tombstone]],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._zone = zone
        self._desired = desired
        self._drivers = drivers
        self._leading = leading
        self._fenced = fenced
        self._aim = aim
        self._calls = calls
        self._stones = stones
        self._clock = clock
        self._metrics = metrics
        self._holders: dict[str, _Holder] = {}
        self._removed: set[tuple[str, str]] = set()
        self._fallback: Fallback | None = None

    def conditions(self) -> Mapping[AgentRef, status.Condition]:
        """Whether each agent's addresses stand at their carriers; nothing while somebody else leads."""
        if not self._leading():
            return {}
        said: dict[AgentRef, list[bool | None]] = {}
        for holder in self._holders.values():
            for address in holder.wanted:
                said.setdefault(address.agent, []).append(_stands(address, holder))
        return {
            agent: status.fallback_ready(self._fallback, read_back=_worst(stands)) for agent, stands in said.items()
        }

    def troubles(self) -> Mapping[str, str]:
        """By lever or account: why it cannot be read or written, in words."""
        return {name: holder.trouble for name, holder in self._holders.items() if holder.trouble and self._leading()}

    def drift(self) -> Mapping[str, tuple[str, ...]]:
        """By lever: the names at which somebody else wrote and that are left so."""
        found = {
            name: tuple(address.name for address in holder.wanted if _drifted(address, holder))
            for name, holder in self._holders.items()
        }
        return {name: names for name, names in found.items() if names}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._leading() and (zone := self._desired.zones.get(self._zone)) is not None:
                await self.round(zone)
            elif not self._leading():
                self._holders.clear()
            await asyncio.sleep(LOOK_S)

    async def round(self, zone: Zone) -> None:
        """Look at every holder once; what was seen right lately costs nothing."""
        aim = self._aim()
        if aim is None:
            return
        self._fallback = aim.fallback
        agents = {entry.ref: entry.spec for entry in self._desired.agents_of(zone.name)}
        wanted = addresses.wanted(
            zone, agents, regions=self._desired.regions, pointing=aim.pointing, fallback=aim.fallback
        )
        drivers = self._drivers(zone)
        by_holder: dict[str, list[Address]] = {name: [] for name in drivers}
        for address in wanted:
            if address.holder in by_holder:
                by_holder[address.holder].append(address)
        self._holders = {name: self._holders.get(name, _Holder()) for name in drivers}
        async with asyncio.TaskGroup() as group:
            for name, held in by_holder.items():
                group.create_task(self._keep(name, drivers[name], tuple(held)))
        await self._remove_deleted(zone, drivers)

    async def _keep(self, name: str, driver: PointingDriver, wanted: tuple[Address, ...]) -> None:
        holder, now = self._holders[name], self._clock()
        holder.wanted = wanted
        if now < holder.again_at or not wanted:
            return
        unread = holder.written and not _differing(holder, wanted)
        try:
            if now - holder.listed_at >= EVERY_S or unread:
                await self._list(holder, driver)
            await self._write(holder, driver, _in_order(_differing(holder, wanted), holder, self._calls))
        except* DriverError as errors:
            error = errors.exceptions[0]
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            assert isinstance(error, DriverError)
            self._failed(name, holder, error)
        else:
            holder.trouble = ""

    async def _list(self, holder: _Holder, driver: PointingDriver) -> None:
        holder.listed = dict(await driver.list())
        holder.listed_at = self._clock()
        holder.written.clear()
        for address in holder.wanted:
            if holder.listed.get(address.name) == _pointer(address):
                holder.settled[address.name] = _pointer(address)

    async def _write(self, holder: _Holder, driver: PointingDriver, due: Sequence[Address]) -> None:
        """A few at a time. What was written is read back by the next listing, and until then counts as unknown."""
        moves = [address for address in due if _is_move(address, holder)]
        repairs = [address for address in due if address not in moves][:REPAIRS_A_ROUND]
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(address: Address, *, urgent: bool) -> None:
            async with slots:
                budget = driver.budget()
                if budget is not None and budget.left <= (0 if urgent else budget.reserve):
                    return
                if not await self._fenced():
                    return
                pointer = _pointer(address)
                holder.settled.pop(address.name, None)
                holder.written.add(address.name)
                await driver.apply(pointer)
                holder.listed[address.name] = pointer
                log.info("address written", extra={"holder": address.holder, "agent": str(address.agent)})

        async with asyncio.TaskGroup() as group:
            for address in moves:
                group.create_task(one(address, urgent=True))
            for address in repairs if not moves else ():
                group.create_task(one(address, urgent=False))

    def _failed(self, name: str, holder: _Holder, error: DriverError) -> None:
        holder.again_at = self._clock() + (error.retry_after_s or (FIRST_RETRY_S if error.retryable else EVERY_S))
        holder.listed_at = float("-inf")
        holder.trouble = f"{error.code}: {error}"
        self._metrics.failures.labels("pointing").inc()
        log.warning("addresses held", extra={"holder": name, "code": error.code, "why": str(error)})

    async def _remove_deleted(self, zone: Zone, drivers: Mapping[str, PointingDriver]) -> None:
        for stone in self._stones():
            agent = AgentRef(stone.key.namespace, stone.key.name)
            if stone.key.kind != "VoiceAgent" or agent in self._desired.agents:
                continue
            for name, driver in drivers.items():
                holder, done = self._holders[name], (name, stone.uid)
                if not name.startswith(addresses.APPLICATIONS) or done in self._removed:
                    continue
                if self._clock() < holder.again_at or not await self._fenced():
                    continue
                try:
                    removed = await driver.remove(addresses.name_of(agent, zone))
                except DriverError as e:
                    self._failed(name, holder, e)
                    continue
                self._removed.add(done)
                if removed:
                    log.info("application removed", extra={"agent": str(agent), "holder": name})


def _pointer(address: Address) -> Pointer:
    return Pointer(address.name, address.voice_url, address.fallback_url)


def _differing(holder: _Holder, wanted: Sequence[Address]) -> list[Address]:
    """What is to be written: it differs, its lever is not on trial, and nobody else's change is to be left alone."""
    return [
        address
        for address in wanted
        if holder.listed.get(address.name) != _pointer(address)
        and not address.dry_run
        and not _drifted(address, holder)
    ]


def _drifted(address: Address, holder: _Holder) -> bool:
    """It was as it is wanted, it is no longer, and the policy only reports that."""
    settled = holder.settled.get(address.name) == _pointer(address)
    return settled and not address.enforce and holder.listed.get(address.name) != _pointer(address)


def _is_move(address: Address, holder: _Holder) -> bool:
    """Whether the very next call goes elsewhere by it; a new fallback waits for its turn."""
    listed = holder.listed.get(address.name)
    return listed is None or listed.voice_url != address.voice_url


def _in_order(due: Sequence[Address], holder: _Holder, calls: Callable[[AgentRef], int]) -> list[Address]:
    return sorted(due, key=lambda each: (not _is_move(each, holder), -calls(each.agent), each.name))


def _stands(address: Address, holder: _Holder) -> bool | None:
    if holder.listed_at == float("-inf") or address.name in holder.written:
        return None
    return holder.listed.get(address.name) == _pointer(address)


def _worst(stands: Sequence[bool | None]) -> bool | None:
    if False in stands:
        return False
    return None if None in stands else True
