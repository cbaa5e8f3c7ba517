"""An operator that starts anew while the newest edit of an agent is refused: the agent's pods run on and are served."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from api_objects import AGENT, POLICY, REGIONS, changed, stored
from fleet_apiserver import FakeApiServer
from fleet_range import no_probe

from holdfast import bridges, clock, fleet_picture, fleet_secrets, main, telemetry
from holdfast.core.place import operator_token
from holdfast.core.values import AgentRef
from holdfast.desired import Desired
from holdfast.fleet_carriers import CarrierReports
from holdfast.fleet_latency import FleetLatency
from holdfast.fleet_providers import FleetProviders
from holdfast.fleet_tools import FleetTools
from holdfast.handlers.intake import AGENT as VOICE_AGENT
from holdfast.handlers.intake import POLICY as FAILOVER_POLICY
from holdfast.handlers.intake import REGION, Intake

NS = "holdfast-system"
REF = AgentRef("clinic", "front-desk")
REFUSED = [
    changed(AGENT, "spec.telephony.numbers.0.number", "+4930555099"),
    changed(AGENT, "spec.attempts.0.realtime.baseUrl", "wss://us.api.openai.com/v1/realtime"),
    changed(AGENT, "spec.attempts.0.realtime.options", {"loudness": 11}),
]


def restarted(agent: dict[str, object]) -> Desired:
    """What an operator knows once its watches have told it everything, and nothing from before."""
    intake = Intake(Desired())
    for region in REGIONS:
        intake.take(REGION, None, stored(region))
    intake.take(FAILOVER_POLICY, None, stored(POLICY))
    intake.take(VOICE_AGENT, None, stored(agent, generation=2))
    return intake.desired


async def answered(desired: Desired, *, key: bytes) -> tuple[int, dict[str, object]]:
    """One poll of a pod that holds this zone key."""
    cluster = FakeApiServer("fra")
    cluster.objects[f"/api/v1/namespaces/{NS}/secrets/zone-eu"] = {
        "metadata": {"name": "zone-eu"}, "data": {"current": base64.b64encode(b"zone-key").decode()},
    }  # fmt: skip
    known = FleetProviders(region="fra", desired=desired, probe=no_probe, clock=clock.now, on_change=lambda: None)
    desk = bridges.Bridges(
        desired=desired,
        compose=lambda agent: fleet_picture.directive(agent, "fra", desired, {}, fleet_picture.Here(known.order)),
        providers=known,
        tools=FleetTools(desired=desired, clock=clock.now),
        carriers=CarrierReports(desired=desired, failed=lambda _carrier, _why: None),
        latency=FleetLatency(desired=desired, clock=clock.now),
        keys=main._Keys(desired, fleet_secrets.Secrets(cluster.client(), NS), Path("no-probe-key")),
        clock=clock.now,
        metrics=telemetry.Metrics(),
    )
    said = {"pod": "p-1", "podUid": "u", "agent": str(REF), "region": "fra", "version": 0, "ready": True}
    token = operator_token(key, REF)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        TestClient(TestServer(bridges.poll_app(desk))) as client,
        client.post("/v1/poll", json=said, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


@pytest.mark.parametrize("agent", REFUSED)
async def test_pods_of_an_agent_whose_newest_edit_is_refused_are_told_their_buddy_and_regions(agent) -> None:
    desired = restarted(agent)
    assert REF not in desired.agents
    status, told = await answered(desired, key=b"zone-key")
    assert status == 200
    assert told["buddy"] == "ams"
    assert [line["name"] for line in told["regions"]] == ["fra", "ams"]
    assert told["attempts"] == [], "the order in the pod's own file stands"


async def test_they_still_must_prove_the_key_of_their_zone() -> None:
    status, _ = await answered(restarted(REFUSED[0]), key=b"another-key")
    assert status == 401


def test_an_edit_that_is_mended_is_followed_again() -> None:
    intake = Intake(restarted(REFUSED[0]))
    intake.take(VOICE_AGENT, "MODIFIED", stored(AGENT, generation=3))
    assert intake.desired.agents[REF].accepted
    assert intake.desired.refused == {}


def test_an_agent_that_is_deleted_is_served_no_longer() -> None:
    desired = restarted(REFUSED[0])
    desired.drop_agent(REF)
    assert desired.zone_of(REF) is None
