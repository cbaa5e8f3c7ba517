"""Whether this pod wants new calls, and why not.

It reads what others know and decides nothing about calls in progress. Two lines are drawn at different heights: at 90 %
of `callsPerPod` the pod goes unready, so that new calls go to other pods; only at twice `callsPerPod` are upgrades
refused, because an upgrade may be a hand-over, and those are exempt from admission limits. An event loop that runs late
is the same in other words: late, the pod is unready; far too late, it refuses. Both only while a call can be taken
elsewhere, for to be heard late is better than not at all, and only from a quarter of `callsPerPod` on: a pod that
carries little is made late by its machine, and would be as late with less.
"""

from __future__ import annotations

from collections.abc import Callable, Sized

from holdfast_bridge.core.loop_lag import LoopLag
from holdfast_bridge.settings import Settings

UNREADY_AT = 0.9
REFUSE_AT = 2.0
LATE_FROM = 0.25


class Health:
    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        calls: Sized,
        drain_ordered: Callable[[], bool],
        lag: LoopLag,
        elsewhere: Callable[[], bool],
    ) -> None:
        """`elsewhere`: another pod or region could take a call that this pod does not."""
        self._lag = lag
        self._elsewhere = elsewhere
        self._settings = settings
        self._calls = calls
        self._drain_ordered = drain_ordered
        self.stopping = False
        self.serving = False
        """True once both ports are open."""

    @property
    def draining(self) -> bool:
        return self.stopping or self._drain_ordered()

    @property
    def able(self) -> bool:
        """At least one attempt has what it needs to be tried."""
        return bool(self._settings().usable_attempts)

    @property
    def full(self) -> bool:
        return len(self._calls) >= self._settings().agent.limits.calls_per_pod

    def _sheds(self, late: bool) -> bool:
        laden = len(self._calls) >= self._settings().agent.limits.calls_per_pod * LATE_FROM
        return late and laden and self._elsewhere()

    def accepting(self) -> bool:
        """May an upgrade be answered at all? Implements `seams.Services.accepting`."""
        limit = self._settings().agent.limits.calls_per_pod * REFUSE_AT
        room = len(self._calls) < limit and not self._sheds(self._lag.too_late)
        return self.able and not self.draining and room

    def reasons(self) -> tuple[str, ...]:
        """Why this pod is not ready, in words that name what to mend; empty when it is."""
        settings = self._settings()
        limit = settings.agent.limits.calls_per_pod
        found: list[str] = []
        if not self.serving:
            found.append("starting")
        if self.draining:
            found.append("draining")
        if len(self._calls) >= limit * UNREADY_AT:
            found.append(f"full: {len(self._calls)} of {limit} calls")
        if self._sheds(self._lag.late):
            found.append(f"late: the event loop's p99 is {self._lag.p99_s * 1000:.0f} ms behind")
        if not self.able:
            missing = ", ".join(settings.missing_keys)
            found.append(f"no usable attempt: missing {missing}" if missing else "no attempt is permitted here")
        return tuple(found)
