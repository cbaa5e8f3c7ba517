"""The fake `kubectl` without its process, for tests that read whole fleets. A test holds both to one answer."""

from __future__ import annotations

import copy
import json
from typing import Any

import cli_kubectl
from cli_fleet import FakeFleet

from holdfast.cli.clusters import Answered, Kubectl
from holdfast.cli.examine import Asking
from holdfast.cli.options import Options
from holdfast.cli.status import Clock


class NearKubectl(Kubectl):
    """Answers from the world at once. What hangs is silent without a wait."""

    def __init__(self, world: Any, budget_s: float) -> None:
        super().__init__(budget_s=budget_s)
        self._world = world

    def _run(self, words: list[str], *, body: str | None = None) -> Answered:
        found = cli_kubectl.answer(self._world, words, lambda: body or "")
        if found == "hang":
            return Answered(why=self._silent(), silent=True)
        if isinstance(found, dict) and "error" in found:
            return self._refused(found["error"], absent_is_empty=body is None)
        return Answered(copy.deepcopy(found)) if isinstance(found, dict) else Answered(why="the answer is not JSON")


def asking(fleet: FakeFleet, options: Options) -> Asking:
    """No time passes between looks: a Lease of the fake world is always as old as it says."""
    fleet.write()
    world = json.loads(fleet.written())
    return Asking(options, lambda budget_s: NearKubectl(world, budget_s), Clock(sleep=lambda _: None))
