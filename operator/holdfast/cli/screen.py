"""An overview as one screen: verdict, zones and regions, levers, what is held, the last decision, what to type next.

At most 24 lines of 100 columns for three regions; what does not fit is counted, and shown by -v.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from holdfast.cli.console import STYLES
from holdfast.cli.lines import NONE, UNKNOWN, Cell, clock, could_not_read, held, line, next_command, signed, table
from holdfast.cli.overview import Decision, Overview, RegionRow, ZoneRow

STATES = {"healthy": "ok", "degraded": "warning", "down": "bad", "unknown": "unknown"}
TIERS = (("provider", "PROVIDERS"), ("relay", "TURN"), ("carrier", "CARRIERS"))
SHOWN = 3
REGIONS_SHOWN = 8


def show(told: Overview, console: Console, *, signs: Mapping[str, str], verbose: bool = False) -> None:
    """Print it."""
    sign = STATES[told.state]
    line(console, Text.assemble(
        (f"{signs[sign]} {told.state.upper()}", f"bold {STYLES[sign]}"), f"  {told.words}   as of {clock(told.as_of)}"
    ))  # fmt: skip
    if told.zones:
        names = ("ZONE", "STATE", "LEADER", "SERVING", "CORDONED", "READY-FOR-LOSS")
        table(names, [_zone(row, signs) for row in told.zones], console)
    _regions(told.regions, console, signs, verbose=verbose)
    if told.levers:
        rows: list[list[Cell]] = [
            [row.name, row.zone, signed(row.sign, row.words, signs), _names(row.on), _names(row.off),
             _names(row.unsure) if row.unsure else NONE]
            for row in told.levers
        ]  # fmt: skip
        table(("LEVER", "ZONE", "STATE", "ON", "OFF", "UNSURE"), rows, console)
    kept = None if verbose else SHOWN
    for each in told.held[:kept]:
        line(console, Text.assemble(signed(each.sign, each.words, signs), f"  {each.reason}: {each.message}"))
    if kept is not None and len(told.held) > kept:
        line(console, Text(f"… {len(told.held) - kept} more, by -v", style="dim"))
    for decision in told.decisions[: None if verbose else 2]:
        line(console, _decision(decision))
    could_not_read({each.what: each.why for each in told.unread}, console)
    next_command(told.next, console)


def _zone(row: ZoneRow, signs: Mapping[str, str]) -> list[Cell]:
    loss = Text(UNKNOWN)
    if row.ready_for_loss is not None:
        loss = signed("ok", "yes", signs) if row.ready_for_loss else signed("warning", "no", signs)
    return [
        row.name, signed(row.sign, row.words, signs), f"{row.leader} (epoch {row.epoch})" if row.leader else NONE,
        _names(row.serving), _names(row.cordoned), loss,
    ]  # fmt: skip


def _regions(rows: Sequence[RegionRow], console: Console, signs: Mapping[str, str], *, verbose: bool) -> None:
    """Tiers that no region tells of have no column."""
    if not rows:
        return
    tiers = [(tier, name) for tier, name in TIERS if any(tier in row.well for row in rows)]
    names = ("NAME", "SERVING", "CALLS", "PODS", "SEEN-UP", *(name for _, name in tiers), "TOLD")
    kept = len(rows) if verbose else REGIONS_SHOWN
    # What is wrong is never among what is cut.
    order = sorted(rows, key=lambda row: (row.sign in ("ok", "info"), row.name)) if len(rows) > kept else rows
    table(names, [_region(row, [tier for tier, _ in tiers], signs) for row in order[:kept]], console)
    if len(rows) > kept:
        line(console, Text(f"… {len(rows) - kept} more, by -v", style="dim"))


def _region(row: RegionRow, tiers: Sequence[str], signs: Mapping[str, str]) -> list[Cell]:
    capacity = "" if row.room is None or row.calls is None else f"/{row.calls + row.room}"
    age = UNKNOWN if row.age_s is None else f"{held(row.age_s)} ago"
    seen = NONE if row.witness else f"{row.seen_up}/{row.observers}"
    return [
        row.name,
        signed(row.sign, row.words, signs),
        NONE if row.witness else UNKNOWN if row.calls is None else f"{row.calls}{capacity}",
        NONE if row.witness else UNKNOWN if row.pods is None else str(row.pods),
        seen if row.witness or row.seen_up == row.observers else signed("warning", seen, signs),
        *(_tier(tier, row, signs) for tier in tiers),
        age if row.shown_by == row.name else f"{age} by {row.shown_by}",
    ]


def _tier(tier: str, row: RegionRow, signs: Mapping[str, str]) -> Cell:
    """The worst first: what is ill by its name, what is well by its number."""
    if tier not in row.well:
        return UNKNOWN
    ill, well = row.ill[tier], row.well[tier]
    if not ill:
        return signed("ok", f"{well}/{well}", signs)
    return signed("bad", f"{ill[0]} (+{well} ok)" if len(ill) == 1 else f"{len(ill)} ill (+{well} ok)", signs)


def _decision(each: Decision) -> Text:
    read_back = f"; read back {clock(each.read_back)}" if each.read_back else "; not read back yet"
    return Text.assemble(
        ("Last decision  ", "bold"),
        f"{clock(each.at)}  {each.action} {each.region} by {each.leader} (epoch {each.epoch}): ",
        (each.reason, "bold"), f": {each.message}{read_back}",
    )  # fmt: skip


def _names(names: Sequence[str]) -> str:
    return ",".join(names) or NONE
