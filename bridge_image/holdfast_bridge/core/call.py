"""One call, sans I/O: events go in with the time, effects come out; the shell arms one timer from `get_timer()`.

It decides in which order things happen: disclosure and greeting, the change of a provider within the call, the
taking-up of a call that another bridge began, what fills a silence, and the end. Who says what while a provider is
there is the `Dialogue`'s. It knows no carrier's frames, no vendor's messages, no sockets and no clock.

Until the disclosure was heard the caller's audio is not passed on: it must be spoken, and so cannot be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.account import Account
from holdfast_bridge.core.attempts import Attempts
from holdfast_bridge.core.audio import MARK_EVERY_BYTES
from holdfast_bridge.core.conversation import Conversation
from holdfast_bridge.core.dialogue import Dialogue
from holdfast_bridge.core.diary import Diary
from holdfast_bridge.core.ending import Ending, end_of
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.opening import NOBODY_THERE, TOO_LONG, take_up
from holdfast_bridge.core.plan import CallPlan
from holdfast_bridge.core.relief import Relief
from holdfast_bridge.core.silence import GiveUp, Owed, Prompt, Silence, Tone, ToolWords
from holdfast_bridge.core.speech import Speech
from holdfast_bridge.core.unheard import Deaf

KEYS_TOGETHER_S = 1.5


class CallCore:
    def __init__(self, plan: CallPlan, resumed: CallRecord | None = None) -> None:
        self._plan = plan
        self._handover = resumed is not None
        self._conversation = Conversation(resumed.items, resumed.tools) if resumed else Conversation()
        self._lost_tools = self._conversation.ask_about_intents()
        self._attempts = Attempts(plan.attempts)
        self._account = Account(plan, self._conversation, self._attempts, resumed)
        self._ending = Ending()
        self._out: list[ev.Effect] = []
        self._flowing = ""
        """The item whose sound was passed on last, and nothing has happened since: more of it only flows."""
        self._speech = Speech(self._conversation)
        self._diary = Diary(self._account, self._speech, self._out)
        self._talk = Dialogue(
            plan, self._conversation, self._attempts, self._ending, self._speech, self._diary, out=self._out
        )
        self._talk.gated = bool(plan.disclosure) and not self._account.disclosure_heard
        self._turns, self._unheard = self._talk.turns, self._talk.unheard
        self._relief = Relief()
        self._silence = Silence(plan.manners)
        self._owed = Owed.ANSWER
        """While no provider is there."""
        self._due: dict[str, float] = {}
        self._keys = 0
        self._streaming = False
        self._over = False

    # --- the five verbs of the shell

    def start(self, now: float) -> None:
        self._due["max"] = self._account.start(now)
        self._diary.note(now, urgent=True)
        self._unheard.hold()
        self._connect(0)
        self._look(now)

    def receive(self, event: ev.Event, now: float) -> None:
        if type(event) is ev.CallerAudio:
            at = len(self._out)
            if passed := self.caller_sound(event.payload, now):
                self._out.insert(at, ev.AppendAudio(passed))
        elif not self._over:
            self._flowing = ""
            if type(event) in ev.SIGNS_OF_LIFE:
                self._unheard.noticed()
            if (own := self._on.get(type(event))) is not None:
                own(self, event, now)
            else:
                Dialogue.hears[type(event)](self._talk, event, now)
            if type(event) is not ev.ProviderAudio or self._silence.counts:
                self._look(now)
            if type(event) is ev.ProviderAudio and self._plan.speaks and self._talk.is_in(event.item):
                self._flowing = event.item

    def caller_sound(self, payload: bytes, now: float) -> bytes:
        """What of the caller's sound the provider is to be sent, without an event and an effect for every frame.

        `at_rest` says whether more than that came of it.
        """
        if self._streaming:
            if (deaf := self._unheard.frame(payload)) is not None:
                self._nobody_listens(deaf, now)
            return payload
        if not self._attempts.ready:
            self._unheard.frame(payload)
            return b""
        # Not to be heard yet; but some vendors speak only while sound comes in.
        return b"\xff" * len(payload)

    def agent_sound(self, event: ev.ProviderAudio, now: float) -> str | None:
        """More of the line that is being heard: send it, and behind it the mark of this name, if there is one.

        None: it is more than that, and has to be received like any event.
        """
        if event.item != self._flowing or len(event.payload) > MARK_EVERY_BYTES:
            return None
        self._unheard.noticed()
        self._turns.audio(now)
        return self._speech.flows(event.payload, now)

    @property
    def at_rest(self) -> bool:
        """There is nothing to carry out."""
        return not self._out

    def effects(self) -> list[ev.Effect]:
        out = self._out.copy()
        self._out.clear()
        return out

    def get_timer(self) -> float | None:
        if self._over:
            return None
        filling = self._silence.get_timer(self._speech.plays_until)
        others = (self._diary.due, self._ending.due, self._turns.get_timer(), self._relief.get_timer(), filling)
        return min((due for due in (*self._due.values(), *others) if due is not None), default=None)

    def handle_timer(self, now: float) -> None:
        self._flowing = ""
        if self._diary.due is not None and self._diary.due <= now and not self._over:
            self._diary.write(now, at_once=False)
        for name in [name for name, due in self._due.items() if due <= now and not self._over]:
            del self._due[name]
            match name:
                case "gate":
                    self._open_gate()
                case "keys":
                    self._talk.answer(now)
                case "max":
                    self._wind_up(ev.End.TOO_LONG, TOO_LONG, now)
        if not self._over and self._ending.reason is not None and self._ending.is_late(now):
            self._end(self._ending.reason)
        if self._over:
            return
        if self._turns.late(now):
            self._out += self._relief.overdue(now, self._attempts.standby())
        if self._turns.stalled(now):
            self._provider_lost(ev.ProviderLost("stall"), now)
        self._fill(now)
        self._look(now)

    @property
    def record(self) -> CallRecord:
        return self._account.record

    def past(self) -> tuple[ev.Seed, ...]:
        """What was said and done so far, as far as it was or will be heard."""
        return self._speech.past(self._plan.repeatable)

    def silent(self) -> bool:
        return self._talk.silent()

    # --- the carrier's side

    def _caller_mark(self, event: ev.CallerMark, now: float) -> None:
        if self._speech.mark_back(event.name):
            self._diary.note(now)
            self._check_disclosure(now)
            self._check_end()

    def _caller_dtmf(self, event: ev.CallerDtmf, now: float) -> None:
        if self._plan.speaks and self._talk.pressed(event.digit, self._keys + 1, now):
            self._keys += 1
            self._due["keys"] = now + KEYS_TOGETHER_S

    def _caller_stop(self, _: ev.CallerStop, _now: float) -> None:
        self._end(self._ending.on_stop(), stopped=True)

    def _carrier_lost(self, _: ev.CarrierLost, _now: float) -> None:
        self._end(self._ending.on_carrier_lost())

    def _release(self, _: ev.Released, now: float) -> None:
        self._ending.released = True
        self._diary.note(now, urgent=True)

    def _superseded(self, _: ev.Superseded, _now: float) -> None:
        if not self._speech.quiet():
            self._out.append(ev.ClearCarrier())
        self._end(ev.End.SUPERSEDED)

    # --- the provider comes and goes

    def _connect(self, attempt: int, *, blame: bool = True, planned: bool = False) -> None:
        self._attempts.connect(attempt)
        self._relief.taken()
        self._talk.dialled()
        self._out.append(ev.ConnectProvider(attempt, blame, planned))

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
        if self._talk.gated:
            self._unheard.dealt_with()
        else:
            self._open_gate()
        self._talk.ready(taken.lines, now)

    def _provider_lost(self, event: ev.ProviderLost, now: float) -> None:
        self._let_go()
        attempt = self._attempts.after_loss(now, event)
        if self._ending.reason is not None:
            self._ending.farewell()
            self._check_end()
        elif attempt is None:
            self._end(ev.End.NO_PROVIDER)
        else:
            self._connect(attempt, blame=event.reason not in {"deaf", "tool_loop"})

    def _let_go(self) -> None:
        self._flowing = ""
        if self._attempts.ready:
            self._owed = self._talk.owed_without_provider()
        self._streaming = False
        self._talk.let_go()

    def _provider_ending(self, event: ev.ProviderEnding, now: float) -> None:
        if self._plan.speaks:
            self._relief.ends(event.in_s, now)

    def _prepared(self, event: ev.Prepared, _now: float) -> None:
        self._relief.prepared(event.attempt)

    def _prepared_lost(self, event: ev.PreparedLost, _now: float) -> None:
        self._relief.failed(event.attempt)

    def _nobody_listens(self, deaf: Deaf, now: float) -> None:
        if self._plan.speaks and not self._talk.tools.busy and self._ending.reason is None:
            self._provider_lost(ev.ProviderLost("stall" if deaf is Deaf.SURELY else "deaf"), now)
            self._look(now)

    # --- the disclosure

    def _open_gate(self) -> None:
        self._talk.gated = False
        self._due.pop("gate", None)
        if self._attempts.ready:
            self._streaming = True
            self._out.extend(ev.AppendAudio(payload) for payload in self._unheard.release())

    def _check_disclosure(self, now: float) -> None:
        if not self._account.disclosure_heard and self._speech.disclosure_heard():
            self._account.disclosure_heard = True
            self._diary.note(now, urgent=True)
            self._open_gate()

    # --- what the provider says

    def _provider_audio(self, event: ev.ProviderAudio, now: float) -> None:
        if not self._plan.speaks:
            self._out.append(ev.SendAudio(event.payload))
            return
        self._talk.audio(event, now)
        if self._relief.stands_by:
            self._out += self._relief.answered()

    def _audio_done(self, event: ev.ProviderAudioDone, now: float) -> None:
        self._talk.audio_done(event)
        if self._talk.gated and (length_ms := self._speech.disclosure_sent_ms()) is not None:
            # A carrier that returns no marks must not leave the caller unheard for ever.
            self._due.setdefault("gate", now + length_ms / 1000 + 2.0)
        self._check_disclosure(now)

    def _response_done(self, event: ev.ResponseDone, now: float) -> None:
        if self._talk.broken_off(event):
            self._provider_lost(ev.ProviderLost(event.detail or "response-failed"), now)
            return
        self._talk.response_done(now)
        self._check_end()

    def _tool_call(self, event: ev.ToolCall, now: float) -> None:
        self._talk.tool_call(event, now)
        if self._talk.tools.endless and self._ending.reason is None:
            self._provider_lost(ev.ProviderLost("tool_loop"), now)

    # --- silences, and sessions whose time is over

    def _look(self, now: float) -> None:
        """After whatever happened: is this the moment to change a session, and what does the caller hear?"""
        if self._over or not self._plan.speaks:
            return
        ready = self._attempts.ready
        if ready and self._ending.reason is None:
            current, said = self._attempts.current, self._conversation.changes
            effects, change = self._relief.look(now, current=current, idle=self._talk.silent(), said=said)
            self._out += effects
            if change:
                self._let_go()
                self._connect(current, blame=False, planned=True)
                ready = False
        owed = self._talk.owed() if ready else self._owed
        self._silence.look(
            now,
            agent=not self._speech.quiet(),
            caller=self._turns.caller_speaking,
            owed=owed,
            plays_until=self._speech.plays_until,
        )

    def _fill(self, now: float) -> None:
        match self._silence.fill(now):
            case Tone(payload=payload):
                self._out.append(ev.PlayTone(payload))
            case ToolWords():
                self._talk.say(self._plan.manners.tool_words, now)
            case Prompt():
                self._talk.say(self._plan.manners.prompt, now)
            case GiveUp():
                self._wind_up(ev.End.CALLER_SILENT, NOBODY_THERE, now)

    # --- the end

    def _wind_up(self, reason: ev.End, instructions: str, now: float) -> None:
        self._ending.wind_up(reason, now)
        if self._attempts.ready and self._plan.speaks and not self._turns.responding:
            self._talk.respond(instructions, now)
        else:
            self._check_end()

    def _check_end(self) -> None:
        reason = self._ending.reason
        if reason is not None and self._ending.complete(quiet=self._speech.quiet() and not self._turns.responding):
            self._end(reason)

    def _end(self, reason: ev.End, *, stopped: bool = False) -> None:
        end = end_of(reason, stopped=stopped)
        self._over, self._streaming = True, False
        self._speech.measure()
        self._account.close(ended=end.over)
        self._out.append(end)

    _on: ClassVar[dict[type, Callable[[CallCore, Any, float], None]]] = {
        ev.CallerMark: _caller_mark, ev.CallerDtmf: _caller_dtmf, ev.CallerStop: _caller_stop,
        ev.CarrierLost: _carrier_lost, ev.Released: _release, ev.Superseded: _superseded,
        ev.ProviderReady: _provider_ready, ev.ProviderLost: _provider_lost, ev.AttemptsOrdered: _attempts_ordered,
        ev.ProviderEnding: _provider_ending, ev.Prepared: _prepared, ev.PreparedLost: _prepared_lost,
        ev.ProviderAudio: _provider_audio, ev.ProviderAudioDone: _audio_done, ev.ResponseDone: _response_done,
        ev.ToolCall: _tool_call,
    }  # fmt: skip
