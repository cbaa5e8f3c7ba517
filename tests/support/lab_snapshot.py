"""What the lab may leave on a machine, written down so that before and after can be compared."""

import json
import subprocess
from pathlib import Path

from holdfast_gameday.lab import cgroups, network, paths

KERNEL_SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


def take() -> dict[str, list[str]]:
    return {
        "processes": _processes(),
        "mounts": sorted(" ".join(line.split()[3:5] + line.split(" - ")[1].split())
                         for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "links": sorted(link["ifname"] for link in json.loads(_output("ip", "-json", "link"))),
        "namespaces": sorted(each.name for each in network.NETNS.iterdir()) if network.NETNS.exists() else [],
        "control groups": _control_groups(),
        "packet filter": [line for line in _output("iptables-save").splitlines() if not line.startswith(("#", ":"))],
        "kernel settings": [Path("/proc/sys", name).read_text().strip() for name in KERNEL_SETTINGS],
    }


def _processes() -> list[str]:
    """By what they run and with which files; a test's own command line names none of these."""
    marks = (f"{paths.binaries()}/containerd", str(paths.state()), "/run/holdfast", "haproxy", "/pause")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if any(mark in command for mark in marks):
                found.append(f"{entry.name} {command}")
    return sorted(found)


def _control_groups() -> list[str]:
    """Those below the roots that the lab could touch; a machine's other groups come and go by themselves."""
    return sorted(str(folder) for hierarchy in cgroups.hierarchies() for folder in hierarchy.iterdir()
                  if folder.is_dir() and folder.name in {cgroups.ROOT, cgroups.PODS, "kubepods", "kubelet", "system"})


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
