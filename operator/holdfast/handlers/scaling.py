"""Makes the number of an agent's pods here follow what `core.capacity` wants.

More pods are wanted through the Deployment at once. One fewer is a piece of work of its own: the idle pods are made the
cheap ones, and when they are read to be so, and what is known in memory still says so in the moment of the write, the
Deployment is given one fewer. A call that comes between that write and the end of the pod is handed over by the pod's
own drain. A Deployment that an autoscaler of somebody else scales is left to it; only the costs are kept right.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast import errors, kube
from holdfast.core import capacity, placement, reasons, scale_down
from holdfast.core.capacity import Memory, Outlook, Wanted
from holdfast.core.place import Place
from holdfast.core.placement import Manifest
from holdfast.core.scale_down import SeenPod
from holdfast.core.status import Condition
from holdfast.core.values import AgentRef, Reason, Zone
from holdfast.desired import AgentEntry
from holdfast.handlers.children import Children, Settle
from holdfast.handlers.context import Context

_LOG = logging.getLogger(__name__)
FOLLOWS = "ReplicasFollowCalls"
COST = "controller.kubernetes.io/pod-deletion-cost"
NOT_PLACED = Reason("NotPlaced", "no pod of the agent is here yet")
ENDED = ("Succeeded", "Failed")
AGAIN_S = 10.0  # after somebody with calls stood in the way of one fewer
AT_A_TIME = 100
MOMENT_S = 0.5
ALL_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is the same for all agents of a zone at one moment."""

    at: float
    outlook: Outlook | None
    calls: Mapping[str, int]
    agents: int
    hold: Reason | None


@dataclass(slots=True)
class _Scaled:
    """What is known of one agent's pods. `foreign`: who else scales them. `busy`: the pods whose costs say so."""

    zone: str
    memory: Memory
    wanted: Wanted
    shown: str = ""
    foreign: str = ""
    busy: frozenset[str] | None = None
    again_at: float = 0.0
    held: Reason | None = None
    expected: capacity.Due = field(default_factory=lambda: capacity.Due(0, 0))


