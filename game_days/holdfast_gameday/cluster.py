"""One real cluster as its owner uses it: kubectl and helm, each call with a deadline. It decides nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.lab import paths
from holdfast_gameday.lab.commands import LabError, run


@dataclass(frozen=True, slots=True)
class Cluster:
    """A context of a kubeconfig. Raises LabError with what kubectl or helm printed."""

    context: str
    kubeconfig: Path

    async def kubectl(self, *words: str, stdin: str | None = None, deadline_s: float = 30, check: bool = True) -> str:
        access = (f"--kubeconfig={self.kubeconfig}", f"--context={self.context}")
        data = stdin.encode() if stdin is not None else None
        program = paths.binaries() / "kubectl"
        return await run([program, *access, *words], stdin=data, deadline_s=deadline_s, check=check)

    async def helm(self, *words: str, stdin: str | None = None, deadline_s: float = 120) -> str:
        access = (f"--kubeconfig={self.kubeconfig}", f"--kube-context={self.context}")
        data = stdin.encode() if stdin is not None else None
        return await run([paths.binaries() / "helm", *access, *words], stdin=data, deadline_s=deadline_s)

    async def apply(self, text: str) -> None:
        await self.kubectl("apply", "-f", "-", stdin=text)

    async def read(self, *words: str, deadline_s: float = 10) -> Any:
        """The object or list that `kubectl get` shows, or None where there is none."""
        try:
            return json.loads(await self.kubectl("get", *words, "-o", "json", deadline_s=deadline_s))
        except LabError as error:
            if "NotFound" in str(error):
                return None
            raise

    async def rolled_out(self, workload: str, namespace: str, *, deadline_s: float = 120) -> None:
        await self.kubectl(
            "rollout", "status", workload, "-n", namespace,
            f"--timeout={deadline_s:.0f}s", deadline_s=deadline_s + 5,
        )  # fmt: skip


def condition(document: Any, kind: str) -> dict[str, Any] | None:
    """The condition of that type in an object's status."""
    if not document:
        return None
    for found in document.get("status", {}).get("conditions", []):
        if found.get("type") == kind:
            return dict(found)
    return None
