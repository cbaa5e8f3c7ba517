"""Kubernetes Events for changes of state, in the words of the condition. The same news twice is one Event."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from holdfast import errors, kube
from holdfast.core.values import Reason

_LOG = logging.getLogger(__name__)
_MESSAGE_MAX = 1024


class Recorder:
    """Writes Events. Best effort: news that cannot be written is logged and never stops the work it is about."""

    def __init__(self, client: kube.Kube, *, pod: str, wall: Callable[[], str]) -> None:
        self._kube = client
        self._pod = pod
        self._wall = wall

    async def record(self, about: Mapping[str, Any], reason: Reason, *, warning: bool = False) -> None:
        """About an object as read: apiVersion, kind and metadata."""
        metadata = about["metadata"]
        # Events of a cluster-scoped object lie in `default`, where kubectl describe looks for them.
        namespace = str(metadata.get("namespace") or "default")
        uid = str(metadata.get("uid", ""))
        digest = hashlib.sha256(f"{uid} {reason.code} {reason.message}".encode()).hexdigest()[:16]
        name, now = f"{metadata['name']}.{digest}", self._wall()
        involved = {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"], "uid": uid}
        if metadata.get("namespace"):
            involved["namespace"] = namespace
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "type": "Warning" if warning else "Normal",
            "reason": reason.code,
            "message": reason.message[:_MESSAGE_MAX],
            "source": {"component": "holdfast", "host": self._pod},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._kube.create(kube.EVENTS, body, namespace=namespace)
        except errors.Conflict:
            await self._again(namespace, name, now)
        except errors.ClusterError:
            _LOG.warning("event not written", extra={"object": metadata["name"], "reason": reason.code})

    async def _again(self, namespace: str, name: str, now: str) -> None:
        try:
            known = await self._kube.get(kube.EVENTS, name, namespace=namespace)
            body = {"count": int(known.get("count") or 1) + 1, "lastTimestamp": now}
            await self._kube.patch(kube.EVENTS, name, body, namespace=namespace)
        except errors.ClusterError:
            _LOG.warning("event not counted", extra={"event": name})
