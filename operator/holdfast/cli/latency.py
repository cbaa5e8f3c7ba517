"""`latency`: how long each region's operator waits for what a call depends on, and how far the clocks lie apart.

The figures are those of the operators' own probes, as their heartbeats tell them; this asks nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from holdfast.cli import console, jsonable
from holdfast.cli.exits import PROGRAM, ExitStatus
from holdfast.cli.fleet import Fleet, Reader
from holdfast.cli.lines import NONE, UNKNOWN, Cell, could_not_read, line, next_command, signed, table
from holdfast.cli.moments import stamp
from holdfast.cli.options import Options
from holdfast.cli.overview import Unread
from holdfast.core.values import Tier, Verdict

SCHEMA = "holdfast.dev/latency/v1"
HEADS = {"region": "ENTRY", "provider": "PROVIDER", "relay": "TURN", "carrier": "CARRIER"}
SKEW_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one region measures of one target. `ms` None: it does not say. `verdict` empty: it says nothing else."""

    region: str
    ms: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that calls depend on. `tier`: region (its entry), provider, relay (TURN) or carrier."""

    tier: str
    name: str
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Skew:
    """By how many seconds a peer's clock is ahead of a region's, as that region's operator measures it."""

    region: str
    peer: str
    ahead_s: float


@dataclass(frozen=True, slots=True)
class Latency:
    """What `latency` says."""

    as_of: str
    regions: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    skew: tuple[Skew, ...] = ()
    unread: tuple[Unread, ...] = ()
    next: str = ""
    schema: str = field(default=SCHEMA)


def run(options: Options, *, output: str) -> ExitStatus:
    told = collected(Reader(options).read(), as_of=stamp(time.time()))
    told = replace(told, next=told.next.replace(PROGRAM, options.program))
    if output == "json":
        options.out.write(jsonable.text(told))
    else:
        _show(told, options)
    return ExitStatus.DONE


def collected(fleet: Fleet, *, as_of: str) -> Latency:
    """Pure. A region whose heartbeat is old has measured nothing."""
    said = {shown.region: shown.beat.said for shown in fleet.shown if shown.beat.fresh and shown.beat.said}
    verdicts = {
        (region, f"{tier.value}/{target}"): seen.verdict
        for region, beat in said.items()
        for tier, table_of in {Tier.REGION: beat.observations, **beat.others}.items()
        for target, seen in table_of.items()
    }
    keys = {key for beat in said.values() for key in beat.latencies} | {key for _, key in verdicts}
    order = list(HEADS)
    targets = []
    for key in sorted(keys, key=lambda key: (_rank(key, order), key)):
        tier, _, name = key.partition("/")
        measured = tuple(
            Measured(
                region,
                said[region].latencies.get(key) if region in said else None,
                verdicts[region, key].value if (region, key) in verdicts else "",
            )
            for region in fleet.regions
        )
        targets.append(Target(tier, name or key, measured))
    skew = tuple(
        Skew(region, peer, ahead_s)
        for region, beat in sorted(said.items())
        for peer, ahead_s in sorted(beat.skew.items())
    )
    apart = any(abs(each.ahead_s) > SKEW_S for each in skew)
    return Latency(
        as_of=as_of, regions=fleet.regions, targets=tuple(targets), skew=skew,
        unread=tuple(Unread(what, why) for what, why in fleet.could_not_read.items()),
        next="kubectl holdfast doctor" if apart or not targets else "kubectl holdfast status",
    )  # fmt: skip


def _rank(key: str, order: list[str]) -> int:
    tier = key.partition("/")[0]
    return order.index(tier) if tier in order else len(order)


def _show(told: Latency, options: Options) -> None:
    made = console.make(options.out, color=options.color, environment=options.environment)
    signs = console.signs(options.environment)
    line(made, f"milliseconds from each region's operator   as of {told.as_of[11:19]}Z")
    if told.targets:
        names = ("TIER", "TARGET", *(region.upper() for region in told.regions))
        rows: list[list[Cell]] = [
            [HEADS.get(each.tier, each.tier), each.name, *(_cell(one, each, signs) for one in each.measured)]
            for each in told.targets
        ]
        table(names, rows, made)
    else:
        line(made, "No operator that could be read tells of any.")
    if told.skew:
        clocks: list[list[Cell]] = [
            [each.peer, each.region,
             signed("bad" if abs(each.ahead_s) > SKEW_S else "ok", f"{each.ahead_s:+.2f}s", signs)]
            for each in told.skew
        ]  # fmt: skip
        table(("CLOCK-OF", "AGAINST", "AHEAD"), clocks, made)
    could_not_read({each.what: each.why for each in told.unread}, made)
    next_command(told.next, made)


def _cell(one: Measured, each: Target, signs: Mapping[str, str]) -> Cell:
    if each.tier == "region" and one.region == each.name:
        return NONE if one.ms is None else str(one.ms)
    words = UNKNOWN if one.ms is None else str(one.ms)
    if one.verdict in ("", Verdict.UP.value):
        return words
    return signed("unknown" if one.verdict == Verdict.UNKNOWN.value else "bad", f"{words} {one.verdict}", signs)
