"""Renders the chart as `helm template` does, with the values of one region of a three-region fleet."""

import json
import subprocess
from typing import Any

import yaml
from apiserver import binaries

CHART = "charts/holdfast"
VALUES: dict[str, Any] = {
    "region": {"name": "fra"},
    "fleet": {
        "zones": ["eu"],
        "regions": [
            {"name": "fra", "host": "fra.voice.example.com", "jurisdiction": "eu",
             "failureDomains": {"cloud": "hetzner"}, "origins": {"edge": "pool-fra"}},
            {"name": "ams", "host": "ams.voice.example.com", "jurisdiction": "eu",
             "failureDomains": {"cloud": "leaseweb"}, "origins": {"edge": "pool-ams"}},
            {"name": "iad", "host": "iad.voice.example.com", "jurisdiction": "us",
             "failureDomains": {"cloud": "aws"}, "origins": {"edge-us": "pool-iad"}},
        ],
        "peers": [
            {"name": "ams", "server": "https://172.30.0.12:6443", "caData": "LS0tQ0EtLS0=", "tokenSecret": "peer-ams"}
        ],
    },
    "image": {
        "operator": {"repository": "localhost/holdfast-operator", "tag": "dev", "pullPolicy": "Never"},
        "bridge": {"repository": "localhost/holdfast-bridge", "tag": "dev", "pullPolicy": "Never"},
    },
    "ingress": {"className": "holdfast-lab"},
}  # fmt: skip


def available() -> bool:
    return (binaries() / "helm").is_file()


def helm(*words: str, values: dict[str, Any] = VALUES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binaries() / "helm", *words, "--namespace=holdfast-system", "-f", "-"],
        input=json.dumps(values), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def rendered(values: dict[str, Any] = VALUES) -> dict[tuple[str, str], dict[str, Any]]:
    """By kind and name."""
    done = helm("template", "holdfast", CHART, values=values)
    assert done.returncode == 0, done.stderr
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout) if each}
