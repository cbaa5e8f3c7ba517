"""An agent's objects in one region, checked as data."""

import base64
import json
from dataclasses import fields, replace

import pytest
from api_objects import AGENT, POLICY, REGIONS, changed, stored

from holdfast.api import translate
from holdfast.core import place, placement
from holdfast.core.agents import KeyRef, Keys, Owner
from holdfast.core.place import Release
from holdfast.core.values import AgentRef

RELEASE = Release(
    region="fra", namespace="holdfast-system", bridge_image="bridge:1", ingress_class="holdfast-lab",
    redis_url="redis://holdfast-redis.holdfast-system.svc:6379/0",
)  # fmt: skip
REGION_VALUES = {each.name: each for each in map(translate.region, REGIONS)}
KEYS = Keys(zone_key=b"zone", carrier_token=b"token", carrier_api_key=b"SK1", carrier_api_secret=b"hush")


def site(manifest=AGENT, *, keys=KEYS, release=RELEASE, policy=POLICY) -> place.Place:
    return place.Place(
        ref=AgentRef("clinic", "front-desk"), generation=3, spec=translate.agent(manifest), keys=keys, release=release,
        regions=REGION_VALUES, zone=translate.zone(stored(policy)),
        owner=Owner("holdfast.dev/v1alpha1", "VoiceAgent", "front-desk", "u-1"),
    )  # fmt: skip


def by_kind(where: place.Place) -> dict:
    return {each["kind"]: each for each in placement.objects(where)}


def canary(release=RELEASE) -> place.Place:
    return place.canary(release, REGION_VALUES, probe_key=b"probe", pods=1, owner=None)


def test_the_configuration_is_what_bridges_read():
    assert place.agent_json(site()) == {
        "version": 1, "namespace": "clinic", "agent": "front-desk", "generation": 3, "region": "fra", "zone": "eu",
        "policyHost": "eu.voice.example.com",
        "regions": [
            {"name": "fra", "host": "fra.voice.example.com", "weight": 50},
            {"name": "ams", "host": "ams.voice.example.com", "weight": 50},
        ],
        "buddy": "ams",
        "persona": {"instructions": "Be brief.", "greeting": "Hello.", "disclosure": "An assistant.", "language": "en"},
        "attempts": [{
            "name": "openai", "weight": 0, "kind": "openai", "voice": "marin", "model": "gpt-realtime",
            "baseUrl": "wss://eu.api.openai.com/v1/realtime", "query": {}, "headers": {}, "options": {},
            "keyFile": "/etc/holdfast/provider/openai/key", "keySource": "Secret clinic/openai key api-key",
        }],
        "tools": [{
            "name": "book", "description": "Books.",
            "parameters": {"type": "object", "properties": {"time": {"type": "string"}}},
            "url": "https://tools.example.com/book", "timeoutMs": 2000, "sideEffects": True,
            "networks": [], "cacheSeconds": 0, "signingFiles": [], "signingSources": [],
        }],
        "turns": {
            "bargeIn": True, "silenceMs": 500, "tone": True, "whileTool": {"say": "", "afterMs": 1200},
            "whenSilent": {"say": "", "afterSeconds": 10, "times": 2},
        },
        "limits": {"callsPerPod": 50, "maxCallSeconds": 3600},
        "escalation": {"transferTo": "", "voicemail": False},
        "latency": {},
        "privacy": {"record": False, "vendorStorage": "default"},
        "carrier": {
            "name": "twilio-eu", "kind": "twilio", "accountSid": "AC" + "e0" * 16, "apiUrl": "https://api.twilio.com",
        },
        "operatorUrl": "http://holdfast-operator.holdfast-system.svc:8090",
        "redisUrl": "redis://holdfast-redis.holdfast-system.svc:6379/0",
        "drainSeconds": 600,
    }  # fmt: skip


def test_the_canary_loops_back_and_reaches_no_carrier():
    told = place.agent_json(canary())

    assert told["attempts"] == [{"name": "loopback", "kind": "loopback"}]
    assert told["carrier"] == {"name": "canary", "kind": "canary"}
    assert (told["namespace"], told["agent"], told["buddy"]) == ("holdfast-system", "canary", None)
    assert [rule["host"] for rule in by_kind(canary())["Ingress"]["spec"]["rules"]] == ["fra.voice.example.com"]


