"""One call, sans I/O: events go in with the time, effects come out; the shell arms one timer from `get_timer()`.

It decides what the caller hears and what the model is told: disclosure and greeting, barge-in, tools, the change of a
provider within the call, the taking-up of a call that another bridge began, and the end. It knows no carrier's frames,
no vendor's messages, no sockets and no clock.

Until the disclosure was heard the caller's audio is not passed on: it must be spoken, and so cannot be interrupted.

Lines and tools get identifiers of the call's own, `<owner epoch>.<link>.<the provider's id>`, because two provider
sessions may use the same ones; a tool's identifier is also its idempotency key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.account import Account
from holdfast_bridge.core.attempts import Attempts
from holdfast_bridge.core.conversation import Conversation
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.opening import GOODBYE, TOO_LONG, Line, take_up
from holdfast_bridge.core.plan import CallPlan
from holdfast_bridge.core.speech import Speech
from holdfast_bridge.core.toolbox import Toolbox
from holdfast_bridge.core.turns import Turns
from holdfast_bridge.core.unheard import Deaf, Unheard

END_CALL = "end_call"
RECORD_EVERY_S = 1.0
GOODBYE_WITHIN_S = 12.0
KEYS_TOGETHER_S = 1.5


class CallCore:
    def __init__(self, plan: CallPlan, resumed: CallRecord | None = None) -> None:
        self._plan = plan
        self._handover = resumed is not None
        self._conversation = Conversation(resumed.items, resumed.tools) if resumed else Conversation()
        self._lost_tools = self._conversation.ask_about_intents()
        self._account = Account(plan, self._conversation, resumed)
        self._speech = Speech(self._conversation)
        self._attempts = Attempts(plan.attempts)
        self._turns = Turns()
        self._out: list[ev.Effect] = []
        self._due: dict[str, float] = {}
        self._script: deque[Line] = deque()
        self._unheard = Unheard()
        self._tools = Toolbox(plan.tools, self._conversation)
        self._keys = 0
        self._asked: Line | None = None
        self._streaming = False
        self._gated = bool(plan.disclosure) and not self._account.disclosure_heard
        self._spoke = self._respond_due = False
        self._goodbye_call = ""
        self._ending: ev.End | None = None
        self._released = self._over = False

    # --- the five verbs of the shell

    def start(self, now: float) -> None:
        self._due["max"] = self._account.start(now)
        self._journal(now, urgent=True)
        self._unheard.hold()
        self._connect(0)

    def receive(self, event: ev.Event, now: float) -> None:
        if type(event) is ev.CallerAudio:
            if self._streaming:
                self._out.append(ev.AppendAudio(event.payload))
                if (deaf := self._unheard.frame(event.payload)) is not None:
                    self._nobody_listens(deaf, now)
            elif not self._attempts.ready:
                self._unheard.frame(event.payload)
            else:  # Not to be heard yet; but some vendors speak only while sound comes in.
                self._out.append(ev.AppendAudio(b"\xff" * len(event.payload)))
        elif not self._over:
            if type(event) in ev.SIGNS_OF_LIFE:
                self._unheard.noticed()
            self._on[type(event)](self, event, now)

    def effects(self) -> list[ev.Effect]:
        out, self._out = self._out, []
        return out

    def get_timer(self) -> float | None:
        dues = () if self._over else (*self._due.values(), self._turns.get_timer())
        return min((due for due in dues if due is not None), default=None)

    def handle_timer(self, now: float) -> None:
        for name in [name for name, due in self._due.items() if due <= now and not self._over]:
            del self._due[name]
            match name:
                case "record":
                    self._emit(now, at_once=False)
                case "gate":
                    self._open_gate()
                case "keys":
                    self._respond_due = True
                    self._maybe_respond(now)
                case "max":
                    self._too_long(now)
                case "end":
                    self._end(self._ending or ev.End.TOO_LONG)
        if not self._over and self._turns.stalled(now):
            self._provider_lost(ev.ProviderLost("stall"), now)

    @property
    def record(self) -> CallRecord:
        return self._account.record

    def past(self) -> tuple[ev.Seed, ...]:
        """What was said and done so far, as far as it was or will be heard."""
        return self._speech.past(self._plan.repeatable)

    def silent(self) -> bool:
        idle = not self._script and not self._tools.busy and self._ending is None
        return idle and self._turns.nobody_speaks() and self._speech.quiet()

    # --- the carrier's side

    def _caller_mark(self, event: ev.CallerMark, now: float) -> None:
        if self._speech.mark_back(event.name):
            self._journal(now)
            self._check_disclosure(now)
            self._check_end()

    def _caller_dtmf(self, event: ev.CallerDtmf, now: float) -> None:
        if not self._attempts.ready or not self._plan.speaks:
            return
        text, self._keys = f"(pressed {event.digit})", self._keys + 1
        self._conversation.user_text(f"{self._plan.epoch}.key{self._keys}", text, final=True)
        self._out.append(ev.SeedConversation((ev.SeedText("user", text),)))
        self._tools.new_turn()
        self._due["keys"] = now + KEYS_TOGETHER_S
        self._journal(now)

    def _caller_stop(self, _: ev.CallerStop, _now: float) -> None:
        self._end(ev.End.RELEASED if self._released else self._ending or ev.End.CALLER_HUNG_UP, stopped=True)

    def _carrier_lost(self, _: ev.CarrierLost, _now: float) -> None:
        self._end(ev.End.RELEASED if self._released else ev.End.CARRIER_LOST)

    def _release(self, _: ev.Released, now: float) -> None:
        self._released = True
        self._journal(now, urgent=True)

    def _superseded(self, _: ev.Superseded, _now: float) -> None:
        if not self._speech.quiet():
            self._out.append(ev.ClearCarrier())
        self._end(ev.End.SUPERSEDED)

    # --- the provider comes and goes

    def _connect(self, attempt: int, *, blame: bool = True) -> None:
        self._attempts.connect(attempt)
        self._prefix = f"{self._plan.epoch}.{self._attempts.link}."
        self._out.append(ev.ConnectProvider(attempt, blame))

    def _attempts_ordered(self, event: ev.AttemptsOrdered, _now: float) -> None:
        self._attempts.put_in_order(event.order)

    def _provider_ready(self, event: ev.ProviderReady, now: float) -> None:
        self._attempts.became_ready(now)
        self._unheard.attentive = event.attentive
        if not self._plan.speaks:
            self._open_gate()
            return
        self._speech.measure()
        told = self._account.disclosure_heard or self._speech.disclosure_sent_ms() is not None
        taken = take_up(
            self._plan,
            self._conversation,
            played_ms=self._speech.played_ms(),
            disclose=bool(self._plan.disclosure) and not told,
            handover=self._handover,
            lost_tools=self._lost_tools,
        )
        self._handover, self._lost_tools = False, ()
        self._out += self._speech.settle()
        self._conversation.close_past_lines()
        if taken.seeds:
            self._out.append(ev.SeedConversation(taken.seeds))
        # A line that was asked for and never begun is in no account of the call.
        # While a tool runs nobody is asked to speak: its result is what the caller waits for.
        self._script = (deque() if self._tools.busy else deque(taken.lines)) or self._script
        if self._gated:
            self._unheard.dealt_with()
        else:
            self._open_gate()
        self._speak_next(now)

    def _provider_lost(self, event: ev.ProviderLost, now: float) -> None:
        self._streaming = self._respond_due = False
        if self._spoke and self._turns.responding:
            self._conversation.left_unfinished()
        self._script, self._asked = deque([self._asked] if self._asked else []), None
        self._turns.provider_gone()
        self._speech.measure()
        if self._unheard.hold():
            # The next provider hears these words itself: what the lost one made of them so far is forgotten.
            self._conversation.forget_open_turn()
        attempt = self._attempts.after_loss(now, event)
        if self._ending is not None:
            self._goodbye_call = ""
            self._check_end()
        elif attempt is None:
            self._end(ev.End.NO_PROVIDER)
        else:
            self._connect(attempt, blame=event.reason not in {"deaf", "tool_loop"})

    def _nobody_listens(self, deaf: Deaf, now: float) -> None:
        if self._plan.speaks and not self._tools.busy and self._ending is None:
            self._provider_lost(ev.ProviderLost("stall" if deaf is Deaf.SURELY else "deaf"), now)

    def _open_gate(self) -> None:
        self._gated = False
        self._due.pop("gate", None)
        if self._attempts.ready:
            self._streaming = True
            self._out.extend(ev.AppendAudio(payload) for payload in self._unheard.release())

    # --- the agent speaks

    def _speak_next(self, now: float) -> None:
        if self._script and self._attempts.ready and not self._turns.responding and self._ending is None:
            self._asked = self._script.popleft()
            self._respond(self._asked.instructions, now, words=self._asked.words)

    def _respond(self, instructions: str | None, now: float, *, words: str = "") -> None:
        self._respond_due = self._spoke = False
        self._turns.asked(now)
        self._out.append(ev.Respond(instructions, words))

    def _maybe_respond(self, now: float) -> None:
        busy = self._turns.responding or self._turns.caller_speaking or self._tools.busy
        if self._respond_due and self._attempts.ready and not busy:
            self._respond(self._tools.go_on(), now)

    def _line(self, item: str) -> str | None:
        """The line's own identifier, or None if the line was cut."""
        key = self._prefix + item
        disclosure = self._asked is not None and self._asked.disclosure
        self._asked = None
        return key if self._speech.line(key, disclosure=disclosure) else None

    def _provider_audio(self, event: ev.ProviderAudio, now: float) -> None:
        if not self._plan.speaks:
            self._out.append(ev.SendAudio(event.payload))
        elif (key := self._line(event.item)) is not None:
            if self._turns.answer_due():
                self._unheard.dealt_with()
            self._turns.audio(now)
            self._spoke = True
            self._out += self._speech.audio(key, event.payload)
            self._journal(now)

    def _audio_done(self, event: ev.ProviderAudioDone, now: float) -> None:
        self._turns.line_done()
        self._out += self._speech.all_sent(self._prefix + event.item)
        if self._gated and (length_ms := self._speech.disclosure_sent_ms()) is not None:
            # A carrier that returns no marks must not leave the caller unheard for ever.
            self._due.setdefault("gate", now + length_ms / 1000 + 2.0)
        self._check_disclosure(now)

    def _transcript(self, event: ev.ProviderTranscript, now: float) -> None:
        if (key := self._line(event.item)) is not None:
            self._conversation.agent_text(key, event.text, final=event.final)
            self._journal(now, urgent=event.final)

    def _check_disclosure(self, now: float) -> None:
        if not self._account.disclosure_heard and self._speech.disclosure_heard():
            self._account.disclosure_heard = True
            self._journal(now, urgent=True)
            self._open_gate()

    def _response_started(self, _: ev.ResponseStarted, _now: float) -> None:
        self._turns.response_started()
        self._speech.new_response()
        self._spoke = self._respond_due = False

    def _response_done(self, event: ev.ResponseDone, now: float) -> None:
        if not event.ok or self._asked is not None:
            self._provider_lost(ev.ProviderLost(event.detail or "response-failed"), now)
            return
        self._turns.response_done()
        self._journal(now, urgent=True)
        if self._goodbye_call:
            call, self._goodbye_call = self._goodbye_call, ""
            self._out.append(ev.ToolOutput(call, "{}"))
            self._respond(GOODBYE, now)
        elif self._ending is not None:
            self._check_end()
        elif self._script:
            self._speak_next(now)
        else:
            self._maybe_respond(now)

    # --- the caller speaks

    def _user_turn(self, event: ev.UserTurn, now: float) -> None:
        self._conversation.user_turn(self._prefix + event.item)
        self._tools.new_turn()
        self._journal(now)

    def _user_transcript(self, event: ev.UserTranscript, now: float) -> None:
        self._conversation.user_text(self._prefix + event.item, event.text, final=event.final)
        if event.final and not self._turns.caller_speaking:
            self._unheard.dealt_with()
        self._journal(now, urgent=event.final)

    def _speech_started(self, _: ev.SpeechStarted, now: float) -> None:
        self._turns.speech_started()
        self._unheard.speech_started()
        if not self._plan.barge_in or self._gated or self._ending is not None:
            return
        self._script.clear()
        self._asked = None
        if cut := self._speech.interrupted(self._prefix):
            self._out += cut
            self._journal(now)

    def _speech_stopped(self, event: ev.SpeechStopped, now: float) -> None:
        self._turns.speech_stopped(now, words=event.words)
        if not event.words:
            self._unheard.dealt_with()

    # --- tools

    def _tool_call(self, event: ev.ToolCall, now: float) -> None:
        self._turns.acted()
        self._unheard.dealt_with()
        if event.name == END_CALL:
            self._ending = ev.End.AGENT_HUNG_UP
            self._due["end"] = now + GOODBYE_WITHIN_S
            self._goodbye_call = "" if self._spoke else event.id
            return
        asked = self._tools.call(event, key=self._prefix + event.id, link=self._attempts.link)
        self._journal(now, urgent=True)
        self._out.append(asked)
        self._respond_due = self._respond_due or isinstance(asked, ev.ToolOutput)
        if self._tools.endless:
            self._provider_lost(ev.ProviderLost("tool_loop"), now)

    def _tool_result(self, event: ev.ToolResult, now: float) -> None:
        if (told := self._tools.result(event, link=self._attempts.link)) is None:
            return
        self._journal(now, urgent=True)
        if self._attempts.ready:  # Else the next provider is seeded with the result.
            self._out.append(told)
            self._respond_due = True
            self._maybe_respond(now)

    # --- the end

    def _too_long(self, now: float) -> None:
        self._ending = ev.End.TOO_LONG
        self._due["end"] = now + GOODBYE_WITHIN_S
        if self._attempts.ready and self._plan.speaks and not self._turns.responding:
            self._respond(TOO_LONG, now)
        else:
            self._check_end()

    def _check_end(self) -> None:
        if self._ending is not None and self._speech.quiet() and not self._turns.responding and not self._goodbye_call:
            self._end(self._ending)

    def _end(self, reason: ev.End, *, stopped: bool = False) -> None:
        over = reason in {ev.End.AGENT_HUNG_UP, ev.End.CALLER_HUNG_UP, ev.End.TOO_LONG}
        self._over, self._streaming = True, False
        self._speech.measure()
        self._account.close(ended=over)
        self._out.append(ev.EndCall(reason, over=over, hang_up=over and not stopped))

    # --- the journal

    def _journal(self, now: float, *, urgent: bool = False) -> None:
        """Write the call down: at once when it matters, else with the second's other news."""
        if urgent:
            self._due.pop("record", None)
            self._emit(now, at_once=True)
        else:
            self._due.setdefault("record", now + RECORD_EVERY_S)

    def _emit(self, now: float, *, at_once: bool) -> None:
        self._speech.measure()
        self._out.append(ev.Record(self._account.write(now), now=at_once))

    _on: ClassVar[dict[type, Callable[[CallCore, Any, float], None]]] = {
        ev.CallerMark: _caller_mark, ev.CallerDtmf: _caller_dtmf, ev.CallerStop: _caller_stop,
        ev.CarrierLost: _carrier_lost, ev.Released: _release, ev.Superseded: _superseded,
        ev.ProviderReady: _provider_ready, ev.ProviderLost: _provider_lost, ev.AttemptsOrdered: _attempts_ordered,
        ev.ProviderAudio: _provider_audio, ev.ProviderAudioDone: _audio_done, ev.ProviderTranscript: _transcript,
        ev.UserTurn: _user_turn, ev.UserTranscript: _user_transcript,
        ev.SpeechStarted: _speech_started, ev.SpeechStopped: _speech_stopped,
        ev.ResponseStarted: _response_started, ev.ResponseDone: _response_done,
        ev.ToolCall: _tool_call, ev.ToolResult: _tool_result,
    }  # fmt: skip
