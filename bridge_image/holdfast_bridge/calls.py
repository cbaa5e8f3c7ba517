"""The calls this pod carries, and the desk at which start tokens are claimed.

It keeps the book; it does not know what a call does. Nonces that were spent are remembered here and, as far as Redis
answers, told to the region's other pods; a token replayed where that news has not arrived is still bound to its call,
agent, region and owner epoch.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from holdfast_bridge.core import token
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.token import Claim, Refusal, Refused
from holdfast_bridge.errors import StoreError
from holdfast_bridge.journal_store import MemoryStore, RedisStore
from holdfast_bridge.seams import LiveCall
from holdfast_bridge.settings import Settings

EXCHANGE_EVERY_S = 1.0


class Calls:
    """Implements `seams.CallBook`."""

    def __init__(self, *, on_change: Callable[[], None]) -> None:
        self._calls: dict[str, LiveCall] = {}
        self._on_change = on_change

    def add(self, call: LiveCall) -> None:
        self._calls[call.record.call] = call
        self._on_change()

    def remove(self, call: LiveCall) -> None:
        """Forgets this very call; the one that replaced it under a higher epoch stays."""
        if self._calls.get(call.record.call) is call:
            del self._calls[call.record.call]
            self._on_change()

    def find(self, call: str) -> LiveCall | None:
        return self._calls.get(call)

    def __len__(self) -> int:
        return len(self._calls)

    def all(self) -> list[LiveCall]:
        return list(self._calls.values())

    def records(self) -> list[CallRecord]:
        return [call.record for call in self._calls.values()]

    def newer(self, call: str, epoch: int) -> None:
        """An owner epoch was heard of; a lower one carried here falls silent."""
        carried = self._calls.get(call)
        if carried is not None and carried.record.epoch < epoch:
            carried.fall_silent(epoch)


class TokenDesk:
    """Verifies start tokens and spends each once."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        memory: MemoryStore,
        redis: RedisStore | None,
        full: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._redis = redis
        self._full = full
        self._clock = clock
        self._spent: OrderedDict[str, float] = OrderedDict()
        self._untold: list[str] = []

    def claim(self, text: str) -> Claim | Refusal:
        outcome = self._judge(text)
        if isinstance(outcome, Refusal):
            return outcome
        self._spent[outcome.nonce] = float(outcome.expires)
        if self._redis is not None:
            self._untold.append(outcome.nonce)
        return outcome

    def _judge(self, text: str) -> Claim | Refusal:
        now = self._clock()
        while self._spent and next(iter(self._spent.values())) < now:
            self._spent.popitem(last=False)
        settings = self._settings()
        claim = token.verify(
            text, keys=settings.fleet.zone_keys, agent=settings.agent.id, region=settings.agent.region, now=now
        )
        if isinstance(claim, Refusal):
            return claim
        if claim.nonce in self._spent:
            return Refusal(Refused.SPENT)
        known = self._memory.get(claim.call)
        if known is not None and known.epoch > claim.epoch:
            return Refusal(Refused.STALE_EPOCH)
        # A hand-over is exempt from admission limits: it carries a call that already began.
        if claim.epoch == 1 and self._full():
            return Refusal(Refused.FULL)
        return claim

    async def run(self) -> None:
        """Exchange spent nonces with the region's other pods."""
        while self._redis is not None:
            await asyncio.sleep(EXCHANGE_EVERY_S)
            untold, self._untold = self._untold, []
            try:
                if untold:
                    await self._redis.spend(untold, life_s=token.LIFE_S)
                expires = self._clock() + token.LIFE_S
                for nonce in await self._redis.spent():
                    self._spent.setdefault(nonce, expires)
            except StoreError:
                continue  # best effort, and the store has logged it
