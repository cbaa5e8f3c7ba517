"""One defect's trial: first the simulator, then the core's own tests, until one of them notices.

To notice is to break a named invariant or to fail an assertion. An import error or a crash says nothing about what the
tests are worth, so it does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.lab.paths import ROOT
from holdfast_gameday.mutants import defect as defects
from holdfast_gameday.mutants.defect import Defect

TESTS = Path("tests/holdfast/core")
FAILURES_MAX = 25
DEADLINE_S = 3600.0
ASSERTED = ("AssertionError", "assert ", "Failed: DID NOT RAISE")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one defect. `invariant` or `test` names who noticed, if anybody did; `why` tells more."""

    defect: str
    seconds: float
    invariant: str = ""
    seed: int | None = None
    test: str = ""
    why: str = ""

    @property
    def caught(self) -> bool:
        return bool(self.invariant or self.test)


def trial(defect: Defect | None, *, seeds: range) -> Verdict:
    """None: the core as it is, in which nobody is to notice anything."""
    began, name = time.monotonic(), defect.name if defect else "none"
    with tempfile.TemporaryDirectory(prefix="holdfast-mutant-") as folder:
        package = defects.copy(Path(folder) / "operator", defect)
        found = simulate(package, defect, seeds)
        if "breach" in found:
            return Verdict(name, time.monotonic() - began, found["breach"], found["seed"], why=found["what"])
        test, why = _test(package, defect, Path(folder))
        told = "; ".join(filter(None, (found["why"], why)))
        return Verdict(name, time.monotonic() - began, test=test, why=told)


def first_assertion(report: str) -> tuple[str, str]:
    """The first test of a JUnit report whose assertion failed, and what it said; else what was wrong instead."""
    other = ""
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        for failed in (*case.findall("failure"), *case.findall("error")):
            name, said = f"{case.get('classname')}::{case.get('name')}", failed.get("message", "").splitlines()
            words = said[0] if said else ""
            if failed.tag == "failure" and words.startswith(ASSERTED):
                return name.removeprefix("tests.holdfast.core."), words
            other = other or f"{name}: {words}"
    return "", other


def simulate(package: Path, defect: Defect | None, seeds: range) -> dict[str, Any]:
    """What a sweep over the seeds finds in the copy; see `sweep.sweep`."""
    module = defect.module if defect else ""
    command = [sys.executable, "-m", "holdfast_gameday.mutants.sweep", module, str(seeds.start), str(len(seeds))]
    try:
        ran = _run(command, package, package)
    except subprocess.TimeoutExpired:
        return {"seeds": 0, "crashes": 1, "why": f"the seeds took more than {DEADLINE_S:.0f} s"}
    if ran.returncode:
        return {"seeds": 0, "crashes": 1, "why": ran.stderr.strip().rpartition("\n")[2]}
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _test(package: Path, defect: Defect | None, scratch: Path) -> tuple[str, str]:
    """First the tests of the module with the defect, then all of the core's."""
    own = sorted((ROOT / TESTS).glob(f"test_{defect.module}*.py")) if defect else []
    why = ""
    for selected in filter(None, ([str(path) for path in own], [str(TESTS)])):
        report = scratch / "junit.xml"
        options = ["-q", "-p", "no:cacheprovider", f"--maxfail={FAILURES_MAX}", f"--junitxml={report}"]
        try:
            _run([sys.executable, "-m", "pytest", *options, *selected], package, scratch)
        except subprocess.TimeoutExpired:
            return "", f"the tests took more than {DEADLINE_S:.0f} s"
        test, said = first_assertion(report.read_text())
        if test:
            return test, said
        why = why or said
    return "", why


def _run(command: list[str], package: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    """Run from the tree, with the copy of the operator's package before the tree's."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(package), str(ROOT / "game_days"))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "hypothesis"),
    }
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
