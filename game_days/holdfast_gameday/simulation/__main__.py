"""`holdfast-sim`: run seeds, replay one, print its story.

Exit status: 0 all held, 1 an invariant was broken or a path never reached, 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from holdfast_gameday.simulation import run, schedule, shrink
from holdfast_gameday.simulation.run import Outcome
from holdfast_gameday.simulation.summary import Summary

PROCESSES = 2
SHRINK_MAX = 3


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        seeds = _seeds(options)
    except (OSError, ValueError) as error:
        print(f"holdfast-sim: {error}", file=sys.stderr)
        return 2
    if options.trace:
        for number in seeds:
            print(_story(number))
    summary = Summary()
    for outcome in outcomes(seeds, processes=options.processes):
        summary.add(outcome)
        if not outcome.passed:
            print(_failure(outcome, shrinking=len(summary.failed) <= SHRINK_MAX), flush=True)
    print("\n".join(summary.lines()))
    return 1 if summary.failed or summary.never() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holdfast-sim", description="A fleet that never was, from a seed.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seeds", type=_count, metavar="N", help="run N seeds")
    which.add_argument("--seed", type=_count, metavar="N", help="run one seed")
    which.add_argument("--seed-file", type=Path, metavar="FILE", help="run these seeds, one decimal number a line")
    parser.add_argument("--from", type=_count, default=0, dest="first", metavar="K", help="the first of --seeds (0)")
    parser.add_argument("--trace", action="store_true", help="print the story of each seed")
    parser.add_argument("--processes", type=_count, default=PROCESSES, metavar="P", help=f"({PROCESSES})")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _seeds(options: argparse.Namespace) -> list[int]:
    if options.seed is not None:
        return [options.seed]
    if options.seeds is not None:
        return list(range(options.first, options.first + options.seeds))
    numbers = []
    for place, line in enumerate(options.seed_file.read_text().splitlines(), start=1):
        text = line.strip()
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{options.seed_file}:{place}: {text!r} is not a decimal number")
        numbers.append(int(text))
    if not numbers:
        raise ValueError(f"{options.seed_file}: no seed in it")
    return numbers


def outcomes(seeds: list[int], *, processes: int) -> Iterator[Outcome]:
    """In the order of the seeds, whoever is done first."""
    if len(seeds) < 2 or processes < 2:
        yield from map(run.seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results: Iterable[Outcome] = pool.imap(run.seed, seeds, chunksize=4)
        yield from results


def _story(number: int) -> str:
    planned = schedule.draw(number)
    zone = planned.topology.zone
    weights = ", ".join(f"{region.name} {region.weight}" for region in zone.regions)
    head = f"seed {number}: topology {planned.topology.name} ({weights}), dwell {zone.dwell_s:.0f} s, ramp {zone.ramp}"
    return f"{head}\n{run.watch(planned).story.text()}"


def _failure(outcome: Outcome, *, shrinking: bool) -> str:
    lines = [f"seed {outcome.seed} ({outcome.topology})"]
    lines += [f"  {violation}" for violation in outcome.violations]
    lines.append(f"  replay: holdfast-sim --seed {outcome.seed} --trace")
    if shrinking:
        broken = {violation.invariant for violation in outcome.violations}
        planned = schedule.draw(outcome.seed)
        smallest = shrink.shrink(
            planned, fails=lambda fewer: any(each.invariant in broken for each in run.play(fewer).violations)
        )
        lines.append(f"  still fails with {len(smallest.faults)} of {len(planned.faults)} faults:")
        lines += [f"    {fault.at_s:7.1f} to {fault.until_s:7.1f} s  {fault.describe()}" for fault in smallest.faults]
    return "\n".join(lines)


def cli() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    cli()
