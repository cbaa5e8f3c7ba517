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
import sys
sys.path.insert(0, {support!r})
import cli_kubectl
sys.exit(cli_kubectl.main({world!r}, {log!r}))
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
            SCRIPT.format(
                python=sys.executable, support=str(Path(__file__).parent), world=str(self._world), log=str(self._log)
            )
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

    def written(self) -> str:
        """The world as kubectl finds it."""
        return self._world.read_text()

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
