"""Who talked to whom in a cluster, and what its NetworkPolicies say to that. Pure: text and objects in, verdicts out.

It says what the API of networking.k8s.io/v1 says, whether or not a network plug-in enforces it. It refuses to know
Holdfast: which flows are needed or forbidden is `listed_flows`' business.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

_PAIR = re.compile(r"(?<!\S)(src|dst|sport|dport)=(\S+)")
_WITH_PORTS = {"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}
_EGRESS, _INGRESS = "Egress", "Ingress"


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """One connection as the two ends see it: the sender before, the receiver after any translation of addresses."""

    source: str
    destination: str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.protocol} {self.port}"


def parse(listing: str) -> list[Flow]:
    """The distinct flows in the output of `conntrack -L -o extended`, in a fixed order.

    Each line bears two tuples: as the sender wrote it, and as the answer is expected. The answer comes from where the
    packets really went, so its source is the destination behind a Service. Protocols without ports are left out: a
    NetworkPolicy says nothing about them.
    """
    return sorted({flow for line in listing.splitlines() if (flow := _flow(line)) is not None})


def _flow(line: str) -> Flow | None:
    words = line.split()
    if words and words[0] in {"ipv4", "ipv6"}:
        words = words[2:]
    if len(words) < 4 or words[0] not in _WITH_PORTS:
        return None
    # Nobody saw this one begin, so nobody knows which end opened it.
    if words[0] == "tcp" and "[UNREPLIED]" in words and words[3] not in {"SYN_SENT", "SYN_SENT2"}:
        return None
    original: dict[str, str] = {}
    answer: dict[str, str] = {}
    for key, value in _PAIR.findall(line):
        (answer if key in original else original)[key] = value
    if "src" not in original or "src" not in answer or "sport" not in answer:
        return None
    return Flow(original["src"], answer["src"], int(answer["sport"]), _WITH_PORTS[words[0]])


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with an address of its own. `node` is every address from which its own node may speak to it."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    node: tuple[str, ...] = ()
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (name, protocol) -> number

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def pods_of(document: Json, *, node: Collection[str] = ()) -> list[Pod]:
    """The pods in the output of `kubectl get pods -A -o json` to which NetworkPolicies apply.

    Pods on the host's network share the node's address, and ended ones have given theirs back: neither is here. `node`
    are further addresses of the node, for clusters of one node only.
    """
    found = []
    for item in document.get("items") or []:
        status, spec, metadata = item.get("status") or {}, item.get("spec") or {}, item["metadata"]
        addresses = _addresses(status, "podIP")
        if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"} or not addresses:
            continue
        found.append(Pod(
            namespace=metadata["namespace"], name=metadata["name"], labels=metadata.get("labels") or {},
            addresses=addresses, node=tuple(dict.fromkeys((*_addresses(status, "hostIP"), *node))),
            ports=named_ports(spec),
        ))  # fmt: skip
    return found


def _addresses(status: Json, name: str) -> tuple[str, ...]:
    several = [each.get("ip") if "ip" in each else each.get("hostIP") for each in status.get(f"{name}s") or []]
    return tuple(dict.fromkeys(each for each in (status.get(name), *several) if each))


def named_ports(pod_spec: Json) -> dict[tuple[str, str], int]:
    containers = [*(pod_spec.get("initContainers") or []), *(pod_spec.get("containers") or [])]
    return {
        (port["name"], port.get("protocol", "TCP")): port["containerPort"]
        for container in containers
        for port in container.get("ports") or []
        if "name" in port
    }


def namespaces_of(document: Json) -> dict[str, Mapping[str, str]]:
    """Labels by name, from `kubectl get namespaces -o json`."""
    return {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in document.get("items") or []}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` names the policies that let the flow through, or says why it needs none, or why none does."""

    allowed: bool
    by: str


