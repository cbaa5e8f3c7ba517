"""Pods and NetworkPolicies of one region as the chart and the placement make them: data, no cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import chart
from api_objects import AGENT, POLICY, REGIONS, stored

from holdfast.api import translate
from holdfast.core import place, placement
from holdfast.core.agents import Keys
from holdfast.core.values import AgentRef
from holdfast_gameday import flows, listed_flows
from holdfast_gameday.flows import Pod
from holdfast_gameday.listed_flows import Cast

NODE = "172.30.0.11"
RANGES = ("10.101.0.0/16", "10.96.0.0/16", "fd00:101::/48")
RELEASE = place.Release(
    region="fra", namespace=listed_flows.SYSTEM, bridge_image="bridge:1",
    redis_url="redis://holdfast-redis.holdfast-system.svc:6379/0",
)  # fmt: skip


def sites(*, agent=AGENT, policy=POLICY, **release: Any) -> list[place.Place]:
    """A tenant's agent and the fleet's canary."""
    told = dataclasses.replace(RELEASE, **release)
    regions = {each.name: each for each in map(translate.region, REGIONS)}
    zone = translate.zone(stored(policy))
    return [
        place.Place(
            ref=AgentRef("clinic", "front-desk"), generation=1, spec=translate.agent(agent), keys=Keys(zone_key=b"k"),
            release=told, regions=regions, zone=zone,
        ),
        place.canary(told, regions, probe_key=b"probe", pods=1, owner=None),
    ]  # fmt: skip


def templates(objects: Iterable[dict[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    for each in objects:
        if each["kind"] in {"Deployment", "StatefulSet"}:
            yield each["metadata"]["namespace"], each["spec"]["template"]
        if each["kind"] == "CronJob":
            yield each["metadata"]["namespace"], each["spec"]["jobTemplate"]["spec"]["template"]


def staged(values: dict[str, Any] = chart.VALUES, **placed: Any) -> tuple[Cast, list[dict[str, Any]]]:
    """One pod of everything that runs, with the strangers, and every NetworkPolicy."""
    objects = [*chart.rendered(values).values()]
    for site in sites(**placed):
        objects += placement.objects(site)
    pods = [
        Pod(
            namespace=namespace, name=f"pod-{number}", labels=template["metadata"]["labels"],
            addresses=(f"10.101.0.{number}",), node=(NODE,), ports=flows.named_ports(template["spec"]),
        )
        for number, (namespace, template) in enumerate(templates(objects), start=2)
    ]  # fmt: skip
    names = {each["metadata"].get("namespace") for each in objects} - {None}
    namespaces = {name: {"kubernetes.io/metadata.name": name} for name in names}
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    return listed_flows.cast(pods, namespaces, entry=NODE, strangers="10.101.255."), policies
