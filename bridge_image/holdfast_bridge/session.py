"""One call's pump: carrier socket ↔ leg codec ↔ `CallCore` ↔ provider, tools and journal.

It carries out what the core decides and decides nothing itself, except how long it waits for others. Events are handled
where they arrive, in the callback of a socket, one after the other; only what has to wait becomes a task of this call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol, assert_never

from holdfast_bridge import choosing
from holdfast_bridge.agent_config import Turns
from holdfast_bridge.core import events as ev
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.latency import TurnMarks
from holdfast_bridge.core.plan import CallPlan
from holdfast_bridge.core.silence import Manners
from holdfast_bridge.core.token import Claim
from holdfast_bridge.errors import BridgeError
from holdfast_bridge.legs.twilio import TwilioLeg
from holdfast_bridge.linking import Links
from holdfast_bridge.providing import Open
from holdfast_bridge.seams import Services
from holdfast_bridge.tools import ToolRunner

HANG_UP_WITHIN_S = 4.5
STOP_IS_THE_END_AFTER_S = 1.0
"""The carrier sends the same `stop` when a caller hangs up and when somebody redirects the call. In the second case it
asks `next` at once, which must find the call unfinished and raise its epoch; our end then comes too late to count."""
CLOSE_OK, CLOSE_GOING_AWAY, CLOSE_INTERNAL_ERROR = 1000, 1001, 1011
MAX_TASKS = 32
SOUND_DUE_S = 0.3
"""The agent's sound sets no nearer deadline, and the caller's none: a timer that is due before looks at what it set."""
NOT_CONFIRMED = (
    '{"error":"the request was not carried out, because it could not be recorded safely first; '
    'tell the caller and offer to try again"}'
)

log = logging.getLogger(__name__)


class CarrierWire(Protocol):
    """The carrier's socket, as a call sees it."""

    def send(self, message: bytes) -> None: ...

    def close(self, code: int) -> None: ...


