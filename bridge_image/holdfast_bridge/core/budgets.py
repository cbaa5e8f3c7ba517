"""How long the parts of attempts took lately, beside what they are meant to take. Pure.

A part is named as its outcomes are counted: `ATTEMPT/ROLE` for a stage of a cascade, `ATTEMPT` for the whole of any
attempt, whose time is that to the first audio. Nothing is judged here: the operator adds up what all pods tell. It can,
because what is told is counted: a share of more than a twentieth over the budget is a p95 over it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import ceil

WINDOW_S = 120.0
MAX_SAMPLES = 400
MAX_PARTS = 64
P95 = 0.95


class Windows:
    """Of each part the samples of the last `WINDOW_S`, or the last `MAX_SAMPLES` of them."""

    def __init__(self) -> None:
        self._parts: dict[str, deque[tuple[float, float]]] = {}

    def add(self, part: str, seconds: float, *, now: float) -> None:
        """Names that an edit took away make room, the eldest first."""
        samples = self._parts.get(part)
        if samples is None:
            while len(self._parts) >= MAX_PARTS:
                del self._parts[next(iter(self._parts))]
            samples = self._parts[part] = deque(maxlen=MAX_SAMPLES)
        samples.append((now, seconds))

    def report(self, budgets_ms: Mapping[str, int], *, now: float) -> list[dict[str, object]]:
        """One object a part that was heard of lately, in the words of the poll. Without a budget none is over it."""
        told = []
        for part, samples in self._parts.items():
            while samples and now - samples[0][0] > WINDOW_S:
                samples.popleft()
            if samples:
                budget_ms = budgets_ms.get(part)
                took_ms = sorted(seconds * 1000 for _, seconds in samples)
                over = 0 if budget_ms is None else sum(each > budget_ms for each in took_ms)
                told.append({
                    "part": part, "count": len(took_ms), "over": over, "budgetMs": budget_ms,
                    "p95Ms": round(took_ms[ceil(P95 * len(took_ms)) - 1]),
                })  # fmt: skip
        return told
