"""From manifests to the core's values: what a policy, a Region and an agent say."""

import json

import pytest
from api_objects import AGENT, CASCADE, POLICY, changed, region, stored, two_ways

from holdfast.api import translate
from holdfast.core.agents import AgentSpec, KeyRef
from holdfast.core.values import Guards, Zone
from holdfast.shifts import Order, Orders

NOON = {"until": "2026-11-21T12:00:00Z", "reason": "new disks"}
NOON_S = 1_795_262_400.0


HOURS = {"start": "18:00", "end": "08:00", "zone": "Europe/Berlin"}


def test_a_policy_that_says_little_has_the_usual_rules():
    zone = translate.zone(stored(POLICY))

    assert (zone.ramp, zone.guards, zone.paused) == ((5, 25, 50, 100), Guards(1, 1, 20), False)
    assert (zone.dwell_s, zone.drain_s, zone.grace_s) == (300.0, 600.0, 660.0)


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("spec.paused", True, lambda zone: zone.paused is True),
        ("spec.region.ramp", [50, 100], lambda zone: zone.ramp == (50, 100)),
        ("spec.guards.headroomPercent", 0, lambda zone: zone.guards.headroom_percent == 0),
        ("spec.inFlight.graceSeconds", 700, lambda zone: zone.grace_s == 700.0),
    ],
)
def test_what_a_policy_says_is_in_the_zone(path, value, found):
    zone = translate.zone(changed(stored(POLICY), path, value))

    assert isinstance(zone, Zone)
    assert found(zone)


@pytest.mark.parametrize(
    ("spec", "orders"),
    [
        ({}, Orders()),
        ({"cordon": NOON}, Orders(cordon=Order(NOON_S, "new disks"))),
        ({"cordon": {**NOON, "until": "2026-11-21T13:00:00.5+01:00"}}, Orders(cordon=Order(NOON_S + 0.5, "new disks"))),
        ({"override": {**NOON, "guard": "Dwell"}}, Orders(override=Order(NOON_S, "new disks", "Dwell"))),
    ],
)
def test_what_a_person_orders_has_an_end_on_the_wall(spec, orders):
    manifest = region("fra")

    assert translate.orders({**manifest, "spec": {**manifest["spec"], **spec}}) == orders


