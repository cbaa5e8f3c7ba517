"""The range of the matrix put together, and cases played side by side on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from holdfast_gameday.lab import certs
from holdfast_gameday.matrix import vendors
from holdfast_gameday.matrix.cases import Case
from holdfast_gameday.matrix.entry import Entry
from holdfast_gameday.matrix.judge import Finding
from holdfast_gameday.matrix.play import TOOL_TAKES_S, Range, key_of, play
from holdfast_gameday.world import tls
from holdfast_gameday.world.callers import Callers
from holdfast_gameday.world.callers_ear import Ear
from holdfast_gameday.world.tools_webhook import ToolsWebhook
from holdfast_gameday.world.twilio import TwilioSettings, TwilioSim
from holdfast_gameday.world.voice_linear import EitherScanner

ACCOUNT = "AC" + "0" * 31 + "7"
AUTH_TOKEN = "the-carriers-token"  # noqa: S105 - of the practice range
SERVED = ("localhost", "127.0.0.1", "*.matrix.example")


async def run(
    cases: Sequence[Case], folder: Path, *, at_a_time: int, tell: Callable[[Finding], None]
) -> list[Finding]:
    """Every case, so many at a time; `tell` hears of each as it ends."""
    async with _standing(cases, folder) as ground:
        free = asyncio.Semaphore(at_a_time)

        async def one(case: Case) -> Finding:
            async with free:
                finding = await play(case, ground)
                tell(finding)
                return finding

        return list(await asyncio.gather(*(one(case) for case in cases)))


@contextlib.asynccontextmanager
async def _standing(cases: Sequence[Case], folder: Path) -> AsyncIterator[Range]:
    authority = certs.authority()
    server = tls.server_context(*certs.leaf(SERVED))
    names = {f"c{case.number}.matrix.example": "127.0.0.1" for case in cases}
    twilio = TwilioSim(TwilioSettings(names=names, trust=tls.client_context(authority)))
    twilio.state.add_account(ACCOUNT, auth_token=AUTH_TOKEN)
    tools = ToolsWebhook(name="localhost")
    tools.delay_s = TOOL_TAKES_S
    keys = [key_of(case, place) for case in cases for place in ("a", "b")]
    async with (
        vendors.serving(keys) as served,
        Entry().serving(server) as entry,
        tools.serving("127.0.0.1", 0, ssl_context=server) as tools_at,
        twilio.serving("127.0.0.1", 0, ssl_context=server) as carrier,
    ):
        assert carrier.address is not None
        yield Range(
            twilio=twilio,
            callers=Callers(twilio, ear=lambda: Ear(EitherScanner())),
            vendors=served,
            tools=tools,
            tools_url=f"https://localhost:{tools_at.port}/book",
            entry=entry,
            account=ACCOUNT,
            auth_token=AUTH_TOKEN,
            carrier_url=f"https://localhost:{carrier.address.port}",
            trust=authority,
            folder=folder / f"{time.time_ns():x}",
        )
