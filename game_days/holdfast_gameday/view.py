"""What a person sees while a game day runs: a live screen on a terminal, plain lines everywhere else.

A view is told what happened and never asks; the runner works the same with either. Off a terminal there are no escape
codes; on a terminal the cursor is restored however the run ends.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from holdfast_gameday.result import Moment


@dataclass(frozen=True, slots=True)
class RegionRow:
    name: str
    state: str  # "serving", "cordoned", "dead", …
    calls: int
    leads: str = ""  # the zones whose lease it holds


@dataclass(frozen=True, slots=True)
class CallCell:
    number: int
    region: str
    speaking: bool
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    clock: float  # seconds since the fault, negative before it
    regions: tuple[RegionRow, ...] = ()
    calls: tuple[CallCell, ...] = ()


class View(Protocol):
    def moment(self, moment: Moment) -> None: ...

    def show(self, snapshot: Snapshot) -> None: ...


def console(stream: TextIO | None = None) -> Console:
    """Not a terminal: one row is one line and no escape codes. A terminal: as it is. NO_COLOR is obeyed by rich."""
    stream = stream or sys.stdout
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return Console(file=stream, highlight=False)
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) > 0 else 10_000
    return Console(file=stream, width=width, height=100, color_system=None, force_terminal=False, highlight=False)


class PlainView:
    """One line per thing that happened."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def moment(self, moment: Moment) -> None:
        self._out.print(f"{moment.at:+7.2f} s  {moment.who:<14}  {moment.what}", markup=False)

    def show(self, snapshot: Snapshot) -> None:
        """A picture that changes has no place in a log."""


@dataclass(slots=True)
class LiveView:
    """A screen of regions, calls and the last moments, drawn again four times a second."""

    live: Live
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(clock=0.0))
    moments: deque[Moment] = field(default_factory=lambda: deque(maxlen=12))

    def moment(self, moment: Moment) -> None:
        self.moments.append(moment)
        self.live.update(self._screen())

    def show(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.live.update(self._screen())

    def _screen(self) -> Group:
        return screen(self.snapshot, tuple(self.moments))


def screen(snapshot: Snapshot, moments: tuple[Moment, ...]) -> Group:
    """Regions, calls and the last moments. Each state is a word, a sign and a colour, in that order of importance."""
    regions = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for heading in ("region", "state", "calls", "leads"):
        regions.add_column(heading)
    for row in snapshot.regions:
        sign, style = SIGNS.get(row.state, ("?", ""))
        regions.add_row(row.name, Text(f"{sign} {row.state}", style=style), str(row.calls), row.leads)
    cells = Text()
    for cell in snapshot.calls:
        sign = "✗" if cell.lost else "♪" if cell.speaking else "·"
        style = "bold red" if cell.lost else "green" if cell.speaking else ""
        cells.append(f"{cell.number:>3} {cell.region:<4}{sign}  ", style=style)
    lines = [Text(f"{moment.at:+7.2f} s  {moment.who:<14}  {moment.what}") for moment in moments]
    clock = Text(f"T {snapshot.clock:+.1f} s", style="bold")
    return Group(clock, regions, Text("calls (♪ agent speaks)", style="dim"), cells, *lines)


SIGNS = {
    "serving": ("✓", "green"),
    "standby": ("–", ""),
    "cordoned": ("⊘", "yellow"),
    "dead": ("✗", "bold red"),
    "dead, cordoned": ("✗", "bold red"),
    "unknown": ("?", "yellow"),
}


@contextmanager
def viewing(out: Console) -> Iterator[View]:
    """The view that fits the stream. Leaving it restores the terminal, also on an exception or Ctrl-C."""
    if not out.is_terminal:
        yield PlainView(out)
        return
    with Live(console=out, refresh_per_second=4, transient=False, vertical_overflow="crop") as live:
        yield LiveView(live)

