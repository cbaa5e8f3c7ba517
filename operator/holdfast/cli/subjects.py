"""What may be asked about, and where it shows: regions, levers, agents, carriers and zones in what was read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdfast.cli.clusters import Cluster, Object
from holdfast.core.explain import Kind, Subject


def known(clusters: Iterable[Cluster]) -> tuple[Subject, ...]:
    """Everything that may be asked about, each once, in the order of `Kind`."""
    found: set[tuple[Kind, str]] = set()
    for cluster in clusters:
        found |= {(Kind.REGION, name_of(each)) for each in cluster.regions}
        found |= {(Kind.AGENT, agent_name(each)) for each in cluster.agents}
        for policy in cluster.policies:
            found.add((Kind.ZONE, name_of(policy)))
            found |= {(Kind.LEVER, str(each["name"])) for each in spec(policy).get("levers") or ()}
            found |= {(Kind.CARRIER, str(each["name"])) for each in spec(policy).get("carriers") or ()}
    order = list(Kind)
    return tuple(Subject(kind, name) for kind, name in sorted(found, key=lambda each: (order.index(each[0]), each[1])))


def matching(subjects: Iterable[Subject], *, name: str, kind: Kind | None, namespace: str) -> tuple[Subject, ...]:
    """Those that a person means by this name. A bare name of an agent is looked for in the namespace."""
    meant = {Subject(each, name) for each in Kind} | {Subject(Kind.AGENT, f"{namespace}/{name}")}
    return tuple(each for each in subjects if each in meant and kind in (None, each.kind))


def nearest(subjects: Iterable[Subject], name: str) -> str:
    """The name that was perhaps meant; empty when none is like it."""
    names = {each.name.rsplit("/", maxsplit=1)[-1]: each.name for each in subjects} | {
        each.name: each.name for each in subjects
    }
    close = difflib.get_close_matches(name, list(names), n=1)
    return names[close[0]] if close else ""


def name_of(found: Object) -> str:
    return str(found["metadata"]["name"])


def agent_name(found: Object) -> str:
    return f"{found['metadata'].get('namespace', '')}/{name_of(found)}"


def spec(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return found.get("spec") or {}


def status(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return found.get("status") or {}


def objects_of(subject: Subject, zones: Sequence[str], clusters: Sequence[Cluster]) -> list[tuple[str, Object]]:
    """The objects that show something of a subject, with the region that shows each; the leader's view comes first."""
    found = []
    for cluster in clusters:
        match subject.kind:
            case Kind.REGION:
                found += [(cluster.region, each) for each in cluster.regions if name_of(each) == subject.name]
            case Kind.AGENT:
                found += [(cluster.region, each) for each in cluster.agents if agent_name(each) == subject.name]
            case _:
                found += [(cluster.region, each) for each in cluster.policies if name_of(each) in zones]
    return sorted(found, key=lambda each: (each[0] != status(each[1]).get("leader"), each[0]))


def zones_of(subject: Subject, clusters: Iterable[Cluster]) -> tuple[str, ...]:
    """The policies that the subject belongs to."""
    found = set()
    for cluster in clusters:
        for policy in cluster.policies:
            wanted = spec(policy)
            named = {
                Kind.REGION: [each["name"] for each in wanted.get("regions") or ()],
                Kind.LEVER: [each["name"] for each in wanted.get("levers") or ()],
                Kind.CARRIER: [each["name"] for each in wanted.get("carriers") or ()],
                Kind.ZONE: [name_of(policy)],
            }
            if subject.name in named.get(subject.kind, ()):
                found.add(name_of(policy))
        found |= {str(spec(each)["failoverPolicy"]) for each in cluster.agents if agent_name(each) == subject.name}
    return tuple(sorted(found))


def out_of(zones: Sequence[str], clusters: Sequence[Cluster]) -> tuple[str, ...]:
    """The regions of these zones that take no new calls."""
    found: set[str] = set()
    for zone in zones:
        for _, policy in objects_of(Subject(Kind.ZONE, zone), (zone,), clusters)[:1]:
            found |= {str(name) for name in status(policy).get("cordoned") or ()}
    return tuple(sorted(found))
