"""What somebody else met at a target makes us look at once, and never judges it for us."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from control_parts import until

from holdfast import clock
from holdfast.core.evidence import Result
from holdfast.core.values import Probe, Verdict
from holdfast.gather.watches import Manner, Watches

RARE = Probe(interval_s=60, timeout_s=0.2, confirmations=2, confirm_every_s=0.01)
FAILED = Result(Verdict.DOWN, "a call's request: 5xx")


class Target:
    """Answers as it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.now, self.asked = Result(Verdict.UP), 0
        self.watches: Watches[str, str, Result] = Watches(
            Manner(
                kind="carrier", named=str, ask=self.ask, result=lambda answer: answer, probe=lambda _target: RARE
            ),
            targets=lambda: {"twilio": "twilio"}, clock=clock.now, on_change=lambda: None, dice=random.Random(1),
        )  # fmt: skip

    async def ask(self, _target: str) -> Result:
        self.asked += 1
        return self.now

    def verdict(self) -> Verdict:
        found = self.watches.histories().get("twilio")
        return found.verdict if found else Verdict.UNKNOWN


@asynccontextmanager
async def watched() -> AsyncIterator[Target]:
    target = Target()
    task = asyncio.create_task(target.watches.run())
    await until(lambda: target.verdict() is Verdict.UP)
    try:
        yield target
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_suspicion_has_the_target_asked_at_once_and_ends_when_it_answers():
    async with watched() as target:
        before = target.asked
        target.watches.suspect("twilio", FAILED)
        assert target.watches.suspicious()
        await until(lambda: not target.watches.suspicious())
        assert target.asked > before
        assert target.verdict() is Verdict.UP


async def test_however_many_tell_it_a_verdict_takes_our_own_confirmations():
    async with watched() as target:
        for _ in range(50):
            target.watches.suspect("twilio", FAILED)
        assert target.verdict() is Verdict.UP
        target.now = Result(Verdict.DOWN, "HTTP 503")
        target.watches.suspect("twilio", FAILED)
        await until(lambda: target.verdict() is Verdict.DOWN)
        assert target.watches.histories()["twilio"].detail == "HTTP 503"


async def test_a_suspicion_of_what_is_not_watched_is_let_pass():
    async with watched() as target:
        target.watches.suspect("telnyx", FAILED)
        assert not target.watches.suspicious()
