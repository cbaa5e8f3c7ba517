"""Where the lab keeps things: a cache that outlives it and a state folder that `down` empties.

It creates no folder; who writes somewhere makes it.
"""

import os
from pathlib import Path

from holdfast_gameday.lab import names

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parents[2]


def cache() -> Path:
    return Path(os.environ.get("HOLDFAST_CACHE") or Path.home() / ".cache" / "holdfast")


def binaries() -> Path:
    return cache() / "bin"


def state() -> Path:
    return Path(os.environ.get("HOLDFAST_LAB_STATE") or ROOT / "build" / f"lab{names.LAB}")


def region(name: str) -> Path:
    return state() / name


def kubeconfig() -> Path:
    return state() / "kubeconfig"


def kubectl() -> Path:
    return state() / "kubectl"


def ca() -> Path:
    return state() / "ca.crt"
