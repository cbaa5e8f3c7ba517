"""Copies between clusters: pulled, never pushed, and gone only by a tombstone."""

from __future__ import annotations

import time

from fleet_apiserver import FakeApiServer

from holdfast import errors, kube, telemetry
from holdfast.copies import TOMBSTONES, Copies

NS = "holdfast-system"
SPEC = {"failoverPolicy": "eu"}


class Two:
    """Two clusters, each pulling from the other."""

    def __init__(self) -> None:
        self.servers = {name: FakeApiServer(name) for name in ("fra", "ams")}
        self.policy: dict[str, object] = {"regions": [{"name": "fra"}, {"name": "ams"}]}
        self.copies = {name: self.operator(name) for name in self.servers}

    def operator(self, name: str) -> Copies:
        other = "ams" if name == "fra" else "fra"
        return Copies(
            region=name,
            own=self.servers[name].client(),
            peers={other: self.servers[other].client()},
            namespace=NS,
            wall_s=time.time,
            metrics=telemetry.Metrics(),
        )

    async def apply(self, region: str, spec: dict[str, object]) -> None:
        client = self.servers[region].client()
        policy = {"metadata": {"name": "eu"}, "spec": self.policy}
        await client.apply(kube.POLICIES, policy)
        await client.apply(kube.AGENTS, {"metadata": {"name": "front-desk"}, "spec": spec}, namespace="clinic")

    async def agent(self, region: str) -> kube.Object | None:
        try:
            return await self.servers[region].client().get(kube.AGENTS, "front-desk", namespace="clinic")
        except errors.NotFound:
            return None

    async def rounds(self, count: int = 2) -> None:
        for _ in range(count):
            for copies in self.copies.values():
                await copies.pull()


async def test_an_agent_applied_in_one_region_appears_in_the_other_with_its_origin() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    copy = await two.agent("ams")
    original = await two.agent("fra")
    assert copy is not None
    assert original is not None
    assert copy["spec"] == SPEC
    assert copy["metadata"]["annotations"]["holdfast.dev/origin"] == "fra"
    assert copy["metadata"]["annotations"]["holdfast.dev/origin-uid"] == original["metadata"]["uid"]


async def test_when_nothing_changes_nothing_is_written() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    for server in two.servers.values():
        server.requests.clear()
    await two.rounds(3)
    assert [server.writes() for server in two.servers.values()] == [[], []]


async def test_a_change_at_the_origin_is_followed() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    await two.apply("fra", {"failoverPolicy": "eu", "limits": {"callsPerPod": 5}})
    await two.rounds()
    copy = await two.agent("ams")
    assert copy is not None
    assert copy["spec"]["limits"] == {"callsPerPod": 5}


async def test_a_deletion_at_the_origin_removes_the_copy_and_leaves_a_tombstone_in_both() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    await two.servers["fra"].client().delete(kube.AGENTS, "front-desk", namespace="clinic")
    await two.rounds()
    assert await two.agent("ams") is None
    assert await two.agent("fra") is None
    for server in two.servers.values():
        assert f"/api/v1/namespaces/{NS}/configmaps/{TOMBSTONES}" in server.objects
    assert [len(copies.stones()) for copies in two.copies.values()] == [1, 1]


async def test_a_deletion_while_the_other_region_is_down_reaches_it_when_it_returns() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    two.servers["ams"].mode = "down"
    await two.servers["fra"].client().delete(kube.AGENTS, "front-desk", namespace="clinic")
    await two.copies["fra"].pull()
    two.servers["ams"].mode = "up"
    await two.rounds()
    assert await two.agent("ams") is None


async def test_a_deletion_while_no_operator_ran_is_noticed_by_the_next_one() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    await two.servers["fra"].client().delete(kube.AGENTS, "front-desk", namespace="clinic")
    two.copies = {name: two.operator(name) for name in two.servers}
    await two.rounds()
    assert await two.agent("ams") is None


async def test_an_unreachable_origin_never_costs_a_copy() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    two.servers["fra"].mode = "down"
    await two.copies["ams"].pull()
    assert await two.agent("ams") is not None


async def test_a_witness_gets_the_policy_and_never_an_agent() -> None:
    """What tenants wrote stays in the zone; a witness only has to know whom it votes for."""
    two = Two()
    two.policy = {"regions": [{"name": "fra"}], "witnesses": ["ams"]}
    await two.apply("fra", SPEC)
    await two.rounds()
    assert await two.agent("ams") is None
    assert "/apis/holdfast.dev/v1alpha1/failoverpolicies/eu" in two.servers["ams"].objects


async def test_a_cluster_outside_the_zone_gets_nothing() -> None:
    two = Two()
    two.policy = {"regions": [{"name": "fra"}]}
    await two.apply("fra", SPEC)
    await two.rounds()
    assert not [path for path in two.servers["ams"].objects if "holdfast.dev" in path]
