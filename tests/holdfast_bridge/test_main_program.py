"""The bridge as a program: where it listens, what it refuses to start with or to take over, and what it ends with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from control_builders import mounted

from holdfast_bridge.errors import SettingsError
from holdfast_bridge.main import Ports, ports_of, serve
from holdfast_bridge.stage_codecs import ROLES


class Program:
    """The bridge as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.log: list[dict[str, Any]] = []

    async def told(self, message: str) -> dict[str, Any]:
        """The next line of the log with this message."""
        assert self._process.stderr is not None
        async with asyncio.timeout(30):
            while line := await self._process.stderr.readline():
                self.log.append(json.loads(line))
                if self.log[-1]["message"] == message:
                    return self.log[-1]
        raise AssertionError(f"it ended without {message!r}: {self.log}")

    async def ended(self, *, by: signal.Signals | None = None) -> int:
        if by is not None:
            self._process.send_signal(by)
        async with asyncio.timeout(30):
            await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


@asynccontextmanager
async def program(directory: Path, **environment: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast_bridge",
        env=os.environ | {"HOLDFAST_DIRECTORY": str(directory), **environment},
        stderr=subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_files_that_cannot_be_meant_end_the_program_with_words(tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text('{"version":1}')
    async with program(tmp_path) as bridge:
        problem = (await bridge.told("cannot start"))["problem"]
        assert "agent.json" in problem
        assert "namespace" in problem
        assert (await bridge.ended(), len(bridge.log)) == (2, 1)


async def test_where_no_attempt_could_be_opened_it_is_said_at_start_and_no_call_has_to_find_out(tmp_path: Path) -> None:
    base = "wss://api.openai.com/v1/realtime"
    attempt = {"name": "first", "kind": "openai", "baseUrl": base, "model": "m", "options": {"sampel": 1}}
    with pytest.raises(SettingsError, match=r"openai.* no 'sampel'"):
        await serve(mounted(tmp_path, attempts=[attempt]), Ports())
    stages = {role: {"kind": "cartesia", "baseUrl": "wss://api.cartesia.ai"} for role in ROLES}
    with pytest.raises(SettingsError, match=r"attempt second: hearing: no kind 'cartesia'"):
        await serve(mounted(tmp_path, attempts=[{"name": "second", "kind": "cascade", **stages}]), Ports())


async def test_an_attempt_that_could_not_be_opened_is_said_at_start_and_the_others_serve(tmp_path: Path) -> None:
    loop = {"name": "echo", "kind": "loopback"}
    unfit = {"name": "cheap", "kind": "gpt-live", "baseUrl": "wss://example.com/elsewhere"}
    directory = mounted(tmp_path, attempts=[unfit, loop], drainSeconds=1)
    async with program(directory, HOLDFAST_LISTEN="127.0.0.1:0:0") as bridge, aiohttp.ClientSession() as http:
        (problem,) = (await bridge.told("settings not followed"))["problems"]
        assert problem.startswith("not tried: attempt cheap: ")
        serving = await bridge.told("serving")
        async with http.get(f"http://127.0.0.1:{serving['control']}/readyz") as ready:
            assert ready.status == 200
        assert await bridge.ended(by=signal.SIGTERM) == 0


async def test_outside_a_pod_it_listens_where_it_is_told_and_takes_over_nothing_that_could_not_be_opened(
    tmp_path: Path,
) -> None:
    directory = mounted(tmp_path, drainSeconds=1)
    async with program(directory, HOLDFAST_LISTEN="127.0.0.1:0:0") as bridge, aiohttp.ClientSession() as http:
        serving = await bridge.told("serving")
        assert len({serving["control"], serving["audio"], 0}) == 3
        mounted(tmp_path, attempts=[{"name": "cheap", "kind": "gpt-live", "baseUrl": "wss://example.com/elsewhere"}])
        (problem,) = (await bridge.told("settings not followed"))["problems"]
        assert problem.startswith("not in force: attempt cheap: ")
        assert "gpt-live" in problem
        async with http.get(f"http://127.0.0.1:{serving['control']}/readyz") as ready:
            assert ready.status == 200, "the old ones are in force"
        assert await bridge.ended(by=signal.SIGTERM) == 0


def test_where_to_listen_is_an_address_and_two_ports() -> None:
    assert ports_of("") == Ports()
    assert ports_of("127.0.0.1:8080:8081") == Ports(host="127.0.0.1", control=8080, audio=8081)
    assert ports_of("::1:0:8081") == Ports(host="::1", control=0, audio=8081)


@pytest.mark.parametrize("listen", ["8080", "a:8080", ":8080:8081", "a:http:8081", "a:8080:", "a:-1:0", "a:0:65536"])
def test_where_to_listen_that_cannot_be_meant_is_said(listen: str) -> None:
    with pytest.raises(SettingsError, match="HOLDFAST_LISTEN"):
        ports_of(listen)
