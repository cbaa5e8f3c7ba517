"""Watching any number of targets: when each is asked, how often a failure is asked again, and what stands of it.

One task per target. In turn every interval with jitter; at once when something else looks wrong; overlapping when an
answer is late, so that silence costs one time-out and not three in a row. Answers are folded by
`holdfast.core.evidence`. What the targets are and what follows from a verdict is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from holdfast.core import evidence
from holdfast.core.values import Probe, Verdict

log = logging.getLogger(__name__)

JITTER = 0.1
FIRST_WITHIN_S = 0.3
LONGEST_WAIT_S = 60.0
TARGETS_EVERY_S = 0.5

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Manner(Generic[T, A]):
    """How one kind of target is watched. `ask` never raises; `result` is what of its answer is folded.

    `named`: what a target is called. `probe`: its own times. `unanswered_s`: how long an answer may take before the
    next is asked for. `at_once`: how many are asked at the same time, over all targets; None is no bound.
    """

    kind: str
    named: Callable[[T], str]
    ask: Callable[[T], Awaitable[A]]
    result: Callable[[A], evidence.Result]
    probe: Callable[[T], Probe]
    unanswered_s: float = 0.6
    at_once: int | None = None


@dataclass(slots=True)
class _Watch(Generic[T]):
    """The state of one watched target; owned by its task."""

    target: T
    probe: Probe
    history: evidence.History
    due: float
    in_flight: dict[int, float] = field(default_factory=dict)
    asked: int = 0
    settled_at: float = float("-inf")  # when that was asked which last bore the verdict out
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


class Watches(Generic[K, T, A]):
    """Own verdicts on every target. `on_change` is called when a verdict turns, and on a first failure.

    `on_answer` gets every answer with the history into which it was folded.
    """

    def __init__(
        self,
        manner: Manner[T, A],
        *,
        targets: Callable[[], Mapping[K, T]],
        clock: Callable[[], float],
        on_change: Callable[[], None],
        dice: random.Random,
        on_answer: Callable[[K, A, evidence.History], None] | None = None,
    ) -> None:
        self._manner = manner
        self._targets = targets
        self._clock = clock
        self._on_change = on_change
        self._dice = dice
        self._on_answer = on_answer
        self._watches: dict[K, _Watch[T]] = {}
        self._places = asyncio.Semaphore(manner.at_once) if manner.at_once is not None else None

    async def run(self) -> None:
        """Watch whatever there is to watch, until cancelled. Targets may come, change and go."""
        async with asyncio.TaskGroup() as group:
            tasks: dict[K, tuple[T, asyncio.Task[None]]] = {}
            while True:
                wanted = self._targets()
                for key in [key for key, (target, _) in tasks.items() if wanted.get(key) != target]:
                    tasks.pop(key)[1].cancel()
                    self._watches.pop(key, None)
                for key in [key for key in wanted if key not in tasks]:
                    name = f"{self._manner.kind}-{self._manner.named(wanted[key])}"
                    tasks[key] = (wanted[key], group.create_task(self._watch(key, wanted[key]), name=name))
                await asyncio.sleep(TARGETS_EVERY_S)

    def stir(self, key: K) -> None:
        """Something else looks wrong with this target: ask now."""
        watch = self._watches.get(key)
        if watch is not None:
            watch.due = self._clock()
            watch.stirred.set()

    def suspect(self, key: K, result: evidence.Result) -> None:
        """Somebody else failed there just now. It begins a streak at most: what a verdict needs, we ask ourselves."""
        watch = self._watches.get(key)
        if watch is not None and watch.history.streak is not result.verdict:
            self._fold(watch, result)
        self.stir(key)

    def histories(self) -> Mapping[K, evidence.History]:
        """The verdict on each target with how long it has stood."""
        return {key: watch.history for key, watch in self._watches.items()}

    def settled_since(self, moment: float) -> bool:
        """Whether every verdict was borne out by an answer asked for since then."""
        return all(watch.settled_at >= moment for watch in self._watches.values())

    def suspicious(self) -> bool:
        """Whether any target is down or on its way there."""
        return any(
            Verdict.DOWN in (watch.history.verdict, watch.history.streak) for watch in self._watches.values()
        )

    async def _watch(self, key: K, target: T) -> None:
        now = self._clock()
        watch = _Watch(
            target=target,
            probe=self._manner.probe(target),
            history=evidence.History(since=now),
            due=now + self._dice.uniform(0, FIRST_WITHIN_S),
        )
        self._watches[key] = watch
        async with asyncio.TaskGroup() as asking:
            while True:
                if (wait_s := self._launch_at(watch) - self._clock()) <= 0:
                    self._launch(key, watch, asking)
                    continue
                watch.stirred.clear()
                try:
                    async with asyncio.timeout(min(wait_s, LONGEST_WAIT_S)):
                        await watch.stirred.wait()
                except TimeoutError:
                    continue

    def _launch_at(self, watch: _Watch[T]) -> float:
        """When the next is due: in turn, or as an overlapping confirmation of one that hangs."""
        if len(watch.in_flight) > watch.probe.confirmations:
            return float("inf")
        if not watch.in_flight:
            return watch.due
        oldest, newest = min(watch.in_flight.values()), max(watch.in_flight.values())
        return min(watch.due, max(oldest + self._manner.unanswered_s, newest + watch.probe.confirm_every_s))

    def _launch(self, key: K, watch: _Watch[T], asking: asyncio.TaskGroup) -> None:
        now = self._clock()
        watch.asked += 1
        # While it waits for a place it is not late, and asking the same again would only lengthen the queue.
        watch.in_flight[watch.asked] = now if self._places is None else float("inf")
        watch.due = now + watch.probe.interval_s * self._dice.uniform(1 - JITTER, 1 + JITTER)
        asking.create_task(self._one(key, watch, watch.asked))

    async def _one(self, key: K, watch: _Watch[T], number: int) -> None:
        answer = await self._asked(watch, number)
        launched_at = watch.in_flight.pop(number)
        settled = self._fold(watch, self._manner.result(answer))
        if settled:
            watch.settled_at = max(watch.settled_at, launched_at)
        if self._on_answer is not None:
            self._on_answer(key, answer, watch.history)

    def _fold(self, watch: _Watch[T], result: evidence.Result) -> bool:
        """Whether it bore the verdict out; if not, it is asked again out of turn."""
        before = watch.history
        watch.history, confirm_at = evidence.observe(before, result, now=self._clock(), probe=watch.probe)
        if confirm_at is not None:
            watch.due = min(watch.due, confirm_at)
        turned = watch.history.verdict is not before.verdict
        if turned:
            named = self._manner.named(watch.target)
            said = {self._manner.kind: named, "verdict": watch.history.verdict.value, "detail": result.detail}
            log.info("verdict on a %s", self._manner.kind, extra=said)
        if turned or confirm_at is not None:
            self._on_change()
        watch.stirred.set()
        return confirm_at is None

    async def _asked(self, watch: _Watch[T], number: int) -> A:
        """The answer. The time spent waiting for a place is not the target's."""
        if self._places is None:
            return await self._manner.ask(watch.target)
        async with self._places:
            watch.in_flight[number] = self._clock()
            return await self._manner.ask(watch.target)
