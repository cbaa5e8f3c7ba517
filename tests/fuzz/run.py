"""Fuzzes every parser and codec of the bridge with atheris, a few processes at a time: `make fuzz`.

Each group of `hostile_targets` is one process, for so many seconds, from seeds: messages that stand in the tests, and
bytes of which messages are made. What breaks a promise is kept in a file, and the command that repeats it is printed.
A find becomes a test of its own; nothing here is needed to run it again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FOUND = ROOT / ".fuzz"
MAX_BYTES = 1_500
SEEDS = 8
SLOW_S = 5
RSS_MB = 1_024
INSTRUMENTED = ["holdfast_bridge.core", "holdfast_bridge.legs", "holdfast_bridge.providers"]
STARTS_WITHIN_S = 60


def main() -> int:
    asked = _arguments()
    if asked.group:
        return _fuzz(asked.group, asked.seconds, asked.repeat)
    from hostile_targets import GROUPS

    with ThreadPoolExecutor(asked.at_a_time) as pool:
        results = list(pool.map(lambda group: _run(group, asked.seconds), GROUPS))
    for group, (status, told) in zip(GROUPS, results, strict=True):
        print(f"{group}: {_summary(told) if status == 0 else 'BROKEN'}")
        if status:
            print(told)
            print(f"repeat it: PYTHONPATH=tests/support python tests/fuzz/run.py --group {group} --repeat <file>")
    return max(status for status, _ in results)


def _run(group: str, seconds: int) -> tuple[int, str]:
    began = time.monotonic()
    told = subprocess.run(
        [sys.executable, __file__, "--group", group, "--seconds", str(seconds)],
        capture_output=True, text=True, check=False, timeout=seconds + STARTS_WITHIN_S,
    )  # fmt: skip
    return told.returncode, f"{told.stderr[-4_000:]}\n{told.stdout[-4_000:]}\n{time.monotonic() - began:.0f} s in all"


def _summary(told: str) -> str:
    done = [line for line in told.splitlines() if line.startswith("Done ")]
    return f"{done[-1].removeprefix('Done ')}, {told.splitlines()[-1]}" if done else told.splitlines()[-1]


def _fuzz(group: str, seconds: int, repeat: str) -> int:
    with atheris.instrument_imports(include=INSTRUMENTED):
        from hostile_targets import GROUPS, group_target
    target = group_target(group)
    if repeat:
        target(Path(repeat).read_bytes())
        return 0
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(_seeds(len(GROUPS[group]))):
            (Path(corpus) / f"{number}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-timeout={SLOW_S}", f"-rss_limit_mb={RSS_MB}"]
        kept = [f"-max_len={MAX_BYTES}", f"-artifact_prefix={FOUND}/{group}-", corpus]
        atheris.Setup([sys.argv[0], *limits, *kept], target)
        atheris.Fuzz()
    return 0


def _seeds(members: int) -> Iterator[bytes]:
    from hostile_bytes import AS_IT_STANDS

    samples = b"\n".join(sorted(set(_samples())))
    pieces = [samples[at : at + MAX_BYTES - 100] for at in range(0, len(samples), MAX_BYTES - 100)]
    for member in range(members):
        for number in range(SEEDS):
            yield bytes([member]) + random.Random(number).randbytes(100 * (number + 1))
        for piece in pieces:
            yield bytes([member]) + AS_IT_STANDS + piece


def _samples() -> Iterator[bytes]:
    """The messages that stand in the bridge's tests, as far as they stand there as text."""
    for file in sorted((TESTS / "holdfast_bridge").glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            value = node.value if isinstance(node, ast.Constant) else None
            text = value.encode(errors="replace") if isinstance(value, str) else value
            if isinstance(text, bytes) and text.startswith(b"{") and len(text) < 2_000:
                with contextlib.suppress(ValueError):
                    yield json.dumps(json.loads(text)).encode()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each group")
    parser.add_argument("--at-a-time", type=int, default=2)
    parser.add_argument("--group", default="", help="only this one, in this process")
    parser.add_argument("--repeat", default="", help="a file that was found")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
