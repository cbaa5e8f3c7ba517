"""Keeps this operator's decisions in one ConfigMap of its own cluster, so that `explain --at` can answer later.

It is written with a decision and never otherwise, about a second after it, off the path of the decision itself: to tell
it something costs no I/O and cannot fail. What could not be written stays in memory and is tried again; what another
pod of this region wrote meanwhile is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable

from holdfast import errors, kube
from holdfast.core import audit
from holdfast.core.explain import Entry
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

COALESCE_S = 1.0
RETRY_S = 5.0
DEADLINE_S = 2.0


class FleetAudit:
    """The trail of one operator. Created once; `run` while this pod is its region's active one."""

    def __init__(
        self,
        *,
        client: kube.Kube,
        namespace: str,
        region: str,
        wall: Callable[[], str],
        metrics: Metrics,
        coalesce_s: float = COALESCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._kube = client
        self._namespace = namespace
        self._region = region
        self._wall = wall
        self._metrics = metrics
        self._coalesce_s = coalesce_s
        self._retry_s = retry_s
        self._round: dict[str, tuple[Entry, ...]] = {}
        self._told = asyncio.Event()
        self._stored: kube.Object | None = None
        self._kept: audit.Trail | None = None
        self.trail = audit.Trail()

    def tell(self, source: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
        """Everything that one source, such as a zone's loop, decides and refuses this round; answers what is news."""
        now = tuple(entries)
        found = audit.news(self.trail, now, before=self._round.get(source))
        self._round[source] = now
        if found:
            self.trail = audit.added(self.trail, found, at=self._wall(), by=self._region)
            self._told.set()
        return found

    async def run(self) -> None:
        """Until cancelled."""
        failed = not await self._attempt(self.load)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._retry_s if failed else None):
                    await self._told.wait()
            await asyncio.sleep(self._coalesce_s)
            self._told.clear()
            failed = not await self._attempt(self.store)

    async def load(self) -> None:
        """Read what is kept, and join it with what was told meanwhile."""
        kept = audit.Trail()
        try:
            self._stored = await self._kube.get(
                kube.CONFIG_MAPS, audit.STORE, namespace=self._namespace, deadline_s=DEADLINE_S
            )
            kept = audit.decode(str((self._stored.get("data") or {}).get(audit.RECORDS_FIELD, "")))
        except errors.NotFound:
            self._stored = None
        if kept.unreadable:
            log.warning("kept decisions that cannot be read", extra={"records": kept.unreadable})
            self._metrics.failures.labels("audit-unreadable").inc(kept.unreadable)
        # What was told before anything was read may have been kept by an earlier pod: only what is news is added.
        known = self._kept is not None
        early = [each for each in self.trail.records if known or audit.news(kept, [each.entry], before=None)]
        self._kept, self.trail = kept, audit.joined(kept, audit.Trail(tuple(early)))
        if self._unwritten():
            self._told.set()

    async def store(self) -> None:
        """Write the trail over what was last read. Conflict: somebody else wrote; what he wrote is joined first."""
        if self._kept is None:
            await self.load()
        if not self._unwritten():
            return
        try:
            await self._write()
        except (errors.Conflict, errors.NotFound):
            await self.load()
            await self._write()

    def _unwritten(self) -> bool:
        return self._kept is None or self.trail.records != self._kept.records

    async def _write(self) -> None:
        written = self.trail
        text = audit.encode(written)
        if self._stored is None:
            self._stored = await self._kube.create(
                kube.CONFIG_MAPS, self._body(text), namespace=self._namespace, deadline_s=DEADLINE_S
            )
        else:
            body = self._body(text, version=str(self._stored["metadata"]["resourceVersion"]))
            self._stored = await self._kube.replace(
                kube.CONFIG_MAPS, body, namespace=self._namespace, deadline_s=DEADLINE_S
            )
        self._kept = written

    def _body(self, text: str, version: str = "") -> kube.Object:
        metadata = {
            "name": audit.STORE,
            "namespace": self._namespace,
            "labels": {"app.kubernetes.io/part-of": "holdfast"},
        }
        if version:
            metadata["resourceVersion"] = version
        data = {audit.REGION_FIELD: self._region, audit.RECORDS_FIELD: text}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    async def _attempt(self, what: Callable[[], Awaitable[None]]) -> bool:
        """A call that may fail: counted, never raised. An unknown outcome shows itself as a conflict next time."""
        try:
            await what()
        except errors.ClusterError as e:
            self._metrics.failures.labels("audit").inc()
            log.debug("decisions not kept", extra={"why": str(e)})
            return False
        return True
