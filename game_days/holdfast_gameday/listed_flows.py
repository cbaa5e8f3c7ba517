"""The flows that Holdfast needs, the flows that must not be, and the flows that NetworkPolicies cannot stop. Pure.

Each is written between roles. `cast` finds the pods that play them and invents the strangers, whom no cluster need
have: what is asked is what the policies would say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from holdfast_gameday.flows import Flow, Json, Pod, allowed

SYSTEM: Final = "holdfast-system"
NAME: Final = "app.kubernetes.io/name"
# Values of the chart that narrow who may come in; without them the default is open, and said to be.
ENTRY_NAMED: Final = "ingress.from"
METRICS_NAMED: Final = "metrics.namespaces"
RANGES_NAMED: Final = "networkPolicy.clusterRanges"

# Addresses that documentation keeps free: nobody of any cluster has them.
INTERNET: Final = "203.0.113.10"
PEER_API: Final = "203.0.113.20"
OWN_API: Final = "198.51.100.1"
DNS: Final = "198.51.100.53"


@dataclass(frozen=True, slots=True)
class Listed:
    """A flow between two roles, and why it is needed or must not be. `when`: the chart's value it presupposes."""

    source: str
    destination: str
    port: int
    why: str
    protocol: str = "TCP"
    when: str = ""

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.protocol} {self.port}"


NEEDED: Final[tuple[Listed, ...]] = (
    *(Listed("entry", role, port, "calls and webhooks come in")
      for role in ("agent", "canary") for port in (8080, 8081)),
    *(Listed(role, "redis", 6379, "this region's copy of the journal") for role in ("agent", "canary")),
    *(Listed(role, "operator", 8090, "the long poll") for role in ("agent", "canary")),
    *(Listed(role, "dns", 53, "names", protocol)
      for role in ("agent", "canary", "operator", "gameday") for protocol in ("UDP", "TCP")),
    Listed("agent", "internet", 443, "providers, tools, the carrier and the buddy"),
    Listed("operator", "peer-api", 6443, "heartbeats, votes and copies"),
    Listed("operator", "own-api", 6443, "everything that an operator places"),
    Listed("operator", "own-api", 443, "the same, where it listens there"),
    Listed("operator", "internet", 443, "probes of entries, levers, carriers and reference targets"),
    Listed("prometheus", "operator", 9090, "figures"),
    Listed("gameday", "own-api", 6443, "the rehearsal reads its own cluster"),
    Listed("gameday", "own-api", 443, "the same, where it listens there"),
    Listed("kubelet", "agent", 8080, "liveness and readiness"),
    Listed("kubelet", "canary", 8080, "liveness and readiness"),
    Listed("kubelet", "operator", 9090, "liveness and readiness"),
    Listed("kubelet", "redis", 6379, "liveness and readiness"),
)  # fmt: skip

FORBIDDEN: Final[tuple[Listed, ...]] = (
    *(Listed("agent", "neighbour", port, "one tenant's agent has no business with another tenant's pods")
      for port in (80, 5432, 8080)),
    *(Listed("agent", stranger, 443, "TLS leads to providers, not into the cluster", when=RANGES_NAMED)
      for stranger in ("neighbour", "shop", "foreign-agent")),
    Listed("agent", "shop", 8080, "nor with its own tenant's, which are no tools"),
    Listed("agent", "foreign-agent", 8080, "agents meet through the entries, where signatures are checked"),
    Listed("agent", "redis", 22, "of Redis only its own port"),
    Listed("agent", "redis", 443, "of Redis only its own port"),
    Listed("agent", "operator", 9090, "figures of the fleet are not the tenant's"),
    Listed("agent", "own-api", 6443, "a bridge holds no credential of Kubernetes and needs none"),
    Listed("agent", "internet", 80, "what leaves is encrypted"),
    Listed("agent", "internet", 25, "no mail"),
    Listed("shop", "redis", 6379, "Redis has no password: only bridges may speak to it"),
    Listed("neighbour", "redis", 6379, "Redis has no password: only bridges may speak to it"),
    Listed("operator", "redis", 6379, "the journal of calls is none of the operator's business"),
    Listed("prometheus", "redis", 6379, "Redis has no password: only bridges may speak to it"),
    Listed("shop", "operator", 8090, "only bridges poll"),
    Listed("internet", "operator", 8090, "only bridges poll"),
    Listed("shop", "agent", 8080, "webhooks come through the entry", when=ENTRY_NAMED),
    Listed("shop", "agent", 8081, "audio comes through the entry", when=ENTRY_NAMED),
    Listed("neighbour", "agent", 8080, "webhooks come through the entry", when=ENTRY_NAMED),
    Listed("shop", "operator", 9090, "figures of the fleet are not the tenant's", when=METRICS_NAMED),
    *(Listed("redis", target, port, "a store answers and never asks")
      for target, port in (("internet", 443), ("own-api", 6443), ("operator", 8090), ("agent", 8080), ("dns", 53))),
    Listed("canary", "internet", 443, "it loops audio back: no provider, no carrier, no buddy"),
    Listed("canary", "own-api", 443, "a bridge holds no credential of Kubernetes and needs none"),
    Listed("canary", "agent", 8080, "the fleet's own agent knows no tenant's"),
    Listed("gameday", "redis", 6379, "the rehearsal reads wishes and conditions, never calls"),
    Listed("gameday", "operator", 8090, "only bridges poll"),
    Listed("internet", "gameday", 8080, "it listens to nobody"),
)  # fmt: skip

