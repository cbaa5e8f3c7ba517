"""What the API server itself accepts and refuses: each rule with its pair. No operator runs here."""

import copy
import json

import pytest
from api_objects import AGENT, POLICY, changed, region

pytestmark = pytest.mark.cluster

OTHER_ATTEMPT = {**copy.deepcopy(AGENT["spec"]["attempts"][0]), "name": "second"}

# claim: (object, path, value that is accepted, value that is refused, words of the refusal)
PAIRS = {
    "an agent has at least one attempt": (
        AGENT, "spec.attempts", AGENT["spec"]["attempts"], [], "should have at least 1 items",
    ),
    "an agent's attempts have unique names": (
        AGENT, "spec.attempts", [AGENT["spec"]["attempts"][0], OTHER_ATTEMPT],
        [AGENT["spec"]["attempts"][0], AGENT["spec"]["attempts"][0]], "Duplicate value",
    ),
    "an attempt says which kind it is": (
        AGENT, "spec.attempts.0.realtime.kind", "openai", "smoke-signals", "Unsupported value",
    ),
    "an attempt is one of the kinds there are": (
        AGENT, "spec.attempts.0", AGENT["spec"]["attempts"][0], {"name": "openai", "voice": "marin"}, "Required value",
    ),
    "a provider is reached over TLS": (
        AGENT, "spec.attempts.0.realtime.baseUrl", "wss://gateway.example.com:8443/v1", "ws://gateway.example.com/v1",
        "should match",
    ),
    "credentials do not stand in headers": (
        AGENT, "spec.attempts.0.realtime.headers", {"X-Tenant": "a"}, {"Authorization": "Bearer x"},
        "credentials belong into a Secret",
    ),
    "tools have unique names": (
        AGENT, "spec.tools", AGENT["spec"]["tools"], AGENT["spec"]["tools"] * 2, "Duplicate value",
    ),
    "pods have a lower bound below the upper one": (
        AGENT, "spec.replicas", {"min": 2, "max": 2}, {"min": 3, "max": 2}, "replicas.min must not be above",
    ),
    "numbers are E.164": (
        AGENT, "spec.telephony.numbers.0.number", "+12025550123", "030 555010", "should match",
    ),
    "numbers are unique": (
        AGENT, "spec.telephony.numbers", [{"carrier": "a", "number": "+4930555010"}],
        [{"carrier": "a", "number": "+4930555010"}, {"carrier": "a", "number": "+4930555010"}], "Duplicate value",
    ),
    "numbers of one agent lie with one carrier": (
        AGENT, "spec.telephony.numbers",
        [{"carrier": "a", "number": "+4930555010"}, {"carrier": "a", "number": "+4930555011"}],
        [{"carrier": "a", "number": "+4930555010"}, {"carrier": "b", "number": "+4930555011"}], "one carrier",
    ),
    "an agent's name fits into a Service's": (
        AGENT, "metadata.name", "a" * 40, "a" * 41, "DNS label of at most 40",
    ),
    "strings are bounded": (
        AGENT, "spec.persona.greeting", "a" * 1024, "a" * 1025, "may not be more than 1024",
    ),
    "at least one region has weight": (
        POLICY, "spec.regions", [{"name": "fra", "weight": 0}, {"name": "ams", "weight": 1}],
        [{"name": "fra", "weight": 0}, {"name": "ams", "weight": 0}], "weight above 0",
    ),
    "regions of a policy are unique": (
        POLICY, "spec.regions", [{"name": "fra", "weight": 1}],
        [{"name": "fra", "weight": 1}, {"name": "fra", "weight": 1}], "Duplicate value",
    ),
    "a witness is not a region": (
        POLICY, "spec.witnesses", ["iad", "lhr"], ["iad", "ams"], "a witness must not be one of the regions",
    ),
    "minServing can be met": (
        POLICY, "spec.guards.minServing", 2, 3, "must not be above the number of regions",
    ),
    "tenants use carriers of the policy": (
        POLICY, "spec.tenants.0.carriers", ["twilio-eu"], ["telnyx"], "must name carriers of this policy",
    ),
    "a lever is one of the kinds there are": (
        POLICY, "spec.levers.0", POLICY["spec"]["levers"][0], {"name": "edge"}, "Required value",
    ),
    "a policy has a zone key": (
        POLICY, "spec.signing", {"secret": "zone-eu"}, None, "Required value",
    ),
    "a policy's host is a host": (
        POLICY, "spec.host", "eu.voice.example.com", "https://eu.voice.example.com", "should match",
    ),
    "a region has a jurisdiction": (
        region("fra"), "spec.jurisdiction", "eu", None, "Required value",
    ),
}  # fmt: skip


@pytest.mark.parametrize("claim", PAIRS)
def test_each_rule_accepts_and_refuses(api, claim):
    manifest, path, good, bad, words = PAIRS[claim]
    accepted = api.kubectl("create", "--dry-run=server", "-f", "-", stdin=_json(changed(manifest, path, good)))
    refused = api.kubectl("create", "--dry-run=server", "-f", "-", stdin=_json(changed(manifest, path, bad)))

    assert accepted.returncode == 0, accepted.stderr
    assert refused.returncode != 0
    assert words in refused.stderr


@pytest.mark.parametrize(
    ("manifest", "path"),
    [(AGENT, "spec.compliance"), (AGENT, "spec.persona.mood"), (POLICY, "spec.provider"), (region("x"), "spec.turn")],
)
def test_a_field_that_nothing_acts_on_is_refused_by_kubectl(api, manifest, path):
    """A field that is silently dropped would look as if it were obeyed."""
    refused = api.apply(changed(manifest, path, "x"))

    assert refused.returncode != 0
    assert "unknown field" in refused.stderr


@pytest.mark.parametrize(
    ("manifest", "path", "value", "words"),
    [
        (AGENT, "spec.failoverPolicy", "us", "failoverPolicy is immutable"),
        (POLICY, "spec.residency", "us", "residency is immutable"),
    ],
)
def test_what_was_promised_is_immutable(api, manifest, path, value, words):
    first = changed(manifest, "metadata.name", "promised")
    assert api.apply(first).returncode == 0

    assert api.apply(changed(first, "spec.persona.greeting" if "persona" in first["spec"] else "spec.host",
                             "hi.example.com")).returncode == 0  # fmt: skip
    refused = api.apply(changed(first, path, value))

    assert refused.returncode != 0
    assert words in refused.stderr


def test_defaults_are_written_into_the_object(api):
    done = api.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=_json(POLICY))

    assert '"dwellSeconds": 300' in done.stdout
    assert '"apiUrl": "https://api.twilio.com"' in done.stdout


def test_the_short_names_and_columns_read_well(api):
    assert api.apply(AGENT, POLICY, region("fra")).returncode == 0

    shown = api.kubectl("get", "va,fop,regions", "-A").stdout

    for heading in ("POLICY", "READY", "PODS", "RESIDENCY", "LEADER", "SERVING", "CORDONED", "JURISDICTION", "CALLS"):
        assert heading in shown


def _json(manifest):
    return json.dumps(manifest)
