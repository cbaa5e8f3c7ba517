"""The watches in a running kopf, on a real API server: what is applied is placed, and nothing of kopf stays on it."""

import asyncio
import contextlib
import json

import kopf
import pytest
from api_objects import AGENT, POLICY, REGIONS, ZONE_SECRETS
from apiserver import conditions, until

from holdfast import fleet_secrets, handlers
from holdfast.core.place import Release
from holdfast.desired import Desired

pytestmark = pytest.mark.cluster


@contextlib.asynccontextmanager
async def watching(api):
    """Not a fixture: kopf, when it ends, cancels every task that began after it, such as a fixture's end."""
    client = api.client("fra")
    registry = kopf.OperatorRegistry()
    context = handlers.Context(
        kube=client, secrets=fleet_secrets.Secrets(client, "holdfast-system"), desired=Desired(),
        release=Release(region="fra", namespace="holdfast-system", bridge_image="bridge:1"), active=lambda: True,
        events=handlers.Recorder(client, pod="operator-1", wall=lambda: "2026-11-21T08:00:00Z"),
        wall=lambda: "2026-11-21T08:00:00Z",
    )  # fmt: skip
    reconciler = handlers.register(registry, context)

    @kopf.on.login(registry=registry)
    def login(**_):
        return kopf.ConnectionInfo(server=api.url, ca_path=str(api.ca_file), token=api.token_file.read_text())

    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(reconciler.run()),
        asyncio.create_task(kopf.operator(
            registry=registry, settings=settings, standalone=True, clusterwide=True, stop_flag=stop,
        )),
    ]  # fmt: skip
    yield reconciler
    stop.set()
    tasks[0].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[0]
    async with asyncio.timeout(20):
        await tasks[1]
    await client.close()


async def test_what_is_applied_is_placed_and_what_is_deleted_is_forgotten(api):
    async with watching(api) as reconciler:
        await _applied_and_deleted(api, reconciler)


async def _applied_and_deleted(api, watching):
    manifests = watching.intake.manifests
    await asyncio.sleep(1)  # The first listing is over: what follows comes by the watches alone.
    api.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)

    await until(lambda: conditions(api, "va", "front-desk").get("PodsReady", ("",))[0] == "False")

    metadata = json.loads(api.kubectl("get", "va", "front-desk", "-n", "clinic", "-o", "json").stdout)["metadata"]
    assert "finalizers" not in metadata
    assert not [name for name in metadata["annotations"] if "kopf" in name]

    api.kubectl("delete", "va", "front-desk", "-n", "clinic", "--timeout=5s")
    await until(lambda: not [key for key in manifests if key.kind == "VoiceAgent"])
