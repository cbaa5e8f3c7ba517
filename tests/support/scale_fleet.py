"""A fleet at scale: real kube-apiservers without kubelets, the real operator as a process for each pod of it.

    async with fleet(folder, members=("fra", "ams"), witnesses=("iad",), ...) as ground:
        await ground.start("fra")
        ...
        await ground.lose("fra")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apiserver
from scale_audit import AuditLog, Written
from scale_objects import NS, SECRETS, ZONE_KEY, region_spec
from scale_world import Pod, World, host_of

from holdfast import errors, kube
from holdfast.core.values import AgentRef
from holdfast_gameday.world.ports import free_ports

LAUNCHER = Path(__file__).with_name("scale_operator.py")
AT_ONCE = 16


def user_of(region: str) -> str:
    return f"operator-{region}"


@dataclass
class Operator:
    """One pod of an operator, as a process."""

    region: str
    process: asyncio.subprocess.Process
    poll_port: int
    log: Path

    def kill(self) -> None:
        """Without a goodbye."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)


@dataclass
class Fleet:
    """`apis` by region, witnesses included. `operators` by pod: `fra-0`."""

    folder: Path
    world: World
    apis: dict[str, apiserver.ApiServer]
    operators: dict[str, Operator] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    _polls: list[asyncio.Task[None]] = field(default_factory=list)
    _audits: dict[str, AuditLog] = field(init=False)

    def __post_init__(self) -> None:
        self._audits = {region: AuditLog(api.audit) for region, api in self.apis.items()}

    @property
    def members(self) -> tuple[str, ...]:
        """The regions that carry calls."""
        return tuple(self.world.pools)

    def client(self, region: str) -> kube.Kube:
        api = self.apis[region]
        return kube.Kube(kube.Access(region, api.url, ca_file=str(api.ca_file), token_file=str(api.token_file)))

    async def create(self, region: str, resource: kube.Resource, manifests: Sequence[dict[str, Any]]) -> None:
        """Many objects at once: kubectl would take its time between them."""
        client, places = self.client(region), asyncio.Semaphore(AT_ONCE)

        async def one(manifest: dict[str, Any]) -> None:
            async with places:
                await client.create(resource, manifest, namespace=manifest["metadata"].get("namespace"))

        try:
            async with asyncio.TaskGroup() as group:
                for manifest in manifests:
                    group.create_task(one(manifest))
        finally:
            await client.close()

    async def listed(self, region: str, resource: kube.Resource) -> list[dict[str, Any]]:
        """All of a kind. A new kind is opened once more after a server is ready, so it is asked again."""
        client = self.client(region)
        try:
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(errors.ClusterUnreachable):
                        return await client.list(resource)
                    await asyncio.sleep(0.2)
        finally:
            await client.close()

    async def counted(self, region: str, resource: kube.Resource) -> int:
        """How many of a kind there are, without reading them: a list of thousands would take what is measured."""
        client = self.client(region)
        try:
            answer = await client.request("GET", resource.path(None), params={"limit": "1"})
            return len(answer.get("items") or []) + int(answer["metadata"].get("remainingItemCount") or 0)
        finally:
            await client.close()

    async def start(self, region: str, *, pod: int = 0) -> Operator:
        """`python -m holdfast` for one pod of a region's operator, but for its name service."""
        name = f"{region}-{pod}"
        poll, metrics = free_ports(2)
        (self.folder / f"{name}.json").write_text(json.dumps(self._settings(region, poll=poll, metrics=metrics)))
        environment = os.environ | {
            "FLEET_NAMES": json.dumps({host_of(each): entry.port for each, entry in self.world.entries.items()}),
            "HOLDFAST_SETTINGS": str(self.folder / f"{name}.json"),
            "HOLDFAST_KUBECONFIG": str(self.folder / f"{region}.kubeconfig"),
            "SSL_CERT_FILE": str(self.world.ca),
            "POD_NAME": f"operator-{pod}",
            "POD_UID": f"uid-{name}",
        }
        log = self.folder / f"{name}.log"
        with log.open("w") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(LAUNCHER), env=environment, stdout=file, stderr=file
            )
        self.operators[name] = Operator(region, process, poll, log)
        return self.operators[name]

    def _settings(self, region: str, *, poll: int, metrics: int) -> dict[str, Any]:
        (self.folder / "probe-key").write_text("probe-key")
        return {
            "region": region,
            "namespace": NS,
            "regions": [region_spec(name, self.world.pools) for name in self.apis],
            "peers": [
                {"name": name, "server": api.url, "caFile": str(api.ca_file),
                 "tokenFile": str(self.folder / f"{region}.token")}
                for name, api in self.apis.items() if name != region
            ],
            "zones": ["eu"],
            "bridgeImage": "bridge:1",
            "canaryReplicas": 0,
            "probeKeyFile": str(self.folder / "probe-key"),
            "pollPort": poll,
            "metricsPort": metrics,
        }  # fmt: skip

    def poll(self, operator: Operator, agents: Sequence[AgentRef]) -> None:
        """Two pods of each of these agents keep their polls open at this operator."""
        for agent in agents:
            for index in range(2):
                pod = Pod(agent, f"{agent.name}-bridge-{index}")
                self.pods.append(pod)
                work = pod.poll(self.world.session, operator.poll_port, ZONE_KEY.encode())
                self._polls.append(asyncio.create_task(work))

    async def lose(self, region: str) -> float:
        """Everything of a region is gone: its entry, its operator, its API server. When, on the wall clock."""
        at = time.time()
        for operator in self.operators.values():
            if operator.region == region:
                operator.kill()
        await self.world.entries[region].close()
        self.apis[region].kill()
        return at

    def writes(self, *regions: str, since: float = 0.0, until: float = float("inf")) -> list[Written]:
        """What the operators of these regions wrote in their clusters, but for Leases, which calm renews, too."""
        users = {user_of(region) for region in regions}
        return [
            each
            for region in regions
            for each in self._audits[region].writes()
            if each.user in users and not each.renews and since <= each.at < until
        ]

    async def calm(self, *regions: str, quiet_s: float = 3.0, within_s: float = 60.0) -> None:
        """Until none of these operators has written anything for a while."""
        await apiserver.until(
            lambda: time.time() - max(each.at for each in self.writes(*regions)) > quiet_s,
            within_s=within_s,
            every_s=0.25,
        )

    def log(self) -> str:
        """All that the operators said so far."""
        return "".join(operator.log.read_text() for operator in self.operators.values())

    async def close(self) -> None:
        for task in self._polls:
            task.cancel()
        await asyncio.gather(*self._polls, return_exceptions=True)
        for operator in self.operators.values():
            operator.kill()
            await operator.process.wait()


