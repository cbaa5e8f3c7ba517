"""Runs one step of a plan and says whether it was done; what a failure means for the rest is the loop's to know.

No decision is made here. What is checked again is only the right to write: the fence of the step is still ours, and a
majority acknowledged it at most half a second ago.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

from holdfast.core.plans import ReadBack, SetOrigin, Step, StoreMemory
from holdfast.core.values import Fence
from holdfast.fleet_origins import OriginBook
from holdfast.levers.base import DriverError, OriginChange, RoutingDriver
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

WRITE_WITHIN_ACK_S = 0.5


class Vote(Protocol):
    """The zone's vote, as far as writing needs it."""

    def fence(self) -> Fence | None:
        """The right to write, while we lead."""
        ...

    def last_ack_age_s(self) -> float:
        """Since before the last acknowledged majority renewal was sent."""
        ...

    async def confirm(self) -> bool:
        """Renew now; whether a majority acknowledged."""
        ...

    async def store(self, step: StoreMemory) -> bool:
        """Renew now with the step's memory; whether a majority stored it."""
        ...


async def may_write(vote: Vote, fence: Fence) -> bool:
    """Whether this fence is ours, acknowledged by a majority so lately that a write may begin now."""
    if vote.fence() != fence:
        return False
    if vote.last_ack_age_s() <= WRITE_WITHIN_ACK_S:
        return True
    return await vote.confirm() and vote.fence() == fence


class Steps:
    """Executes steps for one zone."""

    def __init__(
        self,
        *,
        vote: Vote,
        drivers: Callable[[], Mapping[str, RoutingDriver]],
        book: OriginBook,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._vote = vote
        self._drivers = drivers
        self._book = book
        self._clock = clock
        self._metrics = metrics
        self._wrote: dict[tuple[str, str], OriginChange] = {}

    async def run(self, step: Step) -> bool:
        """One step; False when it was not done, so that what follows for its lever must wait for another plan."""
        match step:
            case StoreMemory():
                return self._vote.fence() == step.fence and await self._vote.store(step)
            case SetOrigin():
                return await self._set(step)
            case ReadBack():
                return await self._read(step)
            case _:
                assert_never(step)

    async def _set(self, step: SetOrigin) -> bool:
        driver = self._drivers().get(step.lever)
        if driver is None or not self._book.may_ask(step.lever) or not await may_write(self._vote, step.fence):
            return False
        began = self._clock()
        # From here to the read-back the state at the vendor is not known, whatever happens to us.
        self._book.wrote(step.lever, step.region, enabled=step.enabled)
        change = OriginChange(region=step.region, enabled=step.enabled, epoch=step.fence.epoch, share=step.share)
        self._wrote[step.lever, step.region] = change
        try:
            await driver.apply(change)
        except DriverError as e:
            self._failed(step.lever, step.region, e)
            self._metrics.lever_writes.labels(step.lever, e.code).observe(self._clock() - began)
            return False
        self._metrics.lever_writes.labels(step.lever, "written").observe(self._clock() - began)
        log.info(
            "origin written",
            extra={"lever": step.lever, "region": step.region, "enabled": step.enabled, "key": step.key},
        )
        return True

    async def _read(self, step: ReadBack) -> bool:
        driver = self._drivers().get(step.lever)
        if driver is None or not self._book.may_ask(step.lever):
            return False
        try:
            reading = await driver.read(step.region)
        except DriverError as e:
            self._failed(step.lever, step.region, e)
            return False
        self._book.answered(step.lever, reading)
        wrote = self._wrote.pop((step.lever, step.region), None)
        if step.expected is None or wrote is None:
            return True
        meant = driver.normalise(wrote)
        if (reading.enabled, reading.share) != (meant.enabled, meant.share):
            self._book.differs(step.lever, step.region)
            return False
        self._book.agrees(step.lever)
        return True

    def _failed(self, lever: str, region: str, error: DriverError) -> None:
        self._book.failed(lever, region, error)
        log.warning(
            "lever held",
            extra={"lever": lever, "region": region, "code": error.code, "why": str(error)},
        )
