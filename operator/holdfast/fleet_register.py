"""One Lease in one cluster, as a register that is read and compared-and-set. It decides nothing.

The Lease object carries, beside its own fields, an epoch and a memory in annotations, so that one write renews, fences
and stores at once. What it says about time is for people: nobody of ours compares dates of different clocks.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast import errors, kube

LEASE_DURATION_S = 5
CALL_DEADLINE_S = 0.6


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease as it was read. `version` moves with every write, whoever writes."""

    holder: str
    version: str
    annotations: Mapping[str, str]
    transitions: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


class Register:
    """A named Lease of one cluster."""

    def __init__(self, client: kube.Kube, *, namespace: str, name: str) -> None:
        self.cluster = client.name
        self._kube = client
        self._namespace = namespace
        self._name = name

    async def read(self) -> Record | None:
        """The Lease as it is now; None when there is none yet."""
        try:
            found = await self._kube.get(
                kube.LEASES, self._name, namespace=self._namespace, deadline_s=CALL_DEADLINE_S
            )
        except errors.NotFound:
            return None
        return _record(found)

    async def write(self, seen: Record | None, *, holder: str, annotations: Mapping[str, str]) -> Record:
        """Write over exactly what was seen, or create when nothing was. Conflict: somebody else was faster."""
        now = dt.datetime.fromtimestamp(time.time(), tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changed = seen is None or seen.holder != holder
        transitions = 0 if seen is None else seen.transitions + (1 if changed else 0)
        body: kube.Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace, "annotations": dict(annotations)},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": LEASE_DURATION_S,
                "leaseTransitions": transitions,
                "renewTime": now,
            },
        }
        if seen is not None and seen.labels:
            # Labels are the chart's: a Lease that lost them would be deleted by the next upgrade, epoch and all.
            body["metadata"]["labels"] = dict(seen.labels)
        if seen is None:
            stored = await self._kube.create(
                kube.LEASES, body, namespace=self._namespace, deadline_s=CALL_DEADLINE_S
            )
        else:
            body["metadata"]["resourceVersion"] = seen.version
            stored = await self._kube.replace(
                kube.LEASES, body, namespace=self._namespace, deadline_s=CALL_DEADLINE_S
            )
        return _record(stored)


def _record(raw: kube.Object) -> Record:
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        version=str(metadata.get("resourceVersion", "")),
        annotations=dict(metadata.get("annotations") or {}),
        transitions=int(spec.get("leaseTransitions") or 0),
        labels=dict(metadata.get("labels") or {}),
    )
