"""One real bridge process for each case, with the files that a pod would have mounted.

It knows what such files hold and how a bridge is started, and nothing of what is said through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast_gameday.matrix.entry import Ports

START_WITHIN_S = 20.0
STOP_WITHIN_S = 5.0
ZONE_KEY = "the-key-of-this-zone"
LOOPBACK = ("127.0.0.0/8", "::1/128")
"""The networks that the range's tools are reached in; a bridge refuses them unless a tool names them."""


class BridgeDown(Exception):
    """It could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a bridge is told. `attempts`: entries of agent.json, each with the contents of its key files by role."""

    host: str
    attempts: tuple[tuple[dict[str, Any], Mapping[str, str]], ...]
    persona: Mapping[str, str]
    tools: tuple[dict[str, Any], ...]
    account: str
    auth_token: str
    carrier_url: str
    trust: Path
    escalation: Mapping[str, Any] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def bridge(given: Given, folder: Path) -> AsyncIterator[Ports]:
    """A bridge that serves; its log lies in the folder, too."""
    _write(given, folder)
    environment = {
        **os.environ,
        "HOLDFAST_DIRECTORY": str(folder),
        "HOLDFAST_LISTEN": "127.0.0.1:0:0",
        "SSL_CERT_FILE": str(given.trust),
        "POD_NAME": "matrix",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast_bridge", env=environment, stdout=PIPE, stderr=STDOUT
    )
    assert process.stdout is not None
    log = folder / "bridge.log"
    try:
        async with asyncio.timeout(START_WITHIN_S):
            ports = await _serving(process.stdout, log)
        following = asyncio.create_task(_follow(process.stdout, log))
        yield ports
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    await following


async def _serving(said: asyncio.StreamReader, log: Path) -> Ports:
    """The ports, once the bridge says that it serves."""
    with log.open("wb") as kept:
        while line := await said.readline():
            kept.write(line)
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("message") == "serving":
                    return Ports(int(entry["control"]), int(entry["audio"]))
    raise BridgeDown(f"the bridge ended before it served: see {log}")


async def _follow(said: asyncio.StreamReader, log: Path) -> None:
    with log.open("ab", buffering=0) as kept:
        async for line in said:
            kept.write(line)


def _write(given: Given, folder: Path) -> None:
    (folder / "fleet").mkdir(parents=True)
    secrets = {
        "zone-key": ZONE_KEY,
        "carrier-token": given.auth_token,
        "carrier-api-key": given.account,
        "carrier-api-secret": given.auth_token,
    }
    for name, held in secrets.items():
        (folder / "fleet" / name).write_text(held)
    attempts = []
    for entry, keys in given.attempts:
        written = json.loads(json.dumps(entry))
        for role, held in keys.items():
            file = folder / f"{entry['name']}-{role or 'key'}"
            file.write_text(held)
            (written[role] if role else written)["keyFile"] = str(file)
        attempts.append(written)
    agent = {
        "version": 1, "namespace": "matrix", "agent": "agent", "region": "here", "zone": "matrix",
        "policyHost": given.host, "buddy": None,
        "regions": [{"name": "here", "host": given.host, "weight": 1}],
        "persona": given.persona, "attempts": attempts, "tools": list(given.tools),
        "escalation": given.escalation,
        "carrier": {"name": "t", "kind": "twilio", "accountSid": given.account, "apiUrl": given.carrier_url},
    }  # fmt: skip
    (folder / "agent.json").write_text(json.dumps(agent))