def test_an_order_does_not_change_what_the_region_is():
    assert translate.region(changed(region("fra"), "spec.cordon", NOON)) == translate.region(region("fra"))


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"cordon": {"reason": "new disks"}}, "spec.cordon.until"),
        ({"cordon": {**NOON, "until": "2026-11-21T12:00:00"}}, "spec.cordon.until"),
        ({"cordon": {**NOON, "reason": ""}}, "spec.cordon.reason"),
        ({"override": {**NOON, "guard": "NoQuorum"}}, "spec.override.guard"),
        ({"override": NOON}, "spec.override.guard"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused_by_field(order, field):
    manifest = region("fra")
    refused = translate.orders({**manifest, "spec": {**manifest["spec"], **order}})

    assert [reason.code for reason in refused] == ["InvalidSpec"]
    assert refused[0].message.startswith(f"{field}: ")


TELNYX = {"name": "telnyx-eu", "sip": "sip:sip.telnyx.eu", "telnyx": {"credentials": {"secret": "telnyx-eu"}}}
PROXIES = ["http://10.0.0.5:8080/", "https://sbc-2.example.com/rpc"]


def lever(written):
    policy = changed(changed(POLICY, "spec.carriers", [*POLICY["spec"]["carriers"], TELNYX]), "spec.levers", [written])
    (made,) = translate.zone(policy).levers
    return made


def test_an_edge_is_one_that_carriers_ask_by_the_zones_host():
    written = {"name": "edge", "drift": "enforce", "cloudflareLoadBalancer": {
        "accountId": "e0", "shares": True, "zoneId": "z1", "loadBalancerId": "b1", "credentials": {"secret": "cf"},
    }}  # fmt: skip
    made = lever(written)
    assert (made.kind, made.edge, made.points, made.weighted) == ("cloudflareLoadBalancer", True, False, True)
    assert (made.enforce, made.dry_run, made.secret, made.account_id) == (True, False, "cf", "e0")
    assert (made.settings["zoneId"], made.settings["loadBalancerId"]) == ("z1", "b1")


def test_a_lever_that_points_names_its_carrier():
    made = lever({"name": "numbers", "dryRun": True, "telnyxNumber": {"carrier": "telnyx-eu"}})
    assert (made.edge, made.points, made.carrier, made.secret) == (False, True, "telnyx-eu", "")
    assert (made.enforce, made.dry_run) == (False, True)


def test_what_only_one_kind_needs_is_handed_on_as_it_was_written():
    made = lever({"name": "sip", "kamailioDispatcher": {
        "proxies": PROXIES, "group": 3, "credentials": {"secret": "sbc"},
    }})  # fmt: skip
    assert json.loads(made.settings["proxies"]) == PROXIES
    assert (made.settings["group"], made.secret) == ("3", "sbc")


def test_a_carrier_is_known_by_its_vendor():
    policy = changed(POLICY, "spec.carriers", [*POLICY["spec"]["carriers"], TELNYX])
    twilio, telnyx = translate.zone(policy).carriers
    assert (twilio.kind, twilio.region, twilio.sip) == ("twilio", "us1", "")
    assert (telnyx.kind, telnyx.secret, telnyx.sip) == ("telnyx", "telnyx-eu", "sip:sip.telnyx.eu")


def test_a_turn_server_of_ones_own_is_asked_what_it_must_not_relay_to():
    own = {
        "name": "turn-1", "urls": {"udp": "turn:turn-1.example.com", "tls": "turns:turn-1.example.com"},
        "jurisdiction": "eu", "coturnSecret": {"secret": "turn-1", "keys": ["new", "old"]},
    }  # fmt: skip
    vendor = {
        "name": "cf", "urls": {"udp": "turn:turn.cloudflare.com"}, "jurisdiction": "eu",
        "cloudflare": {"keyId": "k1", "credentials": {"secret": "cf-turn"}},
    }  # fmt: skip
    first, second = translate.region(changed(region("fra"), "spec.turn", [own, vendor])).turn
    assert (first.issuer, first.secret) == ("coturnSecret", "turn-1")
    assert json.loads(first.settings["keys"]) == ["new", "old"]
    assert (dict(first.urls), first.forbidden) == (own["urls"], ())
    assert (second.issuer, second.secret, second.settings["keyId"]) == ("cloudflare", "cf-turn", "k1")
    assert second.forbidden is None


def test_how_providers_are_judged_and_asked():
    canary = {
        "name": "openai", "kind": "openai", "model": "gpt-realtime", "baseUrl": "wss://eu.api.openai.com/v1/realtime",
        "key": {"secret": "canary"},
    }  # fmt: skip
    policy = changed(changed(POLICY, "spec.provider", {"failures": 3, "on": ["5xx"]}), "spec.canaryKeys", [canary])
    zone = translate.zone(policy)
    assert (zone.provider.failures, zone.provider.on, zone.provider.window_s) == (3, ("5xx",), 30.0)
    assert [(key.name, key.secret, key.secret_key) for key in zone.canary_keys] == [("openai", "canary", "api-key")]


def test_a_drain_is_a_cordon_that_hands_calls_over():
    ordered = translate.orders(changed(region("fra"), "spec.cordon", {**NOON, "drain": True}))
    assert ordered.cordon == Order(NOON_S, "new disks", drain=True)


def spoken(manifest) -> AgentSpec:
    spec = translate.agent(manifest)
    assert isinstance(spec, AgentSpec), spec
    return spec


def test_an_attempt_is_one_link_and_a_cascade_is_three():
    openai, cascade = spoken(two_ways()).attempts
    assert (openai.kind, openai.voice, openai.parts, openai.role) == ("openai", "marin", (openai,), "")
    assert (cascade.kind, cascade.voice, cascade.key) == ("cascade", "", None)
    assert [(part.name, part.role, part.kind, part.voice, part.model) for part in cascade.parts] == [
        ("cascade/hearing", "hearing", "deepgram-flux", "", ""),
        ("cascade/thinking", "thinking", "anthropic", "", "claude-haiku-4-5"),
        ("cascade/speaking", "speaking", "elevenlabs", "EXAVITQu4vr4xnSDxMaL", "eleven_flash_v2_5"),
    ]
    assert [part.key for part in cascade.parts] == [
        KeyRef(secret, "api-key") for secret in ("deepgram", "anthropic", "elevenlabs")
    ]
    thinking = cascade.parts[1]
    assert (thinking.base_url, thinking.query) == ("https://gateway.example.com/{tenant}/anthropic", {"call": "{call}"})
    assert (thinking.headers, thinking.options) == ({"X-Agent": "{agent}"}, {"extra": {"inference_geo": "eu"}})


def test_an_agent_that_says_little_is_tried_everywhere_and_records_nothing():
    spec = spoken(AGENT)
    (attempt,) = spec.attempts
    assert (attempt.weight, attempt.regions, attempt.declares) == (0, frozenset(), frozenset())
    assert (spec.compliance, spec.record) == (frozenset(), False)


def test_where_an_attempt_is_tried_and_how_often_and_what_it_declares():
    cascade = {**CASCADE, "regions": ["ams", "fra"], "weight": 30, "declares": ["hipaa", "soc2"]}
    spec = spoken(two_ways(cascade=cascade, compliance=["hipaa"], privacy={"record": True}))
    tried = spec.attempts[1]
    assert (tried.weight, tried.regions, tried.declares) == (30, {"ams", "fra"}, {"hipaa", "soc2"})
    assert (spec.compliance, spec.record) == ({"hipaa"}, True)


def test_vendors_are_told_to_store_nothing_where_the_agent_asks_for_it():
    spec = spoken(two_ways(privacy={"vendorStorage": "off"}))
    hearing, thinking, speaking = spec.attempts[1].parts
    assert not spec.vendors_keep
    assert [part.options.get("noStore") for part in (hearing, thinking, speaking)] == [True, None, True]
    assert spoken(two_ways()).attempts[1].parts[2].options == {"stability": 0.5}


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("spec.attempts.1.realtime", AGENT["spec"]["attempts"][0]["realtime"], "spec.attempts.1"),
        ("spec.attempts.1.cascade", None, "spec.attempts.1"),
        ("spec.attempts.1.cascade.llm", None, "spec.attempts.1.cascade.llm"),
        ("spec.attempts.1.cascade.stt.kind", "cartesia", "spec.attempts.1.cascade.stt.kind"),
        ("spec.attempts.0.realtime.kind", "loopback", "spec.attempts.0.realtime.kind"),
        ("spec.attempts.1.cascade.tts.baseUrl", "https://x.com", "spec.attempts.1.cascade.tts.baseUrl"),
        ("spec.attempts.0.realtime.baseUrl", "wss://[x/v1", "spec.attempts.0.realtime.baseUrl"),
        ("spec.attempts.0.realtime.baseUrl", "wss://x.com:65536", "spec.attempts.0.realtime.baseUrl"),
        ("spec.attempts.0.realtime.baseUrl", "wss://x.com:port", "spec.attempts.0.realtime.baseUrl"),
        ("spec.tools.0.webhook.url", "https://[x/v1", "spec.tools.0.webhook.url"),
        ("spec.tools.0.webhook.url", "https://me:key@x.com/v1", "spec.tools.0.webhook.url"),
        ("spec.tools.0.webhook.url", "http://x.com/v1", "spec.tools.0.webhook.url"),
        ("spec.tools.0.webhook.cacheSeconds", 60, "spec.tools.0"),
        ("spec.attempts.0.realtime.options", {str(n): n for n in range(21)}, "spec.attempts.0.realtime.options"),
        ("spec.attempts.0.weight", 101, "spec.attempts.0.weight"),
        ("spec.attempts.0.when", {"hours": {**HOURS, "zone": "Mars/Olympus"}}, "spec.attempts.0.when.hours.zone"),
        ("spec.attempts.0.when", {"callers": ["49"]}, "spec.attempts.0.when.callers.0"),
    ],
)
def test_what_cannot_be_meant_of_an_attempt_is_refused_by_field(path, value, field):
    """The API server refuses it, too; an older one, or an object that is older than its rule, must break nothing."""
    refused = translate.agent(changed(two_ways(), path, value))
    assert isinstance(refused, tuple)
    assert [(reason.code, reason.message.partition(": ")[0]) for reason in refused] == [("InvalidSpec", field)]