class Session:
    """Implements `seams.LiveCall`."""

    def __init__(
        self,
        services: Services,
        *,
        claim: Claim,
        leg: TwilioLeg,
        wire: CarrierWire,
        tools: ToolRunner,
        open_provider: Open,
    ) -> None:
        self._services = services
        self._claim = claim
        self._leg = leg
        self._wire = wire
        self._tools = tools
        self._open_provider = open_provider
        self._loop = asyncio.get_running_loop()
        self._core: CallCore | None = None
        self._links: Links | None = None
        self._marks = TurnMarks()
        self._end: ev.EndCall | None = None
        self._over = asyncio.Event()
        self._queue: deque[ev.Event] = deque()
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- seams.LiveCall

    @property
    def record(self) -> CallRecord:
        """A call is in the book only while its core exists."""
        assert self._core is not None
        return self._marks.onto(self._core.record)

    def silent(self) -> bool:
        return self._core is not None and self._core.silent()

    def fall_silent(self, epoch: int) -> None:
        if epoch > self._claim.epoch:
            self.feed(ev.Superseded(epoch))

    def released(self) -> None:
        self.feed(ev.Released())

    def reorder(self) -> None:
        if self._core is None:
            return
        settings = self._services.settings()
        own = {attempt.name: index for index, attempt in enumerate(self._attempts)}
        usable = choosing.for_call(settings, self._claim, self._handed)
        self.feed(ev.AttemptsOrdered(tuple(own[attempt.name] for attempt in usable if attempt.name in own)))

    # --- the life of a call

    async def run(self) -> None:
        """Carry the call until it ends, is handed over, or its socket is gone."""
        self._settings = self._services.settings()
        known = await self._known()
        if known is not None and known.state == "ended":
            await self._hang_up()
            self._wire.close(CLOSE_OK)
            return
        if not self._settings.agent.attempts:  # Barred while the call came in: another region may have one.
            self._wire.close(CLOSE_GOING_AWAY)
            return
        self._handed = known
        self._core, self._marks = CallCore(self._plan(), known), TurnMarks.after(known)
        self._links = Links(
            self._services,
            self._claim.call,
            attempts=self._attempts,
            settings=self._settings,
            open_provider=self._open_provider,
            feed=self.feed,
            past=self._core.past,
            spawn=self._spawn,
            waited=self._marks.waited,
        )
        self._services.calls.add(self)
        self._services.provider_began(self._attempts[0].parts)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._core.start(self._loop.time())
                self._pump()
                self._arm(self._core.get_timer())
                await self._over.wait()
                for task in self._tasks:
                    task.cancel()
        finally:
            self._links.close()
            if self._timer is not None:
                self._timer.cancel()
            try:
                await self._finish()
            finally:
                self._services.calls.remove(self)
                self._links = None  # They know this call, which is to be gone without the collector of cycles.

    async def _known(self) -> CallRecord | None:
        """The first owner of a call has nothing to ask for; a later one takes up what is known."""
        if self._claim.epoch <= 1:
            return None
        known = await self._services.journal.load(self._claim.call)
        if known is not None and known.epoch > self._claim.epoch:
            log.info("a newer owner is known", extra={"call": self._claim.call})
        return known

    def _plan(self) -> CallPlan:
        settings = self._settings
        agent, persona = settings.agent, settings.agent.persona
        self._attempts = choosing.for_call(settings, self._claim, self._handed)
        speaks = self._attempts[0].kind != "loopback"
        return CallPlan(
            call=self._claim.call,
            agent=agent.id,
            epoch=self._claim.epoch,
            region=agent.region,
            pod=settings.pod,
            wall_s=time.time(),
            max_call_s=agent.limits.max_call_seconds,
            greeting=persona.greeting if speaks else "",
            disclosure=persona.disclosure if speaks else "",
            language=persona.language,
            manners=_manners(agent.turns),
            barge_in=agent.turns.barge_in,
            speaks=speaks,
            attempts=len(self._attempts),
            names=tuple(attempt.name for attempt in self._attempts),
            tools=frozenset(tool.name for tool in agent.tools),
            repeatable=frozenset(tool.name for tool in agent.tools if not tool.side_effects),
        )

    async def _finish(self) -> None:
        """The clean end: first the journal, then the carrier, then the socket; anything else just lets go."""
        end = self._end
        if end is None:
            task = asyncio.current_task()
            stopping = task is not None and task.cancelling() > 0
            self._wire.close(CLOSE_GOING_AWAY if stopping else CLOSE_INTERNAL_ERROR)
            return
        log.info("call left", extra={"call": self._claim.call, "reason": end.reason.value, "over": end.over})
        if end.over:
            if end.reason is ev.End.CALLER_HUNG_UP:
                await asyncio.sleep(STOP_IS_THE_END_AFTER_S)
            with contextlib.suppress(BridgeError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._services.journal.settle(self.record)
            if end.hang_up:
                await self._hang_up()
        elif end.reason is not ev.End.SUPERSEDED:
            self._services.journal.put(self.record, now=True)
        self._wire.close(CLOSE_OK if end.over else CLOSE_GOING_AWAY)

    async def _hang_up(self) -> None:
        try:
            async with asyncio.timeout(HANG_UP_WITHIN_S):
                await self._services.carrier.hang_up(self._claim.call)
        except (BridgeError, TimeoutError) as error:
            # The socket's end makes the carrier ask `next`, which hangs up, too.
            log.warning("hang-up not confirmed", extra={"call": self._claim.call, "error": type(error).__name__})

    # --- the pump

    def feed(self, event: ev.Event) -> None:
        """Take an event from anywhere in this thread; re-entrance is queued, so the core sees one at a time."""
        core = self._core
        if core is None:
            # The journal is being asked. A caller who leaves meanwhile is not kept; what he says in it is lost.
            if isinstance(event, ev.CallerStop | ev.CarrierLost | ev.Superseded):
                self._queue.append(event)
        elif self._pumping:
            self._queue.append(event)
        elif type(event) is ev.CallerAudio:
            assert self._links is not None
            if passed := core.caller_sound(event.payload, self._loop.time()):
                self._links.append(passed)
            if not core.at_rest:  # Nobody listens to it, say.
                self._pump()
                self._arm(core.get_timer())
        elif type(event) is ev.ProviderAudio:
            self._agent_sound(event)
        else:
            core.receive(event, self._loop.time())
            self._pump(event)
            self._arm(core.get_timer())

    def _agent_sound(self, event: ev.ProviderAudio) -> None:
        core, now = self._core, self._loop.time()
        assert core is not None
        if (mark := core.agent_sound(event, now)) is not None:
            self._marks.flowed(len(event.payload), now)
            self._wire.send(self._leg.media(event.payload))
            if mark:
                self._wire.send(self._leg.mark(mark))
            return
        core.receive(event, now)
        soon = self._timer_due is not None and self._timer_due <= now + SOUND_DUE_S
        if self._pump(event) or not soon:
            self._arm(core.get_timer())

    def _pump(self, event: ev.Event | None = None) -> bool:
        """Carry out what the core wants, after this event; True when more events came of that."""
        core, queue, more = self._core, self._queue, False
        assert core is not None
        self._pumping = True
        try:
            while True:
                self._carry_out(event, core.effects())
                if not queue:
                    return more
                event, more = queue.popleft(), True
                core.receive(event, self._loop.time())
        finally:
            self._pumping = False

    def _arm(self, due: float | None) -> None:
        if due == self._timer_due and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._loop.call_at(due, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = self._timer_due = None
        assert self._core is not None
        self._core.handle_timer(self._loop.time())
        self._pump()
        self._arm(self._core.get_timer())

    def _carry_out(self, event: ev.Event | None, effects: list[ev.Effect]) -> None:
        for attempt, sample in self._marks.happened(event, effects, self._loop.time()):
            self._services.took(self._attempts[attempt], sample)
        for effect in effects:
            self._act(effect)

    def _act(self, effect: ev.Effect) -> None:
        assert self._links is not None
        if type(effect) is ev.AppendAudio:
            self._links.append(effect.payload)
            return
        if type(effect) is ev.SendAudio or type(effect) is ev.PlayTone:
            self._wire.send(self._leg.media(effect.payload))
            return
        match effect:
            case ev.SendMark(name=name):
                self._wire.send(self._leg.mark(name))
            case ev.ClearCarrier():
                self._wire.send(self._leg.clear)
            case ev.Truncate() | ev.SeedConversation() | ev.Respond() | ev.ToolOutput():
                self._links.tell(effect)
            case ev.Record(record=record, now=now):
                self._services.journal.put(self._marks.onto(record), now=now)
            case ev.RunTool():
                self._spawn(self._run_tool(effect))
            case ev.ConnectProvider() | ev.Prepare() | ev.Unprepare():
                self._links.change(effect)
            case ev.EndCall():
                self._end = effect
                self._over.set()
            case ev.AppendAudio() | ev.SendAudio() | ev.PlayTone():
                pass
            case _:
                assert_never(effect)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        assert self._group is not None
        if self._over.is_set() or len(self._tasks) >= MAX_TASKS:
            work.close()
            return None
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- tools

    async def _run_tool(self, asked: ev.RunTool) -> None:
        tool = next(tool for tool in self._settings.agent.tools if tool.name == asked.name)
        if tool.side_effects and not await self._intent_is_safe(asked.id):
            self.feed(ev.ToolResult(asked.id, NOT_CONFIRMED, ran=False))
            return
        output = await self._tools.run(tool, call=self._claim.call, key=asked.id, arguments=asked.arguments)
        self.feed(ev.ToolResult(asked.id, output))

    async def _intent_is_safe(self, tool: str) -> bool:
        """A buddy that exists must know of the intent; where there is none, our own record has to do."""
        journal = self._services.journal
        try:
            async with asyncio.timeout(1.0):
                acknowledged = await journal.intent(self._claim.call, tool)
        except (BridgeError, TimeoutError):
            acknowledged = False
        return acknowledged or not journal.has_buddy()


def _manners(turns: Turns) -> Manners:
    return Manners(
        tone=turns.tone,
        tool_words=turns.while_tool.say,
        tool_words_after_s=turns.while_tool.after_ms / 1000,
        prompt=turns.when_silent.say,
        prompt_after_s=turns.when_silent.after_seconds,
        prompts_max=turns.when_silent.times,
    )
