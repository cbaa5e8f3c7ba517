"""A thousand idle sockets and a hundred slow ones beside fifty good calls, against the bridge as a program.

The good calls talk to an attempt that says everything back, so that each frame which is lost or out of its place is
seen. The others are let go at their deadlines, and what they held comes back.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from control_builders import CARRIER_TOKEN, ZONE_KEY, mounted
from raw_websocket import TEXT, RawClient, frame, head, media, raw_client, said, start

from holdfast_bridge.core import token

IDLE, SLOW, GOOD = 1_000, 100, 50
SILENT_UPGRADES = 100
"""Of the idle ones: let in with a good signature, and then without a word."""
WORDS = [bytes([number & 255, number >> 8]) * 80 for number in range(250)]
FRAME_S = 0.02
ACCOUNT = "AC" + "1" * 32


@dataclass(frozen=True, slots=True)
class Program:
    audio: int
    pid: int

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@asynccontextmanager
async def program(directory: Path) -> AsyncIterator[Program]:
    mounted(directory, limits={"callsPerPod": 2 * GOOD, "maxCallSeconds": 600}, buddy=None)
    log = directory / "log"
    with log.open("wb") as kept:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "holdfast_bridge", stderr=kept,
            env=os.environ | {"HOLDFAST_DIRECTORY": str(directory), "HOLDFAST_LISTEN": "127.0.0.1:0:0"},
        )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while b'"serving"' not in log.read_bytes():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        serving = next(line for line in map(json.loads, log.read_text().splitlines()) if line["message"] == "serving")
        yield Program(serving["audio"], process.pid)
    finally:
        process.kill()
        await process.wait()


def token_of(call: str) -> str:
    claim = token.Claim(
        call=call, agent="clinic/front-desk", region="fra", epoch=1, expires=int(time.time()) + 100, nonce=call
    )
    return token.mint(claim, key=ZONE_KEY.encode())


async def upgraded(client: RawClient) -> RawClient:
    client.send(head(key=CARRIER_TOKEN))
    assert await client.status() == 101
    return client


async def slowly(client: RawClient, number: int) -> None:
    """A request, or the first message of a stream, that never comes to its end."""
    endless = head(key=CARRIER_TOKEN)
    if number % 2:
        await upgraded(client)
        endless = frame(TEXT, said("connected") + b" " * 1_000)
    try:
        for octet in endless:
            client.send(bytes([octet]))
            await client.writer.drain()
            await asyncio.sleep(0.1)
    except ConnectionError:
        return


async def good_call(client: RawClient, number: int) -> bytes:
    """What a caller hears of what he says."""
    call = f"CAgood{number}"
    await upgraded(client)
    client.send(frame(TEXT, said("connected")), frame(TEXT, start(token_of(call), call, account=ACCOUNT)))
    # It is taken when the first word comes back; until then words come before its time, and are let fall.
    knocking = asyncio.create_task(knock(client))
    await client.next()
    knocking.cancel()
    listening = asyncio.create_task(listened(client))
    began = asyncio.get_running_loop().time()
    for at, words in enumerate(WORDS):
        client.send(frame(TEXT, media(words)))
        await asyncio.sleep(max(0.0, began + at * FRAME_S - asyncio.get_running_loop().time()))
    async with asyncio.timeout(30):
        told = await listening
    client.send(frame(TEXT, said("stop")))
    return told


async def knock(client: RawClient) -> None:
    while True:
        client.send(frame(TEXT, media(b"first")))
        await asyncio.sleep(0.2)


async def listened(client: RawClient) -> bytes:
    told, whole = b"", len(WORDS) * 160
    while len(told) < whole:
        _, message = await client.next()
        payload = base64.b64decode(json.loads(message)["media"]["payload"])
        told += b"" if payload == b"first" else payload
    return told


async def test_a_crowd_of_idle_and_slow_sockets_costs_the_calls_beside_it_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    async with program(tmp_path) as bridge, AsyncExitStack() as crowd:
        before = bridge.descriptors()
        idle = [await crowd.enter_async_context(raw_client(bridge.audio)) for _ in range(IDLE - SILENT_UPGRADES)]
        # Upgraded as they come: the bridge waits some seconds for it, and a thousand others take long to come.
        idle += [
            await upgraded(await crowd.enter_async_context(raw_client(bridge.audio))) for _ in range(SILENT_UPGRADES)
        ]
        slow = [await crowd.enter_async_context(raw_client(bridge.audio)) for _ in range(SLOW)]
        assert bridge.descriptors() >= before + SLOW
        async with asyncio.TaskGroup() as group:
            dawdling = [group.create_task(slowly(client, number)) for number, client in enumerate(slow)]
            good = [await crowd.enter_async_context(raw_client(bridge.audio)) for _ in range(GOOD)]
            calls = [group.create_task(good_call(client, number)) for number, client in enumerate(good)]
        assert [call.result() == b"".join(WORDS) for call in calls] == [True] * GOOD
        assert len(dawdling) == SLOW
        for client in (*idle, *slow, *good):
            await client.gone()
        async with asyncio.timeout(30):
            while bridge.descriptors() > before:  # noqa: ASYNC110 - the state is another process's
                await asyncio.sleep(0.05)
