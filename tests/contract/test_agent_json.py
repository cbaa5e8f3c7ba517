"""What the operator writes for a bridge is what a bridge reads: the two share no code, so this is where they meet."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import api_objects as build
import msgspec
import pytest

from holdfast.api import translate
from holdfast.core import latency, place, placement, problems, results
from holdfast.core.agents import Keys
from holdfast_bridge import agent_config, providing, settings, tools

RELEASE = place.Release(
    region="fra", namespace="holdfast-system", bridge_image="bridge:1", image_pull_policy="Never", ingress_class="lab",
    redis_url="redis://holdfast-redis.holdfast-system.svc:6379/0",
)  # fmt: skip
REGIONS = {
    name: translate.region(build.region(name, cloud=cloud, edge=f"pool-{name}"))
    for name, cloud in (("fra", "hetzner"), ("ams", "leaseweb"))
}
KEYS = Keys(zone_key=b"zone", carrier_token=b"token", carrier_api_key=b"SK1", carrier_api_secret=b"secret")


# Everything that may be said of an agent's providers: a realtime attempt, and a cascade in case it fails.
BOTH = build.two_ways(
    cascade={**build.CASCADE, "weight": 20, "regions": ["fra", "ams"], "declares": ["hipaa", "soc2"]},
    compliance=["soc2"], privacy={"record": True},
)  # fmt: skip
WHEN = {"called": ["+4930555010"], "callers": ["+49", "+423"],
        "hours": {"start": "22:00", "end": "06:30", "zone": "Europe/Berlin", "days": ["sat", "sun"]}}  # fmt: skip
BOTH["spec"]["attempts"][0] = {**BOTH["spec"]["attempts"][0], "weight": 80, "declares": ["soc2"], "when": WHEN}


def _agent(manifest=build.AGENT, policy=build.POLICY) -> place.Place:
    ref, spec, zone = manifest["metadata"], translate.agent(manifest), translate.zone(policy)
    named = place.AgentRef(ref["namespace"], ref["name"])
    assert problems.of_agent(named, spec, zone) == ()
    return place.Place(
        ref=named, generation=1, spec=spec, keys=KEYS, release=RELEASE, regions=REGIONS, zone=zone, owner=None,
    )  # fmt: skip


def _both() -> place.Place:
    return _agent(BOTH, build.granting(*build.CASCADE_HOSTS))


def _canary() -> place.Place:
    return place.canary(RELEASE, REGIONS, probe_key=b"probe", pods=1, owner=None)


def _mounted(objects, at: Path, *, keys: bool) -> None:
    """As a kubelet would mount it; the keys of the tenant's Secrets are their names."""
    config = objects["ConfigMap"]["data"]["agent.json"].replace(place.MOUNT, str(at))
    (at / "agent.json").write_text(config)
    (at / "fleet").mkdir()
    for name, value in objects["Secret"]["data"].items():
        (at / "fleet" / name).write_bytes(base64.b64decode(value))
    (volume,) = objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
    for secret in [each["secret"] for each in volume["projected"]["sources"] if keys and "secret" in each]:
        for path in [item["path"] for item in secret["items"] if item["path"].startswith("provider/")]:
            (at / path).parent.mkdir(parents=True)
            (at / path).write_text(f"key of {secret['name']}")


@pytest.mark.parametrize("where", [_agent(), _both(), _canary()], ids=["agent", "two ways", "canary"])
def test_a_bridge_starts_on_what_the_operator_mounts(where, tmp_path):
    objects = {each["kind"]: each for each in placement.objects(where)}
    _mounted(objects, tmp_path, keys=True)

    read = settings.load(tmp_path)

    assert providing.fit(read) is read
    tools.prove(read)
    assert (read.missing_keys, read.usable_attempts) == ((), read.agent.attempts)
    written = json.loads(objects["ConfigMap"]["data"]["agent.json"])
    assert read.agent.id == f"{written['namespace']}/{written['agent']}"
    assert [attempt.name for attempt in read.agent.attempts] == [attempt["name"] for attempt in written["attempts"]]
    assert read.fleet.zone_keys[0]


