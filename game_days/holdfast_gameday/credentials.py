"""The secrets of one game day on the lab, drawn anew for each run, and the Kubernetes Secrets that carry them.

They open nothing but the practice range. They are handed to kubectl on its standard input, never as arguments.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]


def _key() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class ZoneCredentials:
    """What the operators of one zone hold, and no region outside it."""

    zone: str
    tenant: str
    account_sid: str
    zone_key: str = field(default_factory=_key, repr=False)
    carrier_token: str = field(default_factory=_key, repr=False)
    carrier_key: str = field(default_factory=lambda: "SK" + secrets.token_hex(16))
    carrier_secret: str = field(default_factory=_key, repr=False)
    edge_token: str = field(default_factory=_key, repr=False)
    provider_key: str = field(default_factory=_key, repr=False)
    telnyx_key: str = field(default_factory=_key, repr=False)
    relay_secret: str = field(default_factory=_key, repr=False)

    def for_operator(self) -> list[Manifest]:
        return [
            secret(f"zone-{self.zone}", SYSTEM, {"current": self.zone_key}),
            secret(
                f"twilio-{self.zone}",
                SYSTEM,
                {"authToken": self.carrier_token, "apiKey": self.carrier_key, "apiSecret": self.carrier_secret},
            ),
            secret(f"cloudflare-{self.zone}", SYSTEM, {"token": self.edge_token}),
            secret(f"telnyx-{self.zone}", SYSTEM, {"apiKey": self.telnyx_key}),
            secret("turn", SYSTEM, {"secret": self.relay_secret}),
        ]

    def for_tenant(self, region: str) -> list[Manifest]:
        """A key for each region, as a careful tenant has them: one can be taken back without the others."""
        return [secret("openai", self.tenant, {"api-key": self.provider_key_of(region)})]

    def provider_key_of(self, region: str) -> str:
        return f"{self.provider_key}-{region}"


SYSTEM = "holdfast-system"


@dataclass(frozen=True, slots=True)
class FleetCredentials:
    eu: ZoneCredentials
    us: ZoneCredentials
    probe_key: str = field(default_factory=_key, repr=False)

    @classmethod
    def draw(cls) -> FleetCredentials:
        return cls(
            eu=ZoneCredentials(zone="eu", tenant="clinic", account_sid="AC" + "e0" * 16),
            us=ZoneCredentials(zone="us", tenant="dental", account_sid="AC" + "d0" * 16),
        )

    def of(self, zone: str) -> ZoneCredentials:
        return {"eu": self.eu, "us": self.us}[zone]


def secret(name: str, namespace_name: str, values: dict[str, str]) -> Manifest:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace_name},
        "data": data,
    }


def namespace(name: str) -> Manifest:
    """A namespace that admits restricted pods only, as a careful cluster has it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def as_list(manifests: list[Manifest]) -> str:
    """One JSON document for `kubectl apply -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
