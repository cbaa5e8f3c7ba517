"""Copies between clusters: pulled, never pushed, and gone only by a tombstone."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine

import httpx
import pytest
from fleet_apiserver import FakeApiServer

from holdfast import errors, kube, telemetry
from holdfast.copies import TOMBSTONES, Copies

NS = "holdfast-system"
SPEC: dict[str, object] = {"failoverPolicy": "eu"}
NEWER: dict[str, object] = {"failoverPolicy": "eu", "limits": {"callsPerPod": 5}}
MINE: dict[str, object] = {"failoverPolicy": "eu", "limits": {"callsPerPod": 7}}
Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


class Two:
    """Two clusters, each pulling from the other."""

    def __init__(self) -> None:
        self.servers = {name: FakeApiServer(name) for name in ("fra", "ams")}
        self.policy: dict[str, object] = {"regions": [{"name": "fra"}, {"name": "ams"}]}
        self.copies = {name: self.operator(name) for name in self.servers}

    def operator(self, name: str, *, own: kube.Kube | None = None, peer: kube.Kube | None = None) -> Copies:
        other = "ams" if name == "fra" else "fra"
        return Copies(
            region=name,
            own=own or self.servers[name].client(),
            peers={other: peer or self.servers[other].client()},
            namespace=NS,
            wall_s=time.time,
            metrics=telemetry.Metrics(),
        )

    async def apply(self, region: str, spec: dict[str, object]) -> None:
        client = self.servers[region].client()
        policy = {"metadata": {"name": "eu"}, "spec": self.policy}
        await client.apply(kube.POLICIES, policy)
        await client.apply(kube.AGENTS, {"metadata": {"name": "front-desk"}, "spec": spec}, namespace="clinic")

    async def edit(self, region: str, spec: dict[str, object]) -> None:
        """As `kubectl edit` does it."""
        client = self.servers[region].client()
        held = await client.get(kube.AGENTS, "front-desk", namespace="clinic")
        await client.replace(kube.AGENTS, held | {"spec": spec}, namespace="clinic")

    async def agent(self, region: str) -> kube.Object | None:
        try:
            return await self.servers[region].client().get(kube.AGENTS, "front-desk", namespace="clinic")
        except errors.NotFound:
            return None

    async def spec(self, region: str) -> object:
        """Of the agent there, which must be there."""
        held = await self.agent(region)
        assert held is not None
        return held["spec"]

    async def rounds(self, count: int = 2) -> None:
        for _ in range(count):
            for copies in self.copies.values():
                await copies.pull()


async def renewing() -> Two:
    """A copy at rest in ams, and a newer spec at its origin that was not pulled yet."""
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    await two.edit("fra", NEWER)
    return two


def client_of(name: str, handle: Handler) -> kube.Kube:
    return kube.Kube(kube.Access(name=name, server=f"http://{name}"), transport=httpx.MockTransport(handle))


def unheard(server: FakeApiServer) -> Handler:
    """Agents are written, and the answer is lost."""

    async def handle(request: httpx.Request) -> httpx.Response:
        answer = await server.handle(request)
        if request.method in {"POST", "PUT"} and "voiceagents" in request.url.path:
            raise httpx.ReadError("the connection was reset")
        return answer

    return handle


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
    await two.apply("fra", NEWER)
    await two.rounds()
    copy = await two.agent("ams")
    assert copy is not None
    assert copy["spec"]["limits"] == {"callsPerPod": 5}


async def test_an_edit_of_a_copy_makes_its_cluster_the_origin() -> None:
    two = Two()
    await two.apply("fra", SPEC)
    await two.rounds()
    await two.edit("ams", MINE)
    await two.rounds()
    for region, spec in (("fra", SPEC), ("ams", MINE)):
        held = await two.agent(region)
        assert held is not None
        assert held["spec"] == spec
        assert not held["metadata"].get("annotations")
    said = {name: {str(key): reason.code for key, reason in c.notes().items()} for name, c in two.copies.items()}
    assert said == {name: {"VoiceAgent clinic/front-desk": "SpecConflict"} for name in two.servers}


async def test_an_edit_made_while_the_copy_is_renewed_is_not_written_over() -> None:
    """Between the listing of our own cluster and the write lies the listing of every peer."""
    two = await renewing()

    async def edited_meanwhile(request: httpx.Request) -> httpx.Response:
        if await two.spec("ams") == SPEC:
            await two.edit("ams", MINE)
        return await two.servers["fra"].handle(request)

    await two.operator("ams", peer=client_of("fra", edited_meanwhile)).pull()
    await two.rounds()
    assert await two.spec("ams") == MINE


async def test_a_status_that_is_written_while_the_copy_is_renewed_costs_no_round() -> None:
    two = await renewing()

    async def shown_meanwhile(request: httpx.Request) -> httpx.Response:
        status = {"metadata": {"name": "front-desk"}, "status": {"activeCalls": len(two.servers["fra"].requests)}}
        ams = two.servers["ams"].client()
        await ams.patch(kube.AGENTS, "front-desk", status, namespace="clinic", subresource="status")
        return await two.servers["fra"].handle(request)

    await two.operator("ams", peer=client_of("fra", shown_meanwhile)).pull()
    assert await two.spec("ams") == NEWER


async def test_a_copy_whose_write_was_not_heard_of_stays_a_copy() -> None:
    two = Two()
    deaf = two.operator("ams", own=client_of("ams", unheard(two.servers["ams"])))
    await two.apply("fra", SPEC)
    for spec in (SPEC, NEWER):
        if spec is NEWER:
            await two.edit("fra", spec)
        for _ in range(2):  # It is written, and then written again.
            with pytest.raises(errors.ClusterUnreachable):
                await deaf.pull()
        await two.rounds()
        held = await two.agent("ams")
        assert held is not None
        assert held["spec"] == spec
        assert held["metadata"]["annotations"]["holdfast.dev/origin"] == "fra"
        assert not two.copies["ams"].notes()
        two.servers["ams"].requests.clear()
        await two.rounds()
        assert two.servers["ams"].writes() == []


async def test_a_copy_that_the_api_server_refuses_is_told_on_what_is_held() -> None:
    two = await renewing()

    async def refused(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return httpx.Response(422, json={"kind": "Status", "message": "spec.limits: unknown"})
        return await two.servers["ams"].handle(request)

    copies = two.operator("ams", own=client_of("ams", refused))
    await copies.pull()
    ((key, reason),) = copies.notes().items()
    assert (str(key), reason.code) == ("VoiceAgent clinic/front-desk", "CopyRefused")
    assert reason.message.endswith("422 spec.limits: unknown")


async def test_an_object_that_cannot_be_written_keeps_no_other_from_being_copied() -> None:
    """Regression: a 500 for one object, as of a webhook that is ill, ended the round before the next one."""
    two = Two()
    await two.apply("fra", SPEC)

    async def ill(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and "failoverpolicies" in request.url.path:
            return httpx.Response(500, json={"kind": "Status", "message": "the webhook does not answer"})
        return await two.servers["ams"].handle(request)

    with pytest.raises(errors.ClusterUnreachable, match="the webhook does not answer"):
        await two.operator("ams", own=client_of("ams", ill)).pull()
    assert await two.agent("ams") is not None


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