# Said rather than hidden: what is let through although nobody wants it, and what would close it.
OPEN: Final[tuple[Listed, ...]] = (
    Listed("impostor", "redis", 6379, "who may label pods in any namespace may look like a bridge; closed by who may "
           "create pods there, or by a Redis of the user's own with a password"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which role, by address. Roles that nobody plays are absent."""

    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    roles: Mapping[str, tuple[str, ...]]


def cast(
    pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]], *, entry: str, strangers: str = "192.0.2."
) -> Cast:
    """`entry`: the address from which the entry speaks to the bridges. `strangers`: how the strangers' begin."""
    bridges = [pod for pod in pods if pod.labels.get(NAME) == "holdfast-bridge"]
    found = {
        "agent": [pod for pod in bridges if pod.namespace != SYSTEM],
        "canary": [pod for pod in bridges if pod.namespace == SYSTEM],
        **{role: [pod for pod in pods if pod.namespace == SYSTEM and pod.labels.get(NAME) == f"holdfast-{role}"]
           for role in ("operator", "redis", "gameday")},
    }  # fmt: skip
    tenants = sorted({pod.namespace for pod in found["agent"]})

    def invented(number: int, namespace: str, name: str) -> Pod:
        return Pod(namespace, name, {NAME: name}, (f"{strangers}{number}",))

    unknown = {
        "shop": [invented(1 + n, tenant, "shop") for n, tenant in enumerate(tenants)],
        "impostor": [invented(101 + n, tenant, "holdfast-bridge") for n, tenant in enumerate(tenants)],
        "neighbour": [invented(201, "neighbour", "shop")],
        "foreign-agent": [invented(202, "neighbour", "holdfast-bridge")],
        "prometheus": [invented(203, "monitoring", "prometheus")],
    }
    known = {
        **namespaces,
        **{name: {"kubernetes.io/metadata.name": name} for name in ("neighbour", "monitoring")},
    }
    nodes = tuple(sorted({address for pod in pods for address in pod.node[:1]}))
    outside = {
        "entry": (entry,), "kubelet": nodes[:1], "internet": (INTERNET,), "peer-api": (PEER_API,),
        "own-api": (OWN_API,), "dns": (DNS,),
    }  # fmt: skip
    playing = {**found, **unknown}
    roles = {role: tuple(pod.addresses[0] for pod in each) for role, each in playing.items()}
    return Cast(
        pods=(*pods, *(pod for each in unknown.values() for pod in each)),
        namespaces=known,
        roles={role: addresses for role, addresses in {**outside, **roles}.items() if addresses},
    )


def flows(listed: Listed, of: Cast) -> list[Flow]:
    """The flow for every pair that plays its roles; none where a role is not played."""
    return [
        Flow(source, destination, listed.port, listed.protocol)
        for source in of.roles.get(listed.source, ())
        for destination in of.roles.get(listed.destination, ())
    ]


def denied(needed: Iterable[Listed], of: Cast, policies: Collection[Json]) -> list[str]:
    """What is needed and not let through, as sentences."""
    found = []
    for listed in needed:
        for flow in flows(listed, of):
            verdict = allowed(flow, policies, of.pods, of.namespaces)
            if not verdict.allowed:
                found.append(f"{listed} is needed ({listed.why}), but {verdict.by}")
    return sorted(set(found))


def let_through(
    forbidden: Iterable[Listed], of: Cast, policies: Collection[Json], *, values: Collection[str] = ()
) -> list[str]:
    """What must not be and is let through, as sentences. `values`: which of the narrowing chart values are set."""
    found = []
    for listed in forbidden:
        if listed.when and listed.when not in values:
            continue
        for flow in flows(listed, of):
            verdict = allowed(flow, policies, of.pods, of.namespaces)
            if verdict.allowed:
                found.append(f"{listed} is forbidden ({listed.why}), but let through: {verdict.by}")
    return sorted(set(found))
