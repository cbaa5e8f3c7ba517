"""`python -m holdfast_gameday.idle`: what a region without calls costs in memory and CPU, minutes after the last one.

Measured on the lab: the operator pods, the bridge pods of one agent and Redis, each by its own control group, less
inactive file pages. The canary's pods are told apart, because not every owner wants two of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from holdfast_gameday import runner
from holdfast_gameday.credentials import SYSTEM
from holdfast_gameday.installation import TENANT
from holdfast_gameday.lab import cgroups
from holdfast_gameday.lab.range_of_clusters import Lab
from holdfast_gameday.layout import TWO_AND_WITNESS
from holdfast_gameday.practice import NUMBERS
from holdfast_gameday.world.callers_script import Goodbye, Listen

REGION = "fra"
WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Use:
    """Of one kind of pod in the region, all its pods together."""

    kind: str
    pods: int
    memory_mb: float
    cpu_percent: float


def containers(pods: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Kind of pod → ids of its running containers. A pod's kind is its app label."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        kind = pod["metadata"]["labels"].get("app.kubernetes.io/name", pod["metadata"]["name"])
        owner = pod["metadata"]["labels"].get("holdfast.dev/agent")
        for status in pod.get("status", {}).get("containerStatuses", []):
            if status.get("containerID"):
                found.setdefault(owner or kind, []).append(status["containerID"].rpartition("/")[2])
    return found


async def measure(settle_s: float) -> list[Use]:
    async with runner.staged(await Lab.choose()) as stage:
        call = stage.range.callers.place(NUMBERS[TWO_AND_WITNESS.zone_of[REGION]], (Listen(), Goodbye()))
        async with asyncio.timeout(60):
            await call.over.wait()
        print(f"the last call is over; waiting {settle_s:.0f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(settle_s)
        cluster = stage.installation.regions[REGION]
        pods = []
        for namespace in (SYSTEM, TENANT[TWO_AND_WITNESS.zone_of[REGION]]):
            pods += (await cluster.read("pods", "-n", namespace))["items"]
        kinds = containers(pods)
        before = {kind: _cpu_seconds(ids) for kind, ids in kinds.items()}
        start = time.monotonic()
        await asyncio.sleep(WINDOW_S)
        window = time.monotonic() - start
        return [
            Use(
                kind=kind,
                pods=len(ids),
                memory_mb=round(sum(cgroups.memory_bytes(REGION, f"{cgroups.PODS}/{one}") for one in ids) / 1e6, 1),
                cpu_percent=round((_cpu_seconds(ids) - before[kind]) / window * 100, 2),
            )
            for kind, ids in sorted(kinds.items())
        ]


def _cpu_seconds(ids: list[str]) -> float:
    return sum(cgroups.cpu_seconds(REGION, f"{cgroups.PODS}/{one}") for one in ids)


def main() -> int:
    parser = argparse.ArgumentParser(prog="holdfast_gameday.idle", description=__doc__)
    parser.add_argument("--settle", type=float, default=300, help="seconds after the last call (default: 300)")
    uses = asyncio.run(measure(parser.parse_args().settle))
    for use in uses:
        print(f"{use.kind:<20} {use.pods} pods  {use.memory_mb:7.1f} MB  {use.cpu_percent:6.2f} % of a core")
    counted = [use for use in uses if use.kind != "canary"]
    memory, cpu = sum(use.memory_mb for use in counted), sum(use.cpu_percent for use in counted)
    print(f"{'without canary':<20}         {memory:7.1f} MB  {cpu:6.2f} % of a core")
    print(json.dumps({"memoryMb": round(memory, 1), "cpuPercent": round(cpu, 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
