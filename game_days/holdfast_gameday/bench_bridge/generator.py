"""The load: carrier and provider in one process, so that both ends of every frame are read from one clock.

    python -m holdfast_gameday.bench_bridge.generator OPTIONS

Orders come on standard input, one JSON object a line, and each is answered by one: `{"calls": 200, "seconds": 10}`
brings so many calls up and measures for so long; when the window opens and closes is said, too. It ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import secrets
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import picows
import uvloop

from holdfast_gameday.bench_bridge import entries
from holdfast_gameday.bench_bridge.carrier import Caller, Clock, dial
from holdfast_gameday.bench_bridge.codings import Account, Bursts, Coding, Numbered
from holdfast_gameday.bench_bridge.provider import Provider
from holdfast_gameday.world import tls

STRAGGLERS_S = 1.5
SETTLE_S = 2.0
SESSION_WITHIN_S = 5.0
FAILED_MAX = 5
"""So many calls that cannot be placed end a step."""


class Load:
    """Calls of one subject. `entry`: how a call comes to it."""

    def __init__(self, entry: entries.Entry, *, numbered: bool, calls_per_s: float) -> None:
        self._entry = entry
        self._numbered = numbered
        self._pause_s = 1 / calls_per_s
        self._unclaimed: deque[tuple[Coding, Coding]] = deque()
        self.up, self.down = Account(), Account()
        self.clock = Clock()
        self.callers: list[Caller] = []
        self.provider = Provider(self._claim)

    async def grow(self, calls: int) -> str:
        """Bring so many calls up in all; why it could not be done, if it could not."""
        failed = 0
        while len(self.callers) < calls:
            began = time.monotonic()
            try:
                await self._place()
            except (OSError, TimeoutError, LookupError, aiohttp.ClientError, picows.WSError) as error:
                failed += 1
                if failed >= FAILED_MAX:
                    return f"calls cannot be placed: {type(error).__name__}: {error}"
            await asyncio.sleep(max(0.0, self._pause_s - (time.monotonic() - began)))
        return ""

    async def _place(self) -> None:
        """One at a time, because a session at the provider is known by when it comes."""
        call = "CA" + secrets.token_hex(16)
        stream = await self._entry(call)
        up, down = self._sounds()
        self._unclaimed.clear()
        self._unclaimed.append((up, down))
        caller, before = Caller(call, entries.ACCOUNT, up, down), self.provider.opened
        await dial(caller, stream)
        async with asyncio.timeout(SESSION_WITHIN_S):
            while self.provider.opened == before:
                await asyncio.sleep(0.002)
        self.callers.append(caller)
        self.clock.add(caller)

    def _claim(self) -> tuple[Coding, Coding]:
        """Of the call that is being placed; a session that nobody waits for is accounted for all the same."""
        return self._unclaimed.popleft() if self._unclaimed else self._sounds()

    def _sounds(self) -> tuple[Coding, Coding]:
        if self._numbered:
            return Numbered(self.up), Numbered(self.down)
        return Bursts(self.up, to_provider=True), Bursts(self.down, to_provider=False)

    async def measure(self, seconds: float) -> dict[str, Any]:
        """What came of the frames that were sent in the next seconds."""
        await asyncio.sleep(SETTLE_S)
        since = time.monotonic_ns()
        self.clock.late_ms = 0.0
        for account in (self.up, self.down):
            account.open(since, since + int(seconds * 1e9))
        _say({"window": "open"})
        await asyncio.sleep(seconds)
        _say({"window": "closed"})
        await asyncio.sleep(STRAGGLERS_S)
        return {
            "calls": len(self.callers),
            "lost_calls": sum(bool(caller.lost) for caller in self.callers),
            "why": next((caller.lost for caller in self.callers if caller.lost), ""),
            "clock_late_ms": self.clock.late_ms,
            "up": _told(self.up),
            "down": _told(self.down),
        }


def _told(account: Account) -> dict[str, Any]:
    return {
        "sent": account.sent,
        "lost": account.lost,
        "disorder": account.disorder,
        "p50_ms": account.wait_ms(0.5),
        "p99_ms": account.wait_ms(0.99),
    }


async def serve(chosen: argparse.Namespace) -> None:
    async with aiohttp.ClientSession() as http:
        if chosen.control:
            entry = entries.by_webhook(http, control=chosen.control, audio=chosen.socket, path=chosen.path)
        else:
            entry = entries.direct(chosen.socket)
        load = Load(entry, numbered=not chosen.bursts, calls_per_s=chosen.calls_per_s)
        context = tls.server_context(*chosen.tls) if chosen.tls else None
        server = await load.provider.serve(chosen.provider_port, context)
        clock = asyncio.create_task(load.clock.run())
        _say({"listening": server.sockets[0].getsockname()[1]})
        async for order in _orders():
            problem = await load.grow(int(order["calls"]))
            _say({"problem": problem} if problem else await load.measure(float(order["seconds"])))
        for caller in load.callers:
            caller.hang_up()
        clock.cancel()
        server.close()


async def _orders() -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="generator", description="Carrier and provider of the bench.")
    parser.add_argument("--socket", required=True, help="the subject's socket: a URL, or host:port with --control")
    parser.add_argument("--control", default="", help="host:port where the carrier's webhook is answered")
    parser.add_argument("--path", default="", help="of the agent, with --control")
    parser.add_argument("--provider-port", type=int, required=True)
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERTIFICATE", "KEY"), help="the provider speaks TLS")
    parser.add_argument("--bursts", action="store_true", help="the subject resamples")
    parser.add_argument("--calls-per-s", type=float, default=50.0)
    gc.disable()  # Its pauses would be taken for the subject's; nothing here lives in circles for longer than a call.
    uvloop.run(serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
