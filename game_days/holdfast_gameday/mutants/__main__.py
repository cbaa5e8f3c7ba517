"""`python -m holdfast_gameday.mutants`: puts deliberate defects into the core and says who noticed each of them.

Exit code 0: all were noticed, enough of them by the simulator alone, and the core as it is passes the same run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdfast_gameday.mutants import defect, page
from holdfast_gameday.mutants.catalogue import DEFECTS
from holdfast_gameday.mutants.defect import Defect
from holdfast_gameday.mutants.trial import Verdict, trial

BY_SIMULATOR_MIN = 15
NAME_WIDTH = 36
BY_WIDTH = 74


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m holdfast_gameday.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these defects; all of them by default")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds the simulator tries (default 200)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="how many defects are tried at a time (default 2)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page about this run, if it passes")
    parser.add_argument("--list", action="store_true", help="say what the defects are, and stop")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - {each.name for each in DEFECTS}:
        parser.error(f"there is no defect named {', '.join(sorted(unknown))}")
    chosen = [each for each in DEFECTS if not asked.names or each.name in asked.names]
    if asked.list:
        for each in chosen:
            print(f"{each.name:<{NAME_WIDTH}} {each.harm}")
        return 0
    if gone := [words for each in chosen if (words := defect.missed(each))]:
        print("\n".join(gone), file=sys.stderr)
        return 1
    verdicts: list[Verdict] = []
    trials = _kept(_run(chosen, range(asked.first, asked.first + asked.seeds), asked.jobs), verdicts)
    failed = report(trials, complete=not asked.names)
    if asked.write and not failed:
        asked.write.write_text(page.render(chosen, verdicts[1:], seeds=asked.seeds))
    return failed


def report(verdicts: Iterator[Verdict], *, complete: bool) -> int:
    """Print the table as it grows. The first verdict is that on the core as it is; the bar is for complete runs."""
    sound = next(verdicts)
    if sound.caught or sound.why:
        print(f"the core without a defect does not pass: {page.by(sound)} {sound.why}", file=sys.stderr)
        return 1
    print(f"{'defect':<{NAME_WIDTH}} {'noticed by':<{BY_WIDTH}} seconds")
    print(f"{'none':<{NAME_WIDTH}} {page.by(sound):<{BY_WIDTH}} {sound.seconds:7.1f}", flush=True)
    seen = []
    for verdict in verdicts:
        seen.append(verdict)
        print(f"{verdict.defect:<{NAME_WIDTH}} {page.by(verdict):<{BY_WIDTH}} {verdict.seconds:7.1f}", flush=True)
        if not verdict.caught:
            print(f"    {verdict.why or 'every seed and every test passed'}")
    by_simulator = sum(bool(verdict.invariant) for verdict in seen)
    survivors = [verdict.defect for verdict in seen if not verdict.caught]
    print(f"{len(seen)} defects: {by_simulator} noticed by the simulator alone, "
          f"{len(seen) - by_simulator - len(survivors)} by tests, {len(survivors)} by nobody")
    if survivors:
        print(f"unnoticed: {', '.join(survivors)}", file=sys.stderr)
        return 1
    if complete and by_simulator < BY_SIMULATOR_MIN:
        print(f"the simulator has to notice {BY_SIMULATOR_MIN} of them", file=sys.stderr)
        return 1
    return 0


def _kept(verdicts: Iterator[Verdict], kept: list[Verdict]) -> Iterator[Verdict]:
    for verdict in verdicts:
        kept.append(verdict)
        yield verdict


def _run(chosen: Sequence[Defect], seeds: range, jobs: int) -> Iterator[Verdict]:
    """The core as it is, then each defect in the order of the catalogue, several at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        trials = [pool.submit(trial, each, seeds=seeds) for each in (None, *chosen)]
        try:
            for under_way in trials:
                yield under_way.result()
        finally:
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    sys.exit(main())
