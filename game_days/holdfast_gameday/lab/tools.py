"""Brings the lab's programs: Go binaries built from the pinned modules in `tools/`, and Debian packages.

Each group is stamped with the hash of its go.mod and go.sum, so that a repeat costs nothing. It downloads by Go's and
apt's own clients only.
"""

# ruff: noqa: ASYNC240 - the lab's own small files, on a local disk
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast_gameday.lab import paths
from holdfast_gameday.lab.commands import LabError, run
from holdfast_gameday.lab.phases import Phases

KUBERNETES: Final = "v1.36.3"
FOLDER: Final = paths.PACKAGE / "tools"
BUILD_DEADLINE_S: Final = 30 * 60
PACKAGES: Final[dict[str, str]] = {  # Debian package -> a file that proves it is here
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "iproute2": "/sbin/ip",
    "iptables": "/usr/sbin/iptables",
    "conntrack": "/usr/sbin/conntrack",
    "buildah": "/usr/bin/buildah",
    "podman": "/usr/bin/podman",
    "debootstrap": "/usr/sbin/debootstrap",
    "redis-server": "/usr/bin/redis-server",
    "haproxy": "/usr/sbin/haproxy",
    "coturn": "/usr/bin/turnserver",
    "kamailio": "/usr/sbin/kamailio",
    "sip-tester": "/usr/bin/sipp",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdlib.h",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Programs that share one go.mod, as (name of the binary, its package)."""

    name: str
    programs: tuple[tuple[str, str], ...]
    flags: str = "-s -w"


GROUPS: Final[tuple[Group, ...]] = (
    Group("kubernetes", tuple((name, f"k8s.io/kubernetes/cmd/{name}") for name in (
        "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")),
        "-s -w " + " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in {
            "gitVersion": KUBERNETES, "gitMajor": KUBERNETES[1:].split(".")[0],
            "gitMinor": KUBERNETES.split(".")[1]}.items())),
    Group("etcd", (("etcd", "go.etcd.io/etcd/server/v3"),)),
    Group("containerd", tuple((name, f"github.com/containerd/containerd/v2/cmd/{name}")
                              for name in ("containerd", "containerd-shim-runc-v2", "ctr"))),
    Group("coredns", (("coredns", "github.com/coredns/coredns"),)),
    Group("helm", (("helm", "helm.sh/helm/v4/cmd/helm"),)),
)


async def ensure(phases: Phases) -> None:
    await ensure_packages(phases)
    await ensure_binaries(phases)


async def ensure_packages(phases: Phases) -> None:
    missing = [name for name, proof in PACKAGES.items() if not Path(proof).exists()]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"the lab needs {', '.join(missing)}; this machine has no apt-get: install them by hand")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with phases.phase(f"apt packages: {' '.join(missing)}"):
        await run(["apt-get", "update", "-qq"], deadline_s=300, env=quiet)
        await run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], deadline_s=900, env=quiet)


async def ensure_binaries(phases: Phases, *, only: tuple[str, ...] = ()) -> None:
    compiler = (await run(["go", "env", "GOVERSION"])).strip() if shutil.which("go") else ""
    for group in [each for each in GROUPS if not only or each.name in only]:
        mark = stamp(group, compiler)
        file = paths.cache() / "stamps" / f"{group.name}.stamp"
        here = all((paths.binaries() / name).exists() for name, _ in group.programs)
        if here and file.exists() and (not compiler or file.read_text() == mark):
            continue
        if not compiler:
            raise LabError("the lab builds its Kubernetes with Go 1.26 or newer: put `go` on PATH")
        for name, package in group.programs:
            with phases.phase(f"Go build: {name}"):
                await _build(group, name, package)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(mark)


def stamp(group: Group, compiler: str) -> str:
    """Changes when a pinned version, the compiler, the flags or the list of programs does."""
    digest = hashlib.sha256(f"{group!r} {compiler}".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((FOLDER / group.name / name).read_bytes())
    return digest.hexdigest()


async def _build(group: Group, name: str, package: str) -> None:
    paths.binaries().mkdir(parents=True, exist_ok=True)
    beside = paths.binaries() / f".{name}.{os.getpid()}"
    argv: list[str | Path] = ["go", "build", "-ldflags", group.flags, "-o", beside, package]
    await run(argv, deadline_s=BUILD_DEADLINE_S, cwd=FOLDER / group.name, env={"GOFLAGS": "-trimpath -mod=readonly"})
    beside.rename(paths.binaries() / name)
