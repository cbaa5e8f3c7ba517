"""Did anything of a call leave its zone? Pure: who connected to whom, and which paths each entry was asked for.

What is allowed is listed; all else between two parties of different zones is a breach. A witness votes (the API port)
and probes the canary through the public entry; nothing else of a zone may reach it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast_gameday.world.connections import SYN, Connection

API_PORT = 6443
ENTRY_PORT = 443
CANARY_PATH = "/a/holdfast-system/canary/"
NO_REQUEST = "<BADREQ>"  # the entry's word for a connection that was closed before anything was asked on it


@dataclass(frozen=True, slots=True)
class Ground:
    """Which address belongs to which zone. Shared vendors (the carrier, the edge) belong to none."""

    regions: Mapping[str, str]  # region ip → zone
    providers: Mapping[str, str]  # speech provider ip → zone
    names: Mapping[str, str]  # ip → name, for the words of a breach


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """One line of an entry's access log."""

    region: str
    source: str
    path: str


def breaches(ground: Ground, connections: Iterable[Connection]) -> list[str]:
    """What the wire saw: only SYNs are judged, because nobody can connect without one."""
    found = []
    for seen in connections:
        if seen.kind != SYN or seen.source not in ground.regions:
            continue
        here = ground.regions[seen.source]
        source, destination = _name(ground, seen.source), _name(ground, seen.destination)
        port = int(seen.address.rpartition(":")[2])
        provider = ground.providers.get(seen.destination)
        if provider is not None and provider != here:
            found.append(f"{source} reached the {provider} provider {destination}")
        there = ground.regions.get(seen.destination)
        if there is not None and there != here and port not in (API_PORT, ENTRY_PORT):
            found.append(f"{source} reached {destination} of zone {there} on port {port}")
    return sorted(set(found))


def entry_breaches(ground: Ground, requests: Iterable[EntryRequest], *, region_zone: Mapping[str, str]) -> list[str]:
    """What came through the entries' TLS: from another zone's region only the canary may be asked for."""
    found = []
    for request in requests:
        source_zone = ground.regions.get(request.source)
        if source_zone is None or source_zone == region_zone[request.region]:
            continue
        if request.path != NO_REQUEST and not request.path.startswith(CANARY_PATH):
            found.append(f"{_name(ground, request.source)} asked {request.region} for {request.path.split('?')[0]}")
    return sorted(set(found))


def stray_requests(
    requests: Iterable[EntryRequest], *, region_zone: Mapping[str, str], agents: Mapping[str, str]
) -> list[str]:
    """Requests for an agent of one zone that arrived at an entry of another. `agents`: path prefix → zone."""
    found = []
    for request in requests:
        for prefix, zone in agents.items():
            if request.path.startswith(prefix) and region_zone[request.region] != zone:
                found.append(f"{request.region} was asked for {prefix} of zone {zone}")
    return sorted(set(found))


def _name(ground: Ground, address: str) -> str:
    return ground.names.get(address, address)
