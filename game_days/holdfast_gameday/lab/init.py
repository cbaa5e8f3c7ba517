"""The first process of a region: makes its mounts, starts its processes in order, restarts and reaps them.

It runs as process 1 of the region's own pid namespace, so that the kernel ends the whole region with it. Only the
standard library is imported, and nothing of the project: it is started isolated and must be up in a few milliseconds.
"""

import ctypes
import http.client
import json
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

MS_BIND, MS_REC, MS_SHARED, MS_PRIVATE = 4096, 16384, 1 << 20, 1 << 18
CLONE_NEWCGROUP, MNT_DETACH = 0x02000000, 2
# The kubelet wants to set these for the whole machine. It is shown files that say they are set, so the machine's stay.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}
RESTART_S = 1.0
POLL_S = 0.05


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [None if word is None else word.encode() for word in (source, target, kind, data)]
    if libc.mount(words[0], words[1], words[2], flags, words[3]) != 0:
        _fail(f"mount {target}")


def _fail(what: str) -> None:
    error = ctypes.get_errno()
    raise OSError(error, f"{what}: {os.strerror(error)}")


def enter_cgroups(groups: list[str]) -> None:
    """The region sees its own groups as the root of every hierarchy: whatever its containers make lies below them."""
    for group in groups:
        Path(group, "cgroup.procs").write_text("0")
    mounted = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, source, options = right.split()
        if kind in {"cgroup", "cgroup2"}:
            controllers = [word for word in options.split(",") if word not in {"rw", "ro"}]
            mounted.append((source, left.split()[4], kind, ",".join(controllers) if kind == "cgroup" else None))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWCGROUP) != 0:
        _fail("unshare cgroup")
    libc.umount2(b"/sys/fs/cgroup", MNT_DETACH)
    if all(target != "/sys/fs/cgroup" for _, target, _, _ in mounted):
        mount("tmpfs", "/sys/fs/cgroup", "tmpfs")
    for source, target, kind, data in mounted:
        Path(target).mkdir(exist_ok=True)
        mount(source, target, kind, 0, data)
        Path(target, "system").mkdir(exist_ok=True)
        Path(target, "system", "cgroup.procs").write_text("0")


def write_pid_file(path: Path) -> None:
    """Numbers as the machine sees them, read while /proc is still the machine's; start times prove identity."""
    own = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    parent = int(own[1])
    parent_started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    path.write_text(f"{parent} {parent_started}\n{os.readlink('/proc/self')} {own[19]}\n")


def make_mounts(home: str, folder: str) -> None:
    mount("proc", "/proc", "proc")
    for scratch in ("/run", "/var/lib/cni", "/var/log"):
        Path(scratch).mkdir(parents=True, exist_ok=True)
        mount("tmpfs", scratch, "tmpfs")
    for made in (home, "/run/netns", "/run/lock"):
        Path(made).mkdir(parents=True)
    mount(folder, home, None, MS_BIND)
    mount(f"{home}/etc/resolv.conf", "/etc/resolv.conf", None, MS_BIND)
    for name, value in KERNEL_SETTINGS.items():
        shown = Path("/run/kernel-settings", name)
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(value)
        mount(str(shown), f"/proc/sys/{name}", None, MS_BIND)
    mount("none", "/", None, MS_REC | MS_SHARED)


class Children:
    """The region's own processes: started once each, and again a second after they end."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.env: dict[str, str] = plan["env"]
        self.waiting: list[dict[str, Any]] = list(plan["processes"])
        self.running: dict[int, dict[str, Any]] = {}
        self.ended: list[tuple[float, dict[str, Any]]] = []

    def start(self, process: dict[str, Any]) -> None:
        log = os.open(process["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        argv = process["argv"]
        pid = os.posix_spawn(
            argv[0], argv, self.env, setsid=True, setsigdef=[signal.SIGPIPE],
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
        )
        os.close(log)
        os.close(null)
        self.running[pid] = process

    def start_waiting(self, *, api_ready: bool) -> None:
        for process in [each for each in self.waiting if api_ready or not each["afterApi"]]:
            self.waiting.remove(process)
            self.start(process)
        for due, process in [each for each in self.ended if each[0] <= time.monotonic()]:
            self.ended.remove((due, process))
            self.start(process)

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self.running.pop(pid, None)
            if process is not None:
                print(f"{process['name']} ended: {os.waitstatus_to_exitcode(status)}", flush=True)
                self.ended.append((time.monotonic() + RESTART_S, process))


def api_is_ready(token: str, ca_file: str) -> bool:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", 6443, timeout=0.5, context=ssl.create_default_context(cafile=ca_file))
    try:
        connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(plan_file: str) -> None:
    plan = json.loads(Path(plan_file).read_text())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    write_pid_file(Path(plan["pidFile"]))
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    enter_cgroups(plan["cgroups"])
    make_mounts(plan["home"], plan["folder"])
    children = Children(plan)
    children.start_waiting(api_ready=False)
    ready = False
    while True:
        children.reap()
        ready = ready or api_is_ready(plan["token"], plan["ca"])
        children.start_waiting(api_ready=ready)
        signal.sigtimedwait({signal.SIGCHLD}, 1.0 if ready and not children.ended else POLL_S)


if __name__ == "__main__":
    main(sys.argv[1])
