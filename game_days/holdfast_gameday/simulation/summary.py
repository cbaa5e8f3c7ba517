"""What many seeds say together: counts, what was never reached, and one hash over all traces."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from holdfast_gameday.faults import Kind
from holdfast_gameday.simulation import sometimes
from holdfast_gameday.simulation.run import Outcome


@dataclass(slots=True)
class Summary:
    """Outcomes are added in the order of their seeds, so that the hash is the same however many processes ran them."""

    seeds: int = 0
    steps: int = 0
    decisions: int = 0
    writes: int = 0
    simulated_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    topologies: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    _digests: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.steps += outcome.steps
        self.decisions += outcome.decisions
        self.writes += outcome.writes
        self.simulated_s += outcome.simulated_s
        self.counts.update(outcome.sometimes)
        self.topologies[outcome.topology] += 1
        self._digests.append(outcome.digest)
        if not outcome.passed:
            self.failed.append(outcome)

    def never(self) -> tuple[str, ...]:
        """What had to be reached and was not, once there were seeds enough to expect it."""
        if self.seeds < sometimes.ENOUGH_SEEDS:
            return ()
        return tuple(name for name in sometimes.EXPECTED if not self.counts[name])

    @property
    def digest(self) -> str:
        return hashlib.sha256("".join(self._digests).encode()).hexdigest()

    def lines(self) -> Iterable[str]:
        shapes = ", ".join(f"{name}: {self.topologies[name]}" for name in sorted(self.topologies))
        yield f"seeds            {self.seeds}  ({shapes})"
        yield f"simulated hours  {self.simulated_s / 3600:.1f}"
        yield f"steps            {self.steps}"
        yield f"decisions        {self.decisions}  ({self.decisions // max(self.seeds, 1)} a seed)"
        yield f"lever writes     {self.writes}"
        yield "faults           " + ", ".join(f"{kind.word} {self.counts[f'fault {kind.word}']}" for kind in Kind)
        yield "sometimes"
        for name in sorted({*self.counts, *sometimes.EXPECTED}):
            yield f"  {self.counts[name]:>8}  {name}"
        for name in self.never():
            yield f"NEVER REACHED    {name}"
        yield f"failed seeds     {len(self.failed)}"
        yield f"sha-256          {self.digest}"
