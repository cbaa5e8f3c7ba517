"""The journal as a call sees it: kept here, in the region and at the buddy, without ever making the audio wait.

It joins four parts (this pod's memory, the region's Redis, the link to the buddy, the fetch from the zone) and decides
nothing but their order. With Redis or the buddy gone it goes on with what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from holdfast_bridge.core import journal
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.errors import StoreError
from holdfast_bridge.journal_fetch import ZoneFetch
from holdfast_bridge.journal_link import BuddyLink
from holdfast_bridge.journal_store import MemoryStore, RedisStore, Taken

FLUSH_EVERY_S = 1.0
GATHER_S = 0.02
"""After a flush: what is urgent in so many calls at once goes to Redis together, not one by one."""
SECOND_OPINION_S = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Which other regions may be asked now, in the zone and believed to be alive."""

    reachable: Callable[[], tuple[str, ...]]
    fetch: ZoneFetch


class Journal:
    """Implements `seams.JournalPort`, and what the webhook and the drain need beside it."""

    def __init__(
        self,
        *,
        memory: MemoryStore,
        redis: RedisStore | None,
        link: BuddyLink,
        zone: Zone,
        on_newer: Callable[[str, int], None],
    ) -> None:
        self._memory = memory
        self._redis = redis
        self._link = link
        self._zone = zone
        self._on_newer = on_newer
        self._dirty: dict[str, CallRecord] = {}
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Records on their way to the buddy or to Redis."""
        return self._link.waiting + len(self._dirty)

    def has_buddy(self) -> bool:
        return self._link.region is not None

    def put(self, record: CallRecord, *, now: bool = False) -> None:
        if (kept := self._kept(record)) is None:
            return
        self.to_region(kept)
        self._link.put(kept, now=now)
        if now:
            self._wake.set()

    def _kept(self, record: CallRecord) -> CallRecord | None:
        """The record as this pod keeps it; None when the call has a newer owner, who is then told of."""
        record = journal.bounded(record)
        epoch = self._memory.put(record)
        if epoch <= record.epoch:
            return record
        self._on_newer(record.call, epoch)
        return None

    def to_region(self, record: CallRecord) -> None:
        """Into the region's Redis with the next writing, however long Redis is away."""
        if self._redis is not None:
            journal.keep(self._dirty, record)

    async def intent(self, call: str, tool: str, *, timeout_s: float = 0.3) -> bool:
        record = self._memory.get(call)
        if record is None:
            return False
        return await self._link.intent(record, tool, timeout_s=timeout_s)

    async def settle(self, record: CallRecord, *, timeout_s: float = 0.3) -> bool:
        """Keep the record here, and wait until buddy and region have it, too; True when the buddy has."""
        if (kept := self._kept(record)) is None:
            return False
        self.to_region(kept)  # Whoever waits here may give up.
        async with asyncio.TaskGroup() as group:
            delivered = group.create_task(self._link.deliver(kept, timeout_s=timeout_s))
            group.create_task(self._flush({kept.call: kept}))
        return delivered.result()

    async def load(self, call: str, *, timeout_s: float = 0.3) -> CallRecord | None:
        local = await self.local(call)
        others = self._zone.reachable()
        if local is not None and len(others) < 2:
            return local
        # With three regions or more the owner's buddy may be a third one, so what we hold may be an old account.
        patience = timeout_s if local is None else min(timeout_s, SECOND_OPINION_S)
        return journal.newest([local, await self._zone.fetch.newest(call, others, timeout_s=patience)])

    async def local(self, call: str) -> CallRecord | None:
        """The newest record of a call in this pod and this region."""
        known = self._memory.get(call)
        if self._redis is None:
            return known
        try:
            return journal.newest([known, await self._redis.get(call)])
        except StoreError:
            return known

    async def said(self, record: CallRecord, hop: int) -> str:
        """What was answered a moment ago for this hop under this epoch; empty when the call was claimed since then."""
        if record.pod:
            return ""
        said = self._memory.said(record.call, hop, record.epoch)
        if said or self._redis is None:
            return said
        try:
            return await self._redis.said(record.call, hop, record.epoch)
        except StoreError:
            return ""

    async def take(self, record: CallRecord, *, hop: int, twiml: str) -> Taken:
        """Raise the owner epoch in this region's store, and remember what the carrier was answered for it.

        With Redis down two pods could each raise the epoch in their own memory; the carrier follows only one answer,
        and the buddy's compare-and-set settles which owner stays.
        """
        taken: Taken | None = None
        if self._redis is not None:
            try:
                taken = await self._redis.take(record, hop=hop, twiml=twiml)
            except StoreError:
                taken = None
        if taken is None:
            taken = self._take_in_memory(record, hop)
        if taken.won:
            self._memory.put(record)
            self._memory.say(record.call, hop, record.epoch, twiml)
            self._on_newer(record.call, record.epoch)
        return taken

    def _take_in_memory(self, record: CallRecord, hop: int) -> Taken:
        known = self._memory.get(record.call)
        won = known is None or known.epoch < record.epoch
        return Taken(won=won, said="" if won else self._memory.said(record.call, hop, record.epoch))

    async def run(self) -> None:
        """Carry records to Redis, once a second and at once when asked."""
        while True:
            try:
                async with asyncio.timeout(FLUSH_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # the second is over: whatever gathered is written
            self._wake.clear()
            batch, self._dirty = self._dirty, {}
            await self._flush(batch)
            await asyncio.sleep(GATHER_S)

    async def _flush(self, batch: dict[str, CallRecord]) -> None:
        if self._redis is None or not batch:
            return
        records = list(batch.values())
        try:
            epochs = await self._redis.put_many(records)
        except StoreError:
            for record in records:
                journal.keep(self._dirty, record)
            return
        for record, epoch in zip(records, epochs, strict=True):
            if self._dirty.get(record.call) is record:
                del self._dirty[record.call]
            if epoch > record.epoch:
                self._on_newer(record.call, epoch)
