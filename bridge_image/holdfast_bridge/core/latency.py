"""How long the caller waits and for what: marks of one call, fed with what happened and when. Pure.

    a turn        begins when the caller's turn is over, and ends when the next one begins
    first audio   from there until the first sound is handed to the carrier
    a stage       hearing, thinking, speaking: told by the provider, if it is a cascade; a tool: from its order to its
                  result; the network: what the carrier needs beyond the length of the sound to say that it was heard
    a silence     longer than `SILENCE_S` while speech is owed: after a turn, within a line, or for a tool
    a switch      from the loss of a provider until the next link is ready

It knows how much sound was sent, and so when the carrier runs out of it. Words, vendors and budgets are unknown here.
Times are seconds of one clock that only goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from msgspec import structs

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.journal import MAX_SWITCHES, MAX_TURNS, CallRecord, Latency, SwitchTimes, TurnTimes

SILENCE_S = 0.5
MAX_TOOLS = MAX_WAITS = 32


class Stage(Enum):
    HEARING = "hearing"
    THINKING = "thinking"
    TOOL = "tool"
    SPEAKING = "speaking"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Waited:
    """A stage was asked at one time and gave the first of its answer at another.

    `again`: it was asked a second time, so many seconds after the first. `failed`: that was in vain.
    """

    stage: Stage
    began: float
    until: float
    again: float | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class StageTook:
    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True)
class FirstAudio:
    seconds: float


@dataclass(frozen=True, slots=True)
class Silence:
    seconds: float


@dataclass(frozen=True, slots=True)
class Switched:
    """`what` and `outcome` in the words of the journal's `SwitchTimes`."""

    what: str
    outcome: str
    seconds: float


Sample: TypeAlias = StageTook | FirstAudio | Silence | Switched
Noted: TypeAlias = tuple[int, Sample]
"""A sample, and the index of the attempt that was in use."""


@dataclass(slots=True)
class _Turn:
    ended: float
    first_audio: float | None = None
    waited: dict[Stage, float] = field(default_factory=dict)
    silences: int = 0
    silent: float = 0.0


@dataclass(slots=True)
class _Loss:
    """A provider was lost, and the next is not heard yet. `number`: of the switch, once the next is ready."""

    at: float
    what: str
    number: int | None = None


