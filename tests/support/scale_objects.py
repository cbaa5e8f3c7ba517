"""The objects of a fleet at scale: its policy, its regions, and a thousand agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api_objects import AGENT, Manifest, secret
from scale_world import ACCOUNT, API_KEY, ZONE_HOST, host_of

NS = "holdfast-system"
ZONE_KEY = "zone-key"
DOMAINS = {"fra": "hetzner", "ams": "leaseweb", "par": "scaleway", "iad": "aws"}
SECRETS = (
    secret("zone-eu", current=ZONE_KEY),
    secret("twilio-eu", authToken="carrier-token", apiKey=API_KEY[0], apiSecret=API_KEY[1]),
    secret("cloudflare", token="t"),
    secret("holdfast-probe", current="probe-key"),
)


def number(index: int) -> str:
    return f"+49305550{index:04}"


def agent(name: str, namespace: str, numbers: Sequence[str] = ()) -> Manifest:
    spec = {name: value for name, value in AGENT["spec"].items() if name not in ("tools", "telephony")}
    if numbers:
        spec["telephony"] = {"numbers": [{"carrier": "twilio-eu", "number": each} for each in numbers]}
    return {**AGENT, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def region_spec(name: str, pools: Mapping[str, str]) -> dict[str, Any]:
    """As the chart's values tell it to every operator."""
    jurisdiction = "us" if name == "iad" else "eu"
    origins = {"edge": pools[name]} if name in pools else {}
    return {
        "name": name, "host": host_of(name), "jurisdiction": jurisdiction,
        "failureDomains": {"cloud": DOMAINS[name]}, "origins": origins,
    }  # fmt: skip


def policy(
    regions: Sequence[str], lever: Manifest, *, twilio_port: int, numbers: Sequence[str], witnesses: Sequence[str]
) -> Manifest:
    """Agents of the namespace clinic may have these numbers; those of dental have none, and no carrier."""
    api_url = f"https://127.0.0.1:{twilio_port}"
    twilio = {"accountSid": ACCOUNT, "apiUrl": api_url, "credentials": {"secret": "twilio-eu"}}
    hosts = ["eu.api.openai.com"]
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "FailoverPolicy",
        "metadata": {"name": "eu"},
        "spec": {
            "residency": "eu",
            "host": ZONE_HOST,
            "regions": [{"name": name, "weight": 50} for name in regions],
            "witnesses": list(witnesses),
            "probe": {"intervalSeconds": 1, "timeoutMs": 1500, "confirmations": 2, "confirmEveryMs": 200},
            "signing": {"secret": "zone-eu"},
            "carriers": [{"name": "twilio-eu", "twilio": twilio}],
            "tenants": [
                {"namespaces": ["clinic"], "carriers": ["twilio-eu"], "numbers": list(numbers), "hosts": hosts},
                {"namespaces": ["dental"], "hosts": hosts},
            ],
            "levers": [lever],
        },
    }


def edge_lever(port: int) -> Manifest:
    of = {"accountId": "e0e0", "apiUrl": f"https://127.0.0.1:{port}/client/v4", "credentials": {"secret": "cloudflare"}}
    return {"name": "edge", "cloudflareLoadBalancer": of}


NUMBER_LEVER: Manifest = {"name": "numbers", "drift": "enforce", "twilioNumber": {"carrier": "twilio-eu"}}
