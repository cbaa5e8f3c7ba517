"""Watching the public entries of the fleet: when to call, how often to ask again, and what all calls together say.

One task per region. In turn every interval with jitter; at once when something else looks wrong; overlapping when a
call is not answered after 600 ms, so that silence costs one time-out and not three in a row. Results are folded by
`holdfast.core.evidence`; this module refuses to know what follows from a verdict.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from holdfast.core import evidence
from holdfast.core.values import Observation, Probe, Region, Verdict, Zone

log = logging.getLogger(__name__)

UNANSWERED_S = 0.6
JITTER = 0.1
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Watched:
    """One region to watch, and how its zones want it to be probed."""

    region: str
    host: str
    probe: Probe


@dataclass(slots=True)
class _Watch:
    """The state of one watched region; owned by its task."""

    watched: Watched
    history: evidence.History
    due: float
    in_flight: dict[int, float] = field(default_factory=dict)
    calls: int = 0
    settled_at: float = float("-inf")  # when the call was launched that last bore the verdict out
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


def watched(regions: Mapping[str, Region], zones: Collection[Zone]) -> dict[str, Watched]:
    """Every region of the fleet, probed as the most impatient of its zones wants it."""
    found = {}
    for name, region in regions.items():
        probes = [zone.probe for zone in zones if name in zone.members]
        found[name] = Watched(name, region.host, min(probes, key=lambda p: p.interval_s, default=Probe()))
    return found


class Entries:
    """Own verdicts on every region's entry. `on_change` is called when a verdict turns, and on a first failure."""

    def __init__(
        self,
        *,
        call: Callable[[Watched], Awaitable[evidence.Result]],
        targets: Callable[[], Mapping[str, Watched]],
        clock: Callable[[], float],
        on_change: Callable[[], None],
        dice: random.Random,
    ) -> None:
        self._call = call
        self._targets = targets
        self._clock = clock
        self._on_change = on_change
        self._dice = dice
        self._watches: dict[str, _Watch] = {}

    async def run(self) -> None:
        """Watch whatever there is to watch, until cancelled. Regions may come and go."""
        async with asyncio.TaskGroup() as group:
            tasks: dict[str, tuple[Watched, asyncio.Task[None]]] = {}
            while True:
                wanted = self._targets()
                for name in [name for name, (watched, _) in tasks.items() if wanted.get(name) != watched]:
                    tasks.pop(name)[1].cancel()
                    self._watches.pop(name, None)
                for name in [name for name in wanted if name not in tasks]:
                    tasks[name] = (wanted[name], group.create_task(self._watch(wanted[name]), name=f"entry-{name}"))
                await asyncio.sleep(0.5)

    def stir(self, region: str) -> None:
        """Something else looks wrong with this region: call now."""
        watch = self._watches.get(region)
        if watch is not None:
            watch.due = self._clock()
            watch.stirred.set()

    def observations(self, observer: str, *, self_doubt: bool) -> list[Observation]:
        """What this region says of every entry now."""
        now = self._clock()
        return [
            Observation(
                observer=observer,
                target=name,
                verdict=history.verdict,
                heard_age_s=0.0,
                held_s=max(0.0, now - history.since),
                self_doubt=self_doubt,
                detail=history.detail,
            )
            for name, history in self.histories().items()
        ]

    def histories(self) -> Mapping[str, evidence.History]:
        """The verdict on each region with how long it has stood."""
        return {name: watch.history for name, watch in self._watches.items()}

    def settled_since(self, moment: float) -> bool:
        """Whether every verdict was borne out by a call launched since then."""
        return all(watch.settled_at >= moment for watch in self._watches.values())

    def suspicious(self) -> bool:
        """Whether any region is down or on its way there: a reason to listen to the peers more often."""
        return any(
            Verdict.DOWN in (watch.history.verdict, watch.history.streak) for watch in self._watches.values()
        )

    async def _watch(self, watched: Watched) -> None:
        now = self._clock()
        watch = _Watch(watched=watched, history=evidence.History(since=now), due=now + self._dice.uniform(0, 0.3))
        self._watches[watched.region] = watch
        async with asyncio.TaskGroup() as calls:
            while True:
                if (wait_s := self._launch_at(watch) - self._clock()) <= 0:
                    self._launch(watch, calls)
                    continue
                watch.stirred.clear()
                try:
                    async with asyncio.timeout(min(wait_s, LONGEST_WAIT_S)):
                        await watch.stirred.wait()
                except TimeoutError:
                    continue

    def _launch_at(self, watch: _Watch) -> float:
        """When the next call is due: in turn, or as an overlapping confirmation of one that hangs."""
        probe = watch.watched.probe
        if len(watch.in_flight) > probe.confirmations:
            return float("inf")
        if not watch.in_flight:
            return watch.due
        oldest, newest = min(watch.in_flight.values()), max(watch.in_flight.values())
        return min(watch.due, max(oldest + UNANSWERED_S, newest + probe.confirm_every_s))

    def _launch(self, watch: _Watch, calls: asyncio.TaskGroup) -> None:
        now, probe = self._clock(), watch.watched.probe
        watch.calls += 1
        watch.in_flight[watch.calls] = now
        watch.due = now + probe.interval_s * self._dice.uniform(1 - JITTER, 1 + JITTER)
        calls.create_task(self._one(watch, watch.calls))

    async def _one(self, watch: _Watch, number: int) -> None:
        result = await self._call(watch.watched)
        launched_at = watch.in_flight.pop(number)
        before, now = watch.history, self._clock()
        watch.history, confirm_at = evidence.observe(before, result, now=now, probe=watch.watched.probe)
        if confirm_at is None:
            watch.settled_at = max(watch.settled_at, launched_at)
        if confirm_at is not None:
            watch.due = min(watch.due, confirm_at)
        if watch.history.verdict is not before.verdict:
            log.info(
                "verdict on an entry",
                extra={"region": watch.watched.region, "verdict": watch.history.verdict.value, "detail": result.detail},
            )
        if watch.history.verdict is not before.verdict or confirm_at is not None:
            self._on_change()
        watch.stirred.set()
