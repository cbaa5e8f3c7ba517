"""The kind backend: each region is a kind cluster of one node, on a Docker network with the lab's own addresses.

Where it also runs on Linux as root, the public network namespace and the entries are joined to that network as in the
local backend; elsewhere there are clusters and faults, but no practice range. It never touches clusters of another
name.
"""


import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from holdfast_gameday.lab import access, backend, certs, images, names, network, paths, plan, region, sweep, tools
from holdfast_gameday.lab.commands import LabError, run
from holdfast_gameday.lab.names import RegionNames
from holdfast_gameday.lab.phases import Phases

NETWORK: Final = "holdfast-lab"
DOCKER_BRIDGE: Final = "hf-kind0"
CREATE_DEADLINE_S: Final = 300


class KindBackend:
    """See `backend.Backend`."""

    name: backend.Kind = "kind"

    async def up(self, phases: Phases, *, empty: bool) -> None:
        if not shutil.which("kubectl"):
            await tools.ensure_binaries(phases, only=("kubernetes",))
        existing = (await run(["kind", "get", "clusters"], check=False)).split()
        missing = [each for each in names.REGIONS.values() if _cluster(each) not in existing]
        if missing:
            with phases.phase("three kind clusters"):
                await self._create(missing)
        if not empty:
            await self.load_images(phases)

    async def down(self, phases: Phases) -> None:
        with phases.phase("lab down"):
            for each in names.REGIONS.values():
                await run(["kind", "delete", "cluster", "--name", _cluster(each)], deadline_s=120)
            if _can_join():
                await sweep.sweep()
            await run(["docker", "network", "rm", NETWORK], check=False)

    async def load_images(self, phases: Phases) -> None:
        built = await images.ensure(phases)
        with tempfile.TemporaryDirectory(prefix="holdfast-") as scratch, phases.phase(f"load of images {built.digest}"):
            archive = await asyncio.to_thread(images.archive, Path(scratch, "images.tar"))
            async with asyncio.TaskGroup() as tasks:
                for each in names.REGIONS.values():
                    words: list[str | Path] = ["kind", "load", "image-archive", archive, "--name", _cluster(each)]
                    tasks.create_task(run(words, deadline_s=180))

    async def ready(self, region_name: str) -> bool:
        words = [*INNER_KUBECTL, "get", "node", "-o", READY]
        node = await run(["docker", "exec", _node(region_name), *words], check=False)
        return node.strip() == "True"

    async def kill(self, region_name: str) -> None:
        await run(["docker", "kill", "--signal", "KILL", _node(region_name)])

    async def blackhole(self, region_name: str) -> None:
        """First nothing crosses the node's interface, then it is paused: its sockets never say a word."""
        await self._rules(region_name, network.silence_rules())
        await run(["docker", "pause", _node(region_name)])

    async def heal(self, region_name: str) -> None:
        node = _node(region_name)
        await run(["docker", "unpause", node], check=False)
        await run(["docker", "start", node])
        await self._address(names.REGIONS[region_name])
        await self._rules(region_name, network.undo(network.silence_rules()), check=False)
        async with asyncio.timeout(120):
            while not await self.ready(region_name):
                await asyncio.sleep(0.5)
        if _can_join():
            await self._start_entry(names.REGIONS[region_name])

    async def cut(self, a: str, b: str) -> None:
        for here, there in network.ends(a, b):
            await self._rules(here.name, network.cut_rules(there))

    async def heal_cut(self, a: str, b: str) -> None:
        for here, there in network.ends(a, b):
            await self._rules(here.name, network.undo(network.cut_rules(there)), check=False)

    async def slow_links(self, one_way_ms: int, jitter_ms: int = 0) -> None:
        if one_way_ms or jitter_ms:
            raise LabError("slow links need the local backend (LAB_BACKEND=local)")

    async def lose(self, percent: float) -> None:
        if percent:
            raise LabError("lost packets need the local backend (LAB_BACKEND=local)")

    async def falter(self, percent: float) -> None:
        if percent:
            raise LabError("entries that falter need the local backend (LAB_BACKEND=local)")

    async def _create(self, missing: list[RegionNames]) -> None:
        certs.authority()
        await run(["docker", "network", "create", "--driver", "bridge", "--subnet", SUBNET, "--gateway", names.GATEWAY,
                   "--ip-range", NODE_RANGE, "--opt", f"com.docker.network.bridge.name={DOCKER_BRIDGE}", NETWORK],
                  check=False)
        async with asyncio.TaskGroup() as tasks:
            for each in missing:
                tasks.create_task(self._create_one(each))
        if _can_join():
            await network.create_wan(uplink=DOCKER_BRIDGE)
            for each in missing:
                await self._start_entry(each)
        access.write({each.name: await self._credentials(each) for each in names.REGIONS.values()},
                     inside=network.inside(names.WAN) if _can_join() else [])

    async def _create_one(self, known: RegionNames) -> None:
        await run(["kind", "create", "cluster", "--name", _cluster(known), "--image", backend.NODE_IMAGE,
                   "--config", "-", "--kubeconfig", os.devnull, "--wait", "120s"], deadline_s=CREATE_DEADLINE_S,
                  stdin=cluster_config(known).encode(), env={"KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK})
        await self._address(known)
        prelude = [f":{network.FAULT_CHAIN} - [0:0]"]
        await self._rules(known.name, ["*raw", *prelude, f"-A PREROUTING -j {network.FAULT_CHAIN}", "COMMIT",
                                       "*mangle", *prelude, f"-A POSTROUTING -j {network.FAULT_CHAIN}", "COMMIT"])
        await self._kubectl(known, ["apply", "-f", "-"], dns_objects())
        await self._kubectl(known, ["-n", "kube-system", "rollout", "restart", "deployment/coredns"])

    async def _kubectl(self, known: RegionNames, words: list[str], stdin: str | None = None) -> str:
        return await run(["docker", "exec", "--interactive", _node(known.name), *INNER_KUBECTL, *words],
                         stdin=None if stdin is None else stdin.encode())

    async def _address(self, known: RegionNames) -> None:
        """The engine gives a node any address; the lab's own is put beside it."""
        script = (f"ip addr add {known.ip}/{names.PREFIX} dev eth0 2>/dev/null; "
                  f"ip -o addr show dev eth0 | grep -q {known.ip}")
        await run(["docker", "exec", _node(known.name), "sh", "-c", script])

    async def _rules(self, region_name: str, rules: list[str], *, check: bool = True) -> None:
        text = "\n".join(rules).replace(network.UPLINK, "eth0") + "\n"
        await run(["docker", "exec", "--interactive", _node(region_name), "iptables-restore", "--noflush"],
                  stdin=text.encode(), check=check)

    async def _credentials(self, known: RegionNames) -> access.Credentials:
        config = json.loads(await self._kubectl(known, ["config", "view", "--raw", "--flatten", "-o", "json"]))
        user: dict[str, Any] = config["users"][0]["user"]
        return access.Credentials(authority=config["clusters"][0]["cluster"]["certificate-authority-data"], user=user)

    async def _start_entry(self, known: RegionNames) -> None:
        """HAProxy of this machine in the node's network namespace: it reaches the pods by the node's own routes."""
        etc = paths.region(known.name) / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        crt, key = certs.leaf([*names.HOSTS, known.ip])
        access.private(etc / "entry.pem", crt.read_text() + key.read_text())
        credentials = await self._credentials(known)
        token = (await self._kubectl(known, ["create", "token", "holdfast-lab-entry", "-n", "kube-system",
                                             "--duration", "24h"])).strip()
        access.private(etc / "ca.crt", credentials.authority_text())
        access.private(etc / "entry.kubeconfig", plan.kubeconfig(
            server="https://127.0.0.1:6443", ca_file=f"{etc}/ca.crt", users={"entry": token}, current="entry"))
        pid = (await run(["docker", "inspect", "--format", "{{.State.Pid}}", _node(known.name)])).strip()
        with (paths.region(known.name) / "entry.out").open("ab") as output:
            starter = await asyncio.create_subprocess_exec(
                "setsid", "--fork", "nsenter", f"--target={pid}", "--net", sys.executable,
                "-m", "holdfast_gameday.lab.entry", "--home", str(paths.region(known.name)),
                "--bind", f"{known.ip}:443",
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output)
            await starter.wait()


SUBNET: Final = "172.30.0.0/24"
NODE_RANGE: Final = "172.30.0.192/27"  # what the engine hands out by itself, away from the lab's own addresses
INNER_KUBECTL: Final = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
READY: Final = 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status}'


def cluster_config(known: RegionNames) -> str:
    """One node; its API server's certificate is valid for the region's address too."""
    return json.dumps({
        "kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [{"role": "control-plane"}],
        "networking": {"podSubnet": known.pod_range, "serviceSubnet": names.SERVICE_RANGE, "disableDefaultCNI": False},
        "kubeadmConfigPatches": [json.dumps({
            "kind": "ClusterConfiguration", "apiServer": {"certSANs": [known.ip, "127.0.0.1", "localhost"]}})],
    })


def dns_objects() -> str:
    """CoreDNS with the lab's table of names and nothing else, the entry's account, and the lab's Ingress class."""
    hosts = "".join(f"  {address} {name}\n" for name, address in sorted(names.HOSTS.items()))
    corefile = (f".:53 {{\n errors\n ready\n health\n kubernetes {names.CLUSTER_DOMAIN} in-addr.arpa {{\n"
                f"  pods insecure\n  ttl 2\n }}\n hosts {{\n{hosts} }}\n}}\n")
    account = {"name": "holdfast-lab-entry", "namespace": "kube-system"}
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "coredns", "namespace": "kube-system"},
         "data": {"Corefile": corefile}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": "holdfast-lab-entry"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
         "subjects": [{"kind": "ServiceAccount", **account}]},
        region.INGRESS_CLASS,
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _cluster(known: RegionNames) -> str:
    return f"holdfast-{known.name}"


def _node(region_name: str) -> str:
    if region_name not in names.REGIONS:
        raise LabError(f"no region {region_name}: there are {', '.join(names.REGIONS)}")
    return f"holdfast-{region_name}-control-plane"


def _can_join() -> bool:
    return platform.system() == "Linux" and os.geteuid() == 0
