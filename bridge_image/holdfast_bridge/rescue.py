"""Pushing the calls of a lost region here, for the loss that the carrier has not noticed.

The operators only say which region is lost. This pod then moves each call whose journal it keeps, whose owner is there
and whose account has not moved for three seconds, the most recently active first. `next` raises the epoch, so a call
that its old owner still carries after all falls silent there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from holdfast_bridge.core import answer, journal
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.errors import CarrierError, StoreError
from holdfast_bridge.journal_store import MemoryStore, RedisStore
from holdfast_bridge.seams import CarrierPort
from holdfast_bridge.settings import Settings
from holdfast_bridge.telemetry import Metrics

LOOK_EVERY_S = 0.5
SILENT_S = 3.0
AT_ONCE = 10
TRIES = 3
ONCE_IN_S = 30

log = logging.getLogger(__name__)


class Rescue:
    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        directive: Callable[[], Directive],
        memory: MemoryStore,
        redis: RedisStore | None,
        carrier: CarrierPort,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._directive = directive
        self._memory = memory
        self._redis = redis
        self._carrier = carrier
        self._metrics = metrics
        self._tries: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            lost = self._directive().lost
            if not lost:
                self._tries.clear()
                continue
            await self.push(self.due(lost)[:AT_ONCE])

    def due(self, lost: tuple[str, ...]) -> list[CallRecord]:
        return [
            record
            for region in lost
            for record in self._memory.still_since(region, at_least_s=SILENT_S)
            if self._tries.get((record.call, record.epoch), 0) < TRIES
        ]

    async def push(self, records: list[CallRecord]) -> None:
        async with asyncio.TaskGroup() as group:
            for record in records:
                group.create_task(self._push(record))

    async def _push(self, record: CallRecord) -> None:
        turn = (record.call, record.epoch)
        self._tries[turn] = self._tries.get(turn, 0) + 1
        if await self._gone_on(record):
            return
        if not await self._ours(record):
            self._tries[turn] = TRIES
            return
        config = self._settings().agent
        try:
            await self._carrier.redirect(record.call, answer.next_url(config, config.own_host, record.call, hop=0))
        except CarrierError as error:
            self._metrics.handed_over("rescue", ok=False)
            log.warning("rescue refused by the carrier", extra={"status": error.status})
            return
        self._tries[turn] = TRIES
        self._metrics.handed_over("rescue", ok=True)

    async def _gone_on(self, record: CallRecord) -> bool:
        """True when the region's store has a newer account: the carrier asked `next` at another pod of this region.

        Pushing such a call would take the stream away from its new owner, who would think the caller had hung up.
        """
        if self._redis is None:
            return False
        try:
            newest = await self._redis.get(record.call)
        except StoreError:
            return False
        if newest is None or not journal.supersedes(newest, record):
            return False
        self._memory.put(newest)
        return True

    async def _ours(self, record: CallRecord) -> bool:
        """True for the one pod of this region that pushes this call; without Redis, for whoever keeps its journal."""
        if self._redis is None or self._tries[(record.call, record.epoch)] > 1:
            return True
        try:
            return await self._redis.first(f"rescue:{record.epoch}", record.call, life_s=ONCE_IN_S)
        except StoreError:
            return True
