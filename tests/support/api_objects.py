"""Objects that the API server accepts, as tests like to bend them: one change, one claim."""

import copy
from typing import Any

Manifest = dict[str, Any]

AGENT: Manifest = {
    "apiVersion": "holdfast.dev/v1alpha1",
    "kind": "VoiceAgent",
    "metadata": {"name": "front-desk", "namespace": "clinic"},
    "spec": {
        "failoverPolicy": "eu",
        "persona": {"instructions": "Be brief.", "greeting": "Hello.", "disclosure": "An assistant.", "language": "en"},
        "attempts": [
            {
                "name": "openai",
                "voice": "marin",
                "realtime": {
                    "kind": "openai",
                    "model": "gpt-realtime",
                    "baseUrl": "wss://eu.api.openai.com/v1/realtime",
                    "apiKey": {"secret": "openai", "key": "api-key"},
                },
            }
        ],
        "tools": [
            {
                "name": "book",
                "description": "Books.",
                "parameters": {"type": "object", "properties": {"time": {"type": "string"}}},
                "webhook": {"url": "https://tools.example.com/book"},
                "sideEffects": True,
            }
        ],
        "telephony": {"numbers": [{"carrier": "twilio-eu", "number": "+4930555010"}]},
    },
}

CASCADE: Manifest = {
    "name": "cascade",
    "voice": "EXAVITQu4vr4xnSDxMaL",
    "cascade": {
        "stt": {
            "kind": "deepgram-flux",
            "baseUrl": "wss://api.eu.deepgram.com",
            "options": {"endTimeoutMs": 4000, "keyterms": ["Holdfast"], "noStore": True},
            "apiKey": {"secret": "deepgram", "key": "api-key"},
        },
        "llm": {
            "kind": "anthropic",
            "model": "claude-haiku-4-5",
            "baseUrl": "https://gateway.example.com/{tenant}/anthropic",
            "query": {"call": "{call}"},
            "headers": {"X-Agent": "{agent}"},
            "options": {"extra": {"inference_geo": "eu"}},
            "apiKey": {"secret": "anthropic", "key": "api-key"},
        },
        "tts": {
            "kind": "elevenlabs",
            "model": "eleven_flash_v2_5",
            "baseUrl": "wss://api.eu.residency.elevenlabs.io",
            "options": {"stability": 0.5},
            "apiKey": {"secret": "elevenlabs", "key": "api-key"},
        },
    },
}
CASCADE_HOSTS = ("api.eu.deepgram.com", "gateway.example.com", "api.eu.residency.elevenlabs.io")

POLICY: Manifest = {
    "apiVersion": "holdfast.dev/v1alpha1",
    "kind": "FailoverPolicy",
    "metadata": {"name": "eu"},
    "spec": {
        "residency": "eu",
        "host": "eu.voice.example.com",
        "regions": [{"name": "fra", "weight": 50}, {"name": "ams", "weight": 50}],
        "witnesses": ["iad"],
        "signing": {"secret": "zone-eu"},
        "carriers": [
            {"name": "twilio-eu", "twilio": {"accountSid": "AC" + "e0" * 16, "credentials": {"secret": "twilio-eu"}}}
        ],
        "tenants": [
            {
                "namespaces": ["clinic"],
                "carriers": ["twilio-eu"],
                "numbers": ["+4930555010"],
                "hosts": ["eu.api.openai.com", "tools.example.com"],
            }
        ],
        "levers": [
            {"name": "edge", "cloudflareLoadBalancer": {"accountId": "e0e0", "credentials": {"secret": "cloudflare"}}}
        ],
    },
}


def region(name: str, *, jurisdiction: str = "eu", cloud: str = "hetzner", **origins: str) -> Manifest:
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Region",
        "metadata": {"name": name},
        "spec": {
            "jurisdiction": jurisdiction,
            "host": f"{name}.voice.example.com",
            "failureDomains": {"cloud": cloud},
            "origins": origins or {"edge": f"pool-{name}"},
        },
    }


REGIONS = (region("fra"), region("ams", cloud="leaseweb"), region("iad", jurisdiction="us", cloud="aws"))


def two_ways(*, cascade: Manifest = CASCADE, **spec: Any) -> Manifest:
    """The agent with a realtime attempt first and a cascade second, and these other fields."""
    attempts = [*AGENT["spec"]["attempts"], copy.deepcopy(cascade)]
    return {**AGENT, "spec": {**copy.deepcopy(AGENT["spec"]), "attempts": attempts, **spec}}


def granting(*hosts: str) -> Manifest:
    """The policy with these hosts granted, too."""
    bent = copy.deepcopy(POLICY)
    bent["spec"]["tenants"][0]["hosts"] += hosts
    return bent


def secret(name: str, namespace: str = "holdfast-system", **values: str) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": values,
    }  # fmt: skip


ZONE_SECRETS = (
    secret("zone-eu", current="zone-key"),
    secret("twilio-eu", authToken="carrier-token", apiKey="SK1", apiSecret="s"),
    secret("cloudflare", token="t"),
    secret("holdfast-probe", current="probe-key"),
)


def changed(manifest: Manifest, path: str, value: Any) -> Manifest:
    """A copy with one field set; steps are keys or list indexes. The value None takes the field away."""
    bent = copy.deepcopy(manifest)
    *steps, last = path.split(".")
    at: Any = bent
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if value is None:
        del at[last]
    elif isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return bent


def stored(manifest: Manifest, *, uid: str = "u-1", generation: int = 1) -> Manifest:
    """As an API server would give it back."""
    return {**manifest, "metadata": {**manifest["metadata"], "uid": uid, "generation": generation}}