def test_how_a_tools_webhook_is_asked():
    webhook = {
        "url": "https://booking.clinic.svc/look", "network": "cluster", "cacheSeconds": 60, "timeoutMs": 900,
        "signing": {"current": {"secret": "booking", "key": "new"}, "previous": {"secret": "older", "key": "old"}},
    }  # fmt: skip
    plain = changed(changed(AGENT, "spec.tools.0.sideEffects", False), "spec.tools.0.webhook", webhook)
    (tool,) = spoken(plain).tools
    assert (tool.in_cluster, tool.cache_s, tool.timeout_ms) == (True, 60, 900)
    assert tool.signing == (KeyRef("booking", "new"), KeyRef("older", "old"))
    (bare,) = spoken(AGENT).tools
    assert (bare.in_cluster, bare.cache_s, bare.signing) == (False, 0, ())


def test_the_networks_of_tools_are_read():
    policy = changed(POLICY, "spec.tenants.0.toolNetworks", ["10.96.0.0/12", "fd00:10::/64"])
    assert translate.zone(policy).tenants[0].tool_networks == ("10.96.0.0/12", "fd00:10::/64")


@pytest.mark.parametrize(
    "network",
    [
        "10.96.0.1/12", "10.96.0.0/33", "a/8", "127.0.0.0/8", "0.0.0.0/0", "169.254.0.0/16", "::/0", "::1/128",
        "fe80::/64",
    ],
)  # fmt: skip
def test_what_is_no_network_or_every_pods_own_is_lent_to_no_tool(network: str):
    refused = translate.zone(changed(POLICY, "spec.tenants.0.toolNetworks", ["10.96.0.0/12", network]))
    assert [reason.message.partition(": ")[0] for reason in refused] == ["spec.tenants.0.toolNetworks.1"]


def test_nothing_that_was_written_into_a_field_is_repeated():
    refused = translate.agent(changed(two_ways(), "spec.attempts.1.cascade.llm.apiKey", {"secret": "sk-hush!"}))
    assert "hush" not in str(refused)
