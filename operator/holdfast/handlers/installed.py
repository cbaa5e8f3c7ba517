"""What the chart installed, read from the settings file it mounts: the release's own facts and the fleet's Regions.

The Regions stand in that file because Helm cannot create objects of a kind that the same release brings along; the
active operator applies them as its first work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.core.place import Release


@dataclass(frozen=True, slots=True)
class Installed:
    """`regions` are objects as under `fleet.regions` of the chart's values."""

    release: Release
    regions: tuple[Mapping[str, Any], ...]
    canary_pods: int
    probe_secret: str


def read(path: Path) -> Installed:
    """The settings file of this pod. Paths in it are this pod's too."""
    told = json.loads(path.read_text(encoding="utf-8"))
    extra_ca = Path(told["extraCAFile"]).read_text(encoding="utf-8") if told.get("extraCA") else ""
    return Installed(
        release=Release(
            region=told["region"],
            namespace=told["namespace"],
            bridge_image=told["bridgeImage"],
            image_pull_policy=told.get("imagePullPolicy", "IfNotPresent"),
            ingress_class=told.get("ingressClass", ""),
            redis_url=told.get("redisUrl", ""),
            extra_ca=extra_ca,
            ingress_from=tuple(told.get("ingressFrom") or ()),
        ),
        regions=tuple(each for each in told.get("regions") or () if isinstance(each, dict)),
        canary_pods=int(told.get("canaryReplicas", 1)),
        probe_secret=told.get("probeSecret", "holdfast-probe"),
    )


def region_manifest(told: Mapping[str, Any]) -> dict[str, Any]:
    """One Region as this release wants it."""
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Region",
        "metadata": {"name": told["name"], "labels": {"app.kubernetes.io/managed-by": "holdfast"}},
        "spec": {key: value for key, value in told.items() if key != "name" and value not in (None, {}, [])},
    }
