"""What the operator writes for a bridge is what a bridge reads: the two share no code, so this is where they meet."""

from __future__ import annotations

import base64
import json

import api_objects as build
import pytest

from holdfast.api import translate
from holdfast.core import place, placement
from holdfast.core.agents import Keys
from holdfast_bridge import settings

RELEASE = place.Release(
    region="fra", namespace="holdfast-system", bridge_image="bridge:1", image_pull_policy="Never", ingress_class="lab",
    redis_url="redis://holdfast-redis.holdfast-system.svc:6379/0",
)  # fmt: skip
REGIONS = {
    name: translate.region(build.region(name, cloud=cloud, edge=f"pool-{name}"))
    for name, cloud in (("fra", "hetzner"), ("ams", "leaseweb"))
}
KEYS = Keys(zone_key=b"zone", carrier_token=b"token", carrier_api_key=b"SK1", carrier_api_secret=b"secret")


def _agent() -> place.Place:
    ref, spec = build.AGENT["metadata"], translate.agent(build.AGENT)
    return place.Place(
        ref=place.AgentRef(ref["namespace"], ref["name"]), generation=1, spec=spec, keys=KEYS, release=RELEASE,
        regions=REGIONS, zone=translate.zone(build.POLICY), owner=None,
    )  # fmt: skip


def _canary() -> place.Place:
    return place.canary(RELEASE, REGIONS, probe_key=b"probe", pods=1, owner=None)


@pytest.mark.parametrize("where", [_agent(), _canary()], ids=["agent", "canary"])
def test_a_bridge_starts_on_what_the_operator_mounts(where, tmp_path):
    objects = {each["kind"]: each for each in placement.objects(where)}
    (tmp_path / "agent.json").write_text(objects["ConfigMap"]["data"]["agent.json"])
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    for name, value in objects["Secret"]["data"].items():
        (fleet / name).write_bytes(base64.b64decode(value))

    read = settings.load(tmp_path)

    written = json.loads(objects["ConfigMap"]["data"]["agent.json"])
    assert read.agent.id == f"{written['namespace']}/{written['agent']}"
    assert [attempt.name for attempt in read.agent.attempts] == [attempt["name"] for attempt in written["attempts"]]
    assert read.fleet.zone_keys[0]
