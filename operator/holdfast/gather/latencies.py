"""How long the last good probes of each target took, for people to look at. It decides nothing and forgets soon."""

from __future__ import annotations

from collections.abc import Callable

KEPT_S = 60.0


class Latencies:
    """Milliseconds by `tier/target`. What was not measured lately is not known."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: dict[str, tuple[int, float]] = {}

    def note(self, target: str, seconds: float) -> None:
        """A probe of the target went well, and took so long."""
        self._taken[target] = (round(seconds * 1000), self._clock())

    def recent(self) -> dict[str, int]:
        """Those of the last minute."""
        now = self._clock()
        self._taken = {target: taken for target, taken in self._taken.items() if now - taken[1] <= KEPT_S}
        return {target: ms for target, (ms, _) in self._taken.items()}
