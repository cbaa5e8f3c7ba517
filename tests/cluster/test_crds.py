"""What the API server itself accepts and refuses: each rule with its pair. No operator runs here."""

import json

import pytest
from api_objects import AGENT, POLICY, changed, region
from crd_pairs import PAIRS

pytestmark = pytest.mark.cluster

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
    [
        (AGENT, "spec.persona.mood"), (AGENT, "spec.attempts.0.realtime.mood"),
        (AGENT, "spec.rollout"),
        (POLICY, "spec.mood"), (POLICY, "spec.inFlight.rescue"), (POLICY, "spec.levers.0.telnyx"),
        (POLICY, "spec.carriers.0.vonage"), (region("x"), "spec.lights"), (region("x"), "spec.paused"),
    ],
)
def test_a_field_that_nothing_acts_on_is_refused_by_kubectl(api, manifest, path):
    """A field that is silently dropped would look as if it were obeyed."""
    refused = api.apply(changed(manifest, path, "x"))

    assert refused.returncode != 0
    assert "unknown field" in refused.stderr
    assert path.rpartition(".")[2] in refused.stderr


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