class TurnMarks:
    """`known`: what an earlier owner of the call wrote of it."""

    def __init__(self, known: Latency | None = None) -> None:
        self._known = known or Latency()
        """Without the turn that is under way."""
        self._noted: list[Noted] = []
        self._told: Latency | None = None
        self._attempt: int | None = None
        self._turn: _Turn | None = None
        self._waits: list[Waited] = []
        """While the caller speaks: they belong to the turn that is not over yet."""
        self._caller_speaks = self._owed = self._keyed = False
        self._tools: dict[str, float] = {}
        self._sounds_until = 0.0
        self._mark: tuple[str, float] | None = None
        self._marked = False
        self._loss: _Loss | None = None

    @classmethod
    def after(cls, record: CallRecord | None) -> TurnMarks:
        """Those of a call that is taken up, or begins."""
        return cls() if record is None else cls(record.latency)

    # --- what happened

    def happened(self, event: ev.Event | None, effects: Sequence[ev.Effect], now: float) -> Sequence[Noted]:
        """An event and what the call made of it; None: a timer. Returns the new samples, each once."""
        if event is not None and (react := self._on.get(type(event))) is not None:
            react(self, event, effects, now)
        for effect in effects:
            if (act := self._by.get(type(effect))) is not None:
                act(self, effect, now)
        if not self._noted:
            return ()
        noted, self._noted = self._noted, []
        return noted

    def flowed(self, nbytes: int, now: float) -> None:
        """More sound of a line that is being heard."""
        if self._owed:
            self._silent(now - self._sounds_until)
        self._sounds_until = max(self._sounds_until, now) + nbytes / ev.BYTES_PER_S

    def waited(self, wait: Waited) -> None:
        """By a stage of the provider in use; `hearing` is told before the end of the turn that it belongs to."""
        if wait.again is not None:
            self._switched("repeat", "failed" if wait.failed else "ready", wait.again)
        if wait.failed:
            return
        self._note(StageTook(wait.stage, wait.until - wait.began))
        if self._caller_speaks:
            self._waits = [*self._waits, wait][-MAX_WAITS:]
        elif self._turn is not None:
            self._add(self._turn, wait)

    def told(self) -> Latency:
        """For the journal, the turn that is under way with the others."""
        if self._told is None:
            self._told = self._counted(self._turn)
        return self._told

    def onto(self, record: CallRecord) -> CallRecord:
        return structs.replace(record, latency=self.told())

    # --- the caller

    def _speech_started(self, _event: Any, _effects: Any, _now: float) -> None:
        self._caller_speaks = True
        self._waits = []
        if self._unanswered is None:
            self._close_turn()
            self._owed = False
            self._loss_heard(None)

    def _speech_stopped(self, event: ev.SpeechStopped, _: Any, now: float) -> None:
        self._caller_speaks = False
        if not event.words:
            return
        heard = next((wait for wait in self._waits if wait.stage is Stage.HEARING), None)
        self._begin_turn(now if heard is None else heard.began)

    def _dtmf(self, _event: Any, _effects: Any, _now: float) -> None:
        self._keyed = True

    def _mark_back(self, event: ev.CallerMark, _: Any, now: float) -> None:
        if self._mark is not None and self._mark[0] == event.name:
            played, self._mark = min(self._mark[1], now), None
            self.waited(Waited(Stage.NETWORK, played, now))

    # --- the provider

    def _sound(self, _: Any, effects: Sequence[ev.Effect], now: float) -> None:
        if not effects:
            return  # Of a line that was cut.
        if (turn := self._unanswered) is not None:
            turn.first_audio = now - turn.ended
            self._note(FirstAudio(turn.first_audio))
            self._silent(turn.first_audio)
        elif self._owed:
            self._silent(now - self._sounds_until)
        self._loss_heard(now)

    def _response_started(self, _event: Any, _effects: Any, now: float) -> None:
        if not self._owed:
            self._owed, self._sounds_until = True, max(self._sounds_until, now)

    def _response_done(self, event: ev.ResponseDone, effects: Sequence[ev.Effect], _: float) -> None:
        asked = any(type(effect) is ev.Respond for effect in effects)
        if event.ok and self._unanswered is None and not self._tools and not asked:
            self._owed = False

    def _ready(self, _event: Any, _effects: Any, now: float) -> None:
        self._settle_loss("ready", now)

    # --- tools

    def _tool_result(self, event: ev.ToolResult, _: Any, now: float) -> None:
        began = self._tools.pop(event.id, None)
        if began is not None:
            self.waited(Waited(Stage.TOOL, began, now))

    def _run_tool(self, effect: ev.RunTool, now: float) -> None:
        if len(self._tools) < MAX_TOOLS:
            self._tools[effect.id] = now

    # --- what the call did

    def _respond(self, _: ev.Respond, now: float) -> None:
        if self._keyed:
            self._keyed = False
            self._begin_turn(now)

    def _sent(self, effect: ev.SendAudio, now: float) -> None:
        self._sounds_until = max(self._sounds_until, now) + len(effect.payload) / ev.BYTES_PER_S

    def _mark_sent(self, effect: ev.SendMark, _: float) -> None:
        """The first of each turn: marks come back in order, and one says enough."""
        if not self._marked:
            self._marked = True
            self._mark = (effect.name, self._sounds_until)

    def _cleared(self, _: ev.ClearCarrier, now: float) -> None:
        self._mark = None
        self._sounds_until = now

    def _connect(self, effect: ev.ConnectProvider, now: float) -> None:
        before = self._attempt
        if before is not None:
            self._settle_loss("failed", now)
            same = "change" if effect.planned else "retry"
            self._loss = _Loss(now, same if before == effect.attempt else "switch")
        self._attempt = effect.attempt

    def _end(self, _: ev.EndCall, now: float) -> None:
        self._settle_loss("failed", now)

    # --- the books

    @property
    def _unanswered(self) -> _Turn | None:
        """The turn after which nothing was heard yet."""
        turn = self._turn
        return turn if turn is not None and self._owed and turn.first_audio is None else None

    def _begin_turn(self, ended: float) -> None:
        """One that says more before anything was answered is the same turn, and begins to wait anew."""
        if self._unanswered is None:
            self._close_turn()
        self._turn = _Turn(ended)
        self._owed, self._marked, self._mark = True, False, None
        waits, self._waits = self._waits, []
        for wait in waits:
            self._add(self._turn, wait)

    def _close_turn(self) -> None:
        if self._turn is not None:
            self._known = self._counted(self._turn)
            self._turn, self._told = None, None

    def _counted(self, turn: _Turn | None) -> Latency:
        known = self._known
        if turn is None:
            return known
        times = _times(turn)
        first = times.first_audio_ms
        return structs.replace(
            known,
            turns=(*known.turns, times)[-MAX_TURNS:],
            count=known.count + 1,
            answered=known.answered + (first is not None),
            first_audio_ms=known.first_audio_ms + (first or 0),
            silences=known.silences + times.silences,
            silent_ms=known.silent_ms + times.silent_ms,
        )

    def _add(self, turn: _Turn, wait: Waited) -> None:
        """Only what the caller waited for: what was done while he still spoke cost him nothing."""
        seconds = max(0.0, wait.until - max(wait.began, turn.ended))
        turn.waited[wait.stage] = turn.waited.get(wait.stage, 0.0) + seconds
        self._told = None

    def _silent(self, seconds: float) -> None:
        if seconds <= SILENCE_S:
            return
        self._note(Silence(seconds))
        if self._turn is not None:
            self._turn.silences += 1
            self._turn.silent += seconds

    def _settle_loss(self, outcome: str, now: float) -> None:
        loss = self._loss
        if loss is None or loss.number is not None:
            return
        self._switched(loss.what, outcome, now - loss.at)
        loss.number = self._known.switch_count
        if outcome != "ready" or not self._owed:
            self._loss = None

    def _loss_heard(self, now: float | None) -> None:
        """The next provider is heard; None: the caller speaks before it is."""
        loss = self._loss
        if loss is None or loss.number is None:
            return
        self._loss = None
        if now is not None and loss.number == self._known.switch_count:
            *earlier, last = self._known.switches
            heard = structs.replace(last, heard_ms=_ms(now - loss.at))
            self._known, self._told = structs.replace(self._known, switches=(*earlier, heard)), None

    def _switched(self, what: str, outcome: str, seconds: float) -> None:
        self._note(Switched(what, outcome, seconds))
        known = self._known
        switch = SwitchTimes(known.count + (self._turn is not None), what, outcome, _ms(seconds))
        switches = (*known.switches, switch)[-MAX_SWITCHES:]
        self._known = structs.replace(known, switches=switches, switch_count=known.switch_count + 1)

    def _note(self, sample: Sample) -> None:
        self._noted.append((self._attempt or 0, sample))
        self._told = None

    _on: ClassVar[dict[type, Callable[[TurnMarks, Any, Sequence[ev.Effect], float], None]]] = {
        ev.SpeechStarted: _speech_started, ev.SpeechStopped: _speech_stopped, ev.CallerDtmf: _dtmf,
        ev.CallerMark: _mark_back, ev.ProviderAudio: _sound, ev.ResponseStarted: _response_started,
        ev.ResponseDone: _response_done, ev.ProviderReady: _ready, ev.ToolResult: _tool_result,
    }  # fmt: skip
    _by: ClassVar[dict[type, Callable[[TurnMarks, Any, float], None]]] = {
        ev.RunTool: _run_tool, ev.Respond: _respond, ev.SendAudio: _sent, ev.SendMark: _mark_sent,
        ev.ClearCarrier: _cleared, ev.ConnectProvider: _connect, ev.EndCall: _end,
    }  # fmt: skip


def _times(turn: _Turn) -> TurnTimes:
    def of(stage: Stage) -> int | None:
        return _ms(turn.waited[stage]) if stage in turn.waited else None

    return TurnTimes(
        first_audio_ms=None if turn.first_audio is None else _ms(turn.first_audio),
        hearing_ms=of(Stage.HEARING),
        thinking_ms=of(Stage.THINKING),
        tool_ms=of(Stage.TOOL),
        speaking_ms=of(Stage.SPEAKING),
        network_ms=of(Stage.NETWORK),
        silences=turn.silences,
        silent_ms=_ms(turn.silent),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
