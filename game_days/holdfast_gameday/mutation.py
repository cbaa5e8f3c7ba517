"""`python -m holdfast_gameday.mutation [MODULE …]`: how many small changes of the core do its own tests notice?

mutmut makes the changes, on a temporary copy with the package under `src/`, because it takes module names from paths.
It leaves properties and module-level code alone; of those the tests' branch coverage and `mutants` speak.
Exit code 0: at least the wanted part was noticed, over all modules asked for.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast_gameday.lab.paths import ROOT

CORE = ROOT / "operator" / "holdfast" / "core"
TESTS = Path("tests/holdfast/core")
SUPPORT = Path("tests/support")
WANTED_PERCENT = 85.0
NOTICED = ("killed", "timeout")
# It lists what the module defines, among which mutmut puts its changes.
LEFT_OUT = f"{TESTS}/test_guards.py::test_every_guard_of_the_module_is_asked"
MUTMUT = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["--deselect={left_out}"]
use_git_change_detection = false
"""

Statuses = Mapping[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m holdfast_gameday.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="only these, by their own test files")
    parser.add_argument("--jobs", type=int, default=2, help="how many changes are tried at a time (default 2)")
    parser.add_argument("--show", action="store_true", help="print each change that nobody noticed")
    parser.add_argument("--wanted", type=float, default=WANTED_PERCENT, help="percent to reach (default %(default)s)")
    asked = parser.parse_args(arguments)
    modules = asked.modules or sorted(path.stem for path in CORE.glob("*.py") if path.stem != "__init__")
    if unknown := [name for name in modules if not (CORE / f"{name}.py").exists()]:
        parser.error(f"the core has no module {', '.join(unknown)}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-mutation-") as folder:
        copy(Path(folder), modules, _tests(asked.modules))
        if words := _mutate(Path(folder), asked.jobs):
            print(words, file=sys.stderr)
            return 1
        statuses = _statuses(Path(folder))
        print(table(statuses))
        unnoticed = [name for name, status in statuses.items() if status not in NOTICED]
        for name in unnoticed:
            print(_change(Path(folder), name) if asked.show else f"{name}: {statuses[name]}")
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if statuses and 100 * (1 - len(unnoticed) / len(statuses)) >= asked.wanted else 1


def copy(folder: Path, modules: Sequence[str], tests: Sequence[str]) -> None:
    """The package under `src/`, the core's tests and what they lean on, and both tools' settings."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CORE.parent, folder / "src" / CORE.parent.name, ignore=ignored)
    for part in (TESTS, SUPPORT):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    chosen = [f"src/holdfast/core/{name}.py" for name in modules]
    ours = MUTMUT.format(modules=chosen, tests=list(tests), left_out=LEFT_OUT)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + ours)


def table(statuses: Statuses) -> str:
    """One line for each module, and one for all."""
    modules: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, status in statuses.items():
        modules[name.split(".")[2]][status] += 1
    lines = [f"{'module':<16} {'changes':>8} {'noticed':>8} {'survived':>9} {'untested':>9} {'other':>6}  score"]
    lines += [_line(name, counts) for name, counts in sorted(modules.items())]
    return "\n".join([*lines, _line("all", sum(modules.values(), Counter()))])


def read(results: str) -> dict[str, str]:
    """Each change's name and what became of it, from what `mutmut results` prints."""
    lines = (line.strip().rpartition(": ") for line in results.splitlines() if "__mutmut_" in line)
    return {name: status for name, _, status in lines}


def _tests(modules: Sequence[str]) -> list[str]:
    own = [path for name in modules for path in sorted((ROOT / TESTS).glob(f"test_{name}*.py"))]
    return [str(path.relative_to(ROOT)) for path in own] or [str(TESTS)]


def _line(name: str, counts: Counter[str]) -> str:
    total, noticed = counts.total(), sum(counts[status] for status in NOTICED)
    survived, untested = counts["survived"], counts["no tests"]
    other = total - noticed - survived - untested
    return (f"{name:<16} {total:>8} {noticed:>8} {survived:>9} {untested:>9} {other:>6} "
            f"{100 * noticed / max(total, 1):5.1f} %")


def _mutate(folder: Path, jobs: int) -> str:
    """Why it could not be done; empty when it was."""
    ran = _mutmut(folder, "run", "--max-children", str(jobs))
    return ran.stdout[-4000:] + ran.stderr[-4000:] if ran.returncode else ""


def _statuses(folder: Path) -> dict[str, str]:
    return read(_mutmut(folder, "results", "--all", "true").stdout)


def _change(folder: Path, name: str) -> str:
    return _mutmut(folder, "show", name).stdout


def _mutmut(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("mutmut")
    return subprocess.run([str(program), *arguments], cwd=folder, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