def test_the_canary_is_signed_for_by_the_probe_key_alone():
    data = by_kind(canary())["Secret"]["data"]

    assert data["zone-key"] == data["carrier-token"] == base64.b64encode(b"probe").decode()
    assert "carrier-api-key" not in data


@pytest.mark.parametrize("where", [site(), canary()], ids=["agent", "canary"])
def test_every_object_bears_the_same_name_and_labels(where):
    for each in placement.objects(where):
        assert each["metadata"]["name"] == where.name
        assert each["metadata"]["namespace"] == where.ref.namespace
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "holdfast"
        assert each["metadata"]["labels"]["holdfast.dev/agent"] == where.ref.name


def test_everything_ends_with_its_agent():
    for each in placement.objects(site()):
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("VoiceAgent", "u-1", True)


@pytest.mark.parametrize("where", [site(), canary()], ids=["agent", "canary"])
def test_pods_satisfy_the_restricted_standard(where):
    pod = by_kind(where)["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {"projected"}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize(
    ("replicas", "written"),
    [(0, {"replicas": 2}), (7, {"replicas": 7}), (None, {})],
    ids=["minimum", "told", "not ours"],
)
def test_replicas_are_what_is_told_else_the_minimum_and_not_named_where_somebody_else_scales(replicas, written):
    spec = by_kind(replace(site(), replicas=replicas))["Deployment"]["spec"]

    assert {key: value for key, value in spec.items() if key == "replicas"} == written


def test_the_canary_has_as_many_pods_as_its_release_says():
    assert by_kind(canary())["Deployment"]["spec"]["replicas"] == 1


def test_a_pod_has_as_long_to_end_as_the_policy_says():
    """The canary, which has no policy, has as long as its own drain needs."""
    bent = changed(POLICY, "spec.inFlight", {"drainSeconds": 600, "graceSeconds": 601})
    graces = [
        by_kind(where)["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for where in (site(policy=bent), site(), canary())
    ]

    assert graces == [601, 660, 40]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.persona.instructions", "Be briefer."),
        ("spec.attempts.0.voice", "cedar"),
        ("spec.attempts.0.realtime.model", "gpt-realtime-2"),
        ("spec.attempts.0.realtime.kind", "gemini"),
        ("spec.attempts.0.weight", 5),
        ("spec.privacy", {"record": True}),
        ("spec.tools", []),
        ("spec.turns", {"silenceMs": 700}),
        ("spec.limits", {"callsPerPod": 10}),
    ],
)
def test_what_a_pod_reads_again_replaces_no_pod(path, value):
    """An edit of a prompt must not push every call to another pod."""
    before, after = by_kind(site()), by_kind(site(changed(AGENT, path, value)))

    assert before["ConfigMap"] != after["ConfigMap"]
    assert before["Deployment"] == after["Deployment"]


def test_a_rotated_key_and_a_changed_weight_replace_no_pod():
    before = by_kind(site())
    rotated = by_kind(site(keys=Keys(zone_key=b"new", zone_key_previous=b"zone", carrier_token=b"token")))
    weighted = by_kind(site(policy=changed(POLICY, "spec.regions.0.weight", 10)))

    assert before["Secret"] != rotated["Secret"]
    assert before["Deployment"] == rotated["Deployment"] == weighted["Deployment"]


def test_another_provider_secret_does_replace_pods():
    moved = changed(AGENT, "spec.attempts.0.realtime.apiKey.secret", "openai-2")

    assert by_kind(site())["Deployment"] != by_kind(site(moved))["Deployment"]


def test_a_tenants_secret_is_mounted_and_may_be_missing():
    (volume,) = by_kind(site())["Deployment"]["spec"]["template"]["spec"]["volumes"]
    secrets = {each["secret"]["name"]: each["secret"] for each in volume["projected"]["sources"] if "secret" in each}

    assert secrets["openai"]["optional"] is True
    assert secrets["openai"]["items"] == [{"key": "api-key", "path": "provider/openai/key"}]
    own = {each["path"] for each in secrets["front-desk-bridge"]["items"]}
    assert own >= {"fleet/zone-key", "fleet/operator-token"}


def test_an_extra_authority_comes_with_the_agent():
    trusting = by_kind(site(release=Release(
        region="fra", namespace="holdfast-system", bridge_image="bridge:1", extra_ca="PEM",
    )))  # fmt: skip
    (container,) = trusting["Deployment"]["spec"]["template"]["spec"]["containers"]

    assert trusting["ConfigMap"]["data"]["ca.crt"] == "PEM"
    assert {"name": "SSL_CERT_FILE", "value": "/etc/holdfast/ca/ca.crt"} in container["env"]


