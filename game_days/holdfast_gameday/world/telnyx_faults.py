"""Faults and limits of the simulated Telnyx API, switched on by a test or a game day.

Who is limited and what goes wrong is kept here; what the API does otherwise is not known. Limits are counted by family,
which is the first part of a path: Telnyx tells its limits for the request at hand, not for the account as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

LIMIT = 200
WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """For requests whose path begins with `path` (after the version).

    slow     wait `seconds`, then do it; who leaves before that has not written
    error    answer `status`, without doing anything
    commit   writes only: do it, then never answer (the connection breaks after `seconds`)
    partial  writes only: do the first of the fields that would change (of a creation, what is demanded), answer 500
    stale    reads only: answer what was true `seconds` ago
    revoked  401 to everything: the key is no longer taken
    down     the connection breaks at once
    """

    kind: Literal["slow", "error", "commit", "partial", "stale", "revoked", "down"]
    path: str = "/"
    writes_only: bool = False
    times: int | None = None
    seconds: float = 5.0
    status: int = 503


class Faults:
    """What is armed, and spent one request at a time."""

    def __init__(self) -> None:
        self._armed: list[tuple[Fault, int | None]] = []

    def arm(self, fault: Fault) -> None:
        self._armed.append((fault, fault.times))

    def heal(self) -> None:
        self._armed.clear()

    def take(self, path: str, *, writes: bool) -> Fault | None:
        """The first armed fault that this request meets; it is spent by one."""
        for position, (fault, left) in enumerate(self._armed):
            only_writes = fault.writes_only or fault.kind in ("commit", "partial")
            if not path.startswith(fault.path) or (only_writes and not writes) or (fault.kind == "stale" and writes):
                continue
            if left is not None and left <= 1:
                del self._armed[position]
            else:
                self._armed[position] = (fault, None if left is None else left - 1)
            return fault
        return None


@dataclass(slots=True)
class _Window:
    ends: float
    count: int = 0


class Limits:
    """Requests a window, by family; a lock-out refuses everything for a time."""

    def __init__(self, clock: Callable[[], float], *, limit: int = LIMIT, window_s: float = WINDOW_S) -> None:
        self.limit = limit
        self._clock = clock
        self._window_s = window_s
        self._windows: dict[str, _Window] = {}
        self._locked_until = 0.0

    def lock_out(self, for_s: float) -> None:
        self._locked_until = self._clock() + for_s

    def heal(self) -> None:
        self._locked_until = 0.0
        self._windows.clear()

    def spend(self, family: str) -> tuple[bool, Mapping[str, str]]:
        """Whether the request is let through, and the headers that tell where its family stands."""
        now = self._clock()
        if now < self._locked_until:
            return False, self._headers(0, self._locked_until - now)
        window = self._windows.get(family)
        if window is None or now >= window.ends:
            window = self._windows[family] = _Window(now + self._window_s)
        window.count += 1
        left = self.limit - window.count
        return left >= 0, self._headers(max(0, left), window.ends - now)

    def _headers(self, left: int, resets_in_s: float) -> Mapping[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": str(max(1, round(resets_in_s))),
        }
