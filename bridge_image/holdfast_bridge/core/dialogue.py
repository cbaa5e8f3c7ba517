"""Who says what in a call: the lines of the agent, the caller's turns, barge-in and tools, with one provider at a time.

It does not choose providers and does not know how they come and go: it is told when one is ready and when it is let go,
and keeps for the next one what this one was asked for and did not say. Effects go to the call's own list, in order.

Lines and tools get identifiers of the call's own, `<owner epoch>.<link>.<the provider's id>`, because two provider
sessions may use the same ones; a tool's identifier is also its idempotency key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.attempts import Attempts
from holdfast_bridge.core.conversation import Conversation
from holdfast_bridge.core.diary import Diary
from holdfast_bridge.core.ending import Ending
from holdfast_bridge.core.opening import GOODBYE, Line, exactly, go_on
from holdfast_bridge.core.plan import CallPlan
from holdfast_bridge.core.silence import Owed
from holdfast_bridge.core.speech import Speech
from holdfast_bridge.core.toolbox import Toolbox
from holdfast_bridge.core.turns import Turns
from holdfast_bridge.core.unheard import Unheard

END_CALL = "end_call"


class Dialogue:
    def __init__(
        self,
        plan: CallPlan,
        conversation: Conversation,
        attempts: Attempts,
        ending: Ending,
        speech: Speech,
        diary: Diary,
        *,
        out: list[ev.Effect],
    ) -> None:
        self._plan = plan
        self._conversation = conversation
        self._attempts = attempts
        self._ending = ending
        self._out = out
        self._diary = diary
        self.speech = speech
        self.turns = Turns()
        self.unheard = Unheard()
        self.tools = Toolbox(plan.tools, conversation)
        self.gated = False
        """The disclosure was not heard yet: what is being said may not be interrupted."""
        self._prefix = ""
        self._script: deque[Line] = deque()
        self._asked: Line | None = None
        self._spoke = False
        self._respond_due = False
        self._cut: Line | None = None
        """What was not heard of the line that the caller may have interrupted, or only coughed at."""

    # --- providers

    def dialled(self) -> None:
        self._prefix = f"{self._plan.epoch}.{self._attempts.link}."

    def ready(self, lines: Iterable[Line], now: float) -> None:
        """A provider is there, and knows what was said: let it say what is due.

        A line that was asked for and never begun is in no account of the call. While a tool runs nobody is asked to
        speak: its result is what the caller waits for.
        """
        self._script = (deque() if self.tools.busy else deque(lines)) or self._script
        self._speak_next(now)

    def let_go(self) -> None:
        """The provider in use is used no more."""
        self._respond_due = False
        if self._spoke and self.turns.responding:
            self._conversation.left_unfinished()
        self._script, self._asked = deque([self._asked] if self._asked else []), None
        self.turns.provider_gone()
        self.speech.measure()
        if self.unheard.hold():
            # The next provider hears these words itself: what the lost one made of them so far is forgotten.
            self._conversation.forget_open_turn()

    def owed(self) -> Owed:
        """Of a provider that is there."""
        if self._ending.reason is None and self.tools.busy:
            return Owed.TOOL
        if self.turns.nobody_speaks():
            return Owed.NOTHING
        return Owed.REST if self.turns.responding and self.speech.in_line else Owed.ANSWER

    def owed_without_provider(self) -> Owed:
        """What is owed if the provider is gone at this moment."""
        speaking = self.turns.responding or self.turns.answer_due() or self.tools.busy
        if speaking or self._script or self._asked is not None:
            return Owed.PROVIDER
        if self.turns.caller_speaking:
            return Owed.ANSWER
        return Owed.PROVIDER if self.unheard.words else Owed.NOTHING

    def silent(self) -> bool:
        """Nobody speaks, and nobody is about to."""
        idle = not self._script and not self.tools.busy and self._ending.reason is None
        return idle and self.turns.nobody_speaks() and self.speech.quiet()

    # --- the agent speaks

    def say(self, words: str, now: float) -> None:
        if self._attempts.ready and not self.turns.responding:
            self.respond(exactly(words), now, words=words)

    def respond(self, instructions: str | None, now: float, *, words: str = "") -> None:
        self._respond_due = self._spoke = False
        self.turns.asked(now)
        self._out.append(ev.Respond(instructions, words))

    def answer(self, now: float) -> None:
        """The caller or a tool said something: the model is asked as soon as nobody speaks."""
        self._respond_due = True
        self._maybe_respond(now)

    def audio(self, event: ev.ProviderAudio, now: float) -> None:
        if self._line(event.item) is not None:
            if self.turns.answer_due():
                self.unheard.dealt_with()
            self.turns.audio(now)
            self._spoke = True
            self._out += self.speech.audio(event.payload, now)
            self._diary.note(now)

    def is_in(self, item: str) -> bool:
        """This line has begun to sound, and was not cut."""
        return self.speech.is_in(self._prefix + item)

    def audio_done(self, event: ev.ProviderAudioDone) -> None:
        self.turns.line_done()
        self._out += self.speech.all_sent(self._prefix + event.item)

    def transcript(self, event: ev.ProviderTranscript, now: float) -> None:
        if (key := self._line(event.item)) is not None:
            self._conversation.agent_text(key, event.text, final=event.final)
            self._diary.note(now, urgent=event.final)

    def response_started(self, _: ev.ResponseStarted, _now: float) -> None:
        self.turns.response_started()
        self.speech.new_response()
        self._spoke = self._respond_due = False
        self._cut = None

    def broken_off(self, event: ev.ResponseDone) -> bool:
        """The response failed, or is over without the line that was asked for."""
        return not event.ok or self._asked is not None

    def response_done(self, now: float) -> None:
        self.turns.response_done()
        self._diary.note(now, urgent=True)
        if call := self._ending.farewell():
            self._out.append(ev.ToolOutput(call, "{}"))
            self.respond(GOODBYE, now)
        elif self._ending.reason is None:
            if self._script:
                self._speak_next(now)
            else:
                self._maybe_respond(now)

    def _speak_next(self, now: float) -> None:
        if self._script and self._attempts.ready and not self.turns.responding and self._ending.reason is None:
            self._asked = self._script.popleft()
            self.respond(self._asked.instructions, now, words=self._asked.words)

    def _maybe_respond(self, now: float) -> None:
        busy = self.turns.responding or self.turns.caller_speaking or self.tools.busy
        if self._respond_due and self._attempts.ready and not busy:
            self.respond(self.tools.go_on(), now)

    def _line(self, item: str) -> str | None:
        """The line's own identifier, or None if the line was cut."""
        key = self._prefix + item
        disclosure = self._asked is not None and self._asked.disclosure
        self._asked = None
        return key if self.speech.line(key, disclosure=disclosure) else None

    # --- the caller speaks

    def user_turn(self, event: ev.UserTurn, now: float) -> None:
        self._conversation.user_turn(self._prefix + event.item)
        self.tools.new_turn()
        self._diary.note(now)

    def user_transcript(self, event: ev.UserTranscript, now: float) -> None:
        self._conversation.user_text(self._prefix + event.item, event.text, final=event.final)
        if event.final and not self.turns.caller_speaking:
            self.unheard.dealt_with()
        if event.text:
            self._cut = None
        self._diary.note(now, urgent=event.final)

    def pressed(self, digit: str, number: int, now: float) -> bool:
        """A key of the telephone; False while nobody is there to be told."""
        if not self._attempts.ready:
            return False
        text = f"(pressed {digit})"
        self._conversation.user_text(f"{self._plan.epoch}.key{number}", text, final=True)
        self._out.append(ev.SeedConversation((ev.SeedText("user", text),)))
        self.tools.new_turn()
        self._diary.note(now)
        return True

    def speech_started(self, _: ev.SpeechStarted, now: float) -> None:
        self.turns.speech_started()
        self.unheard.speech_started()
        if not self._plan.barge_in or self.gated or self._ending.reason is not None:
            return
        self._script.clear()
        self._asked = None
        rest, whole = self.speech.still_to_be_heard()
        if cut := self.speech.interrupted(self._prefix):
            self._out += cut
            self._cut = go_on(rest, whole=whole) if rest else None
            self._diary.note(now)

    def speech_stopped(self, event: ev.SpeechStopped, now: float) -> None:
        self.turns.speech_stopped(now, words=event.words)
        if event.words:
            return
        self.unheard.dealt_with()
        if self._cut is not None and not self.turns.responding:
            # It was a cough or a door: nobody wanted the floor.
            self._script.append(self._cut)
            self._cut = None
            self._speak_next(now)

    # --- tools

    def tool_call(self, event: ev.ToolCall, now: float) -> None:
        self.turns.acted()
        self.unheard.dealt_with()
        self._cut = None
        if event.name == END_CALL:
            self._ending.wind_up(ev.End.AGENT_HUNG_UP, now, farewell_to="" if self._spoke else event.id)
            return
        asked = self.tools.call(event, key=self._prefix + event.id, link=self._attempts.link)
        self._diary.note(now, urgent=True)
        self._out.append(asked)
        if isinstance(asked, ev.ToolOutput):
            self._respond_due = True

    def tool_result(self, event: ev.ToolResult, now: float) -> None:
        if (told := self.tools.result(event, link=self._attempts.link)) is None:
            return
        self._diary.note(now, urgent=True)
        if self._attempts.ready:  # Else the next provider is seeded with the result.
            self._out.append(told)
            self.answer(now)

    hears: ClassVar[dict[type, Callable[[Dialogue, Any, float], None]]] = {
        ev.ProviderTranscript: transcript, ev.ResponseStarted: response_started, ev.UserTurn: user_turn,
        ev.UserTranscript: user_transcript, ev.SpeechStarted: speech_started, ev.SpeechStopped: speech_stopped,
        ev.ToolResult: tool_result,
    }  # fmt: skip
    """What nobody but the dialogue has to do with."""
