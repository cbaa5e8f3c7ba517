"""One region of the local backend: its folder, its first process, and whether it is ready.

It refuses to know the other regions; faults and sweeping live elsewhere.
"""

import asyncio
import calendar
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.lab import access, certs, cgroups, dns, images, names, network, paths, plan
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.lab.names import RegionNames

INGRESS_CLASS: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": names.INGRESS_CLASS},
    "spec": {"controller": "holdfast.dev/lab-entry"},
}
API_NAME = f"kubernetes.default.svc.{names.CLUSTER_DOMAIN}"


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that is certainly the one we started: its number and the moment it was born."""

    pid: int
    started: int

    def alive(self) -> bool:
        return born(self.pid) == self.started


def born(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def identities(region: RegionNames) -> list[Identity]:
    """The `unshare` process and the region's process 1, as its pid file names them."""
    try:
        lines = (paths.region(region.name) / "init.pid").read_text().splitlines()
    except OSError:
        return []
    return [Identity(*map(int, line.split())) for line in lines if len(line.split()) == 2]


def alive(region: RegionNames) -> bool:
    return any(each.alive() for each in identities(region))


def write_files(region: RegionNames) -> None:
    """Certificates, tokens and settings; of the first two what exists is kept, so that a healed region is itself."""
    folder = paths.region(region.name)
    etc = folder / "etc"
    (folder / "log").mkdir(parents=True, exist_ok=True)
    (etc / "cni").mkdir(parents=True, exist_ok=True)
    shutil.copy(certs.authority(), etc / "ca.crt")
    tokens_file = folder / "tokens.json"
    if not tokens_file.exists():
        access.private(tokens_file, json.dumps({name: secrets.token_hex(16) for name in (*plan.USERS, "kubelet")}))
    certs.signing_key(etc / "accounts.key")
    api = certs.leaf([region.ip, "127.0.0.1", "localhost", names.API_SERVICE, "kubernetes.default.svc", API_NAME])
    client = certs.leaf([], client="lab-kubelet-client", organization="system:masters")
    entry = certs.leaf([*names.HOSTS, region.ip])
    for (crt, key), name in ((api, "apiserver"), (client, "kubelet-client")):
        access.private(etc / f"{name}.crt", crt.read_text())
        access.private(etc / f"{name}.key", key.read_text())
    access.private(etc / "entry.pem", entry[0].read_text() + entry[1].read_text())
    for name, text in plan.files(region, tokens(region)).items():
        access.private(etc / name, text)
    access.private(folder / "plan.json", json.dumps(_init_plan(region), indent=1))


def tokens(region: RegionNames) -> dict[str, str]:
    loaded: dict[str, str] = json.loads((paths.region(region.name) / "tokens.json").read_text())
    return loaded


