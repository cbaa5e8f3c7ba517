"""Settings: what the chart renders is what the pod reads."""

from __future__ import annotations

import json
from pathlib import Path

import pydantic
import pytest

from holdfast import settings

RENDERED = {
    "region": "fra",
    "namespace": "holdfast-system",
    "regions": ["fra", "ams", "iad"],
    "peers": [{"name": "ams", "server": "https://172.30.0.12:6443", "caFile": "/p/ams/ca.crt", "tokenFile": "/p/t"}],
    "zones": ["eu"],
    "bridgeImage": "localhost/holdfast-bridge:dev",
    "imagePullPolicy": "Never",
    "ingressClass": "holdfast-lab",
    "extraCA": True,
    "redisUrl": "redis://holdfast-redis:6379/0",
    "canaryReplicas": 1,
    "probeKeyFile": "/etc/holdfast/probe/current",
    "referenceTargets": ["https://a", "https://b", "https://c"],
    "fromANewerChart": 1,
}


def environment(tmp_path: Path, content: object) -> dict[str, str]:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(content))
    return {"HOLDFAST_SETTINGS": str(file), "POD_NAME": "operator-0", "POD_UID": "u-1"}


def test_the_rendered_file_is_understood(tmp_path: Path) -> None:
    read, identity = settings.load(environment(tmp_path, RENDERED))
    assert read.regions == ({"name": "fra"}, {"name": "ams"}, {"name": "iad"})
    assert (read.region, read.extra_ca, read.peers[0].ca_file) == ("fra", True, "/p/ams/ca.crt")
    assert (identity.pod_name, identity.pod_uid) == ("operator-0", "u-1")


def test_a_file_without_a_region_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(pydantic.ValidationError, match="region"):
        settings.load(environment(tmp_path, {"namespace": "holdfast-system"}))


def test_the_fleet_is_paused_by_the_chart_or_by_hand(tmp_path: Path) -> None:
    asked = [
        settings.load(environment(tmp_path, {**RENDERED, **told}) | by_hand)[0].paused
        for told, by_hand in (
            ({}, {}),
            ({"paused": "drill"}, {"HOLDFAST_PAUSED": ""}),
            ({"paused": ""}, {"HOLDFAST_PAUSED": "incident 4"}),
        )
    ]

    assert asked == ["", "drill", "incident 4"]
