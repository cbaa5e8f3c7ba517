"""Looking at the pods while calls come and go: memory and file descriptors of the one under test, the books of both.

It notes what it sees; whether that is well is judged elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from holdfast_gameday.bench_bridge.processes import resident_bytes
from holdfast_gameday.soak_calls import readings
from holdfast_gameday.soak_calls.book import Book
from holdfast_gameday.soak_calls.webhooks import Pod

LOOK_EVERY_S = 2.0
SAMPLE_EVERY_S = 10.0
SAMPLES_MIN = 120
"""A short run is sampled more often, so that each of its tenths has some."""
WITHIN = aiohttp.ClientTimeout(total=5.0)


@dataclass(slots=True)
class Watch:
    """`pid`: of the pod under test, which is the first of `pods`. Series are (seconds since `began`, figure)."""

    pid: int
    book: Book
    pods: tuple[Pod, ...]
    http: aiohttp.ClientSession
    began: float = field(default_factory=time.monotonic)
    rss: list[tuple[float, float]] = field(default_factory=list)
    fds: list[tuple[float, float]] = field(default_factory=list)
    live: list[tuple[float, float]] = field(default_factory=list)
    """Calls that the world has open in the pod under test."""
    looks: int = 0
    surplus: list[str] = field(default_factory=list)
    """Moments at which a pod had more calls than it may, in words."""
    carried: dict[str, float] = field(default_factory=dict)
    """By pod, at the last look."""

    async def sample(self, seconds: float) -> None:
        """Until cancelled."""
        every = min(SAMPLE_EVERY_S, seconds / SAMPLES_MIN)
        while True:
            at = time.monotonic() - self.began
            self.rss.append((at, float(resident_bytes(self.pid))))
            self.fds.append((at, float(open_files(self.pid))))
            self.live.append((at, float(self.book.live[self.pods[0].name])))
            await asyncio.sleep(every)

    async def look(self) -> None:
        """Until cancelled."""
        while True:
            await self.look_once()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look_once(self) -> None:
        for pod in self.pods:
            before = time.monotonic()
            try:
                carried = await self._calls(pod)
            except (aiohttp.ClientError, TimeoutError, LookupError) as error:
                self.surplus.append(f"{self._when()}: {pod.name} does not tell its calls ({type(error).__name__})")
                continue
            self.looks += 1
            self.carried[pod.name] = carried
            # What left while the pod was asked may have been counted or not: the earlier moment is the milder one.
            allowed = self.book.at_most(pod.name, before)
            if carried > allowed:
                self.surplus.append(f"{self._when()}: {pod.name} has {carried:.0f} calls, {allowed} are there at most")

    async def _calls(self, pod: Pod) -> float:
        async with self.http.get(f"http://{pod.control}/metrics", timeout=WITHIN) as answer:
            answer.raise_for_status()
            return readings.gauge(await answer.text(), "holdfast_bridge_calls")

    def _when(self) -> str:
        return f"after {time.monotonic() - self.began:.0f} s"


def open_files(pid: int) -> int:
    return len(os.listdir(Path(f"/proc/{pid}/fd")))
