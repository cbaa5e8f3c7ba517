"""Makes one object of ours be as its manifest says, and writes nothing when it already is.

Read first, compare the fields that we own, apply only on a difference. Fields that we stopped owning do not show in
such a comparison, so an annotation carries a digest of the whole manifest. Secrets in tenants' namespaces are never
read, our own included: pods prove in their polls that theirs is what we applied. While they do not, it is repeated now
and then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast import errors, kube
from holdfast.core import placement
from holdfast.core.placement import Manifest
from holdfast.core.values import AgentRef
from holdfast.handlers.context import Context

APPLIED = "holdfast.dev/applied"
SECRET_AGAIN_S = 600.0

RESOURCES: Mapping[str, kube.Resource] = {
    "ConfigMap": kube.CONFIG_MAPS,
    "Secret": kube.SECRETS,
    "Service": kube.Resource("v1", "services"),
    "Deployment": kube.Resource("apps/v1", "deployments"),
    "PodDisruptionBudget": kube.Resource("policy/v1", "poddisruptionbudgets"),
    "Ingress": kube.Resource("networking.k8s.io/v1", "ingresses"),
    "Region": kube.REGIONS,
    "NetworkPolicy": kube.Resource("networking.k8s.io/v1", "networkpolicies"),
}


Settle = Callable[[Manifest | None], Manifest]


class NameTaken(errors.FleetError):
    """An object of this name exists that is not ours. It is left alone."""


class Children:
    """The objects made for agents in the own cluster."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._secrets: dict[tuple[str | None, str], tuple[str, float]] = {}

    async def ensure(self, manifest: Manifest, *, adopt: bool = False, settle: Settle | None = None) -> bool:
        """Whether anything had to be written. `adopt` takes an object over that somebody else made.

        `settle` has the last word on the manifest: it is shown what was just read, and nothing is awaited between
        its answer and the write.
        """
        if manifest["kind"] == "Secret":
            return await self._ensure_secret(manifest)
        resource, namespace, name = _address(manifest)
        try:
            live = await self._context.kube.get(resource, name, namespace=namespace)
        except errors.NotFound:
            live = None
        if live is not None and not adopt and not _ours(live):
            raise NameTaken(f"{manifest['kind']} {namespace}/{name} exists and is not Holdfast's")
        wanted = marked(settle(live) if settle else manifest)
        if live is not None and matches(wanted, live):
            return False
        self._context.ensure_active()
        await self._context.kube.apply(resource, wanted, namespace=namespace)
        return True

    async def _ensure_secret(self, manifest: Manifest) -> bool:
        resource, namespace, name = _address(manifest)
        applied, now = digest(manifest), self._context.clock()
        known, at = self._secrets.get((namespace, name), ("", 0.0))
        if known == applied and (now - at < SECRET_AGAIN_S or self._proven(manifest)):
            return False
        self._context.ensure_active()
        await self._context.kube.apply(resource, manifest, namespace=namespace)
        self._secrets[namespace, name] = (applied, now)
        return known != applied

    def _proven(self, manifest: Manifest) -> bool:
        metadata = manifest["metadata"]
        ref = AgentRef(str(metadata["namespace"]), str(metadata["labels"]["holdfast.dev/agent"]))
        return self._context.desired.all_hold(ref, placement.proof(manifest))

    async def remove(self, manifests: Sequence[Manifest]) -> None:
        """Take an agent out of this cluster, last things first. Its Secret is emptied: we may not delete Secrets."""
        for manifest in reversed(manifests):
            resource, namespace, name = _address(manifest)
            self._context.ensure_active()
            if manifest["kind"] == "Secret":
                await self._ensure_secret({**manifest, "data": {}})
                continue
            try:
                live = await self._context.kube.get(resource, name, namespace=namespace)
            except errors.NotFound:
                continue
            if _ours(live):
                uid = str(live["metadata"]["uid"])
                await self._context.kube.delete(resource, name, namespace=namespace, uid=uid)

    def forget(self, namespace: str, name: str) -> None:
        """The agent is gone; one of the same name would need its Secret anew."""
        self._secrets.pop((namespace, name), None)


def _address(manifest: Manifest) -> tuple[kube.Resource, str | None, str]:
    metadata = manifest["metadata"]
    return RESOURCES[manifest["kind"]], metadata.get("namespace"), str(metadata["name"])


def _ours(live: Manifest) -> bool:
    return bool(live["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "holdfast")


def digest(manifest: Manifest) -> str:
    """Short, stable, and of the whole manifest."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:24]


def marked(manifest: Manifest) -> Manifest:
    """The manifest with its own digest on it."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def matches(wanted: Any, live: Any) -> bool:
    """Whether all that is wanted is there. What the API server or others added beside it does not matter."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            key in live and matches(value, live[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(live, list)
            and len(wanted) == len(live)
            and all(matches(ours, theirs) for ours, theirs in zip(wanted, live, strict=True))
        )
    return bool(wanted == live)
