"""The two ways in which a live call is brought here, by what its carrier understands. Each way is one attempt.

A carrier that asks us (Twilio) is told to ask `next` now; `next` raises the owner epoch. A carrier that is told
(Telnyx's call commands) gets a stream from us, so the epoch is raised here first, by the same compare-and-set.
Neither way touches a call with a newer owner or a recorded end, and neither decides when or how often.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from holdfast_bridge.core import answer, journal, token
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.rescue import ELSEWHERE_S, SETTLED, Answer, Said
from holdfast_bridge.errors import StoreError
from holdfast_bridge.journal import Journal
from holdfast_bridge.journal_store import MemoryStore, RedisStore
from holdfast_bridge.seams import PushPort, StreamOrder, StreamPort
from holdfast_bridge.settings import Settings

LOCK_S = int(ELSEWHERE_S)
LOCK_HELD_S = LOCK_S - 5.0
"""How long we rely on our own lock: a little less than it lives, so that no other pod has it meanwhile."""
STORE_GONE_S = 2.0

T = TypeVar("T")


class AskNext:
    """Implements `rescue.Way` for a carrier that asks.

    While the region's store is silent for a moment a call waits: another pod may be at it. A store that stays silent is
    gone, and then whoever keeps a call's journal goes on alone.
    """

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        memory: MemoryStore,
        redis: RedisStore | None,
        carrier: PushPort,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._redis = redis
        self._carrier = carrier
        self._clock = clock
        self._me = secrets.token_urlsafe(8)
        self._locked: dict[tuple[str, int], float] = {}
        self._silent: tuple[float, float] | None = None
        """Since when the store has been silent, and when it was last found so."""

    def unfinished(self) -> list[CallRecord]:
        """None: until `next` is asked the call's record stays as it is."""
        return []

    async def push(self, record: CallRecord) -> Answer:
        try:
            newest = await self._newest(record)
            if newest.state == "ended" or newest.epoch > record.epoch:
                # The carrier asked `next` at another pod of this region. Pushed now, its new owner lost the stream.
                return Answer(Said.TAKEN)
            if newest.seq > record.seq:
                return Answer(Said.LATER)
            if not await self._ours(record):
                return Answer(Said.ELSEWHERE)
        except StoreError:
            return Answer(Said.LATER)
        config = self._settings().agent
        return await self._carrier.push(record.call, answer.next_url(config, config.own_host, record.call, hop=0))

    async def _newest(self, record: CallRecord) -> CallRecord:
        """The newest account in this pod and this region."""
        known = journal.newest([record, self._memory.get(record.call)]) or record
        stored = None if self._redis is None else await self._asked(self._redis.get(record.call), instead=None)
        if stored is not None and journal.supersedes(stored, known):
            self._memory.put(stored)
            return stored
        return known

    async def _ours(self, record: CallRecord) -> bool:
        """True for the one pod of this region that pushes this call; without Redis, for whoever keeps its journal."""
        key, now = (record.call, record.epoch), self._clock()
        self._locked = {each: since for each, since in self._locked.items() if now - since < LOCK_HELD_S}
        if self._redis is None or key in self._locked:
            return True
        lock = self._redis.first(f"rescue:{record.epoch}", record.call, by=self._me, life_s=LOCK_S)
        first = await self._asked(lock, instead=True)
        if first:
            self._locked[key] = now
        return first

    async def _asked(self, question: Awaitable[T], *, instead: T) -> T:
        """What the store answers; `instead` once it has been silent for so long that it counts as gone."""
        try:
            found = await question
        except StoreError:
            now = self._clock()
            since, last = self._silent or (now, now)
            self._silent = (since if now - last < 2 * STORE_GONE_S else now, now)
            if now - self._silent[0] < STORE_GONE_S:
                raise
            return instead
        self._silent = None
        return found


class TellStream:
    """Implements `rescue.Way` for a carrier that is told."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        journal_of_calls: Journal,
        memory: MemoryStore,
        carrier: StreamPort,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._journal = journal_of_calls
        self._memory = memory
        self._carrier = carrier
        self._clock = clock
        self._raised: dict[str, CallRecord] = {}
        """The calls whose epoch was raised here and whose carrier has not taken the order, as they were before."""

    def unfinished(self) -> list[CallRecord]:
        return list(self._raised.values())

    async def push(self, record: CallRecord) -> Answer:
        newest = await self._journal.local(record.call) or record
        raised_here = self._raised.get(record.call) == record
        if newest.state == "ended":
            return self._done(record, Answer(Said.TAKEN))
        if newest.epoch > record.epoch:
            if newest.pod or not raised_here:
                return self._done(record, self._of_another(newest))
        elif newest.seq > record.seq:
            self._memory.put(newest)
            return Answer(Said.LATER)
        elif not await self._raise(newest):
            return Answer(Said.ELSEWHERE)
        else:
            self._raised[record.call] = record
        return self._done(record, await self._carrier.restream(record.call, self._order(record)))

    def _of_another(self, newest: CallRecord) -> Answer:
        """Somebody raised the epoch: a pod carries the call by now, or is about to, or died while it was at it."""
        waiting = not newest.pod and self._clock() - newest.updated_at < ELSEWHERE_S
        return Answer(Said.ELSEWHERE if waiting else Said.TAKEN)

    async def _raise(self, newest: CallRecord) -> bool:
        region = self._settings().agent.region
        raised = journal.raised(newest, epoch=newest.epoch + 1, region=region, now=self._clock())
        return (await self._journal.take(raised, hop=0, twiml="")).won

    def _done(self, record: CallRecord, said: Answer) -> Answer:
        if said.said in SETTLED:
            self._raised.pop(record.call, None)
        return said

    def _order(self, record: CallRecord) -> StreamOrder:
        settings = self._settings()
        config, epoch = settings.agent, record.epoch + 1
        claim = token.Claim(
            call=record.call,
            agent=config.id,
            region=config.region,
            epoch=epoch,
            expires=int(self._clock()) + token.LIFE_S,
            nonce=secrets.token_urlsafe(16),
        )
        minted = token.mint(claim, key=settings.fleet.zone_keys[0])
        return StreamOrder(url=f"wss://{config.own_host}{config.path}/media", token=minted, epoch=epoch)
