"""One whole operator as a process, on a real kube-apiserver: it takes its region, shows what it sees, leaves well."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import apiserver
import pytest

from holdfast import main
from holdfast.core.place import operator_token
from holdfast_gameday.world.ports import free_ports

pytestmark = pytest.mark.cluster

NS = "holdfast-system"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "operator-0", "namespace": NS},
    "spec": {"containers": [{"name": "operator", "image": "operator"}]},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.ApiServer]:
    if not apiserver.available():
        pytest.skip("no kube-apiserver, etcd and kubectl: run `make tools`")
    with apiserver.running(tmp_path_factory.mktemp("apiserver")) as server:
        assert server.kubectl("apply", "-f", "crds").returncode == 0
        server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        for namespace in ("clinic", NS):
            server.kubectl("create", "namespace", namespace)
        yield server


@asynccontextmanager
async def operator(
    cluster: apiserver.ApiServer, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int, int]]:
    """`python -m holdfast` for region fra, with its log in the folder, and its ports for polls and metrics."""
    poll, metrics = free_ports(2)
    (folder / "probe").write_text("probe-key")
    content = {
        "region": "fra",
        "namespace": NS,
        "regions": [{"name": "fra", "host": "fra.voice.example.com", "jurisdiction": "eu"}],
        "zones": ["eu"],
        "canaryReplicas": 0,
        "probeKeyFile": str(folder / "probe"),
        "pollPort": poll,
        "metricsPort": metrics,
    }
    (folder / "settings.json").write_text(json.dumps(content))
    environment = os.environ | {
        "HOLDFAST_SETTINGS": str(folder / "settings.json"),
        "HOLDFAST_KUBECONFIG": str(cluster.kubeconfig),
        "POD_NAME": "operator-0",
        "POD_UID": "uid-0",
    }
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "holdfast", env=environment, stdout=log, stderr=log
        )
    try:
        yield process, poll, metrics
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        print((folder / "log").read_text()[-6000:])


def label(cluster: apiserver.ApiServer) -> str:
    found = cluster.kubectl("get", "pod", "operator-0", "-n", NS, "-o", "jsonpath={.metadata.labels}")
    labels: dict[str, str] = json.loads(found.stdout or "{}")
    return labels.get("holdfast.dev/active", "")


@asynccontextmanager
async def held_poll(port: int) -> AsyncIterator[None]:
    """A pod of the canary that waits for news: it may not hold up the end."""
    headers = {"Authorization": "Bearer " + operator_token(b"probe-key", main.CANARY)}
    said = {"pod": "p-1", "podUid": "u", "agent": str(main.CANARY), "region": "fra", "ready": True}
    url = f"http://127.0.0.1:{port}/v1/poll"
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(url, json=said) as answer:
            version = (await answer.json())["version"]
        waiting = asyncio.create_task(session.post(url, json=said | {"version": version}).__aenter__())
        done, _ = await asyncio.wait((waiting,), timeout=0.2)
        assert not done
        try:
            yield
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


def region_lease(cluster: apiserver.ApiServer) -> dict[str, Any]:
    found = cluster.kubectl("get", "lease", "holdfast-region", "-n", NS, "-o", "json")
    read: dict[str, Any] = json.loads(found.stdout) if found.returncode == 0 else {}
    return read


async def test_an_operator_takes_its_region_shows_it_and_gives_it_back(
    cluster: apiserver.ApiServer, tmp_path: Path
) -> None:
    applied = cluster.apply(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Region",
            "metadata": {"name": "fra"},
            "spec": {"jurisdiction": "eu", "host": "fra.voice.example.com", "origins": {"edge": "pool-fra"}},
        }
    )
    assert applied.returncode == 0, applied.stderr
    cluster.apply(POD)
    async with operator(cluster, tmp_path) as (process, poll_port, metrics_port):
        await apiserver.until(
            lambda: region_lease(cluster).get("spec", {}).get("holderIdentity") == "uid-0", within_s=30
        )
        await apiserver.until(
            lambda: "holdfast.dev/heartbeat" in region_lease(cluster)["metadata"].get("annotations", {})
        )
        await apiserver.until(lambda: _observers(cluster) == ["fra"], within_s=30)
        await apiserver.until(lambda: "Accepted" in apiserver.conditions(cluster, "region", "fra"))
        assert cluster.kubectl("get", "lease", "holdfast-fleet-eu", "-n", NS).returncode == 0
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
                assert "holdfast_active 1.0" in await answer.text()
            async with session.get(f"http://127.0.0.1:{metrics_port}/readyz") as answer:
                assert answer.status == 200
        await apiserver.until(lambda: label(cluster) == "true")
        async with held_poll(poll_port):
            process.send_signal(signal.SIGTERM)
            await apiserver.until(lambda: region_lease(cluster)["spec"].get("holderIdentity", "") == "", within_s=10)
            await apiserver.until(lambda: label(cluster) == "false", within_s=10)
            async with asyncio.timeout(10):
                assert await process.wait() == 0
    assert "probe-key" not in (tmp_path / "log").read_text()


def _observers(cluster: apiserver.ApiServer) -> list[str]:
    found = json.loads(cluster.kubectl("get", "region", "fra", "-o", "json").stdout)
    return [seen["observer"] for seen in found.get("status", {}).get("observations", [])]