def test_the_entry_leads_media_to_the_audio_port_and_webhooks_to_the_control_port():
    spec = by_kind(site())["Ingress"]["spec"]

    assert spec["ingressClassName"] == "holdfast-lab"
    assert [rule["host"] for rule in spec["rules"]] == ["fra.voice.example.com", "eu.voice.example.com"]
    for rule in spec["rules"]:
        ports = {each["path"]: each["backend"]["service"]["port"]["name"] for each in rule["http"]["paths"]}
        assert ports == {
            "/a/clinic/front-desk/media": "audio",
            "/a/clinic/front-desk/voice": "control",
            "/a/clinic/front-desk/fallback": "control",
            "/a/clinic/front-desk/next": "control",
            "/a/clinic/front-desk/journal": "control",
        }


def test_no_key_shows_in_what_may_be_logged():
    text = repr(site()) + json.dumps([each for each in placement.objects(site()) if each["kind"] != "Secret"])

    for secret in ("hush", "SK1", base64.b64encode(b"hush").decode(), place.operator_token(b"zone", site().ref)):
        assert secret not in text


def test_the_buddy_does_not_fail_together_with_this_region():
    same_cloud = {**REGION_VALUES, "par": translate.region(changed(REGIONS[0], "metadata.name", "par"))}
    wide = translate.zone(stored(changed(POLICY, "spec.regions", [
        {"name": "fra", "weight": 1}, {"name": "par", "weight": 1}, {"name": "ams", "weight": 1},
    ])))  # fmt: skip
    where = place.Place(
        ref=AgentRef("clinic", "front-desk"), generation=1, spec=translate.agent(AGENT), keys=KEYS, release=RELEASE,
        regions=same_cloud, zone=wide,
    )  # fmt: skip

    assert place.buddy(where) == "ams"


def flows(policy: dict, direction: str) -> set[tuple[str, int]]:
    """(peer, port) pairs that a NetworkPolicy lets through; peer `*` is anywhere."""
    side = "from" if direction == "ingress" else "to"
    found = set()
    for rule in policy["spec"][direction]:
        peers = [
            each.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name", "namespace")
            for each in rule.get(side, [])
        ] or ["*"]
        found |= {(peer, port["port"]) for peer in peers for port in rule["ports"]}
    return found


def test_bridges_reach_what_a_call_needs_and_nothing_else():
    policy = by_kind(site())["NetworkPolicy"]

    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert flows(policy, "egress") == {
        ("*", 53), ("holdfast-operator", 8090), ("holdfast-redis", 6379), ("*", 443),
    }  # fmt: skip
    assert flows(policy, "ingress") == {("*", 8080), ("*", 8081)}


def test_a_gateway_on_another_port_is_let_through():
    bent = changed(AGENT, "spec.attempts.0.realtime.baseUrl", "wss://eu.api.openai.com:8443/v1")

    assert ("*", 8443) in flows(by_kind(site(bent))["NetworkPolicy"], "egress")


def test_the_entrys_address_can_be_narrowed():
    narrow = Release(
        region="fra", namespace="holdfast-system", bridge_image="b", ingress_from=({"ipBlock": {"cidr": "10.0.0.0/8"}},)
    )
    (rule,) = by_kind(site(release=narrow))["NetworkPolicy"]["spec"]["ingress"]

    assert rule["from"][0] == {"ipBlock": {"cidr": "10.0.0.0/8"}}
    assert rule["from"][1]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "holdfast-system"}


def egress(where: place.Place) -> list[dict]:
    return by_kind(where)["NetworkPolicy"]["spec"]["egress"]


def test_an_agent_without_numbers_uses_the_first_carrier_of_its_tenant():
    here = site()
    bare = replace(here, spec=replace(here.spec, numbers=()))
    assert place.agent_json(bare)["carrier"]["name"] == "twilio-eu"

    other = replace(bare, ref=AgentRef("elsewhere", "front-desk"))
    assert place.agent_json(other)["carrier"] == {"name": "", "kind": "none"}


def test_an_attempt_without_a_key_names_no_file():
    here = site()
    open_to_all = replace(here.spec.attempts[0], key=None)
    (written,) = place.agent_json(replace(here, spec=replace(here.spec, attempts=(open_to_all,))))["attempts"]
    assert not {"keyFile", "keySource"} & set(written)


