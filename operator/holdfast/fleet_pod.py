"""What the active pod keeps right in its own cluster: the label the Service goes by, and the vote Leases."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from holdfast import errors, kube
from holdfast.fleet_register import Register

log = logging.getLogger(__name__)

ACTIVE_LABEL = "holdfast.dev/active"
LABEL_DEADLINE_S = 1.5
BALLOTS_EVERY_S = 10.0


class ActivePod:
    """One pod of the operator, as its own cluster sees it."""

    def __init__(self, *, own: kube.Kube, namespace: str, pod: str) -> None:
        self._own = own
        self._namespace = namespace
        self._pod = pod

    async def mark_until_done(self) -> None:
        """Take the label, and take it from whoever bears it still."""
        while True:
            if await self.mark(active=True):
                return
            await asyncio.sleep(1.0)

    async def mark(self, *, active: bool) -> bool:
        """The region's Service leads to the pod with this label; whoever else bears it has lost the Lease."""
        try:
            if active:
                marked = await self._own.list(
                    kube.PODS,
                    namespace=self._namespace,
                    selector=f"{ACTIVE_LABEL}=true",
                    deadline_s=LABEL_DEADLINE_S,
                )
                for pod in marked:
                    if (name := str(pod["metadata"]["name"])) != self._pod:
                        await self._write(name, active=False)
            await self._write(self._pod, active=active)
        except errors.ClusterError as e:
            log.warning("pod label not written", extra={"why": str(e)})
            return False
        return True

    async def _write(self, pod: str, *, active: bool) -> None:
        body: kube.Object = {"metadata": {"labels": {ACTIVE_LABEL: "true" if active else "false"}}}
        await self._own.patch(kube.PODS, pod, body, namespace=self._namespace, deadline_s=LABEL_DEADLINE_S)

    async def keep_ballots(self, zones: Callable[[], Collection[str]]) -> None:
        """Create the vote Leases of this cluster: peers may write them, but only we may create them."""
        while True:
            for zone in sorted(zones()):
                register = Register(self._own, namespace=self._namespace, name=f"holdfast-fleet-{zone}")
                try:
                    if await register.read() is None:
                        await register.write(None, holder="", annotations={})
                except errors.ClusterError as e:
                    log.debug("vote lease not made", extra={"zone": zone, "why": str(e)})
            await asyncio.sleep(BALLOTS_EVERY_S)
