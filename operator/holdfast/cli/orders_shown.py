"""An order as people read it, before it is given and after."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import click
from rich.text import Text

from holdfast.cli import console, jsonable
from holdfast.cli.foresee import Foreseen
from holdfast.cli.lines import could_not_read, line, next_command, signed
from holdfast.cli.options import Options
from holdfast.cli.order import WOULD, Ordered, Wish

SIGNS = {"written": "ok", "done": "ok", "unchanged": "info", "dry-run": "info"}


def show(told: Ordered, options: Options, *, output: str) -> None:
    if output == "json":
        options.out.write(jsonable.text(told))
        return
    made = console.make(options.out, color=options.color, environment=options.environment)
    signs = console.signs(options.environment)
    # What was done comes first and bare, as of every kubectl command that changes something.
    line(made, Text(told.words, style=console.STYLES[SIGNS.get(told.outcome, "bad")]))
    for each in told.foreseen if told.outcome in ("written", "dry-run", "refused") else ():
        line(made, _foreseen(each, told.region, signs))
    could_not_read({each.what: each.why for each in told.unread}, made)
    next_command(told.next, made)


def can_ask(options: Options) -> bool:
    return sys.stdin.isatty() and options.out.isatty()


def ask(wish: Wish, foreseen: Sequence[Foreseen], options: Options) -> bool:
    """Yes or no, on standard error: standard output is for the answer."""
    signs = console.signs(options.environment)
    for said in _lines(wish, foreseen, signs):
        click.echo(said, err=True)
    return click.confirm("Write it?", err=True)


def _lines(wish: Wish, foreseen: Sequence[Foreseen], signs: Mapping[str, str]) -> Iterator[str]:
    yield f"region/{wish.region} {WOULD[wish.verb]} until {wish.until} (reason: {wish.reason})"
    for each in foreseen:
        yield _foreseen(each, wish.region, signs).plain


def _foreseen(each: Foreseen, region: str, signs: Mapping[str, str]) -> Text:
    """What the guards answer, and what would be left."""
    if each.allowed is None:
        return signed("unknown", f"zone {each.zone}: its guards could not be asked: {each.message}", signs)
    if not each.allowed:
        return signed("bad", f"zone {each.zone}: refused: {each.reason}: {each.message}", signs)
    left = f"; new calls go to {', '.join(each.left)}" if each.left else "; no region would take calls"
    room = "" if each.room is None else f" (room for {each.room} more)"
    holds = "" if each.calls is None else f"; {region} holds {each.calls}"
    return signed("ok", f"zone {each.zone}: the guards allow it{left}{room}{holds}", signs)
