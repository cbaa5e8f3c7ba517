"""The Kubernetes client: deadlines hold, and every failure becomes one of our errors."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from fleet_apiserver import FakeApiServer

from holdfast import errors, kube


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, errors.Forbidden),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (422, errors.Rejected),
        (429, errors.ClusterUnreachable),
        (500, errors.ClusterUnreachable),
        (503, errors.ClusterUnreachable),
    ],
)
async def test_each_status_becomes_our_error(status: int, error: type[errors.ClusterError]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json={"message": "because"}))
    client = kube.Kube(kube.Access(name="fra", server="http://fra"), transport=transport)
    with pytest.raises(error, match="because"):
        await client.get(kube.REGIONS, "fra")
    await client.close()


async def test_a_server_that_never_answers_is_unreachable_at_the_deadline() -> None:
    server = FakeApiServer("fra", mode="hang")
    async with asyncio.timeout(5):
        with pytest.raises(errors.ClusterUnreachable):
            await server.client().get(kube.REGIONS, "fra", deadline_s=0.05)


async def test_a_refused_connection_is_unreachable() -> None:
    with pytest.raises(errors.ClusterUnreachable):
        await FakeApiServer("fra", mode="down").client().list(kube.REGIONS)


async def test_a_list_that_failed_is_never_an_empty_list() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    client = kube.Kube(kube.Access(name="fra", server="http://fra"), transport=transport)
    with pytest.raises(errors.ClusterUnreachable):
        await client.list(kube.REGIONS)


async def test_replacing_what_somebody_else_changed_is_a_conflict() -> None:
    client = FakeApiServer("fra").client()
    body = {"metadata": {"name": "a"}, "spec": {}}
    first = await client.create(kube.LEASES, body, namespace="ns")
    await client.replace(kube.LEASES, first, namespace="ns")
    with pytest.raises(errors.Conflict):
        await client.replace(kube.LEASES, first, namespace="ns")


async def test_deleting_what_is_gone_is_done_already() -> None:
    await FakeApiServer("fra").client().delete(kube.CONFIG_MAPS, "a", namespace="ns")


async def test_apply_names_one_field_manager_and_forces() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    client = kube.Kube(kube.Access(name="fra", server="http://fra"), transport=httpx.MockTransport(answer))
    await client.apply(kube.CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="ns")
    assert seen[0].url.path == "/api/v1/namespaces/ns/configmaps/a"
    assert dict(seen[0].url.params) == {"fieldManager": "holdfast", "force": "true"}
    assert seen[0].headers["content-type"] == "application/apply-patch+yaml"


async def test_the_token_is_sent_and_never_shown(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(403, json={"message": "no"})

    access = kube.Access(name="fra", server="http://fra", token_file=str(token))
    client = kube.Kube(access, transport=httpx.MockTransport(answer))
    with pytest.raises(errors.Forbidden) as refused:
        await client.list(kube.REGIONS)
    assert seen == ["Bearer s3cret"]
    assert "s3cret" not in str(refused.value)


async def test_a_credential_that_is_not_mounted_yet_is_unreachable_not_a_crash() -> None:
    access = kube.Access(name="fra", server="http://fra", token_file="/nowhere/token")
    client = kube.Kube(access, transport=httpx.MockTransport(lambda _: httpx.Response(200, json={})))
    with pytest.raises(errors.ClusterUnreachable):
        await client.list(kube.REGIONS)


def test_a_kubeconfig_context_becomes_an_access(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        """
current-context: fra
contexts: [{name: fra, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://172.30.0.11:6443", certificate-authority: ca.crt}}]
users: [{name: u, user: {client-certificate: u.crt, client-key: u.key}}]
"""
    )
    access = kube.from_kubeconfig("fra", config)
    assert access.server == "https://172.30.0.11:6443"
    assert access.client_cert == (str(tmp_path / "u.crt"), str(tmp_path / "u.key"))
