"""What a person reads of a run of the matrix: percentiles by mode, what went wrong, and which pairs were slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast_gameday.matrix.cases import Mode
from holdfast_gameday.matrix.judge import Finding
from holdfast_gameday.result import percentile

P95_MAX_S = 1.5
P95_STALL_MAX_S = 2.5


def told(findings: Sequence[Finding]) -> str:
    measured = ("next one heard after, s", "without words, s", "without a sound, s")
    columns = [f"{name}: p50 | p95 | max" for name in measured]
    rows = [f"| the first one | cases | kept | {' | '.join(columns)} |", "|---" + "|--:" * 11 + "|"]
    for mode in Mode:
        of_mode = [each for each in findings if each.case.mode is mode]
        if of_mode:
            rows.append(_row(mode.value, of_mode))
    alone = [each for each in findings if each.case.mode is None]
    if alone:
        rows.append(f"| goes on (one provider) | {len(alone)} | {_kept(alone)} | {' | '.join('–' * 9)} |")
    return "\n".join(rows)


def slow(findings: Iterable[Finding]) -> list[str]:
    """Which promises of the whole were not kept."""
    errors = [each.first_audio_s for each in findings if each.case.mode and not each.case.mode.silent]
    stalls = [each.first_audio_s for each in findings if each.case.mode and each.case.mode.silent]
    said = []
    for name, values, most in (("an error", errors, P95_MAX_S), ("a stall", stalls, P95_STALL_MAX_S)):
        p95 = percentile([value for value in values if value is not None], 0.95)
        if p95 is not None and p95 > most:
            said.append(f"after {name} the next provider spoke within {p95:.2f} s (p95); {most} s are promised")
    return said


def _row(name: str, findings: Sequence[Finding]) -> str:
    cells = []
    measured = ([each.first_audio_s, each.gap_s, each.silence_s] for each in findings)
    for values in zip(*measured, strict=True):
        known = [value for value in values if value is not None]
        found = (percentile(known, share) for share in (0.5, 0.95, 1.0))
        cells += ["–" if value is None else f"{value:.2f}" for value in found]
    return f"| {name} | {len(findings)} | {_kept(findings)} | " + " | ".join(cells) + " |"


def _kept(findings: Sequence[Finding]) -> int:
    return sum(each.ok for each in findings)
