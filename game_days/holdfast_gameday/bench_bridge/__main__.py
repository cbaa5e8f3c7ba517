"""`make bench-bridge`: how many calls a core carries. 0: every subject was measured; 1: one could not be.

    python -m holdfast_gameday.bench_bridge [--only TEXT] [--seconds N] [--most N] [--again]

Subjects that were measured are not measured again: the run goes on where it stopped. `--again` begins anew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys

from holdfast_gameday.bench_bridge import namespace, results, table
from holdfast_gameday.bench_bridge.climb import Course, climb
from holdfast_gameday.bench_bridge.installed import install
from holdfast_gameday.bench_bridge.processes import Failed
from holdfast_gameday.bench_bridge.results import Climb
from holdfast_gameday.bench_bridge.subjects import SUBJECTS, VENDOR, Subject
from holdfast_gameday.lab import certs, paths

RESULTS = paths.ROOT / "build" / "bench-bridge.json"
PICTURE = RESULTS.with_suffix(".svg")
PAGE = RESULTS.with_suffix(".md")
CORES = 2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench-bridge", description="Measures bridges under one load.")
    parser.add_argument("--only", default="", metavar="TEXT", help="subjects whose name holds this")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="N", help="of each step that are measured")
    parser.add_argument("--most", type=int, default=10_000, metavar="N", help="no step beyond so many calls")
    parser.add_argument("--calls-per-s", type=float, default=50.0, metavar="N", help="how fast calls are placed")
    parser.add_argument("--again", action="store_true", help="measure what was measured already, too")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if (os.cpu_count() or 1) < CORES:
        print("bench-bridge needs two cores: one for the load, one for the subject")
        return 1
    wanted = [subject for subject in SUBJECTS if chosen.only in subject.name]
    if chosen.again and not chosen.inside:
        _forget(wanted)
    os.sched_setaffinity(0, {0})
    course = _course(chosen)
    failed = False
    for subject in wanted:
        if subject.name not in results.load(RESULTS) and subject.tls == chosen.inside:
            failed = not _measure(subject, course) or failed
    if chosen.inside:
        return int(failed)
    failed = not _in_namespace(wanted, arguments, course) or failed
    found = results.load(RESULTS)
    told = [found[subject.name] for subject in SUBJECTS if subject.name in found]
    PAGE.write_text(table.markdown(told) + "\n")
    PICTURE.write_text(table.picture(told))
    print(f"\n{table.markdown(told)}\n\n{RESULTS}, {PAGE}, {PICTURE}")
    return int(failed)


def _measure(subject: Subject, course: Course) -> bool:
    print(subject.name, flush=True)
    try:
        install(subject, course.cache)
        found = asyncio.run(climb(subject, course, tell=lambda step: print(table.step_line(step), flush=True)))
    except Failed as error:
        found = Climb(subject=subject.name, steps=(), ended=str(error))
    print(f"  ended: {found.ended}", flush=True)
    if not found.steps:
        return False
    results.save(RESULTS, {**results.load(RESULTS), subject.name: found}, _machine())
    return True


def _in_namespace(wanted: list[Subject], arguments: list[str], course: Course) -> bool:
    """Those with TLS. Their packages are installed out here, because nothing can be reached from within."""
    measured = results.load(RESULTS)
    left = [subject for subject in wanted if subject.tls and subject.name not in measured]
    if not left:
        return True
    if not namespace.possible():
        print(f"left out, because a network namespace needs root: {', '.join(subject.name for subject in left)}")
        return False
    for subject in left:
        install(subject, course.cache)
    argv = [sys.executable, "-m", "holdfast_gameday.bench_bridge", *arguments, "--inside"]
    return namespace.run(argv, course.folder) == 0


def _course(chosen: argparse.Namespace) -> Course:
    certificate, key = certs.leaf((VENDOR,))
    return Course(
        cache=paths.cache() / "bench-bridge",
        folder=RESULTS.with_suffix(""),
        seconds=chosen.seconds,
        most_calls=chosen.most,
        calls_per_s=chosen.calls_per_s,
        certificate=(certificate, key),
        authority=certs.authority(),
    )


def _forget(subjects: list[Subject]) -> None:
    gone = {subject.name for subject in subjects}
    kept = {name: each for name, each in results.load(RESULTS).items() if name not in gone}
    results.save(RESULTS, kept, _machine())


def _machine() -> dict[str, str]:
    return {"cores": str(os.cpu_count()), "kernel": platform.release(), "python": platform.python_version()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
