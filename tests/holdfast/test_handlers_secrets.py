"""The one Secret that is written beside an agent: it may not be read back, so pods show what they mount."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from scaled_region import REF, Cluster, placed

from holdfast.desired import PodReport
from holdfast.handlers.children import SECRET_AGAIN_S
from holdfast_bridge import settings
from holdfast_bridge.errors import SettingsError

SECRET = "/api/v1/namespaces/clinic/secrets/front-desk-bridge"
TEN_MINUTES = 600.0


def mounted(cluster: Cluster, directory: Path) -> str:
    """What a real pod would show of the Secret as it is now; it keeps polling when it cannot be read."""
    for old in directory.glob("*"):
        old.unlink()
    for name, value in cluster.server.objects.get(SECRET, {}).get("data", {}).items():
        (directory / name).write_bytes(base64.b64decode(value))
    try:
        return settings.read_fleet(directory).proof
    except SettingsError:
        return ""


async def look(cluster: Cluster, *proofs: str, after_s: float) -> None:
    """All pods poll, and some time later the minute's listing has the agent looked at."""
    for number, proof in enumerate(proofs):
        cluster.desired.report(REF, f"p-{number:02}", PodReport(ready=True, holds=proof))
    cluster.now += after_s
    await cluster.reconcile()


async def test_a_secret_that_every_pod_holds_is_written_once(tmp_path: Path):
    cluster = await placed()
    shown = mounted(cluster, tmp_path)
    for _ in range(24):
        await look(cluster, shown, shown, after_s=3600)
    assert len(cluster.server.writes("/secrets/")) == 1


async def test_an_edited_secret_is_put_back(tmp_path: Path):
    cluster = await placed()
    good = cluster.server.objects[SECRET]["data"]
    before = mounted(cluster, tmp_path)
    await look(cluster, before, before, after_s=3600)
    edited = {**good, "carrier-token": base64.b64encode(b"somebody else's").decode()}
    cluster.server.objects[SECRET] = {**cluster.server.objects[SECRET], "data": edited}
    # One pod's kubelet is late: what the other shows is enough.
    await look(cluster, before, mounted(cluster, tmp_path), after_s=60)
    assert cluster.server.objects[SECRET]["data"] == good


async def test_a_deleted_secret_is_made_again(tmp_path: Path):
    cluster = await placed()
    shown = mounted(cluster, tmp_path)
    await look(cluster, shown, after_s=3600)
    good = cluster.server.objects.pop(SECRET)["data"]
    await look(cluster, mounted(cluster, tmp_path), after_s=60)
    assert cluster.server.objects[SECRET]["data"] == good


@pytest.mark.parametrize("proofs", [(), ("",), ("of another Secret",)])
async def test_without_proof_it_is_repeated_every_ten_minutes_at_most(proofs: tuple[str, ...]):
    cluster = await placed()
    for _ in range(60):
        await look(cluster, *proofs, after_s=60)
    assert TEN_MINUTES == SECRET_AGAIN_S
    assert len(cluster.server.writes("/secrets/")) == 1 + 6


async def test_a_new_key_is_written_whatever_pods_hold(tmp_path: Path):
    cluster = await placed()
    shown = mounted(cluster, tmp_path)
    cluster.desired.report(REF, "p-00", PodReport(ready=True, holds=shown))
    cluster.key = b"the next zone key"
    await cluster.reconcile()
    assert base64.b64decode(cluster.server.objects[SECRET]["data"]["zone-key"]) == b"the next zone key"
    assert mounted(cluster, tmp_path) != shown


async def test_white_space_around_a_key_is_no_difference(tmp_path: Path):
    cluster = await placed()
    cluster.key = b"zone-key\n"
    await cluster.reconcile()
    shown = mounted(cluster, tmp_path)
    written = len(cluster.server.writes("/secrets/"))
    await look(cluster, shown, after_s=3600)
    assert len(cluster.server.writes("/secrets/")) == written
