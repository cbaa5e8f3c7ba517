"""`make soak-calls`: a bridge under calls that come and go while its providers fail. 0: passed; 1: not, or not run.

    python -m holdfast_gameday.soak_calls [--minutes N] [--calls N] [--seed N]

What was seen is printed and kept in `build/soak-calls.json`; of a run that did not pass the logs are kept beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys

import uvloop

from holdfast_gameday.bench_bridge.processes import Failed
from holdfast_gameday.lab import paths
from holdfast_gameday.soak_calls import run, verdict
from holdfast_gameday.soak_calls.run import Course, Seen
from holdfast_gameday.soak_calls.verdict import Finding

KEPT = paths.ROOT / "build" / "soak-calls.json"
CORES = 2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="soak-calls", description="Calls come and go while providers fail.")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N")
    parser.add_argument("--calls", type=int, default=420, metavar="N", help="at the same time")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the faults and of how long callers talk")
    chosen = parser.parse_args(arguments)
    if (os.cpu_count() or 1) < CORES:
        print("soak-calls needs two cores: one for the world, one for the bridge")
        return 1
    run.pin()
    folder = KEPT.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    course = Course(folder=folder, seconds=chosen.minutes * 60, calls=chosen.calls, seed=chosen.seed)
    try:
        seen = uvloop.run(run.run(course, tell=lambda words: print(words, flush=True)))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    findings = judged(seen, course)
    passed = not any(each.wrong for each in findings)
    KEPT.write_text(json.dumps(_told(seen, course, findings, passed=passed), indent=1) + "\n")
    print(f"\n{verdict.table(findings)}\n\n{_beside(seen)}\n{KEPT}")
    if passed:
        shutil.rmtree(folder)
    else:
        print(f"the logs are in {folder}")
    return 0 if passed else 1


def judged(seen: Seen, course: Course) -> list[Finding]:
    calls = seen.book.calls
    return [
        verdict.memory(seen.rss, course.seconds),
        verdict.counts("file descriptors", seen.fds, seen.live, course.seconds),
        verdict.counts("tasks", seen.tasks, seen.live, course.seconds),
        verdict.book(seen.surplus, seen.left, seen.looks),
        verdict.ends(calls, seen.ends),
        verdict.calls(calls, verdict.both_down(*seen.down)),
        verdict.log(seen.errors),
        verdict.world(seen.late_ms),
    ]


def _beside(seen: Seen) -> str:
    faults = ", ".join(f"{count} × {words}" for words, count in seen.faults.items())
    streams = sum(call.streams for call in seen.book.calls)
    return (
        f"Faults: {faults or 'none'}; {seen.refused} upgrades refused, {seen.sessions} sessions opened, {streams} "
        f"streams of the carrier, {seen.book.said_no} calls whose agent hung up in vain."
    )


def _told(seen: Seen, course: Course, findings: list[Finding], *, passed: bool) -> dict[str, object]:
    return {
        "seconds": course.seconds,
        "calls": course.calls,
        "seed": course.seed,
        "passed": passed,
        "findings": [dataclasses.asdict(each) for each in findings],
        "faults": seen.faults,
        "sessions": seen.sessions,
        "rss": seen.rss.samples,
        "fds": seen.fds.samples,
        "tasks": seen.tasks.samples,
        "live": seen.live.samples,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
