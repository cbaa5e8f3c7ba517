"""`make bench-failover`: plays what is left of the trials, then prints the table. Broken off, it goes on next time.

    python -m holdfast_gameday.bench_failover [--only KIND …] [--at-most N] [--minutes M] [--table] [--markdown]
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import random
import sys
import time
from pathlib import Path

import uvloop
from rich.console import Console

from holdfast_gameday.bench_failover import ground, kinds, records, table, trial
from holdfast_gameday.lab import paths
from holdfast_gameday.lab.commands import LabError, run

LOG = paths.ROOT / "build" / "failover.jsonl"


def main(arguments: list[str] | None = None) -> int:
    """0: every promise of what was tried is kept; 1: some are not, or a trial could not be made."""
    parser = argparse.ArgumentParser(prog="bench-failover", description="Times failovers on the lab, trial by trial.")
    parser.add_argument("--only", nargs="*", default=[], choices=sorted(kinds.BY_NAME), metavar="KIND")
    parser.add_argument("--at-most", type=int, metavar="N", help="trials of each kind")
    parser.add_argument("--minutes", type=float, default=85.0, help="begin no trial after so long")
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument("--table", action="store_true", help="play nothing, print what was found so far")
    parser.add_argument("--markdown", action="store_true", help="the same for a page of docs/")
    chosen = parser.parse_args(arguments)
    if not chosen.table and not chosen.markdown:
        uvloop.run(_play(chosen))
    found = records.read(chosen.log)
    return _tell(found, as_markdown=chosen.markdown)


async def _play(chosen: argparse.Namespace) -> None:
    done = {(record.kind, record.number) for record in records.read(chosen.log)}
    trials = kinds.left(done, only=chosen.only, at_most=chosen.at_most)
    print(f"{len(trials)} trials to go, {len(done)} made before; the log is {chosen.log}", flush=True)
    end, dice = time.monotonic() + chosen.minutes * 60, random.Random()  # noqa: S311 - when to break, not a secret
    revision = (await run(["git", "describe", "--always", "--dirty"], cwd=paths.ROOT, check=False)).strip()
    for layout, group in itertools.groupby(trials, key=lambda each: each.kind.layout):
        print(ground.POLICIES[layout].read_text(), flush=True)
        async with ground.standing(layout) as stands:
            for each in group:
                if time.monotonic() > end:
                    print("the time is over; the next run goes on from here", flush=True)
                    return
                await _one(each, stands, chosen.log, revision, dice)


async def _one(
    each: kinds.Trial, stands: ground.Ground, log: Path, revision: str, dice: random.Random
) -> None:
    began = time.monotonic()
    started = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251
    try:
        made = await trial.play(each, stands, revision=revision, started=started, dice=dice)
    except (LabError, TimeoutError) as error:
        # A trial that could not be made is no figure: it is made again by the next run.
        print(f"{each.kind.name} {each.number}: not made: {error or type(error).__name__}", flush=True)
        await stands.calm()
        return
    records.append(log, made)
    words = f"effective {made.effective} s" if made.effective is not None else "nothing became effective"
    print(
        f"{each.kind.name} {each.number}: {made.victim}, {words}, {made.lost} of {made.placed} calls lost, "
        f"{made.resumed} of {made.held} resumed ({time.monotonic() - began:.0f} s)",
        flush=True,
    )


def _tell(found: list[records.Record], *, as_markdown: bool) -> int:
    if as_markdown:
        print(table.markdown(found))
    else:
        shown = table.rich_table(found)
        Console(width=None if sys.stdout.isatty() else 200).print(shown)
    broken = table.verdicts(found)
    for words in broken:
        print(f"broken: {words}", file=sys.stderr)
    return 1 if broken or not found else 0


if __name__ == "__main__":
    sys.exit(main())
