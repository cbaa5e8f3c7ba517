"""`make matrix`: every provider against every other, under every way to fail. 0: nobody noticed more than he may.

    python -m holdfast_gameday.matrix [--seed N] [--some N] [--only TEXT] [--at-a-time N] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import uvloop

from holdfast_gameday.lab import paths
from holdfast_gameday.matrix import cases, table
from holdfast_gameday.matrix.judge import Finding
from holdfast_gameday.matrix.run import run

AT_A_TIME = 8


def main(arguments: list[str] | None = None) -> int:
    """0: everything was kept; 1: something was not."""
    parser = argparse.ArgumentParser(prog="matrix", description="Plays providers against each other.")
    parser.add_argument("--seed", type=int, default=1, help="draws which stage of a cascade fails")
    parser.add_argument("--some", type=int, metavar="N", help="so many of the switches, spread over all of them")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME, metavar="N")
    parser.add_argument("--logs", type=Path, default=paths.ROOT / "build" / "matrix")
    chosen = parser.parse_args(arguments)
    switches = cases.switches(chosen.seed) if chosen.some is None else cases.some(chosen.seed, chosen.some)
    played = [case for case in (*cases.conversations(), *switches) if chosen.only in case.name]
    began = time.monotonic()
    found = uvloop.run(run(played, chosen.logs, at_a_time=chosen.at_a_time, tell=_tell))
    print(f"\n{table.told(found)}\n\n{len(found)} cases, seed {chosen.seed}, {time.monotonic() - began:.0f} s")
    broken = [*(each.case.name for each in found if not each.ok), *table.slow(found)]
    for words in broken:
        print(f"not kept: {words}")
    return 1 if broken else 0


def _tell(finding: Finding) -> None:
    heard = "" if finding.first_audio_s is None else f" {finding.first_audio_s:.2f} s"
    print(f"{'ok ' if finding.ok else 'NOT'} {finding.case.number:4d} {finding.case.name}{heard}", flush=True)
    for words in finding.wrong:
        print(f"         {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