def _init_plan(region: RegionNames) -> dict[str, Any]:
    binaries = paths.binaries()
    return {
        "home": plan.HOME, "folder": str(paths.region(region.name)),
        "pidFile": str(paths.region(region.name) / "init.pid"),
        "cgroups": [str(each / cgroups.ROOT / region.name) for each in cgroups.hierarchies()],
        "token": tokens(region)["admin"], "ca": f"{plan.ETC}/ca.crt",
        "env": {"PATH": f"{binaries}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                "PYTHONPATH": str(paths.PACKAGE.parents[1]), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        "processes": [each.as_json() for each in plan.processes(region, binaries=binaries, python=sys.executable)],
    }


async def start(region: RegionNames) -> None:
    """Returns when process 1 of the region runs; it lives on when the caller is gone."""
    folder = paths.region(region.name)
    (folder / "init.pid").unlink(missing_ok=True)
    await asyncio.to_thread(cgroups.remove, region.name, leaf=cgroups.PODS)
    cgroups.create(region.name)
    await network.flush_cluster_rules(region)
    await network.drop_pod_links(region)
    with (folder / "log" / "init.log").open("ab") as output:
        launcher = await asyncio.create_subprocess_exec(
            "setsid", "--fork", *network.inside(region.netns), "unshare", "--mount", "--pid", "--fork", "--kill-child",
            sys.executable, "-I", "-S", str(paths.PACKAGE / "init.py"), str(folder / "plan.json"),
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
        )
    async with asyncio.timeout(10):
        await launcher.wait()
        while not (folder / "init.pid").exists():
            await asyncio.sleep(0.01)


async def stop(region: RegionNames) -> None:
    """SIGKILL of the region's first processes: the kernel ends every other process of it in the same breath."""
    known = identities(region)
    for each in known:
        if each.alive():
            os.kill(each.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while any(each.alive() for each in known):
        if time.monotonic() > end:
            raise LabError(f"region {region.name} did not end within 10 s of SIGKILL")
        await asyncio.sleep(0.005)


def request(
    region: RegionNames, method: str, path: str, body: object = None, *, timeout_s: float = 2
) -> tuple[int, Any]:
    """One request to the region's API server as its administrator. The calling thread lives in the lab's network."""
    trust = ssl.create_default_context(cafile=str(paths.ca()))
    connection = http.client.HTTPSConnection(region.ip, 6443, timeout=timeout_s, context=trust)
    headers = {"Authorization": f"Bearer {tokens(region)['admin']}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else text.decode()
    finally:
        connection.close()


def what_is_missing(region: RegionNames) -> str:
    """Empty when the region is ready: API, node, DNS. Otherwise one sentence. Runs in a thread of its own."""
    with network.entered(names.WAN):
        try:
            status, node = request(region, "GET", f"/api/v1/nodes/{region.name}")
        except (OSError, http.client.HTTPException) as error:
            return f"the API server does not answer ({type(error).__name__})"
        if status != 200:
            return f"the node is not registered (HTTP {status})"
        conditions = {each["type"]: each for each in node["status"].get("conditions", [])}
        ready = conditions.get("Ready", {})
        if ready.get("status") != "True":
            return f"the node is not Ready: {ready.get('message', 'no condition yet')}"
        if _seconds(ready["lastHeartbeatTime"]) < int((paths.region(region.name) / "init.pid").stat().st_mtime):
            return "the node's condition is that of its last life"
        if any(taint["key"] == "node.kubernetes.io/not-ready" for taint in node["spec"].get("taints", [])):
            return "the node still carries its not-ready taint"
        if names.API_SERVICE not in dns.answers(region.ip, API_NAME, timeout_s=0.3):
            return f"DNS does not resolve {API_NAME}"
        return ""


async def wait_ready(region: RegionNames, *, deadline_s: float = 90) -> None:
    end = time.monotonic() + deadline_s
    while missing := await asyncio.to_thread(what_is_missing, region):
        if time.monotonic() > end:
            raise LabError(f"region {region.name} is not ready after {deadline_s:.0f} s: {missing}; "
                           f"see {paths.region(region.name) / 'log'}")
        await asyncio.sleep(0.1)


async def create_ingress_class(region: RegionNames) -> None:
    def post() -> int:
        with network.entered(names.WAN):
            return request(region, "POST", "/apis/networking.k8s.io/v1/ingressclasses", INGRESS_CLASS, timeout_s=10)[0]

    status = await asyncio.to_thread(post)
    if status not in {201, 409}:
        raise LabError(f"region {region.name} refused its IngressClass (HTTP {status})")


async def import_images(region: RegionNames) -> None:
    """Into a running region, by its own containerd, seen through its process 1; only the layers it has not got."""
    inner = identities(region)[-1].pid
    ctr: list[str | Path] = [
        "nsenter", f"--target={inner}", "--mount", paths.binaries() / "ctr", "--address", plan.CONTAINERD_SOCKET,
        "--namespace", "k8s.io"]
    await images.load(ctr, paths.region(region.name))


def _seconds(time_of_day: str) -> float:
    return calendar.timegm(time.strptime(time_of_day, "%Y-%m-%dT%H:%M:%SZ"))
