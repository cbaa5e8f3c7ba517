"""Watching entries: when calls are made, and what turns a verdict."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from holdfast import clock
from holdfast.core import evidence
from holdfast.core.values import Probe, Verdict
from holdfast.gather.entries import Entries, Watched

QUICK = Probe(interval_s=60, timeout_s=0.2, confirmations=2, confirm_every_s=0.01)


class Entry:
    """A region's entry as the watcher sees it: up, down, or silent until released."""

    def __init__(self) -> None:
        self.calls = 0
        self.now = evidence.Result(Verdict.UP)
        self.silent = False
        self.release = asyncio.Event()
        self.third = asyncio.Event()

    async def call(self, _watched: Watched) -> evidence.Result:
        self.calls += 1
        if self.calls == 3:
            self.third.set()
        if self.silent:
            await self.release.wait()
        return self.now


@asynccontextmanager
async def watching(entry: Entry, probe: Probe = QUICK) -> AsyncIterator[tuple[Entries, asyncio.Event]]:
    changed = asyncio.Event()
    entries = Entries(
        call=entry.call,
        targets=lambda: {"fra": Watched("fra", "fra.voice.example.com", probe)},
        clock=clock.now,
        on_change=changed.set,
        dice=random.Random(1),
    )
    task = asyncio.create_task(entries.run())
    try:
        yield entries, changed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool], changed: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        while not true():
            changed.clear()
            await changed.wait()


async def test_an_entry_that_answers_comes_up_without_waiting_for_its_turn() -> None:
    entry = Entry()
    async with watching(entry) as (entries, changed):
        await until(lambda: bool(entries.histories()) and entries.histories()["fra"].verdict is Verdict.UP, changed)
    assert entry.calls == 2


async def test_a_stirred_entry_that_fails_is_confirmed_and_down_at_once() -> None:
    entry = Entry()
    async with watching(entry) as (entries, changed):
        await until(lambda: bool(entries.histories()) and entries.histories()["fra"].verdict is Verdict.UP, changed)
        entry.now = evidence.Result(Verdict.DOWN, "connect: refused")
        entries.stir("fra")
        await until(lambda: entries.histories()["fra"].verdict is Verdict.DOWN, changed)
        assert entries.suspicious()
    assert entry.calls == 2 + 3


async def test_an_unanswered_call_is_confirmed_by_overlapping_ones() -> None:
    """A region that swallows packets must cost one time-out, not three in a row."""
    entry = Entry()
    entry.silent = True
    async with watching(entry):
        async with asyncio.timeout(30):
            await entry.third.wait()
        assert not entry.release.is_set()


async def test_a_verdict_is_settled_only_by_calls_launched_since_then() -> None:
    """What an observer saw while it doubted itself counts no more after it (simulator, seed 5)."""
    entry = Entry()
    async with watching(entry) as (entries, changed):
        await until(lambda: entries.settled_since(float("-inf")) and entry.calls > 1, changed)
        moment = clock.now()
        assert not entries.settled_since(moment)
        entries.stir("fra")
        async with asyncio.timeout(30):
            while not entries.settled_since(moment):  # noqa: ASYNC110 - nothing rings when a verdict is borne out
                await asyncio.sleep(0)
        assert entries.settled_since(moment)
