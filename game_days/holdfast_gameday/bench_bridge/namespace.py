"""A network and a name service of their own, for subjects whose provider's name cannot be told them. Needs root.

The vendor's name means loopback there, the port is the vendor's, and nothing outside can be reached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from holdfast_gameday.bench_bridge.subjects import VENDOR

_ENTER = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"'


def possible() -> bool:
    return os.geteuid() == 0 and shutil.which("unshare") is not None


def run(argv: Sequence[str], folder: Path) -> int:
    """The program's exit code. `folder`: where the names are written down."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {VENDOR}\n")
    entered = ["unshare", "--net", "--mount", "sh", "-c", _ENTER, "sh", str(hosts), *argv]
    return subprocess.run(entered, check=False).returncode