@contextlib.contextmanager
def clusters(folder: Path, regions: Sequence[str]) -> Iterator[dict[str, apiserver.ApiServer]]:
    """One API server for each, with our CRDs, namespaces and the pods of an operator; all are started side by side."""
    users = [user_of(region) for region in regions]

    def start(region: str) -> tuple[contextlib.AbstractContextManager[apiserver.ApiServer], apiserver.ApiServer]:
        (folder / region).mkdir()
        running = apiserver.running(folder / region, users=users, audited=True)
        api = running.__enter__()
        _furnish(api)
        return running, api

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(regions)) as pool:
        apis = {}
        for region, (running, api) in zip(regions, pool.map(start, regions), strict=True):
            stack.push(running.__exit__)
            _credentials(folder, region, api)
            apis[region] = api
        yield apis


def _furnish(api: apiserver.ApiServer) -> None:
    done = api.kubectl("apply", "-f", "crds")
    assert done.returncode == 0, done.stderr
    api.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("clinic", "dental", NS)
    ]
    assert api.apply(*namespaces).returncode == 0
    operators = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"operator-{index}", "namespace": NS},
         "spec": {"containers": [{"name": "operator", "image": "operator"}]}}
        for index in range(2)
    ]  # fmt: skip
    # The chart makes the vote's Lease: peers may write it and make none.
    vote = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    done = api.apply(*SECRETS, *operators, {**vote, "metadata": {"name": "holdfast-fleet-eu", "namespace": NS}})
    assert done.returncode == 0, done.stderr


def _credentials(folder: Path, region: str, api: apiserver.ApiServer) -> None:
    """Each region's operator is a user of its own, in its own cluster and at its peers."""
    (folder / f"{region}.token").write_text(apiserver.token_of(user_of(region)))
    config = api.kubeconfig.read_text().replace(apiserver.ADMIN_TOKEN, apiserver.token_of(user_of(region)))
    (folder / f"{region}.kubeconfig").write_text(config)


@contextlib.asynccontextmanager
async def fleet(folder: Path, around: World, apis: dict[str, apiserver.ApiServer]) -> AsyncIterator[Fleet]:
    ground = Fleet(folder, around, apis)
    try:
        yield ground
    finally:
        await ground.close()
