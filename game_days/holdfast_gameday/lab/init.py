"""The first process of a region: makes its mounts, starts its processes in order, restarts and reaps them.

It runs as process 1 of the region's own pid namespace, so that the kernel ends the whole region with it. Only the standard
library is imported, and nothing of the project: it is started isolated and must be up in a few milliseconds.
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
# The kubelet wants to set these for the whole machine. It is shown files that say they are set, so the machine's stay.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}
RESTART_S = 1.0
POLL_S = 0.05


def mount(source: str, target: str, kind: str | None = None, flags: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {target}: {os.strerror(error)}")


def write_pid_file(path: Path) -> None:
    """Numbers as the machine sees them, read while /proc is still the machine's; with start times as proof of identity."""
    own = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    parent = int(own[1])
    parent_started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    path.write_text(f"{parent} {parent_started}\n{os.readlink('/proc/self')} {own[19]}\n")


def make_mounts(home: str, folder: str) -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)
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
    for group in plan["cgroups"]:
        Path(group, "cgroup.procs").write_text("0")
    write_pid_file(Path(plan["pidFile"]))
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
