"""One clock for all calls: every 20 ms each of them is told the time. It knows nothing of what they do with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

TICK_S = 0.02
LATE_MAX_S = 1.0
"""Beyond this the lost time is not made up: the machine slept, and a burst of audio would only hide it."""

_log = logging.getLogger(__name__)

Tick = Callable[[float], None]


class Pacer:
    def __init__(self) -> None:
        self._members: dict[Tick, None] = {}
        self._wanted = asyncio.Event()
        self.late_max_s = 0.0
        """The worst delay of a tick: how far the figures measured on this clock can be trusted."""

    def add(self, tick: Tick) -> None:
        self._members[tick] = None
        self._wanted.set()

    def remove(self, tick: Tick) -> None:
        self._members.pop(tick, None)
        if not self._members:
            self._wanted.clear()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            due = loop.time()
            while self._members:
                now = loop.time()
                if now - due > LATE_MAX_S:
                    due = now
                self.late_max_s = max(self.late_max_s, now - due)
                self._tick(now)
                due += TICK_S
                await asyncio.sleep(max(0.0, due - loop.time()))

    def _tick(self, now: float) -> None:
        for tick in list(self._members):
            try:
                tick(now)
            except Exception:
                # One call that breaks must not silence the others.
                _log.exception("a call was dropped from the clock")
                self.remove(tick)
