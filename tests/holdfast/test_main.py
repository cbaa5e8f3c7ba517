"""One whole operator as a process, on a real kube-apiserver: it takes its region, shows what it sees, leaves well."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import apiserver
import pytest

pytestmark = pytest.mark.cluster

NS = "holdfast-system"


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
async def operator(cluster: apiserver.ApiServer, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """`python -m holdfast` for region fra, with its log in the folder."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        poll, metrics = one.getsockname()[1], two.getsockname()[1]
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
        yield process, metrics
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        print((folder / "log").read_text()[-6000:])


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
    async with operator(cluster, tmp_path) as (process, metrics_port):
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
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            assert await process.wait() == 0
        assert region_lease(cluster)["spec"].get("holderIdentity", "") == ""
    assert "probe-key" not in (tmp_path / "log").read_text()


def _observers(cluster: apiserver.ApiServer) -> list[str]:
    found = json.loads(cluster.kubectl("get", "region", "fra", "-o", "json").stdout)
    return [seen["observer"] for seen in found.get("status", {}).get("observations", [])]
