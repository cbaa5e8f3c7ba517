"""A cascade as a provider of a call: two sockets, a request per reply, and the sans-I/O `Cascade` between them.

It carries out what `core.cascade` orders and decides nothing itself, except how long it waits for others. Everything
happens in the callbacks of its links; only a request to the language model is a task, owned by the call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias

import aiohttp
from yarl import URL

from holdfast_bridge import http_out, provider_link
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.core.cascade import CancelLine, Cascade, CascadePlan, EndLine, Order, Say, StopThinking, Think
from holdfast_bridge.core.latency import Waited
from holdfast_bridge.core.stage_waits import StageWaits
from holdfast_bridge.provider_link import ProviderLink, ProviderUnreachable
from holdfast_bridge.providers import HearingCodec, SpeakingCodec, ThinkingCodec

CONNECT_WITHIN_S = 2.0
FIRST_WORD_WITHIN_S = 2.0
NEXT_WORD_WITHIN_S = 2.0
MAX_REFUSAL_BYTES = 4_096
MAX_REPLY_BYTES = 4 * 1024 * 1024
"""All that a model may send for one reply; a piece of it is a few letters in up to 300 bytes."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None]
"""Makes a task that ends with the call; None when the call is over."""
Hear: TypeAlias = Callable[[Iterable[ev.Event]], None]
OnWait: TypeAlias = Callable[[Waited], None]


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The three codecs of one link, and where two of them are reached; the third one says so in each request."""

    hearing: HearingCodec
    hearing_at: Address
    thinking: ThinkingCodec
    speaking: SpeakingCodec
    speaking_at: Address


class CascadeProvider:
    def __init__(
        self,
        stages: Stages,
        plan: CascadePlan,
        *,
        http: aiohttp.ClientSession,
        hear: Hear,
        spawn: Spawn,
        wall: Callable[[], float],
        on_wait: OnWait = lambda _: None,
    ) -> None:
        """`on_wait`: told how long each stage took, before what it said is told."""
        self._stages = stages
        self._core = Cascade(plan)
        self._http = http
        self._hear: Hear | None = hear
        self._spawn = spawn
        self._wall = wall
        self._on_wait = on_wait
        self._waits = StageWaits()
        self._loop = asyncio.get_running_loop()
        self._hearing: ProviderLink | None = None
        self._speaking: ProviderLink | None = None
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pumping = False
        self._fed_at = self._heard_at = 0.0
        """When the ear was given audio, and when it last said something."""

    async def connect(self) -> None:
        """Both sockets are open; or ProviderUnreachable, and neither is."""
        stages = self._stages
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._dial("hearing", stages.hearing_at, stages.hearing.decode))
                group.create_task(self._dial("speaking", stages.speaking_at, stages.speaking.decode))
        except ExceptionGroup as failed:
            self.close()
            raise failed.exceptions[0] from None
        except asyncio.CancelledError:
            self.close()
            raise

    # --- `Provider`

    def begin(self) -> None:
        for link, codec in ((self._hearing, self._stages.hearing), (self._speaking, self._stages.speaking)):
            for message in codec.opening():
                if link is not None:
                    link.send(message)
        # What was sent first is read first: nothing has to be waited for.
        self._core.stage("hearing", st.StageReady())
        self._core.stage("speaking", st.StageReady())
        self._fed_at = self._heard_at = self._loop.time()
        self._keep_hearing_alive()
        self._listen_to_the_ear()
        self._keep_speaking_alive()
        self._pump()

    def append(self, payload: bytes) -> None:
        codec = self._stages.hearing
        if (message := codec.append(payload)) is not None and self._hearing is not None:
            self._feed(message)

    def tell(self, effect: ev.ToProvider) -> None:
        self._core.tell(effect)
        self._pump()

    def suspect(self) -> str:
        return self._core.awaited()

    def close(self) -> None:
        self._hear = None
        for timer in self._timers.values():
            timer.cancel()
        for request in self._requests.values():
            request.cancel()
        for link, codec in ((self._hearing, self._stages.hearing), (self._speaking, self._stages.speaking)):
            if link is not None:
                for message in codec.closing():
                    link.send(message)
                link.close()
        self._hearing = self._speaking = None

    # --- between the stages and the core

    def _pump(self) -> None:
        """What is told to the call may bring its next wish at once: it is taken in the same round."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._hear is not None:
                said, orders = self._core.take()
                if not said and not orders:
                    return
                if said:
                    self._hear(said)
                for order in orders:
                    self._carry_out(order)
        finally:
            self._pumping = False

    def _carry_out(self, order: Order) -> None:
        voice = self._stages.speaking
        match order:
            case Think(number=number, thought=thought):
                self._waits.asked(number, self._loop.time())
                task = self._spawn(self._think(number, thought))
                if task is not None:
                    self._requests[number] = task
            case StopThinking(number=number):
                self._waits.not_wanted(number)
                if (request := self._requests.pop(number, None)) is not None:
                    request.cancel()
            case Say(line=line, text=text):
                self._waits.told(line, self._loop.time())
                self._speak(voice.say(line, text))
            case EndLine(line=line):
                self._speak(voice.end(line))
            case CancelLine(line=line):
                self._speak(voice.cancel(line))

    def _speak(self, messages: list[bytes]) -> None:
        if self._speaking is None:
            return
        for message in messages:
            self._speaking.send(message)
        self._keep_speaking_alive()

    def _stage(self, name: str, events: Iterable[Any], number: int = 0) -> None:
        if name == "hearing":
            self._heard_at = self._loop.time()
        for event in events:
            if (wait := self._waited(event, number)) is not None:
                self._on_wait(wait)
            self._core.stage(name, event, number)
        self._pump()

    def _waited(self, event: Any, number: int) -> Waited | None:
        now = self._loop.time()
        match event:
            case st.TurnEnded():
                return self._waits.turn_ended(self._stages.hearing.heard_ms, now)
            case st.TextPiece() | st.ToolAsked():
                return self._waits.answered(number, now)
            case st.StageLost() if number:
                return self._waits.answered(number, now, failed=True)
            case st.Sound(line=line):
                return self._waits.sounded(line, now)
        return None

    # --- sockets

    async def _dial(self, name: str, at: Address, decode: Callable[..., Iterable[Any]]) -> None:
        try:
            link = await provider_link.dial(
                at.url,
                at.headers,
                on_message=lambda message: self._stage(name, decode(message, binary=False)),
                on_binary=lambda message: self._stage(name, decode(message, binary=True)),
                on_lost=lambda word, retry_same: self._stage(name, (st.StageLost(word, retry_same),)),
                timeout_s=CONNECT_WITHIN_S,
            )
        except ProviderUnreachable as error:
            error.part = name
            raise
        # Kept at once: the other stage may yet fail, and then this one is closed with it.
        if name == "hearing":
            self._hearing = link
        else:
            self._speaking = link

    def _keep_hearing_alive(self) -> None:
        """Audio comes fifty times a second, so its timer is not set anew by it: it looks when it fires."""
        codec = self._stages.hearing
        quiet_s = self._loop.time() - self._fed_at
        if quiet_s >= codec.keep_alive_s > 0 and self._hearing is not None:
            self._feed(codec.keep_alive())
            quiet_s = 0.0
        self._after("hearing", codec.keep_alive_s - quiet_s, self._keep_hearing_alive)

    def _feed(self, message: bytes) -> None:
        if self._hearing is not None:
            self._hearing.send(message, binary=self._stages.hearing.audio_is_binary)
            self._fed_at = self._loop.time()
            self._waits.fed(len(message), self._fed_at)

    def _listen_to_the_ear(self) -> None:
        """Nothing else is due while the caller speaks: an ear that stalls then would never be missed."""
        most_s = self._stages.hearing.silence_max_s
        left_s = self._heard_at + most_s - self._loop.time()
        if most_s > 0 >= left_s:
            self._stage("hearing", (st.StageLost("stall"),))
        else:
            self._after("ear", left_s, self._listen_to_the_ear)

    def _keep_speaking_alive(self) -> None:
        self._after("speaking", self._stages.speaking.keep_alive_s, self._speaking_is_quiet)

    def _speaking_is_quiet(self) -> None:
        self._speak(self._stages.speaking.keep_alive())

    def _after(self, name: str, delay_s: float, do: Callable[[], None]) -> None:
        """One timer per name; setting it again puts it off."""
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        if delay_s > 0 and self._hear is not None:
            self._timers[name] = self._loop.call_later(delay_s, do)

    # --- requests

    async def _think(self, number: int, thought: st.Thought) -> None:
        request = self._stages.thinking.request(thought, now=self._wall())
        try:
            async with asyncio.timeout(FIRST_WORD_WITHIN_S) as deadline:
                await self._ask(number, request, deadline)
        except TimeoutError:
            self._stage("thinking", (st.StageLost("stall"),), number)
        except aiohttp.ClientError:
            self._stage("thinking", (st.StageLost("connect"),), number)
        finally:
            if self._requests.get(number) is asyncio.current_task():
                del self._requests[number]

    async def _ask(self, number: int, request: st.Request, deadline: asyncio.Timeout) -> None:
        async with self._http.post(
            URL(request.url, encoded=True),
            data=request.body,
            headers=dict(request.headers),
            ssl=provider_link.tls(),
            allow_redirects=False,
        ) as answer:
            if answer.status != HTTPStatus.OK:
                body = await http_out.whole(answer, MAX_REFUSAL_BYTES)
                refused = self._stages.thinking.status_failure(answer.status, dict(answer.headers), body)
                self._stage("thinking", (refused,), number)
                return
            reply, pieces, octets = self._stages.thinking.reply(), 0, 0
            with contextlib.suppress(aiohttp.ClientPayloadError):  # The codec knows whether a cut stream was whole.
                async for chunk in answer.content.iter_any():
                    octets += len(chunk)
                    if octets > MAX_REPLY_BYTES:
                        self._stage("thinking", (st.StageLost("flood"),), number)
                        return
                    self._stage("thinking", reply.feed(chunk), number)
                    if reply.pieces > pieces:
                        pieces = reply.pieces
                        deadline.reschedule(self._loop.time() + NEXT_WORD_WITHIN_S)
            self._stage("thinking", reply.end(), number)
