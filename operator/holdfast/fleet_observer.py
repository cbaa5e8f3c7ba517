"""This region as an observer: what it sees of every public entry, and whether it should believe its own eyes.

While nothing else can be reached either, the observer doubts itself, and goes on doing so until every verdict that was
formed meanwhile was formed anew. What follows from a verdict is not known here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping

from holdfast.core import evidence
from holdfast.core.values import Observation, Verdict
from holdfast.desired import Desired
from holdfast.gather.entries import Entries, Watched, watched
from holdfast.telemetry import Metrics

SURVEY_EVERY_S = 5.0
SURVEY_SOON_S = 0.5
VALUES = {Verdict.UP: 1, Verdict.DOWN: 0, Verdict.UNKNOWN: -1}


class Observer:
    """`on_change` is called when a verdict turns, and on a first failure."""

    def __init__(
        self,
        *,
        region: str,
        desired: Desired,
        call: Callable[[Watched], Awaitable[evidence.Result]],
        survey: Callable[[], Awaitable[tuple[bool, ...]]],
        on_change: Callable[[], object],
        clock: Callable[[], float],
        dice: random.Random,
        metrics: Metrics,
    ) -> None:
        self._region = region
        self._desired = desired
        self._survey = survey
        self._on_change = on_change
        self._clock = clock
        self._metrics = metrics
        self._references: tuple[bool, ...] = ()
        self._doubted_at = float("-inf")
        self._survey_now = asyncio.Event()
        self.entries = Entries(
            call=call, targets=self._targets, clock=clock, on_change=self._verdict_moved, dice=dice
        )

    async def run(self) -> None:
        """While this pod is its region's active one."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.entries.run())
            group.create_task(self._look_around())

    def suspect(self, region: str) -> None:
        """Something else looks wrong with a region, or with our own sight of it: look now."""
        self.entries.stir(region)
        self._survey_now.set()

    def self_doubt(self) -> bool:
        """While we blame ourselves, and until every verdict formed meanwhile was formed anew."""
        self._doubted_at = self._clock() if self._blames_itself() else self._doubted_at
        return not self.entries.settled_since(self._doubted_at)

    def observations(self) -> Iterable[Observation]:
        """What we say of every entry now."""
        return self.entries.observations(self._region, self_doubt=self.self_doubt())

    def _targets(self) -> Mapping[str, Watched]:
        return watched(self._desired.regions, self._desired.zones.values())

    def _blames_itself(self) -> bool:
        foreign = [h.verdict for name, h in self.entries.histories().items() if name != self._region]
        return evidence.doubts_itself(references=self._references, targets=foreign)

    def _verdict_moved(self) -> None:
        for name, history in self.entries.histories().items():
            self._metrics.verdict.labels(name).set(VALUES.get(history.verdict, 0))
        self._metrics.self_doubt.set(1 if self.self_doubt() else 0)
        self._survey_now.set()
        self._on_change()

    async def _look_around(self) -> None:
        while True:
            doubted, self._references = self._blames_itself(), await self._survey()
            if doubted and not self._blames_itself():
                for name in self.entries.histories():
                    self.entries.stir(name)
            self._survey_now.clear()
            await asyncio.sleep(SURVEY_SOON_S)
            try:
                async with asyncio.timeout(SURVEY_EVERY_S - SURVEY_SOON_S):
                    await self._survey_now.wait()
            except TimeoutError:
                continue
