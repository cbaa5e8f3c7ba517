"""Where a console comes from: the one place that decides on width and colour.

Off a terminal a line is never folded, so one row is one line and no address is broken. Whether there is colour, in this
order: the flag, NO_COLOR, TERM=dumb, FORCE_COLOR, a terminal. What colour says is always said by a word and a sign too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from rich.console import Console

WIDTH_OFF_TERMINAL = 10_000
HEIGHT_OFF_TERMINAL = 100

SIGNS = {"ok": "✔", "bad": "✖", "warning": "▲", "unknown": "?", "info": "●"}
PLAIN_SIGNS = {"ok": "+", "bad": "x", "warning": "!", "unknown": "?", "info": "*"}
STYLES = {"ok": "green", "bad": "red", "warning": "yellow", "unknown": "dim", "info": "cyan"}


def coloured(choice: str, *, environment: Mapping[str, str], terminal: bool) -> bool:
    """Whether to write colour codes."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return bool(environment.get("FORCE_COLOR")) or terminal


def make(stream: IO[str], *, color: str, environment: Mapping[str, str]) -> Console:
    """A console for data on this stream."""
    terminal = stream.isatty()
    colour = coloured(color, environment=environment, terminal=terminal)
    return Console(
        file=stream,
        width=None if terminal else WIDTH_OFF_TERMINAL,
        height=None if terminal else HEIGHT_OFF_TERMINAL,
        force_terminal=terminal,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        emoji=False,
        markup=False,
    )


def signs(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The signs beside words; HOLDFAST_ASCII=1 for fonts that lack them."""
    return PLAIN_SIGNS if environment.get("HOLDFAST_ASCII") == "1" else SIGNS