def allowed(
    flow: Flow, policies: Iterable[Json], pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]]
) -> Verdict:
    """Both ends have a say: what isolates the sender must let it out, what isolates the receiver must let it in."""
    if flow.source == flow.destination:
        return Verdict(True, "a pod cannot be kept from itself")
    source, destination = _at(flow.source, pods), _at(flow.destination, pods)
    policies = list(policies)
    sides = []
    if source is not None:
        sides.append(_side(_End(flow, _EGRESS, source, destination), policies, namespaces))
    if destination is not None:
        sides.append(_side(_End(flow, _INGRESS, destination, source), policies, namespaces))
    if not sides:
        return Verdict(True, "no pod takes part")
    refused = next((side for side in sides if not side.allowed), None)
    return refused or Verdict(True, "; ".join(side.by for side in sides))


def _at(address: str, pods: Sequence[Pod]) -> Pod | None:
    return next((pod for pod in pods if address in pod.addresses), None)


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a flow: the pod that is asked, and what it sees at the other end."""

    flow: Flow
    direction: str
    pod: Pod
    other: Pod | None

    @property
    def other_address(self) -> str:
        return self.flow.destination if self.direction == _EGRESS else self.flow.source

    @property
    def receiver(self) -> Pod | None:
        return self.other if self.direction == _EGRESS else self.pod


def _side(end: _End, policies: list[Json], namespaces: Mapping[str, Mapping[str, str]]) -> Verdict:
    isolating = [policy for policy in policies if _isolates(policy, end)]
    if not isolating:
        return Verdict(True, f"no policy isolates {end.pod} for {end.direction}")
    side = "to" if end.direction == _EGRESS else "from"
    for policy in isolating:
        for rule in policy["spec"].get(end.direction.lower()) or []:
            peers = rule.get(side) or []
            from_here = not peers or any(_matches(peer, end, policy, namespaces) for peer in peers)
            if from_here and _on_port(rule.get("ports") or [], end):
                return Verdict(True, _name(policy))
    if end.direction == _INGRESS and end.other_address in end.pod.node:
        return Verdict(True, "a pod's own node may always reach it")
    names = ", ".join(_name(policy) for policy in isolating)
    return Verdict(False, f"{names} isolates {end.pod} for {end.direction} and has no rule for it")


def _name(policy: Json) -> str:
    return f"{policy['metadata'].get('namespace', 'default')}/{policy['metadata']['name']}"


def _isolates(policy: Json, end: _End) -> bool:
    spec = policy["spec"]
    # Where the types are left out, Ingress is one, and Egress if there are rules for it.
    types = spec.get("policyTypes") or [_INGRESS, *([_EGRESS] if spec.get("egress") else [])]
    return (
        end.direction in types
        and policy["metadata"].get("namespace", "default") == end.pod.namespace
        and selects(spec.get("podSelector") or {}, end.pod.labels)
    )


def _matches(peer: Json, end: _End, policy: Json, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    if "ipBlock" in peer:
        return _within(end.other_address, peer["ipBlock"])
    if end.other is None:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"] or {}, namespaces.get(end.other.namespace, {})):
            return False
    elif end.other.namespace != policy["metadata"].get("namespace", "default"):
        return False
    return selects(peer.get("podSelector") or {}, end.other.labels)


def _within(address: str, block: Json) -> bool:
    """By address alone. The API leaves open whether a block also means pods, so one that covers them counts."""
    seen = ipaddress.ip_address(address)
    return seen in ipaddress.ip_network(block["cidr"]) and not any(
        seen in ipaddress.ip_network(hole) for hole in block.get("except") or []
    )


def _on_port(ports: Sequence[Json], end: _End) -> bool:
    return not ports or any(_is_port(port, end) for port in ports)


def _is_port(port: Json, end: _End) -> bool:
    protocol, number = port.get("protocol", "TCP"), port.get("port")
    if protocol != end.flow.protocol:
        return False
    if number is None:
        return True
    if isinstance(number, str):
        # A name is the receiver's own; who is no pod has no names.
        return end.receiver is not None and end.receiver.ports.get((number, protocol)) == end.flow.port
    return bool(number <= end.flow.port <= port.get("endPort", number))


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """A label selector of the API. The empty one selects everything."""
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or []
    )


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"a label selector has no operator {expression['operator']!r}")
