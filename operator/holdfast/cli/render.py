"""An answer as text: the verdict, who saw what, what was decided, what was refused, what would have to change, and the
command to type next. On a terminal it is one screen; off it the same lines, each on a row of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from holdfast.cli.answer import Answer, Condition, Seen
from holdfast.cli.console import STYLES
from holdfast.core.audit import Record
from holdfast.core.explain import Entry

SHOWN = 2
VERDICT_SIGNS = {"up": "ok", "down": "bad", "degraded": "warning"}
ABSENT = "<none>"


def show(answer: Answer, console: Console, *, signs: Mapping[str, str], verbose: bool = False) -> None:
    """Print it."""
    _verdict(answer, console, signs)
    _seen(answer, console, signs)
    kept = None if verbose else SHOWN
    _conditions([each for each in answer.conditions if verbose or _is_worth_a_row(each, answer)], console, signs)
    _records("DECIDED", answer.decisions, answer, console, kept=kept)
    _records("REFUSED", answer.refusals if verbose else answer.telling_refusals, answer, console, kept=kept)
    if answer.changes:
        _line(console, Text("WOULD-HAVE-TO-CHANGE", style="bold"))
        for code, remedy in answer.changes.items():
            _line(console, Text.assemble((code, "bold"), f": {remedy}"), indent=2)
    for what, why in answer.unread.items():
        _line(console, Text(f"Could not read {what}: {why}", style=STYLES["warning"]))
    # Never folded, or it would not work when it is pasted.
    console.print(Text.assemble(("next: ", "bold"), answer.next_command), soft_wrap=True)


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
    verdict, moment = answer.verdict, f"at {_second(answer.at)}" if answer.at else f"as of {_second(answer.as_of)}"
    _line(console, Text.assemble(
        (f"{signs[verdict.sign]} {verdict.words}", f"bold {STYLES[verdict.sign]}"),
        *([("   ", ""), (verdict.reason, "bold")] if verdict.reason else []),
        f"   zone {', '.join(answer.zones) or ABSENT}   {moment}",
    ))  # fmt: skip
    if verdict.message:
        _line(console, Text(verdict.message), indent=2)


def _seen(answer: Answer, console: Console, signs: Mapping[str, str]) -> None:
    if not answer.seen:
        return
    heard = any(each.heard_age_s is not None for each in answer.seen)
    names = ("SEEN-BY", "VERDICT", "FOR", *(["HEARD"] if heard else []), "DETAIL")
    rows = [[Text(name, style="bold") for name in names]]
    for each in answer.seen:
        sign = VERDICT_SIGNS.get(each.verdict, "unknown")
        rows.append([
            Text(each.observer),
            Text(f"{signs[sign]} {each.verdict}", style=STYLES[sign]),
            Text(held(since(each.since, answer.as_of) if each.since else each.held_s)),
            *([Text(held(each.heard_age_s))] if heard else []),
            Text(_detail(each)),
        ])
    _table(rows, console)


def _is_worth_a_row(each: Condition, answer: Answer) -> bool:
    """What is not as one wants it, unless the verdict has just said so."""
    return not each.good and each.message != answer.verdict.message


def _detail(each: Seen) -> str:
    return "; ".join(filter(None, ("doubts itself" if each.doubt else "", each.detail))) or ABSENT


def _conditions(conditions: Sequence[Condition], console: Console, signs: Mapping[str, str]) -> None:
    if not conditions:
        return
    rows = [[Text(name, style="bold") for name in ("CONDITION", "STATUS", "REASON", "TOLD-BY", "MESSAGE")]]
    for each in conditions:
        sign = "ok" if each.good else "unknown" if each.status == "Unknown" else "bad"
        status = Text(f"{signs[sign]} {each.status}", style=STYLES[sign])
        rows.append([Text(each.type), status, Text(each.reason), Text(each.by), Text(each.message)])
    _table(rows, console)


def _records(title: str, records: Sequence[Record], answer: Answer, console: Console, *, kept: int | None) -> None:
    """What was done, or not done."""
    if not records:
        return
    _line(console, Text(title, style="bold"))
    for record in records[:kept]:
        entry = record.entry
        by = f"{record.by} (epoch {entry.epoch})" if entry.epoch else record.by
        head = Text.assemble(f"{_second(record.at)}  ", (entry.reason.code, "bold"), f"  {entry.action}  by {by}")
        head.append("" if entry.outcome.name == title else f", {entry.outcome.value}")
        why = _why(entry, said=answer.verdict.message)
        if console.is_terminal and why:
            _line(console, head, indent=2)
            _line(console, Text(why), indent=6)
        else:
            _line(console, Text.assemble(head, f": {why}" if why else ""), indent=2)
    if kept is not None and len(records) > kept:
        _line(console, Text(f"… {len(records) - kept} more, by -v", style="dim"), indent=2)


def _why(entry: Entry, *, said: str) -> str:
    """The reason, the person's words, and the wish; nothing that has been said already."""
    parts = [] if entry.reason.message == said else [entry.reason.message]
    if entry.override:
        parts.append(f"a person said: {entry.override}")
    if entry.wanted and entry.wanted.message not in entry.reason.message:
        parts.append(f"wanted because {entry.wanted.message}")
    return "; ".join(parts)


def _second(at: str) -> str:
    """A record's time to the second, which `--at` takes as the whole of that second."""
    return f"{at[:19]}Z" if at.endswith("Z") else at


def _table(rows: Sequence[Sequence[Text]], console: Console) -> None:
    """Columns as wide as they must be; the last one ends where its words end, so that no row trails blanks."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = Text()
        for cell, width in zip(row[:-1], widths, strict=False):
            line.append_text(cell)
            line.append(" " * (width - cell.cell_len + 2))
        _line(console, line.append_text(row[-1]))


def _line(console: Console, text: Text, *, indent: int = 0) -> None:
    """Off a terminal one line, whatever its length; on it folded under its own beginning."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        console.print(Text.assemble(" " * indent, text), soft_wrap=True)
