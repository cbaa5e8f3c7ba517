"""What becomes of a cascade in one region: its three stages, their keys and their addresses."""

import pytest
from api_objects import AGENT, CASCADE, CASCADE_HOSTS, REGIONS, changed, granting, stored

from holdfast.api import translate
from holdfast.core import place, placement
from holdfast.core.agents import Keys
from holdfast.core.place import Release
from holdfast.core.values import AgentRef

RELEASE = Release(region="fra", namespace="holdfast-system", bridge_image="bridge:1")
DECLARED = {"declares": ["hipaa", "soc2"]}
TWO_WAYS = {**AGENT, "spec": {
    **AGENT["spec"], "compliance": ["hipaa"], "privacy": {"record": True},
    "attempts": [{**AGENT["spec"]["attempts"][0], **DECLARED}, {**CASCADE, **DECLARED, "weight": 20}],
}}  # fmt: skip
GRANTING = granting(*CASCADE_HOSTS)
KEYS = Keys(zone_key=b"zone", carrier_token=b"token")


def site(manifest=TWO_WAYS, *, policy=GRANTING) -> place.Place:
    return place.Place(
        ref=AgentRef("clinic", "front-desk"), generation=3, spec=translate.agent(manifest), keys=KEYS, release=RELEASE,
        regions={each.name: each for each in map(translate.region, REGIONS)}, zone=translate.zone(stored(policy)),
    )  # fmt: skip


def by_kind(where: place.Place) -> dict:
    return {each["kind"]: each for each in placement.objects(where)}


def test_a_cascade_is_told_with_its_three_stages_and_its_voice_to_the_one_that_speaks():
    told = place.agent_json(site())

    assert told["privacy"] == {"record": True, "vendorStorage": "default"}
    assert [attempt["name"] for attempt in told["attempts"]] == ["openai", "cascade"]
    assert told["attempts"][1] == {
        "name": "cascade", "kind": "cascade", "weight": 20,
        "hearing": {
            "kind": "deepgram-flux", "voice": "", "model": "", "baseUrl": "wss://api.eu.deepgram.com", "query": {},
            "headers": {}, "options": {"endTimeoutMs": 4000, "keyterms": ["Holdfast"], "noStore": True},
            "keyFile": "/etc/holdfast/provider/cascade/hearing/key", "keySource": "Secret clinic/deepgram key api-key",
        },
        "thinking": {
            "kind": "anthropic", "voice": "", "model": "claude-haiku-4-5",
            "baseUrl": "https://gateway.example.com/{tenant}/anthropic", "query": {"call": "{call}"},
            "headers": {"X-Agent": "{agent}"}, "options": {"extra": {"inference_geo": "eu"}},
            "keyFile": "/etc/holdfast/provider/cascade/thinking/key",
            "keySource": "Secret clinic/anthropic key api-key",
        },
        "speaking": {
            "kind": "elevenlabs", "voice": "EXAVITQu4vr4xnSDxMaL", "model": "eleven_flash_v2_5",
            "baseUrl": "wss://api.eu.residency.elevenlabs.io", "query": {}, "headers": {},
            "options": {"stability": 0.5},
            "keyFile": "/etc/holdfast/provider/cascade/speaking/key",
            "keySource": "Secret clinic/elevenlabs key api-key",
        },
    }  # fmt: skip


def test_whom_an_attempt_is_meant_for_is_told_to_the_pods_who_draw_and_replaces_none():
    hours = {"start": "18:00", "end": "08:00", "zone": "Europe/Berlin"}
    ruled = changed(TWO_WAYS, "spec.attempts.0.when", {"callers": ["+49"], "hours": hours})
    ruled = changed(ruled, "spec.attempts.1.when", {"called": ["+4930555010"]})

    first, second = place.agent_json(site(ruled))["attempts"]
    assert first["when"] == {
        "called": [], "callers": ["+49"],
        "hours": {**hours, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
    }  # fmt: skip
    assert second["when"] == {"called": ["+4930555010"], "callers": []}
    assert by_kind(site())["Deployment"] == by_kind(site(ruled))["Deployment"]


@pytest.mark.parametrize(
    ("path", "value", "policy"),
    [
        ("spec.attempts.1.regions", ["ams"], GRANTING),
        ("spec.attempts.1.declares", ["soc2"], GRANTING),
        ("spec.attempts.1.weight", 0, granting(*CASCADE_HOSTS[1:])),
    ],
    ids=["elsewhere", "not compliant", "not granted"],
)
def test_an_attempt_that_may_not_be_made_here_is_not_told_to_a_pod(path, value, policy):
    """It may begin before it hears its operator, and must not try it even then."""
    where = site(changed(TWO_WAYS, path, value), policy=policy)

    assert [attempt["name"] for attempt in place.agent_json(where)["attempts"]] == ["openai"]


def test_where_an_attempt_may_be_made_replaces_no_pod():
    elsewhere = changed(TWO_WAYS, "spec.attempts.1.regions", ["ams"])

    assert by_kind(site())["Deployment"] == by_kind(site(elsewhere))["Deployment"]


def test_the_key_of_every_stage_is_mounted_from_its_own_secret():
    (volume,) = by_kind(site())["Deployment"]["spec"]["template"]["spec"]["volumes"]
    mounted = {
        item["path"]: (each["secret"]["name"], item["key"], each["secret"]["optional"])
        for each in volume["projected"]["sources"] if "secret" in each
        for item in each["secret"]["items"] if item["path"].startswith("provider/")
    }  # fmt: skip

    assert mounted == {
        "provider/openai/key": ("openai", "api-key", True),
        "provider/cascade/hearing/key": ("deepgram", "api-key", True),
        "provider/cascade/thinking/key": ("anthropic", "api-key", True),
        "provider/cascade/speaking/key": ("elevenlabs", "api-key", True),
    }


def test_the_port_of_every_stage_is_let_through():
    bent = changed(TWO_WAYS, "spec.attempts.1.cascade.llm.baseUrl", "https://gateway.example.com:8443/v1")
    bent = changed(bent, "spec.attempts.1.cascade.tts.baseUrl", "wss://api.eu.residency.elevenlabs.io:9443")

    opened = by_kind(site(bent))["NetworkPolicy"]["spec"]["egress"][-1]["ports"]
    assert [each["port"] for each in opened] == [443, 8443, 9443]
