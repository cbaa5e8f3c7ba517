"""One Lease in one cluster, as a register that is read and compared-and-set. It decides nothing.

The Lease object carries, beside its own fields, an epoch and a memory in annotations, so that one write renews, fences
and stores at once. What it says about time is for people: nobody of ours compares dates of different clocks.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from holdfast import errors, kube

LEASE_DURATION_S = 5
CALL_DEADLINE_S = 0.6
LONGEST_DEADLINE_S = 1.5


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease as it was read. `version` moves with every write, whoever writes."""

    holder: str
    version: str
    annotations: Mapping[str, str]
    transitions: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


class Register:
    """A named Lease of one cluster.

    Every call has a deadline: twice what the last one took, within bounds. So a hang costs little where answers are
    quick, and a site far away, or a connection that is still being made, is not cut off for ever.
    """

    def __init__(
        self, client: kube.Kube, *, namespace: str, name: str, wall: Callable[[], float] = time.time
    ) -> None:
        self.cluster = client.name
        self._kube = client
        self._namespace = namespace
        self._name = name
        self._wall = wall
        self._deadline_s = CALL_DEADLINE_S

    async def read(self) -> Record | None:
        """The Lease as it is now; None when there is none yet."""
        call = self._kube.get(kube.LEASES, self._name, namespace=self._namespace, deadline_s=self._deadline_s)
        try:
            return await self._answer(call)
        except errors.NotFound:
            return None

    async def write(self, seen: Record | None, *, holder: str, annotations: Mapping[str, str]) -> Record:
        """Write over exactly what was seen, or create when nothing was. Conflict: it is not what was seen any more."""
        body = self._body(seen, holder, annotations)
        if seen is None:
            call = self._kube.create(kube.LEASES, body, namespace=self._namespace, deadline_s=self._deadline_s)
        else:
            call = self._kube.replace(kube.LEASES, body, namespace=self._namespace, deadline_s=self._deadline_s)
        try:
            return await self._answer(call)
        except errors.NotFound as e:
            raise errors.Conflict(self.cluster, "the Lease is gone") from e

    async def _answer(self, call: Awaitable[kube.Object]) -> Record:
        began = time.monotonic()
        try:
            raw = await call
        finally:
            took_s = time.monotonic() - began
            self._deadline_s = min(max(CALL_DEADLINE_S, 2 * took_s), LONGEST_DEADLINE_S)
        try:
            return _record(raw)
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise errors.ClusterUnreachable(self.cluster, "the answer is not a Lease") from e

    def _body(self, seen: Record | None, holder: str, annotations: Mapping[str, str]) -> kube.Object:
        now = dt.datetime.fromtimestamp(self._wall(), tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changed = seen is None or seen.holder != holder
        transitions = 0 if seen is None else seen.transitions + (1 if changed else 0)
        metadata: kube.Object = {
            "name": self._name, "namespace": self._namespace, "annotations": dict(annotations),
        }
        if seen is not None:
            metadata["resourceVersion"] = seen.version
            if seen.labels:
                # Labels are the chart's: a Lease without them would be deleted by the next upgrade, epoch and all.
                metadata["labels"] = dict(seen.labels)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": LEASE_DURATION_S,
                "leaseTransitions": transitions,
                "renewTime": now,
            },
        }


def _record(raw: kube.Object) -> Record:
    """Raises one of four errors when it is not a Lease; a Lease without a spec is one that nobody holds."""
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        version=str(metadata["resourceVersion"]),
        annotations={str(key): str(value) for key, value in (metadata.get("annotations") or {}).items()},
        transitions=int(spec.get("leaseTransitions") or 0),
        labels=dict(metadata.get("labels") or {}),
    )