@dataclass(slots=True)
class Scaler:
    """One per operator, in its event loop."""

    context: Context
    children: Children
    _agents: dict[AgentRef, _Scaled] = field(default_factory=dict)
    _pods: Counter[tuple[str, str]] = field(default_factory=Counter)  # in force, by zone and namespace
    _moments: dict[str, _Moment] = field(default_factory=dict)
    _told: capacity.Told = field(default_factory=dict)
    _outlooks: Mapping[str, tuple[Outlook | None, Reason | None]] = field(default_factory=dict)
    _all_at: float = float("-inf")

    def forget(self, ref: AgentRef) -> None:
        """The agent is gone from here."""
        if scaled := self._agents.pop(ref, None):
            self._pods[scaled.zone, ref.namespace] -= scaled.memory.replicas

    async def restless(self) -> AsyncIterator[AgentRef]:
        """Agents that are to be reconciled for the sake of their calls. A standby remembers nothing: others act."""
        if not self.context.active():
            self._agents.clear()
            self._pods.clear()
            return
        for number, (ref, scaled) in enumerate(self._worth_a_look()):
            if number % AT_A_TIME == AT_A_TIME - 1:
                await asyncio.sleep(0)  # Votes and long polls have their turn between thousands of agents.
            entry = self.context.desired.agents.get(ref)
            if entry is not None and self._agents.get(ref) is scaled and self._moves(entry, scaled):
                yield ref

    def _worth_a_look(self) -> Sequence[tuple[AgentRef, _Scaled]]:
        """Those whose pods told something new, or that wait to lose one; all when a zone changed, or in turn."""
        now, moved = self.context.clock(), self.context.desired.loads_moved
        moments = {name: self._moment(zone) for name, zone in self.context.desired.zones.items()}
        outlooks = {name: (moment.outlook, moment.hold) for name, moment in moments.items()}
        everybody = outlooks != self._outlooks or now >= self._all_at
        if everybody:
            self._outlooks, self._all_at = outlooks, now + ALL_EVERY_S
        chosen = [
            (ref, scaled)
            for ref, scaled in self._agents.items()
            if everybody or ref in moved or scaled.wanted.lower is not None
        ]
        moved.clear()
        return chosen

    def condition(self, ref: AgentRef) -> Condition:
        """Whether the pods follow the calls, or what keeps them from it."""
        scaled = self._agents.get(ref)
        if scaled is None:
            return Condition(FOLLOWS, status=None, reason=NOT_PLACED)
        scaled.shown = _shown(scaled)
        if scaled.foreign:
            text = f"{scaled.foreign} scales the Deployment; its replicas are left alone, and busy pods cost more"
            return Condition(FOLLOWS, status=False, reason=Reason(reasons.SCALED_BY_ANOTHER, text))
        why = scaled.wanted.reason
        return Condition(FOLLOWS, status=why.code == reasons.FOLLOWS_CALLS, reason=why)

    def picture(self) -> list[dict[str, Any]]:
        """What is reckoned with for each agent here, as plain data."""
        return [self._pictured(ref, scaled) for ref, scaled in sorted(self._agents.items())]

    def _pictured(self, ref: AgentRef, scaled: _Scaled) -> dict[str, Any]:
        load, held = self.context.desired.load_of(ref), scaled.wanted.held
        if held is None and scaled.wanted.lower is not None:
            held = scaled.held
        return {
            "agent": str(ref),
            "replicas": scaled.memory.replicas,
            "enough": max(count for _, count in scaled.memory.recent),
            "calls": load.calls,
            "busyPods": load.busy,
            "callsExpected": scaled.expected.now,
            "callsAfterNextLoss": scaled.expected.after,
            "nextLoss": scaled.expected.without,
            "reason": scaled.wanted.reason.code,
            "held": {"reason": held.code, "message": held.message} if held else None,
            "scaledBy": scaled.foreign or "holdfast",
        }

    def held(self, site: Place) -> Settle:
        """The Deployment with as many pods as are wanted; never fewer than it has."""

        def settle(live: Manifest | None) -> Manifest:
            scaled = self._look(site.ref, live)
            if scaled is None:
                return placement.deployment(replace(site, replicas=_replicas(live)))
            return placement.deployment(replace(site, replicas=None if scaled.foreign else scaled.wanted.replicas))

        return settle

    async def follow(self, site: Place) -> None:
        """Take one pod away if one may go, or keep the costs right for whoever else takes them."""
        scaled, now = self._agents.get(site.ref), self.context.clock()
        if scaled is None or now < scaled.again_at:
            return
        try:
            if scaled.foreign and scaled.busy != self._busy(site.ref):
                await self._mark(site.ref, scaled)
            elif not scaled.foreign and scaled.wanted.lower is not None:
                await self._take_one(site, scaled)
        except errors.ClusterError as e:
            # The agent is placed all the same: it has a pod more than it needs, and that is all.
            scaled.again_at = now + 6 * AGAIN_S
            _LOG.warning("pods not lowered", extra={"agent": str(site.ref), "error": str(e)})

    async def _take_one(self, site: Place, scaled: _Scaled) -> None:
        pods = await self._mark(site.ref, scaled)
        if pods is None:
            return
        taken = await self.children.ensure(placement.deployment(site), settle=self._one_fewer(site, pods))
        if not taken:
            scaled.again_at = self.context.clock() + AGAIN_S

    def _one_fewer(self, site: Place, pods: Sequence[SeenPod]) -> Settle:
        """Asked in the moment of the write: everything is looked at once more, and a doubt leaves all as it is."""

        def settle(live: Manifest | None) -> Manifest:
            self._moments.clear()
            scaled, now = self._look(site.ref, live), self.context.clock()
            if live is None or scaled is None or scaled.foreign:
                return self.held(site)(live)
            replicas = scaled.wanted.replicas
            loads = self.context.desired.load_of(site.ref).pods
            scaled.held = _rolling(live) or scale_down.refuse(pods, loads, replicas=replicas, now=now)
            if scaled.wanted.lower is None or scaled.held is not None or _replicas(live) != replicas:
                return placement.deployment(replace(site, replicas=replicas))
            # Remembered before it is written: were the outcome unknown, more pods than remembered are followed.
            self._remember(site.ref, scaled, capacity.lowered(scaled.memory, now))
            scaled.wanted = replace(scaled.wanted, replicas=scaled.wanted.lower, lower=None)
            return placement.deployment(replace(site, replicas=scaled.memory.replicas))

        return settle

    async def _mark(self, ref: AgentRef, scaled: _Scaled) -> Sequence[SeenPod] | None:
        """The pods, if their costs already tell the busy from the idle; else None, and they are told to."""
        selector = f"holdfast.dev/agent={ref.name}"
        listed = await self.context.kube.list(kube.PODS, namespace=ref.namespace, selector=selector)
        pods, busy = [_seen(each) for each in listed], self._busy(ref)
        wrong = scale_down.costs(pods, self.context.desired.load_of(ref).pods)
        for name, cost in wrong.items():
            self.context.ensure_active()
            body = {"metadata": {"annotations": {COST: str(cost)}}}
            try:
                await self.context.kube.patch(kube.PODS, name, body, namespace=ref.namespace)
            except errors.NotFound:
                continue
        scaled.busy = busy
        return None if wrong else pods

    def _busy(self, ref: AgentRef) -> frozenset[str]:
        pods = self.context.desired.load_of(ref).pods
        return frozenset([name for name, pod in pods.items() if pod.calls])

    def _moves(self, entry: AgentEntry, scaled: _Scaled) -> bool:
        """One look from memory, without asking the cluster."""
        if scaled.foreign:
            return scaled.busy != self._busy(entry.ref)
        before, zone = scaled.memory.replicas, self.context.desired.zones.get(entry.zone)
        if zone is None:
            return False
        self._decide(entry, zone, before)
        may_go = scaled.wanted.lower is not None and self.context.clock() >= scaled.again_at
        return scaled.memory.replicas > before or may_go or scaled.shown != _shown(scaled)

    def _look(self, ref: AgentRef, live: Manifest | None) -> _Scaled | None:
        """The same of the Deployment as it was just read; None for an agent whose spec or policy is gone meanwhile."""
        entry = self.context.desired.agents.get(ref)
        zone = self.context.desired.zones.get(entry.zone) if entry else None
        if entry is None or zone is None:
            return None
        scaled = self._decide(entry, zone, _replicas(live))
        scaled.foreign = scaled_by(live)
        return scaled

    def _decide(self, entry: AgentEntry, zone: Zone, live: int) -> _Scaled:
        load, moment, scaled = self.context.desired.load_of(entry.ref), self._moment(zone), self._agents.get(entry.ref)
        expected = capacity.Due(load.calls, load.calls, here=load.calls)
        if moment.outlook is not None:
            calls = capacity.of_agent(load.calls, self.context.release.region, moment.calls, agents=moment.agents)
            expected = capacity.due(calls, moment.outlook)
        wanted, memory = capacity.wanted_replicas(
            load,
            self._limits(entry, zone),
            expected,
            live=live,
            memory=scaled.memory if scaled else None,
            hold=moment.hold or self._reordered(entry),
            now=moment.at,
        )
        if scaled is None:
            scaled = self._agents[entry.ref] = _Scaled(zone.name, replace(memory, replicas=0), wanted)
        scaled.wanted, scaled.expected = wanted, expected
        self._remember(entry.ref, scaled, memory)
        return scaled

    def _remember(self, ref: AgentRef, scaled: _Scaled, memory: Memory) -> None:
        self._pods[scaled.zone, ref.namespace] += memory.replicas - scaled.memory.replicas
        scaled.memory = memory

    def _reordered(self, entry: AgentEntry) -> Reason | None:
        tried = self.context.attempts(entry.ref)
        return None if tried is None else capacity.reordered(tried)

    def _limits(self, entry: AgentEntry, zone: Zone) -> capacity.Limits:
        spec, ceiling = entry.spec, None
        tenant = next((each for each in zone.tenants if entry.ref.namespace in each.namespaces), None)
        if tenant is not None and tenant.max_replicas is not None:
            own = self._agents[entry.ref].memory.replicas if entry.ref in self._agents else 0
            spent = sum(self._pods[zone.name, namespace] for namespace in tenant.namespaces)
            ceiling = tenant.max_replicas - (spent - own)
        return capacity.Limits(
            min_pods=spec.min_pods,
            max_pods=spec.max_pods,
            calls_per_pod=spec.calls_per_pod,
            headroom_percent=zone.guards.headroom_percent,
            ceiling=ceiling,
            max_calls=tenant.max_calls if tenant else None,
        )

    def _moment(self, zone: Zone) -> _Moment:
        """One look serves all agents of a round."""
        now = self.context.clock()
        known = self._moments.get(zone.name)
        if known is None or now - known.at >= MOMENT_S:
            known = self._moments[zone.name] = self._look_round(zone, now)
        return known

    def _look_round(self, zone: Zone, now: float) -> _Moment:
        region, desired = self.context.release.region, self.context.desired
        view, plan = self.context.looks().get(zone.name, (None, None))
        self._told = capacity.last_told(self._told, view.loads if view else {}, now)
        refs = [ref for ref, entry in desired.agents.items() if entry.zone == zone.name]
        # A region tells the sum of all its zones' calls. Here it is known better, and an agent's part is found by it.
        here = sum(pod.calls for ref in refs for pod in desired.loads.get(ref, {}).values())
        elsewhere = {name: self._told[name][1] for name in zone.members if name in self._told}
        return _Moment(
            at=now,
            outlook=capacity.outlook(region, view, in_force=plan.weights) if view and plan else None,
            calls={**elsewhere, region: here},
            agents=len(refs),
            hold=capacity.impairment(region, view),
        )


