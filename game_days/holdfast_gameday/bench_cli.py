"""How long `kubectl-holdfast --help` takes as a whole process. It is typed while callers wait: it is there at once."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

STARTS = 20
MEDIAN_MS_MAX = 150.0


def starts(command: list[str], count: int) -> list[float]:
    """Milliseconds of each start, after one that warms the file cache and is not counted."""
    taken = []
    for _ in range(count + 1):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        taken.append((time.perf_counter() - began) * 1000)
    return taken[1:]


def main(arguments: list[str]) -> int:
    """Print the figures; with --check a median over the bound is a failure."""
    plugin = Path(sys.executable).parent / "kubectl-holdfast"
    taken = starts([str(plugin), "--help"], STARTS)
    median = statistics.median(taken)
    print(f"{STARTS} starts of --help: min {min(taken):.0f} ms, median {median:.0f} ms, max {max(taken):.0f} ms")
    return 1 if "--check" in arguments and median > MEDIAN_MS_MAX else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
