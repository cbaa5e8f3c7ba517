"""Takes the local lab away by what exists, not by what was remembered: it works after `kill -9` of whoever started it.

It ends only processes that are ours by proof: named in a pid file with their birth, in our control groups, or living in
one of our network namespaces. It never ends its own process or those above it.
"""

# ruff: noqa: ASYNC240 - the lab's own small files, on a local disk
import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

from holdfast_gameday.lab import cgroups, names, network, paths, region
from holdfast_gameday.lab.commands import LabError, run

NETNS = (*(each.netns for each in names.REGIONS.values()), names.WAN)


async def sweep(*, keep_logs: bool = True) -> None:
    await _end_processes()
    for netns in NETNS:
        await _remove_links(netns)
        await network.remove(netns)
    stayed = await asyncio.to_thread(cgroups.remove)
    if stayed:
        raise LabError(f"these control groups are still in use: {', '.join(stayed)}")
    await _unmount()
    _empty_state(keep_logs=keep_logs)


async def _end_processes() -> None:
    end = time.monotonic() + 15
    while True:
        found = ours()
        if not found:
            return
        if time.monotonic() > end:
            raise LabError(f"these processes of the lab did not end within 15 s of SIGKILL: {sorted(found)}")
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        await asyncio.sleep(0.02)


def ours() -> set[int]:
    """All processes that are certainly of the lab, less ourselves and our ancestors."""
    found = {each.pid for known in names.REGIONS.values() for each in region.identities(known) if each.alive()}
    found |= {pid for pid in cgroups.processes() if region.born(pid) is not None}
    found |= _in_our_networks()
    return found - _lineage()


def _in_our_networks() -> set[int]:
    marks = set()
    for netns in NETNS:
        try:
            seen = (network.NETNS / netns).stat()
        except FileNotFoundError:
            continue
        marks.add((seen.st_dev, seen.st_ino))
    if not marks:
        return set()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            seen = (entry / "ns" / "net").stat()
        except OSError:
            continue
        if (seen.st_dev, seen.st_ino) in marks:
            found.add(int(entry.name))
    return found


def _lineage() -> set[int]:
    found, pid = set(), os.getpid()
    while pid > 0:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


async def _remove_links(netns: str) -> None:
    """Needed where the namespace outlives its name, because the caller itself still lives in it."""
    if network.exists(netns):
        link = names.BRIDGE if netns == names.WAN else network.UPLINK
        await run(["ip", "-n", netns, "link", "del", link], check=False)


async def _unmount() -> None:
    """What an interrupted image build, or anything else of ours, left mounted below our own folders."""
    roots = (f"{paths.state()}/", f"{paths.cache()}/")
    points = [line.split()[1].replace("\\040", " ") for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in sorted((each for each in points if each.startswith(roots)), key=len, reverse=True):
        await run(["umount", "--lazy", point], check=False)


def _empty_state(*, keep_logs: bool) -> None:
    """Logs stay for whoever wonders what happened; the next start takes them away."""
    state = paths.state()
    if not state.exists():
        return
    for entry in state.iterdir():
        if entry.is_dir() and entry.name in names.REGIONS and keep_logs:
            for inner in entry.iterdir():
                if inner.name not in {"log", "entry.log"}:
                    _remove(inner)
        else:
            _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
