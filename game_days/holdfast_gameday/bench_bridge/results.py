"""What was measured of one step, and whether it passed. Kept as JSON, so that a run goes on where one stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

P99_MS_MAX = 10.0
GENERATOR_MAX = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    sent: int
    lost: int
    disorder: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`up`: from caller to provider; `down`: back. Shares are of one core."""

    calls: int
    seconds: float
    up: Direction
    down: Direction
    lost_calls: int
    why: str
    """Of a lost call."""
    clock_late_ms: float
    subject_cpu_s: float
    generator_share: float
    bytes_per_call: float

    @property
    def subject_share(self) -> float:
        return self.subject_cpu_s / self.seconds

    @property
    def cpu_ms_per_call_s(self) -> float:
        return self.subject_cpu_s * 1000 / self.seconds / self.calls

    @property
    def p50_ms(self) -> float:
        """Of the slower direction."""
        return max(self.up.p50_ms, self.down.p50_ms)

    @property
    def p99_ms(self) -> float:
        return max(self.up.p99_ms, self.down.p99_ms)

    @property
    def missed(self) -> str:
        """What it does not pass for; empty: it passes."""
        lost = self.up.lost + self.down.lost
        disorder = self.up.disorder + self.down.disorder
        if self.lost_calls:
            return f"{self.lost_calls} calls lost: {self.why}"
        if not self.up.sent or not self.down.sent:
            return "nothing came through"
        if lost:
            return f"{lost} of {self.up.sent + self.down.sent} frames lost"
        if disorder:
            return f"{disorder} frames out of order"
        if self.p99_ms > P99_MS_MAX:
            return f"p99 {self.p99_ms:.1f} ms"
        if self.generator_share > GENERATOR_MAX:
            return f"the generator needs {self.generator_share:.0%} of its core"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """All steps of a subject. `ended`: why there are no more."""

    subject: str
    steps: tuple[Step, ...]
    ended: str

    @property
    def last_passed(self) -> Step | None:
        passed = [step for step in self.steps if not step.missed]
        return passed[-1] if passed else None

    def at(self, calls: int) -> Step | None:
        return next((step for step in self.steps if step.calls == calls and not step.missed), None)


def load(file: Path) -> dict[str, Climb]:
    """By subject; nothing where there is no file."""
    if not file.exists():
        return {}
    return {each["subject"]: _climb(each) for each in json.loads(file.read_text())["climbs"]}


def save(file: Path, climbs: dict[str, Climb], machine: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    written = {"machine": machine, "climbs": [asdict(climb) for climb in climbs.values()]}
    file.write_text(json.dumps(written, indent=1) + "\n")


def _climb(kept: dict[str, Any]) -> Climb:
    return Climb(**{**kept, "steps": tuple(_step(each) for each in kept["steps"])})


def _step(kept: dict[str, Any]) -> Step:
    return Step(**{**kept, "up": Direction(**kept["up"]), "down": Direction(**kept["down"])})
