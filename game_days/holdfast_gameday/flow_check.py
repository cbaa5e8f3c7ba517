"""The flows of a region of the lab, held against the NetworkPolicies of its cluster.

Nothing in the lab enforces a policy, so nothing is dropped and every flow that Holdfast wants is seen; what the
policies would have said is read off the objects. Only the local backend has namespaces of the network to look into.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast_gameday import flows, listed_flows
from holdfast_gameday.cluster import Cluster
from holdfast_gameday.flows import Flow, Json, Pod
from holdfast_gameday.lab import names, network
from holdfast_gameday.lab.commands import LabError, run

DEADLINE_S = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """`judged` flows had a pod at one end at least. Without any, that there are no violations says nothing."""

    judged: tuple[Flow, ...]
    violations: tuple[str, ...]


async def seen_flows(region: str) -> list[Flow]:
    """Every flow that the region's kernel remembers: open ones, and those that ended a short while ago."""
    netns = names.REGIONS[region].netns
    return flows.parse(
        await run([*network.inside(netns), "conntrack", "-L", "-o", "extended"], deadline_s=DEADLINE_S)
    )


async def node_addresses(region: str) -> list[str]:
    """Every address of the region's one node: what its own processes may speak to its pods from."""
    netns = names.REGIONS[region].netns
    shown = await run([*network.inside(netns), "ip", "-json", "address", "show"], deadline_s=DEADLINE_S)
    return sorted({each["local"] for link in json.loads(shown) for each in link["addr_info"] if "local" in each})


async def judge(cluster: Cluster, region: str, *, values: Collection[str] = ()) -> Judgement:
    """`values`: which of the narrowing chart values (`listed_flows.ENTRY_NAMED`, …) the region is installed with.

    The flows are read before the pods: a pod that comes meanwhile has no flow yet, and one that went is nobody.
    """
    known = names.REGIONS[region]
    seen = await seen_flows(region)
    node = await node_addresses(region)
    pods = flows.pods_of(await _objects(cluster, "pods", "-A"), node=node)
    namespaces = flows.namespaces_of(await _objects(cluster, "namespaces"))
    policies = (await _objects(cluster, "networkpolicies.networking.k8s.io", "-A")).get("items") or []
    judged = judgeable(seen, pods, known.pod_range)
    # The end of the range is the last that the node would give to a pod.
    strangers = known.pod_range.rsplit(".", 2)[0] + ".255."
    cast = listed_flows.cast(pods, namespaces, entry=known.ip, strangers=strangers)
    wrong = [
        *unexplained(judged, policies, pods, namespaces),
        *listed_flows.denied(listed_flows.NEEDED, cast, policies),
        *listed_flows.let_through(listed_flows.FORBIDDEN, cast, policies, values=values),
    ]
    return Judgement(judged=tuple(judged), violations=tuple(f"{region}: {each}" for each in wrong))


async def violations(cluster: Cluster, region: str) -> list[str]:
    """A sentence for each flow that was seen and no policy allows, and for each listed one that is judged wrongly."""
    return list((await judge(cluster, region)).violations)


async def _objects(cluster: Cluster, *words: str) -> Json:
    document = await cluster.read(*words)
    if not isinstance(document, dict):
        raise LabError(f"{cluster.context}: `kubectl get {' '.join(words)}` found nothing")
    return document


def judgeable(seen: Iterable[Flow], pods: Sequence[Pod], pod_range: str) -> list[Flow]:
    """Flows with a pod at one end and somebody known at the other.

    A pod that has meanwhile gone could have been anything. A Service's own address is nobody's: its pods are not behind
    it yet, the packet went astray, and once they are the next one is seen as a flow to them.
    """
    alive = {address for pod in pods for address in pod.addresses}
    node = {address for pod in pods for address in pod.node}
    ranges = [ipaddress.ip_network(each) for each in (pod_range, names.SERVICE_RANGE)]

    def nobody(address: str) -> bool:
        known = address in alive or address in node
        return not known and any(ipaddress.ip_address(address) in each for each in ranges)

    return [
        flow
        for flow in seen
        if (flow.source in alive or flow.destination in alive)
        and not nobody(flow.source)
        and not nobody(flow.destination)
    ]


def unexplained(
    judged: Iterable[Flow],
    policies: Collection[Json],
    pods: Sequence[Pod],
    namespaces: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """A sentence for each flow that no policy allows."""
    who = {address: str(pod) for pod in pods for address in pod.addresses}
    found = []
    for flow in judged:
        verdict = flows.allowed(flow, policies, pods, namespaces)
        if not verdict.allowed:
            source, destination = who.get(flow.source, flow.source), who.get(flow.destination, flow.destination)
            found.append(f"{source} reached {destination} on {flow.protocol} {flow.port}, but {verdict.by}")
    return sorted(set(found))
