"""The lab's control groups: `/holdfast-lab/<region>` in every hierarchy, v1, unified or both.

Below it `system` holds the region's own processes and `k8s.io` its containers.

They are how the lab's processes are found again, and how a region's memory is read. It kills nobody by itself.
"""

import os
import time
from pathlib import Path

from holdfast_gameday.lab import names

ROOT = f"holdfast-lab{names.LAB}"
MOUNT = Path("/sys/fs/cgroup")
SYSTEM = "system"
PODS = "k8s.io"


def hierarchies(mount: Path = MOUNT) -> list[Path]:
    """The mount points of all hierarchies; symbolic links such as `cpu -> cpu,cpuacct` are counted once."""
    if (mount / "cgroup.controllers").exists():
        return [mount]
    return sorted({entry.resolve() for entry in mount.iterdir() if (entry / "cgroup.procs").exists()})


def create(region: str) -> None:
    for hierarchy in hierarchies():
        folder = hierarchy / ROOT / region / SYSTEM
        folder.mkdir(parents=True, exist_ok=True)
        _inherit_cpuset(hierarchy, folder)


def _inherit_cpuset(hierarchy: Path, folder: Path) -> None:
    """A v1 cpuset takes no process until its cpus and memory nodes are filled in."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (hierarchy / name).exists() or not (folder / name).exists():
            continue
        step = hierarchy
        for part in folder.relative_to(hierarchy).parts:
            value = (step / name).read_text()
            step /= part
            if not (step / name).read_text().strip():
                (step / name).write_text(value)


def processes(region: str | None = None) -> set[int]:
    found: set[int] = set()
    for folder in _folders(region):
        try:
            found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        except OSError:
            continue
    return found - {0}


def _folders(region: str | None) -> list[Path]:
    tops = [hierarchy / ROOT / (region or "") for hierarchy in hierarchies()]
    return [Path(folder) for top in tops if top.exists() for folder, _, _ in os.walk(top)]


def memory_bytes(region: str, leaf: str) -> int:
    """What the group holds less inactive file pages, as a container runtime counts a working set."""
    for top in (MOUNT / "memory", MOUNT):
        folder = top / ROOT / region / leaf
        for usage in ("memory.usage_in_bytes", "memory.current"):
            if not (folder / usage).exists():
                continue
            fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            inactive = int(fields.get("total_inactive_file", fields.get("inactive_file", "0")))
            return int((folder / usage).read_text()) - inactive
    return 0


def cpu_seconds(region: str, leaf: str) -> float:
    """Processor time that the group has used since it was made."""
    for top in (MOUNT / "cpuacct", MOUNT):
        folder = top / ROOT / region / leaf
        if (folder / "cpuacct.usage").exists():
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        if (folder / "cpu.stat").exists():
            fields = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            return int(fields["usage_usec"]) / 1e6
    return 0.0


def remove(region: str | None = None, *, leaf: str = "", deadline_s: float = 5) -> list[str]:
    """Removes the folders, deepest first; returns those that stayed because a process would not leave."""
    end = time.monotonic() + deadline_s
    while True:
        stayed = []
        for folder in sorted(_folders(f"{region}/{leaf}" if leaf else region), key=lambda path: -len(path.parts)):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                stayed.append(str(folder))
        if not stayed or time.monotonic() > end:
            return stayed
        time.sleep(0.02)
