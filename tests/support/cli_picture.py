"""A whole fleet as the plugin meets it: three clusters with heartbeats, votes, levers and CRDs, all of them sound.

fra and ams serve the zone eu, iad is its witness, ams leads. Tests take it and break one thing.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import yaml
from cli_fleet import API, LEASES, FakeFleet, condition

from holdfast import heart
from holdfast.core import memory
from holdfast.core.values import Cause, Cordon, RegionMemory, Verdict

NAMESPACE = "/api/v1/namespaces/holdfast-system"
DEPLOYMENT = "/apis/apps/v1/namespaces/holdfast-system/deployments/holdfast-operator"
CONFIG = f"{NAMESPACE}/configmaps/holdfast-operator"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
REGIONS = ("ams", "fra", "iad")
HOLDERS = {"ams": "uid-ams", "fra": "uid-fra", "iad": "uid-iad"}
# What a check of the CRDs may not need and the models do not have yet.
DRAIN = {"description": "Hand over the calls in flight, too.", "type": "boolean"}


@functools.cache
def crds() -> dict[str, Any]:
    """As `make crds` writes them, with the order to drain."""
    found = {}
    for path in sorted(Path("crds").glob("*.yaml")):
        each = yaml.safe_load(path.read_text())
        if each["spec"]["names"]["kind"] == "Region":
            spec = each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            spec["properties"]["cordon"]["properties"].setdefault("drain", DRAIN)
        found[f"{CRDS}/{each['metadata']['name']}"] = each
    return found


def policy_eu(**changes: Any) -> dict[str, Any]:
    spec = {
        "residency": "eu",
        "host": "eu.voice.example.com",
        "regions": [{"name": "fra", "weight": 50}, {"name": "ams", "weight": 50}],
        "witnesses": ["iad"],
        "guards": {"minServing": 1, "maxCordoned": 1, "headroomPercent": 20},
        "signing": {"secret": "zone-eu"},
        "carriers": [{"name": "twilio-eu", "twilio": {"accountSid": "AC" + "0" * 32}}],
        "levers": [{"name": "edge", "cloudflareLoadBalancer": {"accountId": "e0"}}],
    }
    decided = {
        "action": "restore", "region": "fra", "lever": "edge", "reason": "RegionRecovered",
        "message": "2 of 2 observers see fra up, 2 are needed", "epoch": 7, "leader": "ams",
        "detected": "2026-11-21T13:00:50.000Z", "decided": "2026-11-21T13:00:52.000Z",
        "readBack": "2026-11-21T13:00:52.400Z",
    }  # fmt: skip
    told = {
        "leader": "ams", "epoch": 7, "serving": ["fra", "ams"], "cordoned": [], "lastDecisions": [decided],
        "conditions": [
            condition("Accepted", "True", "Accepted", "the spec is followed"),
            condition("LeverReachable", "True", "LeverAnswers", "every lever answers"),
            condition("ReadyForLoss", "True", "ReadyForLoss", "any one may be lost now: region fra, ams"),
            condition("QuorumHeld", "True", "LeaderElected", "ams leads zone eu"),
            condition("Ready", "True", "Ready", "new calls go to fra, ams"),
            condition("SecretsFound", "True", "SecretsFound", "every Secret that the policy names is there"),
        ],
    }  # fmt: skip
    return {"metadata": {"name": "eu", "generation": 3}, "spec": {**spec, **changes}, "status": told}


def region(name: str, *, calls: int = 12) -> dict[str, Any]:
    serves = name != "iad"
    spec: dict[str, Any] = {"jurisdiction": "eu" if serves else "us", "host": f"{name}.voice.example.com"}
    told: dict[str, Any] = {"observations": []}
    if serves:
        spec["origins"] = {"edge": f"pool-{name}"}
        told |= {
            "leader": "ams", "serving": True, "activeCalls": calls, "readyPods": 2,
            "observations": [
                {"observer": each, "verdict": "up", "since": "2026-11-21T12:00:00Z", "detail": ""}
                for each in REGIONS if each != name
            ],
            "conditions": [
                condition("Accepted", "True", "Accepted", "the spec is followed"),
                condition("ActionHeld", "False", "NothingHeld", "no action on this region is held back"),
                condition("Reachable", "True", "Ready", f"2 of 2 observers see {name} up"),
                condition("Ready", "True", "Ready", f"{name} takes calls"),
                condition("RouteInSync", "True", "ReadBack", "on at edge, read back"),
            ],
        }  # fmt: skip
    return {"metadata": {"name": name}, "spec": spec, "status": told}


def agent(name: str = "front-desk") -> dict[str, Any]:
    told = [
        condition("Accepted", "True", "Accepted", "the spec is followed"),
        condition("FallbackReady", "True", "SeparateRegion", "the carrier's fallback is ams"),
        condition("Ready", "True", "Answering", "new calls are answered in this region"),
    ]
    return {
        "metadata": {"name": name, "namespace": "clinic"},
        "spec": {"failoverPolicy": "eu"},
        "status": {"pods": "2/2", "conditions": told},
    }


def beat(name: str, *, calls: int = 12, ago_s: float = 0.4, **more: Any) -> dict[str, Any]:
    """The Lease of a region, renewed so long before it is read. `more`: what a newer operator adds to its heartbeat."""
    said = heart.Heartbeat(
        seq=41, region=name,
        observations={each: heart.Seen(Verdict.UP, 60.0) for each in REGIONS if each not in (name, "iad")},
        active_calls=0 if name == "iad" else calls,
        ready_pods=0 if name == "iad" else 2,
        room=None if name == "iad" else 40,
        zones={"eu": heart.ZoneSeen(7, "ams")},
    )  # fmt: skip
    content = {**json.loads(heart.encode(said)), **more}
    return lease("holdfast-region", HOLDERS[name], ago_s, {heart.HEARTBEAT_ANNOTATION: json.dumps(content)})


def vote(*, holder: str = "uid-ams", ago_s: float = 0.5, kept: memory.Record | None = None) -> dict[str, Any]:
    """The Lease of the zone's vote, with what the zone remembers."""
    record = kept or memory.Record(7, 3, {"fra": RegionMemory(), "ams": RegionMemory()})
    return lease("holdfast-fleet-eu", holder, ago_s, {
        "holdfast.dev/epoch": "7", "holdfast.dev/leader": "ams", "holdfast.dev/memory": memory.encode(record),
    })  # fmt: skip


