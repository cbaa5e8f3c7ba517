"""What one operator pod is told from outside: a settings file rendered by the chart, and its own pod's identity.

Nothing here has a default that is a secret, and no secret is in here at all: only the paths and names of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
from pydantic import alias_generators

SETTINGS_FILE = "/etc/holdfast/settings.json"


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        frozen=True, alias_generator=alias_generators.to_camel, populate_by_name=True, extra="ignore"
    )


class Peer(_Section):
    """The API server of another region and the files of our credential there."""

    name: str
    server: str
    ca_file: str
    token_file: str


class Settings(_Section):
    """The settings file. Unknown keys are ignored so that a newer chart does not stop an older pod."""

    region: str
    namespace: str = "holdfast-system"
    regions: tuple[dict[str, Any], ...] = ()
    peers: tuple[Peer, ...] = ()
    zones: tuple[str, ...] = ()
    bridge_image: str = ""
    image_pull_policy: str = "IfNotPresent"
    ingress_class: str = ""
    extra_ca: bool = pydantic.Field(default=False, alias="extraCA")
    ingress_from: tuple[dict[str, Any], ...] = ()
    cluster_ranges: tuple[str, ...] = ()
    extra_ca_file: str = pydantic.Field(default="", alias="extraCAFile")
    redis_url: str = ""
    canary_replicas: int = 1
    probe_key_file: str = "/etc/holdfast/probe/current"
    probe_secret: str = "holdfast-probe"  # noqa: S105 - the name of a Secret, not its value
    poll_port: int = 8090
    metrics_port: int = 9090
    reference_targets: tuple[str, ...] = ()
    paused: str = ""  # why the whole fleet is to stand still

    @pydantic.field_validator("regions", mode="before")
    @classmethod
    def _whole_regions(cls, value: object) -> object:
        """The chart lists whole regions, as the Region objects show them; a bare name is one without details."""
        if isinstance(value, list):
            return [item if isinstance(item, dict) else {"name": item} for item in value]
        return value

    @pydantic.field_validator("zones", mode="before")
    @classmethod
    def _names_of_zones(cls, value: object) -> object:
        if isinstance(value, list):
            return [item["name"] if isinstance(item, dict) else item for item in value]
        return value


class Identity(_Section):
    """Which pod this is. Its uid is what it signs leases with: a name may come back, a uid never does."""

    pod_name: str
    pod_uid: str


def load(environment: Mapping[str, str] = os.environ) -> tuple[Settings, Identity]:
    """Read the file named by HOLDFAST_SETTINGS and the pod's identity from the downward API.

    HOLDFAST_PAUSED pauses the fleet where the file does not, for whoever has kubectl and no chart at hand.
    """
    path = Path(environment.get("HOLDFAST_SETTINGS", SETTINGS_FILE))
    settings = Settings.model_validate_json(path.read_text(encoding="utf-8"))
    if reason := environment.get("HOLDFAST_PAUSED"):
        settings = settings.model_copy(update={"paused": reason})
    identity = Identity(pod_name=environment["POD_NAME"], pod_uid=environment["POD_UID"])
    return settings, identity
