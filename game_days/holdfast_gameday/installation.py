"""Holdfast installed in the lab as its users install it: namespaces, Secrets, Helm, then the wishes by kubectl.

It does what an owner's pipeline would do, with the same tools, and knows nothing of calls.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast_gameday.cluster import Cluster, condition
from holdfast_gameday.credentials import SYSTEM, FleetCredentials, as_list, namespace, secret
from holdfast_gameday.lab import names, paths
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.layout import TWO_AND_WITNESS, Layout

FLEET = paths.ROOT / "game_days" / "fleet"
CHART = paths.ROOT / "charts" / "holdfast"
PEER = "holdfast-peer"
OPERATOR = "app.kubernetes.io/name=holdfast-operator"
# The peer's account is made before the chart, so that its token is known to the others when their operators start.
ADOPTED_BY_HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "holdfast", "meta.helm.sh/release-namespace": SYSTEM},
}
REFERENCES = ("https://api.twilio.com", "https://api.cloudflare.com", "https://tools.example.com")
LEVER = {"eu": "edge", "us": "edge-us"}
TENANT = {"eu": "clinic", "us": "dental"}
AGENT = {"eu": "front-desk", "us": "reception"}


def clusters(kubeconfig: Path) -> dict[str, Cluster]:
    return {name: Cluster(context=name, kubeconfig=kubeconfig) for name in names.REGIONS}


class Installation:
    """All regions of the lab's fleet. Every step may be repeated."""

    def __init__(
        self,
        regions: Mapping[str, Cluster],
        credentials: FleetCredentials,
        *,
        pools: Mapping[str, str],
        layout: Layout = TWO_AND_WITNESS,
    ) -> None:
        """`pools`: the id of each region's pool at the edge."""
        self.layout = layout
        self.regions = regions
        self.credentials = credentials
        self._pools = pools

    async def install(self) -> None:
        """Secrets, peer credentials and the Helm releases, in all regions at once; returns before pods are ready."""
        async with asyncio.TaskGroup() as tasks:
            prepared = {name: tasks.create_task(self._prepare(name)) for name in self.regions}
        tokens = {name: task.result() for name, task in prepared.items()}
        async with asyncio.TaskGroup() as tasks:
            for name in self.regions:
                tasks.create_task(self._install(name, tokens))

    async def _prepare(self, name: str) -> str:
        """What must be there before the chart; answers the token by which peers read this cluster."""
        cluster, zone = self.regions[name], self.layout.zone_of[name]
        keys = self.credentials.of(zone)
        await cluster.apply(
            as_list(
                [
                    namespace(SYSTEM),
                    namespace(TENANT[zone]),
                    {
                        "apiVersion": "v1",
                        "kind": "ServiceAccount",
                        "metadata": {"name": PEER, "namespace": SYSTEM, **ADOPTED_BY_HELM},
                    },
                    secret("holdfast-probe", SYSTEM, {"current": self.credentials.probe_key}),
                    *keys.for_operator(),
                    *keys.for_tenant(name),
                ]
            )
        )
        return (await cluster.kubectl("create", "token", PEER, "-n", SYSTEM, "--duration=24h")).strip()

    async def _install(self, name: str, tokens: Mapping[str, str]) -> None:
        cluster = self.regions[name]
        peers = [peer for peer in self.regions if peer != name]
        await cluster.apply(
            as_list([secret(f"holdfast-peer-{peer}", SYSTEM, {"token": tokens[peer]}) for peer in peers])
        )
        await cluster.helm(
            "upgrade", "--install", "holdfast", str(CHART), "--namespace", SYSTEM, "--values", "-",
            stdin=json.dumps(values(name, self._pools, self.layout)),
        )  # fmt: skip

    async def operators_ready(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for cluster in self.regions.values():
                for workload in ("deployment/holdfast-operator", "statefulset/holdfast-redis"):
                    tasks.create_task(cluster.rolled_out(workload, SYSTEM))

    async def canaries_ready(self) -> None:
        """Every region's public entry can be called: until then the others would find it ill, and be right."""
        async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
            for cluster in self.regions.values():
                tasks.create_task(self._sees_all_up(cluster))

    async def _sees_all_up(self, cluster: Cluster) -> None:
        """As the region's own heartbeat says: ready pods are not enough, the verdicts of the start must have turned."""
        while True:
            lease = await cluster.read("lease", "holdfast-region", "-n", SYSTEM)
            annotations = (lease or {}).get("metadata", {}).get("annotations") or {}
            beat = json.loads(annotations.get("holdfast.dev/heartbeat", "{}"))
            seen = beat.get("observations", {})
            if all(seen.get(name, {}).get("verdict") == "up" for name in self.regions):
                return
            await asyncio.sleep(0.3)

    async def wish(
        self, zone: str, *, region: str, policy: Path | None = None, agent: Path | None = None
    ) -> None:
        """Policy and agent of a zone, applied in one region; the zone's others fetch their copies."""
        cluster = self.regions[region]
        await cluster.kubectl("apply", "-f", str(policy or FLEET / f"policy-{zone}.yaml"))
        await cluster.kubectl("apply", "-f", str(agent or FLEET / f"agent-{AGENT[zone]}.yaml"))

    async def agents_ready(self, *, deadline_s: float = 120) -> None:
        async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as tasks:
            for name in self.regions:
                tasks.create_task(self._agent_ready(name))

    async def _agent_ready(self, name: str) -> None:
        zone = self.layout.zone_of[name]
        seen: dict[str, Any] | None = None
        try:
            while True:
                agent = await self.regions[name].read("va", AGENT[zone], "-n", TENANT[zone])
                seen = condition(agent, "Ready")
                if seen and seen["status"] == "True":
                    return
                await asyncio.sleep(0.5)
        except asyncio.CancelledError as cancelled:
            said = f"{seen['reason']}: {seen['message']}" if seen else "it has no Ready condition"
            raise LabError(f"{name}: agent {TENANT[zone]}/{AGENT[zone]} is not Ready: {said}") from cancelled

    async def leader(self, zone: str) -> str | None:
        """Which region holds the zone's vote, as most clusters that answer say."""
        said: list[str] = []
        for name, cluster in self.regions.items():
            if self.layout.zone_of[name] != zone:
                continue
            policy = await cluster.read("fop", zone)
            said.append((policy or {}).get("status", {}).get("leader", ""))
        found = {leader for leader in said if leader}
        return found.pop() if len(found) == 1 else None

    async def make_leader(self, zone: str, wanted: str, *, deadline_s: float = 90) -> None:
        """Whoever else leads is asked to go, as in a rollout: its active pod is deleted and gives its Leases back."""
        async with asyncio.timeout(deadline_s):
            while (leader := await self.leader(zone)) != wanted:
                if leader is not None:
                    await self.regions[leader].kubectl(
                        "delete", "pod", "-n", SYSTEM, "-l", f"{OPERATOR},holdfast.dev/active=true", "--wait=false"
                    )
                    await asyncio.sleep(2)
                await asyncio.sleep(0.3)

    async def scale_operators(self, count: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for cluster in self.regions.values():
                tasks.create_task(
                    cluster.kubectl("scale", "deployment/holdfast-operator", "-n", SYSTEM, f"--replicas={count}")
                )

    async def operator_pods(self) -> list[str]:
        """Every operator pod that exists, as region/name; regions that do not answer are left out."""
        found: list[str] = []
        for name, cluster in self.regions.items():
            try:
                pods = await cluster.read("pods", "-n", SYSTEM, "-l", OPERATOR, deadline_s=5)
            except LabError:
                continue
            found += [f"{name}/{pod['metadata']['name']}" for pod in (pods or {}).get("items", [])]
        return found


def values(name: str, pools: Mapping[str, str], layout: Layout = TWO_AND_WITNESS) -> dict[str, Any]:
    """The chart's values for one region of the lab; no secret is among them."""
    return {
        "region": {"name": name},
        "fleet": {
            "regions": [
                {
                    "name": region.name,
                    "jurisdiction": layout.jurisdiction(region.name),
                    "host": region.host,
                    "failureDomains": {"cloud": region.cloud},
                    "origins": {LEVER[layout.zone_of[region.name]]: pools[region.name]},
                    "turn": [_relay(name, layout.jurisdiction(region.name)) for name in layout.relays],
                }
                for region in names.REGIONS.values()
            ],
            "peers": [
                {
                    "name": region.name,
                    "server": region.server,
                    "caData": base64.b64encode(paths.ca().read_bytes()).decode(),
                    "tokenSecret": f"holdfast-peer-{region.name}",
                }
                for region in names.REGIONS.values()
                if region.name != name
            ],
            "zones": list(layout.votes[name]),
            "probeKeySecret": "holdfast-probe",
            "referenceTargets": list(REFERENCES),
        },
        "image": {
            "operator": {"repository": "localhost/holdfast-operator", "tag": "dev", "pullPolicy": "Never"},
            "bridge": {"repository": "localhost/holdfast-bridge", "tag": "dev", "pullPolicy": "Never"},
        },
        "redis": {"image": {"repository": "localhost/holdfast-redis", "tag": "dev", "pullPolicy": "Never"}},
        "ingress": {"className": names.INGRESS_CLASS},
        "extraCA": paths.ca().read_text(),
        "canary": {"replicas": 2},
        "networkPolicy": {"clusterRanges": [names.REGIONS[name].pod_range, names.SERVICE_RANGE]},
    }


def _relay(name: str, jurisdiction: str) -> dict[str, Any]:
    """Everything of the lab has a private address, so that the usual networks must not be forbidden here."""
    return {
        "name": name,
        "urls": {"udp": f"turn:{name}.example.com:3478", "tcp": f"turn:{name}.example.com:3478?transport=tcp"},
        "jurisdiction": jurisdiction,
        "coturnSecret": {"secret": "turn"},
        "forbiddenPeers": {"networks": ["169.254.0.0/16"]},
    }
