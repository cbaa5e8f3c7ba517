"""Gathers what proves residency after a run: the wire, the entries' logs, the stores, the levers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from holdfast_gameday import residency as rules
from holdfast_gameday.credentials import SYSTEM
from holdfast_gameday.installation import AGENT, TENANT, Installation
from holdfast_gameday.lab import names, paths
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.practice import PracticeRange
from holdfast_gameday.residency import EntryRequest, Ground
from holdfast_gameday.result import Claim, Residency
from holdfast_gameday.scenario import Scenario


async def residency(installation: Installation, world: PracticeRange, scenario: Scenario) -> Residency:
    ground = Ground(
        regions={region.ip: installation.layout.zone_of[region.name] for region in names.REGIONS.values()},
        providers={names.HOSTS[f"{zone}.api.openai.com"]: zone for zone in world.speech},
        names={address: name for name, address in names.HOSTS.items()},
    )
    requests = entry_requests()
    agents = {f"/a/{TENANT[zone]}/{AGENT[zone]}/": zone for zone in TENANT}
    breaches = [
        *rules.breaches(ground, world.connections.entries),
        *rules.entry_breaches(ground, requests, region_zone=installation.layout.zone_of),
        *rules.stray_requests(requests, region_zone=installation.layout.zone_of, agents=agents),
    ]
    foreign = await foreign_keys(installation, scenario)
    return Residency(
        held=not breaches and not foreign,
        connections=len(world.connections.entries) + len(requests),
        breaches=tuple(breaches),
        foreign_keys=tuple(foreign),
        lever_writes=tuple(lever_writes(world)),
    )


def entry_requests() -> list[EntryRequest]:
    """Every request that any entry saw, from the access logs that outlive their region."""
    found = []
    for name in names.REGIONS:
        log = paths.region(name) / "entry.log"
        if not log.exists():
            continue
        for line in log.read_text(errors="replace").splitlines():
            try:
                seen = json.loads(line)
            except ValueError:
                continue  # HAProxy's own notices share the file
            found.append(EntryRequest(region=name, source=seen.get("source", ""), path=seen.get("path", "")))
    return found


async def foreign_keys(installation: Installation, scenario: Scenario) -> list[str]:
    """Keys of the scenario's calls in the stores of regions outside its zone."""
    found = []
    for name in installation.regions:
        if installation.layout.zone_of[name] != scenario.policy:
            try:
                found += [f"{name}: {key}" for key in await _keys(installation, name, scenario)]
            except LabError as error:
                return [f"{name}: its store could not be read: {error}"]
    return found


async def kept_at_home(installation: Installation, scenario: Scenario, dead: str) -> Claim:
    """That the same question finds the journals inside the zone: else finding none outside would prove nothing."""
    home = next(name for name in installation.layout.members(scenario.policy) if name != dead)
    try:
        count = len(await _keys(installation, home, scenario))
    except LabError:
        count = 0
    wanted = f"keys in {home}'s Redis"
    return Claim(name="journals lie in the zone", wanted=wanted, seen=f"{count} keys", held=count > 0)


async def _keys(installation: Installation, region: str, scenario: Scenario) -> list[str]:
    """Only names of keys are read."""
    pattern = f"*{scenario.agent}*"
    found = await installation.regions[region].kubectl(
        "exec", "-n", SYSTEM, "statefulset/holdfast-redis", "--", "redis-cli", "--scan", "--pattern", pattern
    )
    return found.split()


def lever_writes(world: PracticeRange) -> list[str]:
    """Who changed routing at the edge and at the carrier, oldest first. Hanging up a call is no lever."""
    by_address = {region.ip: region.name for region in names.REGIONS.values()}

    def writer(source: str) -> str:
        return by_address.get(source, source)

    lines = [
        (write.at, f"edge: {write.kind} {write.name}: {_changed(write.after)}, by {writer(write.writer.source)}")
        for write in world.cloudflare.state.writes
    ]
    lines += [
        (write.at, f"carrier: {write.params.get('FriendlyName', write.resource)}: URLs, by {writer(write.source)}")
        for write in world.twilio.state.writes
        if not write.resource.startswith("Calls")
    ]
    return [text for _, text in sorted(lines)]


def _changed(after: Mapping[str, Any]) -> str:
    if "enabled" in after:
        return "on" if after["enabled"] else "off"
    return ", ".join(sorted(after)) or "nothing"
