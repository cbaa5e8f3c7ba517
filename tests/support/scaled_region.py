"""One region's cluster with an agent in it: the real handlers over an API server in memory, and pods that hold calls.

The Deployment's and the ReplicaSet's controllers are played here as Kubernetes documents them: of too many pods the one
that is not assigned, pending, not ready or cheapest goes first, and of equals the youngest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from api_objects import AGENT, POLICY, REGIONS, changed, stored
from core_builders import joined, loads, view
from fleet_apiserver import FakeApiServer

from holdfast import handlers
from holdfast.core.capacity import PodLoad
from holdfast.core.place import Release
from holdfast.core.plans import Plan, View
from holdfast.core.values import AgentRef, Load
from holdfast.desired import Desired
from holdfast.handlers import agents
from holdfast.handlers.children import Children
from holdfast.handlers.intake import AGENT as VOICE_AGENT
from holdfast.handlers.intake import Intake
from holdfast.handlers.pending import Key
from holdfast.handlers.scaling import COST, Scaler

REF = AgentRef("clinic", "front-desk")
DEPLOYMENT = "/apis/apps/v1/namespaces/clinic/deployments/front-desk-bridge"
PODS = "/api/v1/namespaces/clinic/pods"
STATUS = "/apis/holdfast.dev/v1alpha1/namespaces/clinic/voiceagents/front-desk"
FULL = 45


@dataclass
class Hold:
    """Every Secret that is asked for is there."""

    zone_key: Callable[[], bytes]

    async def read(self, _name: str) -> Mapping[str, bytes]:
        return {"current": self.zone_key(), "authToken": b"token"}


class Server(FakeApiServer):
    """`on_read` runs before a read is answered; `lose_answer`: what the next write of this path did is not told."""

    on_read: Callable[[str], None] = staticmethod(lambda _path: None)
    lose_answer: str = ""

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.on_read(request.url.path)
        answer = await super().handle(request)
        if request.method != "GET" and self.lose_answer == request.url.path:
            self.lose_answer = ""
            raise httpx.ReadError("the connection broke")
        return answer


@dataclass
class Cluster:
    """What runs. `calls`: by pod. `mute`: pods that do not poll. `removed`: each pod that was taken, with its calls."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    server: Server = field(default_factory=lambda: Server("fra"))
    calls: dict[str, int] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    removed: list[tuple[str, int]] = field(default_factory=list)
    now: float = 1000.0
    active: bool = True
    key: bytes = b"zone-key"
    born: int = 0
    seen: View | None = field(default_factory=view)
    plan: Plan = field(default_factory=lambda: Plan(weights={"fra": 50, "ams": 50}))
    elsewhere: int = 0
    of_other_zones: int = 0
    attempts: tuple[str, ...] | None = None
    policy: Mapping[str, Any] = field(default_factory=lambda: POLICY)

    def __post_init__(self) -> None:
        manifest = stored(changed(AGENT, "spec", {**AGENT["spec"], **self.spec}))
        self.server.objects[STATUS] = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "1"}}
        self.client = self.server.client()
        self.desired = Desired()
        self.intake = Intake(self.desired)
        for region in REGIONS:
            self.intake.take("Region", None, stored(region))
        self.intake.take("FailoverPolicy", None, stored(dict(self.policy)))
        self.intake.take(VOICE_AGENT, None, manifest)
        self.restart()

    def restart(self) -> None:
        """The operator that acts begins anew and remembers nothing."""
        self.desired.loads.clear()
        self.context = handlers.Context(
            kube=self.client, secrets=Hold(lambda: self.key), desired=self.desired,
            release=Release(region="fra", namespace="holdfast-system", bridge_image="bridge:1"),
            active=lambda: self.active, wall=lambda: "2026-11-21T08:00:00Z", clock=lambda: self.now,
            events=handlers.Recorder(self.client, pod="operator-1", wall=lambda: "2026-11-21T08:00:00Z"),
            looks=lambda: {"eu": (self.shown(), self.plan)} if self.seen else {}, attempts=lambda _: self.attempts,
        )  # fmt: skip
        self.children = Children(self.context)
        self.scaler = Scaler(self.context, self.children)

    def shown(self) -> View:
        """The zone as the loop sees it: our calls as they are, the others' as the test tells."""
        assert self.seen is not None
        told = {**loads(self.seen.zone), "fra": Load(2, sum(self.calls.values()) + self.of_other_zones, 90)}
        told["ams"] = Load(2, self.elsewhere, 90)
        memory = self.seen.memory or joined(self.seen.zone)
        return View(**{
            name: {"loads": told, "memory": memory}.get(name, getattr(self.seen, name))
            for name, of in View.__dataclass_fields__.items() if of.init
        })  # fmt: skip

    @property
    def replicas(self) -> int:
        return int(self.server.objects[DEPLOYMENT]["spec"]["replicas"])

    @property
    def pods(self) -> dict[str, dict[str, Any]]:
        return {path.rpartition("/")[2]: each for path, each in self.server.objects.items() if path.startswith(PODS)}

    def cost(self, pod: str) -> str:
        return str(self.pods[pod]["metadata"].get("annotations", {}).get(COST, "0"))

    def condition(self, kind: str) -> Mapping[str, Any]:
        told = self.server.objects[STATUS]["status"]["conditions"]
        return next(each for each in told if each["type"] == kind)

    async def reconcile(self) -> None:
        await agents.reconcile(
            self.context, self.intake, self.children, self.scaler, Key(VOICE_AGENT, REF.namespace, REF.name)
        )

    async def pass_time(self, seconds: float) -> None:
        """Second by second: pods poll, the agent is looked at, and Kubernetes follows."""
        until = self.now + seconds
        while self.now < until:
            self.poll()
            async for _ in self.scaler.restless():
                await self.reconcile()
            self.follow()
            self.now += 1.0

    def poll(self) -> None:
        for name in list(self.desired.load_of(REF).pods):
            if name not in self.pods:
                self.desired.forget_pod(REF, name)
        for name in self.pods.keys() - self.mute:
            count = self.calls.get(name, 0)
            self.desired.note_load(REF, name, PodLoad(count, ready=count < FULL, heard_at=self.now))

    def follow(self) -> None:
        """What Kubernetes' controllers do with the Deployment."""
        deployment = self.server.objects[DEPLOYMENT]
        while len(self.pods) < self.replicas:
            self.born += 1
            self.server.objects[f"{PODS}/p-{self.born:02}"] = {
                "metadata": {"name": f"p-{self.born:02}", "labels": {"holdfast.dev/agent": REF.name}, "uid": "u",
                             "resourceVersion": "1"},
                "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"},
            }  # fmt: skip
        for name, pod in self.pods.items():
            ready = "True" if self.calls.get(name, 0) < FULL and name not in self.mute else "False"
            pod["status"]["conditions"] = [{"type": "Ready", "status": ready}]
        while len(self.pods) > self.replicas:
            first = min(self.pods, key=lambda name: (self._ready(name), int(self.cost(name)), -int(name[2:])))
            self.removed.append((first, self.calls.pop(first, 0)))
            del self.server.objects[f"{PODS}/{first}"]
        deployment["status"] = {
            "replicas": self.replicas, "updatedReplicas": self.replicas,
            "observedGeneration": deployment["metadata"]["generation"],
        }  # fmt: skip

    def _ready(self, name: str) -> bool:
        return bool(self.pods[name]["status"]["conditions"][0]["status"] == "True")

    def scale(self, replicas: int, manager: str) -> None:
        """Somebody else writes the scale subresource."""
        deployment = self.server.objects[DEPLOYMENT]
        deployment["spec"]["replicas"] = replicas
        deployment["metadata"]["managedFields"] = [
            {"manager": "holdfast", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {}}}},
            {"manager": manager, "operation": "Update", "subresource": "scale",
             "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ]  # fmt: skip
        self.follow()


async def placed(**told: Any) -> Cluster:
    """A region in which the agent has its first pods."""
    cluster = Cluster(**told)
    await cluster.reconcile()
    cluster.follow()
    return cluster