def test_a_realtime_attempt_and_a_cascade_reach_the_bridge_whole(tmp_path):
    where = _both()
    _mounted({each["kind"]: each for each in placement.objects(where)}, tmp_path, keys=True)

    read = settings.load(tmp_path)

    openai, cascade = read.agent.attempts
    assert json.loads(msgspec.json.encode(openai.when)) == WHEN
    assert (openai.weight, cascade.weight, cascade.when) == (80, 20, None)
    assert (openai.kind, openai.voice, openai.model) == ("openai", "marin", "gpt-realtime")
    assert (cascade.kind, cascade.voice) == ("cascade", "")
    assert (cascade.hearing.kind, cascade.hearing.base_url) == ("deepgram-flux", "wss://api.eu.deepgram.com")
    assert cascade.hearing.options == {"endTimeoutMs": 4000, "keyterms": ["Holdfast"], "noStore": True}
    assert (cascade.thinking.kind, cascade.thinking.model) == ("anthropic", "claude-haiku-4-5")
    assert (cascade.thinking.query, cascade.thinking.headers) == ({"call": "{call}"}, {"X-Agent": "{agent}"})
    assert (cascade.speaking.kind, cascade.speaking.voice) == ("elevenlabs", "EXAVITQu4vr4xnSDxMaL")
    assert read.provider_keys == {
        "openai": "key of openai", "cascade/hearing": "key of deepgram", "cascade/thinking": "key of anthropic",
        "cascade/speaking": "key of elevenlabs",
    }  # fmt: skip


def test_a_tool_in_the_cluster_whose_requests_are_signed_reaches_the_bridge_whole(tmp_path):
    webhook = {
        "url": "https://tools.example.com/look", "network": "cluster", "cacheSeconds": 60, "timeoutMs": 900,
        "signing": {"current": {"secret": "booking", "key": "new"}, "previous": {"secret": "booking", "key": "old"}},
    }  # fmt: skip
    bent = build.changed(build.changed(build.AGENT, "spec.tools.0.sideEffects", False), "spec.tools.0.webhook", webhook)
    where = _agent(bent, build.changed(build.POLICY, "spec.tenants.0.toolNetworks", ["10.96.0.0/12"]))
    objects = {each["kind"]: each for each in placement.objects(where)}
    _mounted(objects, tmp_path, keys=True)

    assert settings.load(tmp_path).missing_keys == (
        "Secret clinic/booking key new", "Secret clinic/booking key old",
    )  # fmt: skip
    for name in ("current", "previous"):
        (tmp_path / "tool" / "book").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tool" / "book" / name).write_text(f"secret {name}")
    read = settings.load(tmp_path)

    tools.prove(read)
    (tool,) = read.agent.tools
    assert (tool.networks, tool.cache_seconds, tool.timeout_ms) == (("10.96.0.0/12",), 60, 900)
    assert (read.tool_secrets, read.missing_keys) == ({"book": ("secret current", "secret previous")}, ())


def test_both_sides_call_the_parts_alike():
    """Outcomes are counted, and trials asked for, by these names."""
    where = _both()
    read = agent_config.decode_agent(json.dumps(place.agent_json(where)).encode(), source="agent.json")

    counted = [part.name for part in results.attempts(where.ref, where.spec, where.zone).parts]
    assert counted == [part for attempt in read.attempts for part in attempt.parts]


def test_the_key_of_each_stage_that_is_missing_is_told_as_the_tenant_wrote_it(tmp_path):
    _mounted({each["kind"]: each for each in placement.objects(_both())}, tmp_path, keys=False)

    assert settings.load(tmp_path).missing_keys == (
        "Secret clinic/openai key api-key", "Secret clinic/deepgram key api-key",
        "Secret clinic/anthropic key api-key", "Secret clinic/elevenlabs key api-key",
    )  # fmt: skip


def test_budgets_reach_every_part_they_are_meant_for():
    spoken = {"sttMs": 200, "llmMs": 150, "firstAudioMs": 1400}
    manifest = {**BOTH, "spec": {**BOTH["spec"], "latency": spoken}}
    told = place.agent_json(_agent(manifest, build.granting(*build.CASCADE_HOSTS)))
    assert told["latency"] == spoken
    read = agent_config.decode_agent(json.dumps(told).encode(), source="test")
    assert read.budgets_ms == latency.budgets_ms(translate.agent(manifest))
    assert set(read.budgets_ms.values()) == {200, 150, 1400}
    assert agent_config.decode_agent(json.dumps(place.agent_json(_both())).encode(), source="test").budgets_ms == {}