def test_a_redis_of_the_users_own_is_reached_at_its_port_wherever_it_is():
    release = replace(RELEASE, redis_url="rediss://redis.example.com:6380/0")
    assert {"ports": [{"port": 6380, "protocol": "TCP"}]} in egress(site(release=release))


def test_without_redis_no_way_leads_to_one():
    ports = [each["port"] for rule in egress(site(release=replace(RELEASE, redis_url=""))) for each in rule["ports"]]
    assert 6379 not in ports


def test_the_clusters_own_ranges_are_left_out_of_the_outside_each_in_its_family():
    release = replace(RELEASE, cluster_ranges=("10.0.0.0/8", "fd00::/8"))
    assert egress(site(release=release))[-1]["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00::/8"]}},
    ]
    assert egress(site(release=replace(RELEASE, cluster_ranges=("10.0.0.0/8",))))[-1]["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
        {"ipBlock": {"cidr": "::/0"}},
    ]


def with_tools(*networks: str, **changes) -> place.Place:
    """The agent with its tool changed, and these networks granted to its namespace's tools and to no other's."""
    here = site()
    granted = replace(here.zone.tenants[0], tool_networks=networks)
    zone = replace(here.zone, tenants=(granted, replace(granted, namespaces=("shop",), tool_networks=("10.9.0.0/16",))))
    return replace(here, zone=zone, spec=replace(here.spec, tools=(replace(here.spec.tools[0], **changes),)))


def test_a_tool_in_the_cluster_is_told_and_let_into_the_networks_that_are_granted():
    here = with_tools("10.96.0.0/12", "fd00:10::/64", in_cluster=True, url="https://booking.clinic.svc:8443/book")

    assert place.agent_json(here)["tools"][0]["networks"] == ["10.96.0.0/12", "fd00:10::/64"]
    assert egress(here)[-1] == {
        "to": [{"ipBlock": {"cidr": "10.96.0.0/12"}}, {"ipBlock": {"cidr": "fd00:10::/64"}}],
        "ports": [{"port": 8443, "protocol": "TCP"}],
    }


def test_a_public_tool_is_let_into_no_network_whatever_is_granted():
    here = with_tools("10.96.0.0/12")

    assert place.agent_json(here)["tools"][0]["networks"] == []
    assert egress(here) == egress(site())


def test_the_secrets_that_sign_a_tools_requests_are_mounted_and_where_they_lie_is_told():
    here = with_tools(signing=(KeyRef("booking", "new"), KeyRef("booking", "old")))
    told = place.agent_json(here)["tools"][0]
    (volume,) = by_kind(here)["Deployment"]["spec"]["template"]["spec"]["volumes"]

    assert told["signingFiles"] == ["/etc/holdfast/tool/book/current", "/etc/holdfast/tool/book/previous"]
    assert told["signingSources"] == ["Secret clinic/booking key new", "Secret clinic/booking key old"]
    assert [each["secret"] for each in volume["projected"]["sources"][-2:]] == [
        {"name": "booking", "items": [{"key": "new", "path": "tool/book/current"}], "optional": True},
        {"name": "booking", "items": [{"key": "old", "path": "tool/book/previous"}], "optional": True},
    ]


def test_the_port_of_a_gateway_and_of_a_carrier_is_open_beside_443():
    here = site()
    gateway = replace(here.spec.attempts[0], base_url="wss://gateway.example.com:8443/v1")
    zone = replace(here.zone, carriers=(replace(here.zone.carriers[0], api_url="https://carrier.example.com:9443"),))
    opened = egress(replace(here, zone=zone, spec=replace(here.spec, attempts=(gateway,))))[-1]["ports"]
    assert [each["port"] for each in opened] == [443, 8443, 9443]


def test_the_proof_of_the_secret_follows_every_key_of_it_and_tells_none():
    full = Keys(zone_key=b"z", zone_key_previous=b"y", carrier_token=b"t", carrier_token_previous=b"s",
                carrier_api_key=b"k", carrier_api_secret=b"hush")  # fmt: skip
    others = [replace(full, **{each.name: b"another"}) for each in fields(Keys)]
    others.append(replace(full, carrier_api_secret=None))

    proofs = [placement.proof(placement.secret(site(keys=keys))) for keys in (full, *others)]

    assert len(set(proofs)) == len(proofs)
    assert proofs[0] == placement.proof(placement.secret(site(keys=full)))
    assert "hush" not in proofs[0]
    assert len(proofs[0]) == 43
