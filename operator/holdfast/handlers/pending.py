"""Which objects wait for their turn: a queue of keys. A key is in it at most once, and never worked on twice at a time.

What failed comes back after a back-off of its own; others do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0


class Key(NamedTuple):
    """One object to look at. The namespace of a cluster-scoped object is empty."""

    kind: str
    namespace: str
    name: str


class Pending:
    """Owned by one event loop."""

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._busy)

    def add(self, key: Key) -> None:
        """Put a key at the end, unless it waits already."""
        if handle := self._later.pop(key, None):
            handle.cancel()
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._busy:
            self._ready.append(key)
            self._filled.set()

    async def take(self) -> Key:
        """The next key; `done` or `failed` must follow."""
        while not self._ready:
            self._filled.clear()
            await self._filled.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        """Worked on to the end."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: Key) -> float:
        """Come back later; returns in how many seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        delay_s = min(FIRST_RETRY_S * 2.0 ** min(count, 8), LAST_RETRY_S)
        self._release(key)
        if key not in self._waiting:
            self._later[key] = asyncio.get_running_loop().call_later(delay_s, self.add, key)
        return delay_s

    def close(self) -> None:
        """Forget the timers."""
        for handle in self._later.values():
            handle.cancel()
        self._later.clear()

    def _release(self, key: Key) -> None:
        self._busy.discard(key)
        if key in self._waiting:  # It changed while it was worked on.
            self._ready.append(key)
            self._filled.set()
