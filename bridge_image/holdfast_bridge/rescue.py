"""Pushing the calls of a lost region here, for the loss that the carrier has not noticed.

The operators only say which region is lost. Which of its calls are pushed when is decided in `core.rescue`, how a call
is brought here is its carrier's way (`carrier_push`); here the attempts are begun, and what came of them is told back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from holdfast_bridge.carrier_push import AskNext
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.rescue import SILENT_S, STUCK_S, Answer, Rescues, Said, silent
from holdfast_bridge.journal_store import MemoryStore, RedisStore
from holdfast_bridge.seams import PushPort
from holdfast_bridge.settings import Settings
from holdfast_bridge.telemetry import Metrics

LOOK_EVERY_S = 0.5

log = logging.getLogger(__name__)


class Way(Protocol):
    """How a call is brought here."""

    async def push(self, record: CallRecord) -> Answer:
        """One attempt for a call as it was when it was lost."""
        ...

    def unfinished(self) -> list[CallRecord]:
        """Calls, as they were when they were lost, that an attempt changed here without reaching the carrier."""
        ...


class Rescue:
    """`way`: that of a carrier that asks, unless another is named."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        directive: Callable[[], Directive],
        memory: MemoryStore,
        redis: RedisStore | None,
        carrier: PushPort,
        metrics: Metrics,
        way: Way | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._directive = directive
        self._memory = memory
        self._way = way or AskNext(settings=settings, memory=memory, redis=redis, carrier=carrier, clock=clock)
        self._metrics = metrics
        self._clock = clock
        self._ended = asyncio.Event()
        self.book = Rescues()

    async def run(self) -> None:
        """Until cancelled: a look twice a second, and one whenever an attempt has ended."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._ended.clear()
                self.look(group)
                try:
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._ended.wait()
                except TimeoutError:
                    pass  # nothing ended; look all the same

    def look(self, group: asyncio.TaskGroup) -> int:
        """Begin what is due; how many attempts that were."""
        due = self.book.due(self._lost(), now=self._clock())
        for record in due:
            self.book.begin(record, now=self._clock())
            group.create_task(self._push(record))
        return len(due)

    def _lost(self) -> list[CallRecord]:
        lost = self._directive().lost
        if not lost or self._settings().agent.carrier.kind == "canary":
            return []
        found = self._way.unfinished()
        for region in lost:
            live, still, stuck = (
                self._memory.still_since(region, at_least_s=each) for each in (0.0, SILENT_S, STUCK_S)
            )
            found += silent(live, still, stuck)
        return found

    async def _push(self, record: CallRecord) -> None:
        answer = Answer(Said.UNKNOWN)
        try:
            answer = await self._way.push(record)
        except Exception:
            # One call's defect must not end the rescue of the others.
            log.exception("a rescue failed")
        finally:
            self.book.ended(record, answer, now=self._clock())
            self._ended.set()
        if answer.said in (Said.MOVED, Said.UNKNOWN, Said.REFUSED):
            self._metrics.handed_over("rescue", ok=answer.said is Said.MOVED)
        if answer.said in (Said.BUSY, Said.UNKNOWN, Said.REFUSED):
            log.warning("rescue not confirmed", extra={"said": answer.said.value, "at_once": self.book.at_once})
