"""The stage that system tests share: three real clusters with Holdfast in each, the practice range, both agents ready.

A module that wants it says `pytestmark = stage_fixture.marks`. It is set once, when all other labs are down, and struck
when the last test is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from holdfast_gameday import runner
from holdfast_gameday.lab import names
from holdfast_gameday.lab.range_of_clusters import Lab
from holdfast_gameday.practice import NUMBERS
from holdfast_gameday.runner import Stage
from holdfast_gameday.world.callers import Call
from holdfast_gameday.world.callers_script import Step, remember_a_code

marks = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    async with runner.staged(await Lab.choose()) as standing:
        yield standing


async def until(claim: Callable[[], bool | Awaitable[bool]], *, within_s: float, what: str) -> float:
    """Waits until the world is as claimed; answers after how many seconds it was."""
    start = time.monotonic()
    while True:
        held = claim()
        if isinstance(held, Awaitable):
            held = await held
        if held:
            return time.monotonic() - start
        assert time.monotonic() - start < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.2)


def dial(stage: Stage, code: str = "4711", *, zone: str = "eu", script: tuple[Step, ...] | None = None) -> Call:
    return stage.range.callers.place(NUMBERS[zone], script or remember_a_code(code))


async def dial_into(stage: Stage, region: str, *, script: tuple[Step, ...] | None = None) -> Call:
    """A call whose stream is open in that region; calls that land elsewhere are hung up."""
    host = names.REGIONS[region].host
    for _ in range(30):
        call = dial(stage, script=script)
        await until(lambda call=call: call.host is not None or call.over.is_set(), within_s=15, what="it is answered")
        if call.host == host:
            return call
        call.hang_up()
    raise AssertionError(f"no call of 30 landed in {region}")


async def over(call: Call, *, within_s: float = 45) -> None:
    async with asyncio.timeout(within_s):
        await call.over.wait()
