"""Where the times that calls measure go: into the pod's histograms, and into the windows that the operator is told of.

Labels are kinds of providers, so there are few. It judges nothing: what is too slow is decided by the operator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core.budgets import Windows
from holdfast_bridge.core.latency import FirstAudio, Sample, Silence, Stage, StageTook, Switched
from holdfast_bridge.telemetry import Metrics

_NO_PROVIDERS = {Stage.TOOL: "tool", Stage.NETWORK: "carrier"}


class Timings:
    def __init__(
        self,
        *,
        budgets_ms: Callable[[], Mapping[str, int]],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budgets_ms = budgets_ms
        self._metrics = metrics
        self._clock = clock
        self._windows = Windows()

    def took(self, attempt: Attempt, sample: Sample) -> None:
        match sample:
            case FirstAudio(seconds):
                self._metrics.first_audio(attempt.kind, seconds)
                self._windows.add(attempt.name, seconds, now=self._clock())
            case StageTook(stage, seconds) if stage in _NO_PROVIDERS:
                self._metrics.stage_took(stage.value, _NO_PROVIDERS[stage], seconds)
            case StageTook(stage, seconds):
                part = f"{attempt.name}/{stage.value}"
                asked = attempt.stages.get(part)
                self._metrics.stage_took(stage.value, attempt.kind if asked is None else asked.kind, seconds)
                self._windows.add(part, seconds, now=self._clock())
            case Silence(seconds):
                self._metrics.silence(attempt.kind, seconds)
            case Switched(what, outcome, seconds):
                self._metrics.switched(attempt.kind, what, outcome, seconds)

    def report(self) -> list[dict[str, object]]:
        """One object a part, in the words of the poll."""
        return self._windows.report(self._budgets_ms(), now=self._clock())
