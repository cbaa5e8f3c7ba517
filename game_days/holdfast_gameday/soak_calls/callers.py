"""Callers that come and go: each place is taken by one call after another, for as long as the run lasts.

A call lives as the dice say: it is placed, its socket may die once and come back where the carrier is told to ask, and
its caller or the agent ends it. What becomes of it is written into the book.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random

import aiohttp
import picows

from holdfast_gameday.bench_bridge import subjects
from holdfast_gameday.bench_bridge.carrier import Caller, Clock, dial
from holdfast_gameday.bench_bridge.entries import ACCOUNT, HOST
from holdfast_gameday.soak_calls import dice
from holdfast_gameday.soak_calls.book import Book, Call, Ended
from holdfast_gameday.soak_calls.vendors import Line
from holdfast_gameday.soak_calls.voice import Voice
from holdfast_gameday.soak_calls.webhooks import Webhooks

BY_AGENT_WITHIN_S = 15.0
LINE_EVERY_S = 0.2
AT_MOST_STREAMS = 12
FIRST = f"https://{HOST}{subjects.PATH}/voice"
_FAILURES = (OSError, TimeoutError, LookupError, aiohttp.ClientError, picows.WSError)


class Callers:
    """`line_of`: where the agent of a call speaks now."""

    def __init__(self, book: Book, webhooks: Webhooks, line_of: Callable[[int], Line | None], seed: int) -> None:
        self.clock = Clock()
        self.closing = asyncio.Event()
        """Set when it is time: every call then comes to its end."""
        self.book = book
        self.webhooks = webhooks
        self.line_of = line_of
        self._seed = seed
        self._talks: dict[str, _Talk] = {}

    async def fill(self, place: int, begins_in_s: float) -> None:
        """One place: call after call."""
        own = Random(f"place {self._seed} {place}")
        await self._unless_closing(begins_in_s)
        while not self.closing.is_set():
            life = dice.life(own)
            await self._call(life, f"CA{own.getrandbits(128):032x}")
            await self._unless_closing(life.pause_s)

    def hung_up_by_bridge(self, call: str) -> None:
        """The carrier was asked to end it."""
        talk = self._talks.get(call)
        if talk is not None:
            talk.hung_up_by_bridge()

    async def _call(self, life: dice.Life, call: str) -> None:
        entry = Call(call=call, number=len(self.book.calls), began=time.monotonic_ns())
        self.book.calls.append(entry)
        talk = self._talks[call] = _Talk(entry, life, self)
        try:
            await talk.run()
        finally:
            del self._talks[call]
            talk.write()

    async def _unless_closing(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return


class _Talk:
    """One call. Its moments are seconds of the monotonic clock."""

    def __init__(self, entry: Call, life: dice.Life, world: Callers) -> None:
        self._entry = entry
        self._world = world
        self._voice = Voice(entry.number, entry.began)
        self._life = life
        self._began = entry.began / 1e9
        self._pulled_at = self._began + life.pulled_at_s if life.pulled_at_s else None
        self._caller: Caller | None = None
        self._asked_to_end = False

    async def run(self) -> None:
        at = FIRST
        while self._entry.ended is None:
            try:
                at = await self._next(at)
            except _FAILURES as error:
                self._lost(f"{type(error).__name__}: {error}")

    async def _next(self, at: str) -> str:
        """Ask, and follow what is said; where to ask then."""
        answer = await self._world.webhooks.ask(at, self._entry.call)
        if answer.hang_up and self._asked_to_end:
            self._end(Ended.BY_AGENT)
        elif answer.stream is not None and answer.pod is not None and self._entry.streams < AT_MOST_STREAMS:
            self._entry.streams += 1
            caller = Caller(self._entry.call, ACCOUNT, self._voice, self._voice)
            await dial(caller, answer.stream)
            await self._talk(caller, answer.pod.name)
        elif answer.pause_s and answer.afterwards:
            await asyncio.sleep(answer.pause_s)
        else:
            self._entry.given_up = answer.apology
            self._lost("hung up" if answer.hang_up else "given up")
        return answer.afterwards

    async def _talk(self, caller: Caller, pod: str) -> None:
        """One stream."""
        self._caller = caller
        self._world.book.opened(pod)
        self._world.clock.add(caller)
        try:
            await self._listen(caller)
        finally:
            self._world.clock.remove(caller)
            self._caller = None
            self._world.book.left(pod, time.monotonic())

    async def _listen(self, caller: Caller) -> None:
        """Until the stream is over: because it ended, because it is to be pulled, or because the call is to end."""
        if self._pulled_at is not None and not await self._over(caller, self._pulled_at):
            self._pulled_at = None
            if not self._world.closing.is_set():
                caller.drop()
                return
        if await self._over(caller, self._began + self._life.lasts_s):
            return
        if self._life.by_agent and await self._ended_by_agent(caller):
            return
        if not (caller.lost or caller.over.is_set()):
            caller.hang_up()
            self._end(Ended.BY_CALLER)

    async def _over(self, caller: Caller, due: float) -> bool:
        """Whether the stream is over before the moment comes. When all calls are to end, the moment is now."""
        over = asyncio.ensure_future(caller.over.wait())
        closing = asyncio.ensure_future(self._world.closing.wait())
        try:
            within = max(0.0, due - time.monotonic())
            await asyncio.wait((over, closing), timeout=within, return_when=asyncio.FIRST_COMPLETED)
            return over.done()
        finally:
            over.cancel()
            closing.cancel()

    async def _ended_by_agent(self, caller: Caller) -> bool:
        """Whether the stream is over; an agent that is heard no more, or not obeyed, leaves the end to the caller."""
        try:
            async with asyncio.timeout(BY_AGENT_WITHIN_S):
                while (line := self._world.line_of(self._entry.number)) is None:
                    await asyncio.sleep(LINE_EVERY_S)
                self._asked_to_end = True
                self._voice.done(time.monotonic_ns())
                line.end_call()
                await caller.over.wait()
        except TimeoutError:
            self._world.book.said_no += self._asked_to_end
            return False
        return True

    def hung_up_by_bridge(self) -> None:
        if self._asked_to_end:
            self._end(Ended.BY_AGENT)
        else:
            self._lost("hung up by the bridge")
        if self._caller is not None:
            self._caller.hang_up()

    def _lost(self, why: str) -> None:
        self._end(Ended.LOST, why)

    def _end(self, how: Ended, why: str = "") -> None:
        """The first end counts."""
        if self._entry.ended is not None:
            return
        self._entry.ended, self._entry.why = how, why
        self._entry.until = time.monotonic_ns()
        self._voice.done(self._entry.until)

    def write(self) -> None:
        entry, voice = self._entry, self._voice
        entry.longest_gap_ns, entry.strange = voice.longest_ns, voice.strange
        entry.gaps = tuple((gap.begins, gap.ends) for gap in voice.gaps)
