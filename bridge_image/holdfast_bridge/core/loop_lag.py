"""How late an event loop runs, and whether it is too late to carry more calls.

Pure: what the shell's ticker measured goes in with the time. All calls of a pod share one loop, so how late it runs is
how late every caller hears the agent.

    fine ──► late      99 % of the last 5 s were on time to LATE_S or worse: the pod wants no new calls
    late ──► too late  the same with TOO_LATE_S: it cannot even take calls that others hand over
    back               only below half of what led there, so that a pod does not flap about the line
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 5.0
TICK_S = 0.05
LATE_S = 0.05
TOO_LATE_S = 0.2
SHARE = 0.99
SAMPLES_MAX = int(WINDOW_S / TICK_S) * 2


class LoopLag:
    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES_MAX)
        self.late = False
        self.too_late = False

    def add(self, lag_s: float, now: float) -> None:
        """A tick came `lag_s` after it was due. Those that were due meanwhile would have been late, too: they count."""
        missed = min(int(lag_s / TICK_S), SAMPLES_MAX)
        for place in range(missed, -1, -1):
            self._samples.append((now, max(0.0, lag_s - place * TICK_S)))
        while self._samples and self._samples[0][0] <= now - WINDOW_S:
            self._samples.popleft()
        p99 = self.p99_s
        self.late = _beyond(p99, LATE_S, was=self.late)
        self.too_late = _beyond(p99, TOO_LATE_S, was=self.too_late)

    @property
    def p99_s(self) -> float:
        """What 99 % of the ticks of the last five seconds did not exceed; 0 before the first."""
        if not self._samples:
            return 0.0
        ordered = sorted(lag for _, lag in self._samples)
        return ordered[int(SHARE * (len(ordered) - 1))]


def _beyond(p99_s: float, limit_s: float, *, was: bool) -> bool:
    return p99_s > (limit_s / 2 if was else limit_s)
