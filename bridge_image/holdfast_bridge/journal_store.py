"""This region's memory of calls: the pod's own, and Redis beside it when Redis answers.

It keeps records and compares owner epochs; it does not know who sends them or what a call is. Redis only helps: every
access has a deadline, and after a failure Redis is left alone for a while, so that a call never waits for it twice.

In Redis a call is the hash `hf:{agent}:{call}`: `e` (epoch), `s` (sequence), `x` (1 when ended) and `r` (the record).
Scripts compare and set in one step, so that of two pods only one raises an epoch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from holdfast_bridge.core import journal
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.errors import StoreError

LIFE_S = 24 * 3600
MEMORY_RECORDS = 5_000
REDIS_DEADLINE_S = 0.15
REDIS_REST_S = 1.0
ANSWER_LIFE_S = 10
BATCH = 100

log = logging.getLogger(__name__)

_PUT = """
local answers = {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 4
  local e, s, x = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local known = redis.call('HMGET', key, 'e', 's', 'x')
  local ke, ks, kx = tonumber(known[1] or '-1'), tonumber(known[2] or '-1'), tonumber(known[3] or '0')
  if e > ke or (e == ke and (s > ks or (s == ks and x > kx))) then
    redis.call('HSET', key, 'e', e, 's', s, 'x', x, 'r', ARGV[at + 4])
    redis.call('EXPIRE', key, ARGV[#ARGV])
    answers[i] = e
  else
    answers[i] = ke
  end
end
return answers
"""

_TAKE = """
local ke = tonumber(redis.call('HGET', KEYS[1], 'e') or '-1')
if ke >= tonumber(ARGV[1]) then return {'taken', redis.call('GET', KEYS[2]) or ''} end
redis.call('HSET', KEYS[1], 'e', ARGV[1], 's', ARGV[2], 'x', ARGV[3], 'r', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.call('SET', KEYS[2], ARGV[5], 'EX', ARGV[7])
return {'won', ''}
"""

_FIRST = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of raising an epoch: `won`, or what the winner of this very epoch answered, when that is known."""

    won: bool
    said: str = ""


class MemoryStore:
    """Records in this pod. Bounded: the records that moved longest ago go first.

    Of a call that has ended only its end is kept here: there are thousands of them. What was said is in Redis.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, limit: int = MEMORY_RECORDS) -> None:
        self._clock = clock
        self._limit = limit
        self._records: OrderedDict[str, tuple[CallRecord, float]] = OrderedDict()
        self._said: OrderedDict[tuple[str, int, int], tuple[str, float]] = OrderedDict()

    def get(self, call: str) -> CallRecord | None:
        kept = self._records.get(call)
        return None if kept is None else kept[0]

    def put(self, record: CallRecord) -> int:
        """Keep the record if it supersedes; returns the owner epoch that holds afterwards."""
        known = self.get(record.call)
        if known is not None and not journal.supersedes(record, known):
            return known.epoch
        kept = record if record.state == "live" else journal.only_the_end(record)
        self._records[record.call] = (kept, self._clock())
        self._records.move_to_end(record.call)
        self._forget()
        return record.epoch

    def said(self, call: str, hop: int, epoch: int) -> str:
        kept = self._said.get((call, hop, epoch))
        return kept[0] if kept is not None and self._clock() - kept[1] < ANSWER_LIFE_S else ""

    def say(self, call: str, hop: int, epoch: int, twiml: str) -> None:
        now = self._clock()
        self._said[(call, hop, epoch)] = (twiml, now)
        self._said.move_to_end((call, hop, epoch))
        while len(self._said) > self._limit or now - next(iter(self._said.values()))[1] >= ANSWER_LIFE_S:
            self._said.popitem(last=False)

    def still_since(self, region: str, *, at_least_s: float) -> list[CallRecord]:
        """Live calls of a region whose record has not moved for a while, the most recently moved first."""
        now = self._clock()
        return [
            record
            for record, moved in reversed(self._records.values())
            if record.state == "live" and record.region == region and now - moved >= at_least_s
        ]

    def _forget(self) -> None:
        oldest_allowed = self._clock() - LIFE_S
        while self._records:
            _, moved = next(iter(self._records.values()))
            if len(self._records) <= self._limit and moved >= oldest_allowed:
                return
            self._records.popitem(last=False)


class RedisStore:
    """The region's Redis, spoken to within a deadline; StoreError when it cannot be asked now."""

    def __init__(
        self,
        client: Redis,
        *,
        agent: str,
        deadline_s: float = REDIS_DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._agent = agent
        self._deadline_s = deadline_s
        self._clock = clock
        self._resting_until = 0.0
        self._ill = False
        self._put_script = client.register_script(_PUT)
        self._take_script = client.register_script(_TAKE)
        self._first_script = client.register_script(_FIRST)

    @property
    def resting(self) -> bool:
        return self._clock() < self._resting_until

    async def get(self, call: str) -> CallRecord | None:
        async with self._asked():
            data = await self._client.hget(self._key(call), "r")
        return None if data is None else journal.decode(data)

    async def put_many(self, records: Sequence[CallRecord]) -> list[int]:
        """Keep what supersedes; the owner epoch that holds afterwards, for each record."""
        epochs: list[int] = []
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            values: list[str | bytes | int] = []
            for record in batch:
                values += _ranked(record)
            async with self._asked():
                found = await self._put_script(keys=[self._key(r.call) for r in batch], args=[*values, LIFE_S])
            epochs += [int(epoch) for epoch in found]
        return epochs

    async def take(self, record: CallRecord, *, hop: int, twiml: str) -> Taken:
        async with self._asked():
            outcome, said = await self._take_script(
                keys=[self._key(record.call), self._said_key(record.call, hop, record.epoch)],
                args=[*_ranked(record), twiml, LIFE_S, ANSWER_LIFE_S],
            )
        return Taken(won=outcome == b"won", said=bytes(said).decode())

    async def said(self, call: str, hop: int, epoch: int) -> str:
        async with self._asked():
            data = await self._client.get(self._said_key(call, hop, epoch))
        return data.decode() if isinstance(data, bytes) else ""

    async def first(self, purpose: str, call: str, *, by: str, life_s: int) -> bool:
        """True for the one of this region that may do `purpose` for this call now; for the same again when it asks
        again, because the answer may have been lost on its way.
        """
        async with self._asked():
            return bool(await self._first_script(keys=[f"{self._key(call)}:{purpose}"], args=[by, life_s]))

    async def spend(self, nonces: Sequence[str], *, life_s: int) -> None:
        expires = time.time() + life_s
        async with self._asked():
            await self._client.zadd(self._spent_key, dict.fromkeys(nonces, expires))

    async def spent(self) -> list[str]:
        """Nonces that any pod of this region has spent and that could still be replayed."""
        now = time.time()
        async with self._asked():
            await self._client.zremrangebyscore(self._spent_key, "-inf", now)
        async with self._asked():
            found = await self._client.zrange(self._spent_key, -MEMORY_RECORDS, -1)
        return [nonce.decode("ascii", "replace") for nonce in found if isinstance(nonce, bytes)]

    async def aclose(self) -> None:
        await self._client.aclose()

    @property
    def _spent_key(self) -> str:
        return f"hf:{self._agent}:spent"

    def _key(self, call: str) -> str:
        return f"hf:{self._agent}:{call}"

    def _said_key(self, call: str, hop: int, epoch: int) -> str:
        return f"{self._key(call)}:said:{hop}:{epoch}"

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[None]:
        """One access to Redis: refused while it rests, cut off at the deadline, every failure a StoreError."""
        if self.resting:
            raise StoreError("redis is resting after a failure")
        try:
            async with asyncio.timeout(self._deadline_s):
                yield
            self._ill = False
        except (RedisError, OSError) as error:
            self._resting_until = self._clock() + REDIS_REST_S
            if not self._ill:
                log.warning("redis does not answer; going on without it", extra={"error": type(error).__name__})
            self._ill = True
            raise StoreError(f"redis failed ({type(error).__name__})") from error


def _ranked(record: CallRecord) -> tuple[int, int, int, bytes]:
    """The record behind what the scripts compare of it, as `journal.rank` does."""
    return record.epoch, record.seq, int(record.state == "ended"), journal.encode(record)


def connect(url: str, *, agent: str, deadline_s: float = REDIS_DEADLINE_S) -> RedisStore:
    """A client that never retries by itself: our deadlines are shorter than its patience."""
    pool = BlockingConnectionPool.from_url(
        url,
        socket_timeout=deadline_s,
        socket_connect_timeout=deadline_s,
        retry=Retry(NoBackoff(), 0),
        max_connections=16,
        timeout=deadline_s,
    )
    return RedisStore(Redis.from_pool(pool), agent=agent, deadline_s=deadline_s)
