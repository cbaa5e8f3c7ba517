"""From records to the table that is printed: each figure beside its promise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.table import Table

from holdfast_gameday.bench_failover.kinds import BY_NAME, KINDS, Kind
from holdfast_gameday.bench_failover.records import Record

HEAD = (
    "kind", "trials", "detect", "decide", "effective", "cut-over", "… heard", "calls lost", "resumed", "gap",
    "false moves", "promise",
)  # fmt: skip
GAP_P95_S = 12.0
CUT_OVER_P95_S = 1.0


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: a figure that was really measured. NaN of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


def spread(values: Iterable[float | None]) -> str:
    """p50 / p95 / max."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return " / ".join(f"{percentile(known, share):.2f}" for share in (0.5, 0.95, 1.0))


def broken(kind: Kind, records: Sequence[Record]) -> list[str]:
    """The promises that these trials do not keep, in words."""
    found = []
    if kind.p95_s is not None:
        missing = [record.number for record in records if record.effective is None]
        if missing:
            found.append(f"{kind.name}: never effective in trials {', '.join(map(str, missing))}")
        p95_s = percentile([record.effective for record in records if record.effective is not None], 0.95)
        if p95_s > kind.p95_s:
            found.append(f"{kind.name}: effective after {p95_s:.2f} s at p95, promised {kind.p95_s:g} s")
    cut_over_s = percentile([record.cut_over for record in records if record.cut_over is not None], 0.95)
    if cut_over_s > CUT_OVER_P95_S:
        words = f"{cut_over_s:.2f} s from write to first call elsewhere"
        found.append(f"{kind.name}: {words}, promised {CUT_OVER_P95_S:g} s")
    if unresumed := sum(record.held - record.resumed for record in records):
        found.append(f"{kind.name}: {unresumed} calls under way did not go on")
    gap_s = percentile([gap for record in records for gap in record.gaps], 0.95)
    if gap_s > GAP_P95_S:
        found.append(f"{kind.name}: gap {gap_s:.2f} s at p95, promised {GAP_P95_S:g} s")
    moved = [name for record in records for name in record.false_moves]
    if moved:
        found.append(f"{kind.name}: moved without cause: {', '.join(sorted(set(moved)))}")
    return found


def rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """One row a kind that was tried."""
    made: list[tuple[str, ...]] = []
    for kind in KINDS:
        own = [record for record in records if record.kind == kind.name]
        if not own:
            continue
        lost, placed = sum(record.lost for record in own), sum(record.placed for record in own)
        held, resumed = sum(record.held for record in own), sum(record.resumed for record in own)
        made.append((
            kind.name,
            f"{len(own)} of {kind.trials}",
            spread(record.detected for record in own),
            spread(record.decided for record in own),
            spread(record.effective for record in own),
            spread(record.cut_over for record in own),
            spread(record.heard_after for record in own),
            f"{lost} of {placed}",
            f"{resumed} of {held}" if held else "–",
            spread(gap for record in own for gap in record.gaps),
            str(sum(len(record.false_moves) for record in own)),
            "kept" if not broken(kind, own) else "BROKEN",
        ))
    return made


def markdown(records: Sequence[Record]) -> str:
    """For docs/measurements.md."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(records))])


def rich_table(records: Sequence[Record]) -> Table:
    """For a terminal. Seconds since the fault, p50 / p95 / max."""
    made = Table(title="seconds since the fault: p50 / p95 / max", title_justify="left")
    for name in HEAD:
        made.add_column(name)
    for row in rows(records):
        made.add_row(*row)
    return made


def verdicts(records: Sequence[Record]) -> list[str]:
    """Every promise that was not kept."""
    kinds = dict.fromkeys(record.kind for record in records if record.kind in BY_NAME)
    return [
        words
        for name in kinds
        for words in broken(BY_NAME[name], [record for record in records if record.kind == name])
    ]
