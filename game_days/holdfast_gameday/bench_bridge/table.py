"""What a run found, as a table for a page and as a picture. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from holdfast_gameday import pictures
from holdfast_gameday.bench_bridge.results import Climb, Step

SHOWN = (50, 200, 500)
HEAD = (
    "subject", "last passing step", "ended by", "CPU ms per call-second", "calls a core by that", "memory per call",
    *(f"added at {calls}, p50 / p99" for calls in SHOWN),
)  # fmt: skip


def markdown(climbs: Iterable[Climb]) -> str:
    """CPU and memory are those of the last step that passed; where none did, those of the first, in brackets."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(_row(climb) for climb in climbs)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def picture(climbs: Iterable[Climb]) -> str:
    values = {climb.subject: math.floor(1000 / step.cpu_ms_per_call_s) for climb in climbs if (step := _told_by(climb))}
    ours = [name for name in values if name.startswith("holdfast")]
    return pictures.rows(values, title="Calls that one core carries, by CPU time per call", marked=ours)


def step_line(step: Step) -> str:
    """One step, as it is told while a run goes on."""
    passed = f"not passed: {step.missed}" if step.missed else "passed"
    return (
        f"  {step.calls:5d} calls  {step.cpu_ms_per_call_s:6.3f} ms/call-s  core {step.subject_share:4.0%}  "
        f"added {step.p50_ms:.2f} / {step.p99_ms:.2f} ms  {step.bytes_per_call / 1000:.0f} kB a call  "
        f"generator {step.generator_share:3.0%}  {passed}"
    )


def _told_by(climb: Climb) -> Step | None:
    return climb.last_passed or (climb.steps[0] if climb.steps else None)


def _row(climb: Climb) -> tuple[str, ...]:
    step = _told_by(climb)
    if step is None:
        return (climb.subject, "–", climb.ended, *("–" for _ in HEAD[3:]))
    figures: tuple[str, ...] = (
        f"{step.cpu_ms_per_call_s:.2f}", f"{math.floor(1000 / step.cpu_ms_per_call_s)}",
        f"{step.bytes_per_call / 1000:.0f} kB",
    )  # fmt: skip
    if climb.last_passed is None:
        figures = tuple(f"({figure})" for figure in figures)
    passed = str(climb.last_passed.calls) if climb.last_passed else "–"
    return (climb.subject, passed, climb.ended, *figures, *(_added(climb.at(calls)) for calls in SHOWN))


def _added(step: Step | None) -> str:
    return "–" if step is None else f"{step.p50_ms:.2f} / {step.p99_ms:.2f} ms"
