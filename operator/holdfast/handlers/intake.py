"""Turns what the watches bring into `Desired`, and says which objects are to be looked at because of it.

No I/O. Objects arrive in any order and any number of times; only a new uid or generation is news. A refused edit keeps
the last good one in force, and never touches another object. A number that several policies name is given to no agent
any more, whoever came first: after a restart nobody could tell who that was. Agents that have it keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.api import translate
from holdfast.core import problems
from holdfast.core.agents import AgentSpec
from holdfast.core.values import AgentRef, Reason, Region, Zone
from holdfast.desired import AgentEntry, Desired
from holdfast.handlers.pending import Key
from holdfast.shifts import Orders

Manifest = Mapping[str, Any]
AGENT, POLICY, REGION, CANARY, FLEET = "VoiceAgent", "FailoverPolicy", "Region", "Canary", "Fleet"
DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Pods:
    """What a Deployment says of its pods."""

    ready: int
    wanted: int


@dataclass(slots=True)
class Intake:
    """Manifests as last seen, and what is wrong with them."""

    desired: Desired
    manifests: dict[Key, Manifest] = field(default_factory=dict)
    refused: dict[Key, tuple[Reason, ...]] = field(default_factory=dict)
    pods: dict[AgentRef, Pods] = field(default_factory=dict)
    claims: dict[str, Zone] = field(default_factory=dict)  # policies as they last parsed, followed or not
    contests: dict[str, problems.Contest] = field(default_factory=dict)  # by policy: its numbers that others name, too

    def take(self, kind: str, change: str | None, manifest: Manifest) -> set[Key]:
        """One watch event, or one object of a listing (`change` None)."""
        metadata = manifest["metadata"]
        key = Key(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))
        if change == DELETED or metadata.get("deletionTimestamp"):
            return self._drop(key)
        if key in self.manifests and _version(self.manifests[key]) == _version(manifest):
            return set()
        self.manifests[key] = manifest
        return self._weigh(key)

    def listed(self, kind: str, manifests: Iterable[Manifest]) -> set[Key]:
        """A whole listing: what is no longer in it is gone, even if no watch said so."""
        found: set[Key] = set()
        dirty: set[Key] = set()
        for manifest in manifests:
            metadata = manifest["metadata"]
            found.add(Key(kind, str(metadata.get("namespace") or ""), str(metadata["name"])))
            dirty |= self.take(kind, None, manifest)
        for key in [each for each in self.manifests if each.kind == kind and each not in found]:
            dirty |= self._drop(key)
        if kind == REGION:
            self.desired.know_orders()
        return dirty

    def saw_deployment(self, change: str | None, manifest: Manifest) -> set[Key]:
        """A Deployment of ours."""
        metadata = manifest["metadata"]
        ref = AgentRef(str(metadata["namespace"]), str(metadata["labels"]["holdfast.dev/agent"]))
        if change == DELETED:
            self.pods.pop(ref, None)
        else:
            status = manifest.get("status") or {}
            self.pods[ref] = Pods(int(status.get("readyReplicas") or 0), int(manifest["spec"].get("replicas") or 0))
        key = Key(AGENT, ref.namespace, ref.name)
        return {key if key in self.manifests else Key(CANARY, "", "")}

    def _drop(self, key: Key) -> set[Key]:
        if self.manifests.pop(key, None) is None:
            return set()
        self.refused.pop(key, None)
        if key.kind == AGENT:
            self.desired.drop_agent(AgentRef(key.namespace, key.name))
            return {key}
        if key.kind == POLICY:
            self.desired.drop_zone(key.name)
            self.contests.pop(key.name, None)
            return {key} | self._claim(key.name, None) | self._weigh_agents(key.name)
        self.desired.drop_region(key.name)
        return {key} | self._weigh_policies()

    def _weigh(self, key: Key) -> set[Key]:
        if key.kind == AGENT:
            return self._weigh_agent(key)
        if key.kind == POLICY:
            zone = translate.zone(self.manifests[key])
            others = self._claim(key.name, zone) if isinstance(zone, Zone) else set()
            return others | self._weigh_policy(key)
        region, orders = translate.region(self.manifests[key]), translate.orders(self.manifests[key])
        self._settle(key, () if isinstance(region, Region) else region)
        if isinstance(region, Region) and isinstance(orders, Orders):
            self.desired.put_region(region)
            self.desired.put_orders(region.name, orders)
        return {key} | self._weigh_policies() | {Key(CANARY, "", "")}

    def _claim(self, name: str, zone: Zone | None) -> set[Key]:
        """Note what a policy names now (None: it is gone); weigh the others that name what it names or named."""
        before = self.claims.pop(name, None)
        if zone is not None:
            self.claims[name] = zone
        named = {number for each in (before, zone) if each is not None for number in problems.numbers_of(each)}
        touched = [other for other, each in self.claims.items() if other != name and named & problems.numbers_of(each)]
        return {key for other in touched for key in self._weigh_policy(Key(POLICY, "", other))}

    def _weigh_policies(self) -> set[Key]:
        policies = [each for each in self.manifests if each.kind == POLICY]
        return {key for policy in policies for key in self._weigh_policy(policy)}

    def _weigh_policy(self, key: Key) -> set[Key]:
        """One policy, and the agents that name it."""
        zone = translate.zone(self.manifests[key])
        if not isinstance(zone, Zone):
            self._settle(key, zone)
            return {key}
        wrong = problems.of_policy(zone, self.desired.regions)
        contest = self.contests[key.name] = problems.contested(zone, self.claims.values())
        self._settle(key, (*wrong, *problems.of_numbers(contest)))
        if not wrong:
            self.desired.put_zone(zone)
        return {key} | self._weigh_agents(key.name)

    def _weigh_agents(self, zone: str) -> set[Key]:
        dirty: set[Key] = set()
        for key, manifest in list(self.manifests.items()):
            if key.kind == AGENT and manifest.get("spec", {}).get("failoverPolicy") == zone:
                dirty |= self._weigh_agent(key)
        return dirty

    def _weigh_agent(self, key: Key) -> set[Key]:
        manifest, ref = self.manifests[key], AgentRef(key.namespace, key.name)
        spec = translate.agent(manifest)
        wrong = spec if isinstance(spec, tuple) else self._wrong_with(ref, spec)
        self._settle(key, wrong)
        uid, generation = _version(manifest)
        before = self.desired.agents.get(ref)
        if not wrong and not isinstance(spec, tuple):
            self.desired.put_agent(AgentEntry(ref, uid, generation, zone=spec.zone, spec=spec))
        elif before is not None and before.uid == uid:
            self.desired.put_agent(
                AgentEntry(ref, uid, before.generation, zone=before.zone, spec=before.spec, problems=wrong)
            )
        else:
            # After a restart the last good version is not known, but pods of it may run: their polls are answered.
            self.desired.put_refused(ref, str(manifest.get("spec", {}).get("failoverPolicy", "")))
        return {key}

    def _wrong_with(self, ref: AgentRef, spec: AgentSpec) -> tuple[Reason, ...]:
        contest = self.contests.get(spec.zone, problems.UNCONTESTED)
        return problems.of_agent(ref, spec, self.desired.zones.get(spec.zone), contest=contest)

    def _settle(self, key: Key, wrong: tuple[Reason, ...]) -> None:
        if wrong:
            self.refused[key] = wrong
        else:
            self.refused.pop(key, None)


def _version(manifest: Manifest) -> tuple[str, int]:
    metadata = manifest["metadata"]
    return str(metadata.get("uid", "")), int(metadata.get("generation") or 0)
