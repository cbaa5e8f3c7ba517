"""An answer as text: the verdict, who saw what, what was decided, what was refused, what would have to change, and the
command to type next. On a terminal it is one screen; off it the same lines, each on a row of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.cli.answer import Answer, Condition, Seen
from holdfast.cli.console import STYLES
from holdfast.core.audit import Record

SHOWN = 3
VERDICT_SIGNS = {"up": "ok", "down": "bad", "degraded": "warning"}
ABSENT = "<none>"


def show(answer: Answer, console: Console, *, signs: Mapping[str, str], verbose: bool = False) -> None:
    """Print it."""
    _verdict(answer, console, signs)
    _seen(answer, console, signs)
    kept = None if verbose else SHOWN
    _conditions([each for each in answer.conditions if verbose or not each.good], console, signs)
    _records("DECIDED", answer.decisions, console, kept=kept)
    _records("REFUSED", answer.refusals, console, kept=kept)
    if answer.changes:
        _line(console, Text("WOULD-HAVE-TO-CHANGE", style="bold"))
        for code, remedy in answer.changes.items():
            _line(console, Text.assemble("  ", (code, "bold"), "  ", remedy))
    for what, why in answer.unread.items():
        _line(console, Text(f"Could not read {what}: {why}", style=STYLES["warning"]))
    _line(console, Text.assemble(("next: ", "bold"), answer.next_command))


def held(seconds: float | None) -> str:
    """A duration as kubectl writes it."""
    if seconds is None:
        return ABSENT
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"


def since(then: str, now: str) -> float | None:
    """Between two RFC 3339 texts, in seconds; None when one of them is none."""
    try:
        return max((dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(then)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _verdict(answer: Answer, console: Console, signs: Mapping[str, str]) -> None:
    verdict, moment = answer.verdict, f"at {answer.at}" if answer.at else f"as of {answer.as_of}"
    _line(console, Text.assemble(
        (f"{signs[verdict.sign]} {verdict.words}", f"bold {STYLES[verdict.sign]}"),
        *([("   ", ""), (verdict.reason, "bold")] if verdict.reason else []),
        f"   zone {', '.join(answer.zones) or ABSENT}   {moment}",
    ))  # fmt: skip
    if verdict.message:
        _line(console, Text(f"  {verdict.message}"))


def _seen(answer: Answer, console: Console, signs: Mapping[str, str]) -> None:
    if not answer.seen:
        return
    table = _table("SEEN-BY", "VERDICT", "FOR", "HEARD", "DETAIL")
    for each in answer.seen:
        sign = VERDICT_SIGNS.get(each.verdict, "unknown")
        table.add_row(
            each.observer,
            Text(f"{signs[sign]} {each.verdict}", style=STYLES[sign]),
            held(since(each.since, answer.as_of) if each.since else each.held_s),
            held(each.heard_age_s),
            _detail(each),
        )
    console.print(table)


def _detail(each: Seen) -> str:
    return "; ".join(filter(None, ("doubts itself" if each.doubt else "", each.detail))) or ABSENT


def _conditions(conditions: Sequence[Condition], console: Console, signs: Mapping[str, str]) -> None:
    if not conditions:
        return
    table = _table("CONDITION", "STATUS", "REASON", "TOLD-BY", "MESSAGE")
    for each in conditions:
        sign = "ok" if each.good else "unknown" if each.status == "Unknown" else "bad"
        table.add_row(
            each.type, Text(f"{signs[sign]} {each.status}", style=STYLES[sign]), each.reason, each.by, each.message
        )
    console.print(table)


def _records(title: str, records: Sequence[Record], console: Console, *, kept: int | None) -> None:
    if not records:
        return
    _line(console, Text(title, style="bold"))
    for record in records[:kept]:
        entry = record.entry
        epoch = f" (epoch {entry.epoch})" if entry.epoch else ""
        named = f" overriding {entry.guard} ({entry.override})" if entry.override else ""
        wanted = f"; wanted because {entry.wanted.message}" if entry.wanted else ""
        _line(console, Text.assemble(
            f"  {record.at}  by {record.by}{epoch}  ", (entry.action, "bold"), f"  {entry.outcome.value}{named}: ",
            (entry.reason.code, "bold"), f": {entry.reason.message}{wanted}",
        ))  # fmt: skip
    if kept is not None and len(records) > kept:
        _line(console, Text(f"  … {len(records) - kept} more, by -v", style="dim"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=not console.is_terminal)
