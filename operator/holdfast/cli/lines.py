"""Lines and tables as every command prints them: one screen on a terminal, one row a line off it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from holdfast.cli.console import STYLES

NONE, UNKNOWN = "<none>", "<unknown>"
Cell = str | Text


def held(seconds: float | None) -> str:
    """A duration as kubectl writes it."""
    if seconds is None:
        return NONE
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


def clock(at: str) -> str:
    """The time of day of an RFC 3339 text, in UTC: what fits beside other things on a line."""
    try:
        return dt.datetime.fromisoformat(at).astimezone(dt.UTC).strftime("%H:%M:%SZ")
    except ValueError:
        return at


def signed(sign: str, words: str, signs: Mapping[str, str]) -> Text:
    """A sign, a word and a colour, in that order of importance from the end."""
    return Text(f"{signs[sign]} {words}", style=STYLES[sign])


def table(names: Sequence[str], rows: Iterable[Sequence[Cell]], console: Console) -> None:
    """Columns as wide as they must be; the last one ends where its words end, so that no row trails blanks."""
    head = [Text(name, style="bold") for name in names]
    cells = [head, *([cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        text = Text()
        for cell, width in zip(row[:-1], widths, strict=False):
            text.append_text(cell)
            text.append(" " * (width - cell.cell_len + 2))
        line(console, text.append_text(row[-1]), hang=4)


def line(console: Console, text: Cell, *, indent: int = 0, hang: int = 0) -> None:
    """Off a terminal one line, whatever its length; on it folded under its own beginning, or `hang` further in."""
    shown = text if isinstance(text, Text) else Text(text)
    if not console.is_terminal or shown.cell_len + indent <= console.width:
        console.print(Text.assemble(" " * indent, shown), soft_wrap=True)
        return
    for number, part in enumerate(shown.wrap(console, max(console.width - indent - hang, 1))):
        part.rstrip()
        console.print(Text.assemble(" " * (indent + (hang if number else 0)), part), soft_wrap=True)


def could_not_read(unread: Mapping[str, str], console: Console) -> None:
    for what, why in unread.items():
        line(console, Text(f"Could not read {what}: {why}", style=STYLES["warning"]))


def next_command(command: str, console: Console) -> None:
    """Never folded, or it would not work when it is pasted."""
    console.print(Text.assemble(("next: ", "bold"), command), soft_wrap=True)
