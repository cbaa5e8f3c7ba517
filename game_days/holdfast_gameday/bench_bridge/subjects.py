"""What is measured: each subject's program, its surroundings, and the steps it climbs.

Every subject bridges the same carrier to the same provider. `holdfast` runs as in a pod, with everything on: the
carrier's webhook and its signature, start tokens, the journal to a buddy in another region and to Redis, the operator's
poll, breakers, metrics, health. The others have no more than their libraries give.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.bench_bridge import entries
from holdfast_gameday.lab import paths

PROGRAMS = paths.ROOT / "game_days" / "bench_bridge_subjects"
STEPS = (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1300, 1400)
PATH = "/a/bench/agent"
VENDOR = "api.openai.com"
ZONE_KEY = "the-key-of-this-zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    name: str
    program: str
    """Its file in the folder of programs."""
    packages: str = ""
    """The file of its pinned packages; empty: it runs on this project's own."""
    socket_path: str = "/media"
    steps: tuple[int, ...] = STEPS
    bursts: bool = False
    """It resamples, so that its frames cannot be numbered."""
    tls: bool = False
    """Its provider speaks TLS and stands in a namespace of its own, under the vendor's name."""
    webhook: bool = False
    """Calls come by the carrier's webhook."""


SUBJECTS = (
    Subject(name="holdfast", program="everything_on.py", webhook=True),
    Subject(name="picows relay", program="relay.py"),
    Subject(name="fastapi + websockets", program="fastapi_bridge.py", packages="fastapi.txt"),
    Subject(name="pipecat", program="pipecat_bot.py", packages="pipecat.txt", steps=(10, 25, *STEPS), bursts=True),
    Subject(name="twilio-agent-connect, TLS", program="agent_connect.py", packages="agent_connect.txt", tls=True),
    Subject(name="picows relay, TLS", program="relay.py", tls=True),
    Subject(name="holdfast, TLS", program="everything_on.py", webhook=True, tls=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where everything of one subject's run listens. `authority`: whom a provider with TLS is certified by."""

    folder: Path
    socket: int
    control: int
    provider: int
    buddy_control: int
    buddy_audio: int
    operator: int
    authority: Path | None

    @property
    def provider_url(self) -> str:
        if self.authority is None:
            return f"ws://127.0.0.1:{self.provider}/v1/realtime?model=gpt-realtime"
        return f"wss://{VENDOR}/v1/realtime?model=gpt-realtime"

    @property
    def redis(self) -> Path:
        return self.folder / "redis.sock"


def interpreter(subject: Subject, cache: Path) -> str:
    return str(cache / Path(subject.packages).stem / "bin" / "python") if subject.packages else sys.executable


def command(subject: Subject, ground: Ground, cache: Path) -> list[str]:
    argv = [interpreter(subject, cache), str(PROGRAMS / subject.program)]
    if subject.webhook:
        return [*argv, str(ground.folder / "here"), str(ground.control), str(ground.socket)]
    authority = [str(ground.authority)] if ground.authority is not None else []
    return [*argv, str(ground.socket), ground.provider_url, *authority]


def environment(ground: Ground) -> dict[str, str]:
    """Of every subject. The key is nobody's: no address but loopback is dialled."""
    trusted = {"SSL_CERT_FILE": str(ground.authority)} if ground.authority is not None else {}
    told = {
        "TAC_ANALYTICS_DISABLED": "true",
        "TWILIO_AUTH_TOKEN": entries.AUTH_TOKEN,
        "TWILIO_ACCOUNT_SID": entries.ACCOUNT,
        "OPENAI_API_KEY": "key",
        "POD_NAME": "bench",
    }
    return {**os.environ, **trusted, **told}


def write_pods(ground: Ground) -> None:
    """What the pod under test and its buddy have mounted."""
    _write_pod(ground, "here", ground.folder / "here")
    _write_pod(ground, "there", ground.folder / "there")


def _write_pod(ground: Ground, region: str, folder: Path) -> None:
    fleet = folder / "fleet"
    fleet.mkdir(parents=True, exist_ok=True)
    for name, held in _fleet_keys().items():
        (fleet / name).write_text(held)
    (folder / "key").write_text("key")
    (folder / "agent.json").write_text(json.dumps(_agent(ground, region, folder)))


def _fleet_keys() -> Mapping[str, str]:
    return {
        "zone-key": ZONE_KEY,
        "carrier-token": entries.AUTH_TOKEN,
        "carrier-api-key": entries.ACCOUNT,
        "carrier-api-secret": entries.AUTH_TOKEN,
        "operator-token": "the-operators",
    }


def _agent(ground: Ground, region: str, folder: Path) -> dict[str, Any]:
    attempts = [
        {
            "name": name, "kind": "openai", "model": "gpt-realtime", "voice": "marin",
            "baseUrl": ground.provider_url.partition("?")[0], "keyFile": str(folder / "key"),
        }
        for name in ("first", "second")
    ]  # fmt: skip
    operator = f"http://127.0.0.1:{ground.operator}" if region == "here" else ""
    return {
        "version": 1, "namespace": "bench", "agent": "agent", "region": region, "zone": "bench",
        "policyHost": entries.HOST, "buddy": "there" if region == "here" else None,
        "regions": [
            {"name": "here", "host": entries.HOST, "weight": 1},
            {"name": "there", "host": f"127.0.0.1:{ground.buddy_control}", "weight": 0},
        ],
        "persona": {"instructions": "Be kind."}, "attempts": attempts,
        "limits": {"callsPerPod": 5000},
        "carrier": {
            "name": "t", "kind": "twilio", "accountSid": entries.ACCOUNT, "apiUrl": "https://localhost:1",
        },
        "operatorUrl": operator, "redisUrl": f"unix://{ground.redis}?db=0" if region == "here" else "",
    }  # fmt: skip