def scaled_by(live: Manifest | None) -> str:
    """Who scales the Deployment by its scale subresource, if it is an autoscaler and not a person's `kubectl scale`."""
    for entry in (live or {}).get("metadata", {}).get("managedFields") or []:
        manager = str(entry.get("manager", ""))
        owned = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if entry.get("subresource") == "scale" and "f:replicas" in owned and not manager.startswith("kubectl"):
            return manager
    return ""


def _shown(scaled: _Scaled) -> str:
    return scaled.foreign or scaled.wanted.reason.message


def _replicas(live: Manifest | None) -> int:
    return int((live or {}).get("spec", {}).get("replicas") or 0)


def _rolling(live: Manifest) -> Reason | None:
    """Whether another ReplicaSet than the newest may still have pods, or what was last written is not yet followed."""
    status, wanted = live.get("status") or {}, _replicas(live)
    unseen = int(status.get("observedGeneration") or 0) < int(live["metadata"].get("generation") or 0)
    if unseen or int(status.get("updatedReplicas") or 0) != wanted or int(status.get("replicas") or 0) != wanted:
        return Reason(reasons.ROLLING_OUT, "the Deployment is not yet as it was last written")
    return None


def _seen(pod: Mapping[str, Any]) -> SeenPod:
    metadata, status = pod["metadata"], pod.get("status") or {}
    told = (metadata.get("annotations") or {}).get(COST, "0")
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or [])
    return SeenPod(
        name=str(metadata["name"]),
        assigned=bool((pod.get("spec") or {}).get("nodeName")),
        phase=str(status.get("phase", "")),
        ready=ready,
        cost=int(told) if told.lstrip("-").isdigit() else 0,
        leaving=bool(metadata.get("deletionTimestamp")) or status.get("phase") in ENDED,
    )
