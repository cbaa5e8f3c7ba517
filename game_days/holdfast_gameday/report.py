"""A result shown to people: the closing table in the terminal and one self-contained page. It judges nothing."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup
from rich.console import Console
from rich.table import Table

from holdfast_gameday import timeline
from holdfast_gameday.result import GameDayResult, Outcome, percentile

EXIT_STATUS = {
    Outcome.PASSED: 0,
    Outcome.FAILED: 1,
    Outcome.INCONCLUSIVE: 1,
    Outcome.ABORTED: 1,
    Outcome.REFUSED: 4,
}

LEVER_WRITES_SHOWN = 8


def mark(held: bool) -> str:
    return "✓" if held else "✗"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def figures(result: GameDayResult) -> list[tuple[str, str]]:
    """The rows of the closing table: name and value, in the order in which an engineer asks for them."""
    held = result.held_calls
    gaps = [call.gap_ms for call in result.moved_calls if call.gap_ms is not None]
    handovers = [call.handover_ms for call in result.moved_calls if call.handover_ms is not None]
    new = [call for call in result.calls if call.placed_after_fault]

    rows = [
        ("calls when the fault struck", str(len(held))),
        (f"  of them on {result.fault_region}", str(len(result.moved_calls))),
        ("survived", str(sum(call.survived for call in held))),
        ("dropped", str(sum(not call.survived for call in held))),
        ("audible gap p50 / p95 / max", _spread(gaps)),
        ("  of it at the hand-over", _spread(handovers)),
        ("fault → detected", seconds(result.detected_seconds)),
        ("fault → decided", seconds(result.decided_seconds)),
        ("fault → cordoned, read back", seconds(result.read_back_seconds)),
        ("fault → first new call elsewhere", seconds(result.first_new_call_seconds)),
        ("new calls answered", f"{sum(call.setup_seconds is not None for call in new)} of {len(new)}"),
    ]
    bystanders = [call for call in result.calls if call.bystander]
    if bystanders:
        undisturbed = sum(call.survived for call in bystanders)
        rows.append(("calls of the other zone undisturbed", f"{undisturbed} of {len(bystanders)}"))
    rows.append(("connections checked for residency", str(result.residency.connections)))
    rows.append(("  breaches among them", str(len(result.residency.breaches))))
    rows.append(("call keys in stores outside the zone", str(len(result.residency.foreign_keys))))
    rows.append(("lever writes", str(len(result.residency.lever_writes))))
    return rows


def _spread(values: list[float]) -> str:
    parts = [percentile(values, share) for share in (0.5, 0.95, 1.0)]
    return " / ".join("–" if part is None else f"{part:.0f} ms" for part in parts)


def write_table(result: GameDayResult, console: Console) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for name, value in figures(result):
        table.add_row(name, value)
    console.print(table)
    console.print()
    for claim in result.claims:
        style = "green" if claim.held else "red"
        console.print(f"[{style}]{mark(claim.held)}[/] {claim.name}: {claim.seen} (wanted {claim.wanted})")
    for written in result.residency.lever_writes[-LEVER_WRITES_SHOWN:]:
        console.print(f"  {written}", markup=False)
    for breach in result.residency.breaches[:10]:
        console.print(f"  breach: {breach}", markup=False)
    for call in result.calls:
        if not call.survived:
            console.print(f"  lost: call {call.number} {call.note}", markup=False)
    style = "bold green" if result.outcome is Outcome.PASSED else "bold red"
    console.print()
    console.print(f"[{style}]{mark(result.outcome is Outcome.PASSED)} {result.outcome}[/] {result.title}")


def page(result: GameDayResult) -> str:
    """One HTML file with nothing outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2").render(
        r=result,
        svg=Markup(timeline.svg(result)),  # noqa: S704  # our own SVG; every name in it is escaped there
        figures=figures(result),
        mark=mark,
        seconds=seconds,
    )
