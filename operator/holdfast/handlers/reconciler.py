"""Runs the work that watches only hint at: one queue, a few workers, and a full look at everything now and then.

A watch may be silent for long, and an event may be lost for good; the listing of each minute is what is relied on.
Only the active pod writes. A standby keeps `Desired` filled, so that it can go on at once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from holdfast import errors, kube
from holdfast.core.values import AgentRef
from holdfast.handlers import agents, canary, policies
from holdfast.handlers.children import RESOURCES, Children
from holdfast.handlers.context import Context, StoodDown
from holdfast.handlers.intake import AGENT, CANARY, FLEET, POLICY, REGION, Intake
from holdfast.handlers.pending import Key, Pending
from holdfast.handlers.scaling import Scaler

_LOG = logging.getLogger(__name__)
WORKERS = 4
ONE_OBJECT_S = 30.0
RESYNC_S = 60.0
LOOK_S = 0.25
LOAD_S = 1.0
MANAGED = "app.kubernetes.io/managed-by=holdfast,holdfast.dev/agent"


class Reconciler:
    """One per operator. `run` ends only by cancellation."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.intake = Intake(context.desired)
        self.pending = Pending()
        self.rounds = 0  # objects looked at since the start
        self._children = Children(context)
        self._scaler = Scaler(context, self._children)
        self._complaints: dict[AgentRef, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    async def run(self) -> None:
        """Everything above, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(self._work())
                group.create_task(self._resync())
                group.create_task(self._follow_reports())
                group.create_task(self._follow_activity())
                group.create_task(self._follow_load())
        finally:
            self.pending.close()

    def capacity(self) -> list[dict[str, Any]]:
        """How many pods each agent here has and why, as plain data."""
        return self._scaler.picture()

    def wake(self, keys: set[Key]) -> None:
        """Have these looked at soon."""
        for key in sorted(keys):
            self.pending.add(key)

    def wake_all(self) -> None:
        """Have everything looked at: this pod became the active one, or a minute has passed."""
        self.wake({*self.intake.manifests, Key(CANARY, "", ""), Key(FLEET, "", "")})

    async def look(self) -> None:
        """List everything afresh. Regions first: policies are weighed by them, and agents by policies."""
        for kind, resource in ((REGION, kube.REGIONS), (POLICY, kube.POLICIES), (AGENT, kube.AGENTS)):
            self.intake.listed(kind, await self._list(kind, resource))
        for deployment in await self.context.kube.list(RESOURCES["Deployment"], selector=MANAGED):
            self.intake.saw_deployment(None, deployment)
        self.wake_all()

    async def _list(self, kind: str, resource: kube.Resource) -> list[kube.Object]:
        # Items of a listing do not carry their kind.
        found = await self.context.kube.list(resource)
        return [{"apiVersion": resource.api_version, "kind": kind, **each} for each in found]

    async def _resync(self) -> None:
        while True:
            pause_s = RESYNC_S
            try:
                await self.look()
            except errors.FleetError as e:
                _LOG.warning("listing failed", extra={"error": str(e)})
                pause_s = LOOK_S * 8
            await asyncio.sleep(pause_s)

    async def _follow_reports(self) -> None:
        """Polls of the bridges arrive in `Desired`; what pods miss or refuse belongs into their agent's conditions."""
        revision = -1
        while True:
            revision = await self.context.desired.wait_past(revision)
            desired = self.context.desired
            now = {
                ref: said for ref in desired.reports if any(said := (desired.missing_keys(ref), desired.problems(ref)))
            }
            for ref in now.keys() | self._complaints.keys():
                if now.get(ref) != self._complaints.get(ref):
                    self.pending.add(Key(AGENT, ref.namespace, ref.name))
            self._complaints = now

    async def _follow_activity(self) -> None:
        was = False
        while True:
            active = self.context.active()
            if active and not was:
                self.wake_all()
            was = active
            await asyncio.sleep(LOOK_S)

    async def _follow_load(self) -> None:
        """Calls come and go: those agents are looked at that have too few pods by now, or one too many."""
        while True:
            async for ref in self._scaler.restless():
                self.pending.add(Key(AGENT, ref.namespace, ref.name))
            await asyncio.sleep(LOAD_S)

    async def _work(self) -> None:
        while True:
            key = await self.pending.take()
            try:
                async with asyncio.timeout(ONE_OBJECT_S):
                    await self._one(key)
            except (errors.FleetError, TimeoutError) as e:
                delay_s = self.pending.failed(key)
                _LOG.warning(
                    "not done, will be tried again",
                    extra={"kind": key.kind, "namespace": key.namespace, "object": key.name,
                           "error": str(e) or type(e).__name__, "delay_s": delay_s},
                )  # fmt: skip
            except StoodDown:
                self.pending.done(key)
            except Exception:
                # One object that we cannot digest must not take the others' worker with it.
                self.pending.failed(key)
                _LOG.exception("object not digested", extra={"kind": key.kind, "object": key.name})
            else:
                self.pending.done(key)

    async def _one(self, key: Key) -> None:
        self.context.ensure_active()
        self.rounds += 1
        if key.kind == AGENT:
            await agents.reconcile(self.context, self.intake, self._children, self._scaler, key)
        elif key.kind == CANARY:
            await canary.reconcile(self.context, self._children)
        elif key.kind == FLEET:
            for region in self.context.regions:
                await self._children.ensure(policies.region_manifest(region), adopt=True)
        else:
            await policies.reconcile(self.context, self.intake, key)
