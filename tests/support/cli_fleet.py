"""Clusters as kubectl shows them: a fake `kubectl` that answers from one file, and builders of what it shows.

A real subprocess, so that time-outs, exit statuses and standard error are the real thing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from holdfast.core import audit
from holdfast.core.audit import Trail
from holdfast.core.explain import Entry

API = "/apis/holdfast.dev/v1alpha1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/holdfast-system/leases"
DECISIONS = "/api/v1/namespaces/holdfast-system/configmaps/holdfast-decisions"

SCRIPT = """#!{python} -ES
import datetime, json, os, sys, time
world = json.load(open({world!r}))
words = sys.argv[1:]
flags = {{w.split("=", 1)[0]: w.split("=", 1)[1] for w in words if w.startswith("--") and "=" in w}}
plain = [w for w in words if not w.startswith("-")]
with open({log!r}, "a") as log:
    log.write(json.dumps(words) + chr(10))

def merged(old, new):
    if not isinstance(new, dict):
        return new
    kept = dict(old) if isinstance(old, dict) else {{}}
    for key, value in new.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept

def patched(cluster, context, kind, name, patch):
    regions = cluster.get({api!r} + "/regions", {{}})
    if "patch" in cluster:
        return cluster["patch"]
    for each in regions.get("items", []):
        if each["metadata"]["name"] == name:
            before = json.dumps(each)
            after = merged(each, patch)
            if not cluster.get("drainKnown", True):
                ((after.get("spec") or {{}}).get("cordon") or {{}}).pop("drain", None)
            if "--dry-run=server" not in words:
                each.clear()
                each.update(after)
                with open({world!r} + "." + context, "w") as new:
                    json.dump(world, new)
                os.replace({world!r} + "." + context, {world!r})
            return after
    return {{"error": "Error from server (NotFound): regions.holdfast.dev not found"}}

if plain[:2] == ["config", "view"]:
    answer = world["config"]
else:
    context = flags.get("--context")
    cluster = answer = world["clusters"].get(context, {{"error": "error: context does not exist"}})
    if isinstance(answer, dict) and "error" not in answer:
        not_found = {{"error": "Error from server (NotFound): the server could not find the requested resource"}}
        if plain[0] == "patch":
            answer = patched(cluster, context, plain[1], plain[2], json.load(sys.stdin))
        elif plain[0] == "create":
            body = json.load(sys.stdin)
            answer = cluster.get(plain[1], not_found)
            if isinstance(answer, list):
                answer = next((then for when, then in answer if when in json.dumps(body)), not_found)
        else:
            answer = answer.get(plain[-1], not_found)
if isinstance(answer, dict) and "beats" in answer:
    # A Lease of which only the age is told: renewed so long before it is read.
    for each in answer["items"]:
        if "ago" in each["spec"]:
            ago = datetime.timedelta(seconds=each["spec"].pop("ago"))
            each["spec"]["renewTime"] = (datetime.datetime.now(datetime.timezone.utc) - ago).isoformat()
if answer == "hang":
    time.sleep(60)
if isinstance(answer, dict) and "error" in answer:
    sys.exit(answer["error"])
print(answer if isinstance(answer, str) else json.dumps(answer))
"""


class FakeFleet:
    """The clusters behind one kubeconfig. `path` is what PATH should be."""

    def __init__(self, folder: Path) -> None:
        self._world = folder / "world.json"
        self._log = folder / "kubectl.log"
        self.path = str(folder)
        self.clusters: dict[str, Any] = {}
        self.current = "ams"
        self.namespaces: dict[str, str] = {}
        script = folder / "kubectl"
        script.write_text(
            SCRIPT.format(python=sys.executable, world=str(self._world), log=str(self._log), api=API)
        )
        script.chmod(0o755)

    def show(
        self,
        name: str,
        *,
        regions: Iterable[Mapping[str, Any]] = (),
        policies: Iterable[Mapping[str, Any]] = (),
        agents: Iterable[Mapping[str, Any]] = (),
        trail: Trail | None = None,
        leases: Iterable[Mapping[str, Any]] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """A cluster that answers. Without a trail nothing was ever decided there."""
        paths: dict[str, Any] = {
            f"{API}/regions": {"items": list(regions)},
            f"{API}/failoverpolicies": {"items": list(policies)},
            LEASES: {"items": list(leases), "beats": True},
            f"{API}/voiceagents": {"items": list(agents)},
            **(more or {}),
        }
        for each in agents:
            path = f"{API}/namespaces/{each['metadata']['namespace']}/voiceagents"
            paths.setdefault(path, {"items": []})["items"].append(each)
        if trail is not None:
            paths[DECISIONS] = {"data": {"region": name, "records": audit.encode(trail)}}
        self.clusters[name] = paths

    def breaks(self, name: str, how: Any) -> None:
        """A cluster that hangs ("hang"), fails ({"error": …}) or answers nonsense."""
        self.clusters[name] = dict.fromkeys(
            (f"{API}/regions", f"{API}/failoverpolicies", DECISIONS, LEASES, f"{API}/voiceagents"), how
        )

    def write(self, contexts: Iterable[str] | None = None) -> None:
        """Put it where kubectl finds it."""
        names = self.clusters if contexts is None else contexts
        config = {
            "current-context": self.current,
            "contexts": [{"name": name, "context": {"namespace": self.namespaces.get(name, "")}} for name in names],
        }
        self._world.write_text(json.dumps({"config": config, "clusters": self.clusters}))

    def held(self, name: str, region: str) -> Any:
        """A Region as a cluster is to hold it."""
        items = self.clusters[name][f"{API}/regions"]["items"]
        return next(each for each in items if each["metadata"]["name"] == region)

    def stands(self, name: str, region: str) -> Any:
        """A Region as a cluster holds it now, after what was written."""
        held = json.loads(self._world.read_text())["clusters"][name][f"{API}/regions"]["items"]
        return next(each for each in held if each["metadata"]["name"] == region)

    def asked(self) -> list[list[str]]:
        """The words of every kubectl that ran."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-21T14:00:52Z",
    }  # fmt: skip


def region(
    name: str, *conditions: Mapping[str, str], seen: Iterable[Mapping[str, str]] = (), leader: str = "ams"
) -> Any:
    status = {"leader": leader, "conditions": list(conditions), "observations": list(seen)}
    return {"metadata": {"name": name}, "spec": {"host": f"{name}.voice.example.com"}, "status": status}


def policy(
    name: str,
    *conditions: Mapping[str, str],
    cordoned: Iterable[str] = (),
    regions: Iterable[str] = ("fra", "ams"),
    levers: Iterable[str] = ("edge",),
) -> Any:
    return {
        "metadata": {"name": name},
        "spec": {
            "regions": [{"name": each, "weight": 50} for each in regions],
            "levers": [{"name": each} for each in levers],
            "carriers": [{"name": "twilio-eu"}],
        },
        "status": {"leader": "ams", "epoch": 7, "cordoned": list(cordoned), "conditions": list(conditions)},
    }


def agent(name: str, *conditions: Mapping[str, str], namespace: str = "clinic", zone: str = "eu") -> Any:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"failoverPolicy": zone},
        "status": {"conditions": list(conditions)},
    }


def trail(*told: tuple[str, Entry], by: str = "ams") -> Trail:
    """Records at these times."""
    kept = Trail()
    for at, entry in told:
        kept = audit.added(kept, [entry], at=at, by=by)
    return kept
