"""Simulated time: one heap of (time, number, event), and stories that are written as generators.

A story yields what it waits for: a function that is given `resume` and calls it once, later, with the answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from typing import Any

Resume = Callable[[Any], None]
Wait = Callable[[Resume], None]
Story = Generator[Wait, Any, Any]


class Engine:
    """`now` only moves forward, to the time of the event that happens; `steps` counts them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (max(when, self.now), self._number, what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def run(self, until: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, what = heapq.heappop(heap)
            self.steps += 1
            what()
        self.now = until

    def sleep(self, seconds: float) -> Wait:
        return lambda resume: self.after(seconds, lambda: resume(None))


def play(story: Story, gate: Callable[[Callable[[], None]], None]) -> None:
    """Run a story to its end. Every resumption goes through the `gate`, which may delay it or drop it for good."""

    def resume(value: object) -> None:
        gate(lambda: advance(value))

    def advance(value: object) -> None:
        try:
            wait = story.send(value)
        except StopIteration:
            return
        wait(resume)

    advance(None)
