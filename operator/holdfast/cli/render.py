"""An answer as text: the verdict, who saw what, what was decided, what was refused, what would have to change, and the
command to type next. On a terminal it is one screen; off it the same lines, each on a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from holdfast.cli.answer import Answer, Condition, Seen
from holdfast.cli.console import STYLES
from holdfast.cli.lines import NONE, could_not_read, held, line, next_command, since, table
from holdfast.core.audit import Record
from holdfast.core.explain import Entry

SHOWN = 2
VERDICT_SIGNS = {"up": "ok", "down": "bad", "degraded": "warning"}


def show(answer: Answer, console: Console, *, signs: Mapping[str, str], verbose: bool = False) -> None:
    """Print it."""
    _verdict(answer, console, signs)
    _seen(answer, console, signs)
    kept = None if verbose else SHOWN
    _conditions([each for each in answer.conditions if verbose or _is_worth_a_row(each, answer)], console, signs)
    _records("DECIDED", answer.decisions, answer, console, kept=kept)
    _records("REFUSED", answer.refusals if verbose else answer.telling_refusals, answer, console, kept=kept)
    if answer.changes:
        line(console, Text("WOULD-HAVE-TO-CHANGE", style="bold"))
        for code, remedy in answer.changes.items():
            line(console, Text.assemble((code, "bold"), f": {remedy}"), indent=2)
    could_not_read(answer.unread, console)
    next_command(answer.next_command, console)


def _verdict(answer: Answer, console: Console, signs: Mapping[str, str]) -> None:
    verdict, moment = answer.verdict, f"at {_second(answer.at)}" if answer.at else f"as of {_second(answer.as_of)}"
    line(console, Text.assemble(
        (f"{signs[verdict.sign]} {verdict.words}", f"bold {STYLES[verdict.sign]}"),
        *([("   ", ""), (verdict.reason, "bold")] if verdict.reason else []),
        f"   zone {', '.join(answer.zones) or NONE}   {moment}",
    ))  # fmt: skip
    if verdict.message:
        line(console, Text(verdict.message), indent=2)


def _seen(answer: Answer, console: Console, signs: Mapping[str, str]) -> None:
    if not answer.seen:
        return
    heard = any(each.heard_age_s is not None for each in answer.seen)
    names = ("SEEN-BY", "VERDICT", "FOR", *(["HEARD"] if heard else []), "DETAIL")
    rows: list[list[Text]] = []
    for each in answer.seen:
        sign = VERDICT_SIGNS.get(each.verdict, "unknown")
        rows.append([
            Text(each.observer),
            Text(f"{signs[sign]} {each.verdict}", style=STYLES[sign]),
            Text(held(since(each.since, answer.as_of) if each.since else each.held_s)),
            *([Text(held(each.heard_age_s))] if heard else []),
            Text(_detail(each)),
        ])
    table(names, rows, console)


def _is_worth_a_row(each: Condition, answer: Answer) -> bool:
    """What is not as one wants it, unless the verdict has just said so."""
    return not each.good and each.message != answer.verdict.message


def _detail(each: Seen) -> str:
    return "; ".join(filter(None, ("doubts itself" if each.doubt else "", each.detail))) or NONE


def _conditions(conditions: Sequence[Condition], console: Console, signs: Mapping[str, str]) -> None:
    if not conditions:
        return
    names, rows = ("CONDITION", "STATUS", "REASON", "TOLD-BY", "MESSAGE"), list[list[Text]]()
    for each in conditions:
        sign = "ok" if each.good else "unknown" if each.status == "Unknown" else "bad"
        status = Text(f"{signs[sign]} {each.status}", style=STYLES[sign])
        rows.append([Text(each.type), status, Text(each.reason), Text(each.by), Text(each.message)])
    table(names, rows, console)


def _records(title: str, records: Sequence[Record], answer: Answer, console: Console, *, kept: int | None) -> None:
    """What was done, or not done."""
    if not records:
        return
    line(console, Text(title, style="bold"))
    for record in records[:kept]:
        entry = record.entry
        by = f"{record.by} (epoch {entry.epoch})" if entry.epoch else record.by
        head = Text.assemble(f"{_second(record.at)}  ", (entry.reason.code, "bold"), f"  {entry.action}  by {by}")
        head.append("" if entry.outcome.name == title else f", {entry.outcome.value}")
        why = _why(entry, said=answer.verdict.message)
        if console.is_terminal and why:
            line(console, head, indent=2)
            line(console, Text(why), indent=6)
        else:
            line(console, Text.assemble(head, f": {why}" if why else ""), indent=2)
    if kept is not None and len(records) > kept:
        line(console, Text(f"… {len(records) - kept} more, by -v", style="dim"), indent=2)


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
