"""Writes how the clusters are reached: one kubeconfig with a context per region, and a `kubectl` that uses it.

It knows neither backend.
"""

import base64
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.lab import names, paths


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one cluster's administrator; both as a kubeconfig holds them."""

    authority: str
    user: Mapping[str, Any]

    def authority_text(self) -> str:
        return base64.b64decode(self.authority).decode()


def write(credentials: Mapping[str, Credentials], *, inside: Sequence[str]) -> None:
    """`inside` are the words that run a program in the lab's public network; empty where the machine reaches it."""
    paths.state().mkdir(parents=True, exist_ok=True)
    private(paths.kubeconfig(), kubeconfig(credentials))
    program = shutil.which("kubectl", path=f"{paths.binaries()}:{os.environ.get('PATH', '')}") or "kubectl"
    words = " ".join([*inside, program, "--kubeconfig", str(paths.kubeconfig())])
    paths.kubectl().write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    paths.kubectl().chmod(0o755)


def kubeconfig(credentials: Mapping[str, Credentials]) -> str:
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": next(iter(credentials)),
        "clusters": [{"name": name, "cluster": {"server": names.REGIONS[name].server,
                                                "certificate-authority-data": each.authority}}
                     for name, each in credentials.items()],
        "users": [{"name": name, "user": dict(each.user)} for name, each in credentials.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in credentials],
    }, indent=1)


def private(path: Path, text: str) -> None:
    """Readable by its owner only, from the first byte."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
