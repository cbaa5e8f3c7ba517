"""The two pods of a soak and what they have mounted: the bench's, but each is the other's buddy, and either can take a
call of the other up. Their two attempts lead to two providers, and the carrier's API answers.

It starts nothing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.bench_bridge import subjects
from holdfast_gameday.bench_bridge.entries import HOST
from holdfast_gameday.bench_bridge.subjects import Ground
from holdfast_gameday.lab import paths
from holdfast_gameday.soak_calls.webhooks import Pod
from holdfast_gameday.world.ports import free_ports

PROGRAM = paths.ROOT / "game_days" / "soak_calls_subjects" / "observed_pod.py"
PODS = ("here", "there")
UNDER_TEST = "here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything of a run listens. `second`: the port of the second provider; `carrier`: of the carrier's API."""

    ground: Ground
    second: int
    carrier: int

    def port(self, pod: str) -> int:
        """Of control."""
        return self.ground.control if pod == UNDER_TEST else self.ground.buddy_control

    def pod(self, pod: str) -> Pod:
        audio = self.ground.socket if pod == UNDER_TEST else self.ground.buddy_audio
        return Pod(pod, f"127.0.0.1:{self.port(pod)}", f"127.0.0.1:{audio}")

    def pods(self) -> dict[str, Pod]:
        """By the names under which the carrier calls them."""
        found = {each.control: each for each in map(self.pod, PODS)}
        return {**found, HOST: self.pod(UNDER_TEST)}

    def command(self, pod: str) -> list[str]:
        found = self.pod(pod)
        ports = [address.rpartition(":")[2] for address in (found.control, found.audio)]
        return [sys.executable, str(PROGRAM), str(self.ground.folder / pod), *ports, str(self.notes(pod))]

    def notes(self, pod: str) -> Path:
        return self.ground.folder / f"{pod}.notes"

    def log(self, pod: str) -> Path:
        return self.ground.folder / f"{pod}.log"


def place(folder: Path) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("socket", "control", "provider", "buddy_control", "buddy_audio", "operator")
    *ports, second, carrier = free_ports(len(names) + 2)
    ground = Ground(folder=folder, authority=None, **dict(zip(names, ports, strict=True)))
    return Place(ground=ground, second=second, carrier=carrier)


def write(where: Place) -> None:
    """What both pods have mounted."""
    subjects.write_pods(where.ground)
    for database, pod in enumerate(PODS):
        file = where.ground.folder / pod / "agent.json"
        agent = _for_soak(json.loads(file.read_text()), where, pod)
        agent["redisUrl"] = f"unix://{where.ground.redis}?db={database}"
        file.write_text(json.dumps(agent))


def _for_soak(agent: dict[str, Any], where: Place, pod: str) -> dict[str, Any]:
    regions = [{**each, "host": where.pod(each["name"]).control} for each in agent["regions"]]
    first, second = agent["attempts"]
    second = {**second, "baseUrl": f"ws://127.0.0.1:{where.second}/v1/realtime"}
    carrier = {**agent["carrier"], "apiUrl": f"http://127.0.0.1:{where.carrier}"}
    buddy = next(name for name in PODS if name != pod)
    return {**agent, "regions": regions, "attempts": [first, second], "carrier": carrier, "buddy": buddy}
