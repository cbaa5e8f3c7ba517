"""The subjects' packages, each set in an environment of its own under the cache: for the run only, and nothing of it is
locked here. What is pinned stands beside the programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from holdfast_gameday.bench_bridge.processes import Failed
from holdfast_gameday.bench_bridge.subjects import PROGRAMS, Subject

_INSTALLED = "installed.txt"


def install(subject: Subject, cache: Path) -> None:
    """Make the environment as pinned, if it is not already."""
    if not subject.packages:
        return
    pinned = (PROGRAMS / subject.packages).read_text()
    folder = cache / Path(subject.packages).stem
    mark = folder / _INSTALLED
    if mark.exists() and mark.read_text() == pinned:
        return
    shutil.rmtree(folder, ignore_errors=True)
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    try:
        subprocess.run([uv, "venv", "--quiet", "--python", version, str(folder)], check=True)
        wanted = str(PROGRAMS / subject.packages)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), "-r", wanted], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"{subject.name}: its packages could not be installed as {subject.packages} has them") from error
    mark.write_text(pinned)