def lease(name: str, holder: str, ago_s: float, annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 5, "ago": ago_s},
    }


def operator(name: str) -> dict[str, Any]:
    """The Deployment, with the Secrets of the peers as the chart mounts them."""
    sources = [
        {"secret": {"name": f"peer-{peer}", "items": [{"key": "token", "path": f"peers/{peer}/token"}]}}
        for peer in REGIONS if peer != name
    ]  # fmt: skip
    volumes = [{"name": "holdfast", "projected": {"sources": sources}}]
    return {
        "spec": {"replicas": 2, "template": {"spec": {"volumes": volumes}}},
        "status": {"replicas": 2, "readyReplicas": 2},
    }


def settings(name: str) -> dict[str, Any]:
    peers = [{"name": peer, "server": f"https://{peer}:6443"} for peer in REGIONS if peer != name]
    return {"data": {"settings.json": json.dumps({"region": name, "peers": peers, "zones": ["eu"]})}}


def sound(fleet: FakeFleet, *, whole: bool = False) -> FakeFleet:
    """A fleet in which nothing is wrong. Change `fleet.clusters` and write it again. `whole`: with its CRDs, too."""
    for name in REGIONS:
        tokens = {
            f"{NAMESPACE}/secrets/peer-{peer}": {"data": {"token": "dG9rZW4="}} for peer in REGIONS if peer != name
        }
        fleet.show(
            name,
            regions=[region(each) for each in REGIONS],
            policies=[policy_eu()],
            agents=[agent()],
            leases=[beat(name), vote()],
            more={
                **(crds() if whole else {}), **tokens,
                DEPLOYMENT: operator(name), CONFIG: settings(name),
                TOKEN_REVIEWS: {"status": {"authenticated": True}},
            },
        )  # fmt: skip
    # Nothing is shared between clusters: a test changes one of them.
    fleet.clusters = json.loads(json.dumps(fleet.clusters))
    fleet.write()
    return fleet


def objects(fleet: FakeFleet, kind: str, name: str) -> list[Any]:
    """The copies of one object in all clusters, to be changed. `kind`: regions, failoverpolicies or voiceagents."""
    return [
        each
        for cluster in fleet.clusters.values()
        for each in (cluster[f"{API}/{kind}"]["items"] if isinstance(cluster[f"{API}/{kind}"], dict) else ())
        if each["metadata"]["name"] == name
    ]


def turn(found: Any, kind: str, status: str, reason: str, message: str) -> None:
    """Change one condition of an object."""
    kept = [each for each in found["status"].get("conditions", ()) if each["type"] != kind]
    found["status"]["conditions"] = [*kept, condition(kind, status, reason, message)]


def lose_fra(fleet: FakeFleet) -> FakeFleet:
    """fra's API server is silent, its calls are gone, and ams has cordoned it."""
    sound(fleet)
    lost = "2 of 2 observers see fra down, 2 are needed (ams: connect refused; iad: no audio)"
    for each in objects(fleet, "regions", "fra"):
        each["status"]["serving"] = False
        del each["status"]["activeCalls"], each["status"]["readyPods"]
        each["status"]["observations"] = [{**said, "verdict": "down"} for said in each["status"]["observations"]]
        turn(each, "Ready", "False", "RegionCordoned", lost)
        turn(each, "Reachable", "False", "RegionLost", lost)
        turn(each, "RouteInSync", "True", "ReadBack", "off at edge, read back")
    for each in objects(fleet, "failoverpolicies", "eu"):
        each["status"] |= {"serving": ["ams"], "cordoned": ["fra"]}
        turn(each, "ReadyForLoss", "False", "NotEnoughPods", "without ams (24 calls) 0 ready pods have room for 0")
        decided = {
            **each["status"]["lastDecisions"][0], "action": "cordon", "reason": "RegionLost", "message": lost,
            "decided": "2026-11-21T14:00:52.000Z", "readBack": "2026-11-21T14:00:52.400Z",
        }  # fmt: skip
        each["status"]["lastDecisions"].insert(0, decided)
    out = RegionMemory({Cause.LOST: Cordon(stands=True, changed_ago_s=60.0, flaps=1, reason=lost)})
    for cluster in fleet.clusters.values():
        cluster[LEASES]["items"][1] = vote(kept=memory.Record(7, 4, {"fra": out, "ams": RegionMemory()}))
    fleet.breaks("fra", "hang")
    fleet.write()
    return fleet
