"""What attempts on Vertex AI add to pods: a token of their own to exchange, or a way to the metadata server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from api_objects import AGENT, REGIONS, granting, stored

from holdfast.api import translate
from holdfast.core import kinds, place, placement
from holdfast.core.agents import Attempt, KeyRef, Keys
from holdfast.core.place import Release
from holdfast.core.values import AgentRef

POOL = "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/clinic/providers/fra"
MACHINE = {("169.254.169.254/32", 80), ("169.254.169.252/32", 988)}


def gemini(name: str, **vertex: str) -> Attempt:
    said = {"vertex": {"project": "clinic", "location": "europe-west4", **vertex}} if vertex.pop("on", "yes") else {}
    return Attempt(
        name, "gemini", model="gemini-live", base_url="wss://europe-west4-aiplatform.googleapis.com", options=said,
        key=KeyRef("vertex", "credentials"),
    )  # fmt: skip


def objects(*attempts: Attempt) -> dict:
    spec = replace(translate.agent(AGENT), attempts=attempts)
    where = place.Place(
        ref=AgentRef("clinic", "front-desk"), generation=1, spec=spec, keys=Keys(zone_key=b"zone"),
        release=Release(region="fra", namespace="holdfast-system", bridge_image="b", cluster_ranges=("10.0.0.0/8",)),
        regions={each.name: each for each in map(translate.region, REGIONS)}, zone=translate.zone(stored(granting())),
    )  # fmt: skip
    return {each["kind"]: each for each in placement.objects(where)}


def reached(made: dict) -> set[tuple[str, int]]:
    """(range, port) pairs that pods may reach, of ranges that are named."""
    rules = made["NetworkPolicy"]["spec"]["egress"]
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer for port in rule["ports"]
    }  # fmt: skip


def test_a_provider_that_is_to_be_shown_the_pods_token_gets_one_that_is_for_it_alone():
    made = objects(gemini("b", audience=POOL + "-2"), gemini("a", audience=POOL))
    pod = made["Deployment"]["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["volumes"][1] == {"name": "tokens", "projected": {"defaultMode": 0o440, "sources": [
        {"serviceAccountToken": {"audience": POOL, "expirationSeconds": 3600, "path": "a"}},
        {"serviceAccountToken": {"audience": POOL + "-2", "expirationSeconds": 3600, "path": "b"}},
    ]}}  # fmt: skip
    assert pod["containers"][0]["volumeMounts"][1] == {
        "name": "tokens", "mountPath": "/var/run/holdfast/tokens", "readOnly": True,
    }  # fmt: skip


def test_googles_token_exchange_is_reached_as_every_provider_is_and_the_machine_is_not():
    made = objects(gemini("a", audience=POOL))

    assert ("0.0.0.0/0", 443) in reached(made)
    assert not reached(made) & MACHINE


def test_where_the_machine_vouches_for_the_pod_its_metadata_server_is_reached_and_nothing_is_mounted():
    made = objects(gemini("a"), gemini("b", audience=POOL))

    assert reached(made) >= MACHINE
    assert [each["name"] for each in objects(gemini("a"))["Deployment"]["spec"]["template"]["spec"]["volumes"]] == [
        "holdfast"
    ]


def test_an_agent_that_is_not_on_vertex_gets_neither():
    made = objects(gemini("a", on=""))

    assert len(made["Deployment"]["spec"]["template"]["spec"]["volumes"]) == 1
    assert not reached(made) & MACHINE


@pytest.mark.parametrize(
    "audience",
    ["", "https://kubernetes.default.svc", "//iam.googleapis.com/projects/7", f"{POOL}/", f"https://x.com/?a={POOL}"],
)
def test_a_token_is_for_googles_pools_only(audience: str):
    """With one for the cluster's API server a tenant's prompt would stand beside rights in the cluster."""
    [(field, what)] = kinds.wrong(gemini("a", audience=audience), language="en")

    assert field == "options.vertex"
    assert what.endswith("and maybe audience, of a workload identity provider")
    assert len(objects(gemini("a", audience=audience))["Deployment"]["spec"]["template"]["spec"]["volumes"]) == 1
    assert not list(kinds.wrong(gemini("a", audience=f"https:{POOL}"), language="en"))
