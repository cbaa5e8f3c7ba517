"""A cascade, sans I/O: three stages that together are to a call what one speech-to-speech provider is.

It takes what the call asks of its provider and what the stages say, and gives out events for the call and orders for
the stages. It decides when the model is asked, what of its text is spoken when, and what becomes of a reply that the
caller interrupts. It knows no vendor, no sockets and no clock.

    state of a reply   what happens                             what it becomes
    (none)             the caller's turn ended; asked to speak  thinking
    (none)             the caller's turn is likely over         guessing (nothing is heard or done yet)
    guessing           the turn ended as was guessed            thinking, with what has been thought
    guessing           the turn went on, or ended otherwise     (none)
    thinking           a clause is whole                        speaking
    thinking           the model calls a tool, ends             (none)
    speaking           the model ended, and all sound has come  (none)
    any                the caller begins to speak               (none), the line cut

One reply at a time. What a stage says of an earlier reply counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.core.cascade_history import MAX_TEXT, History
from holdfast_bridge.core.clauses import Clauses

Thinking: TypeAlias = st.TextPiece | st.ToolAsked | st.ReplyEnded
RECITED = "recited"
"""The end of a reply for which no model was asked."""
THINKING_TRIES = 2
"""A request that failed before the model said anything is repeated once."""


@dataclass(frozen=True, slots=True)
class Think:
    number: int
    thought: st.Thought


@dataclass(frozen=True, slots=True)
class StopThinking:
    """The answer to this request is not wanted any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Say:
    line: str
    text: str


@dataclass(frozen=True, slots=True)
class EndLine:
    line: str


@dataclass(frozen=True, slots=True)
class CancelLine:
    line: str


Order: TypeAlias = Think | StopThinking | Say | EndLine | CancelLine


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadePlan:
    instructions: str
    tools: tuple[st.Tool, ...] = ()
    barge_in: bool = True


@dataclass(slots=True)
class _Reply:
    number: int
    line: str
    asked: str | None
    guess: str | None = None
    """The caller's words as guessed; None: they are known."""
    held: list[Thinking] = field(default_factory=list)
    """What a guess has brought so far."""
    clauses: Clauses = field(default_factory=Clauses)
    text: str = ""
    """What has been given to the voice."""
    characters_heard: int = 0
    """Of `text`, how much the sound that came so far is known to hold."""
    thinking: bool = True
    thought: bool = True
    """False: its words were given, and no model was asked."""
    sounding: bool = False
    tries: int = 1
    tools: int = 0


class Cascade:
    def __init__(self, plan: CascadePlan) -> None:
        self._plan = plan
        self._history = History()
        self._reply: _Reply | None = None
        self._numbers = 0
        self._turns = 0
        self._caller_speaks = False
        self._words = ""
        self._answer_due = False
        self._open_tools: dict[str, st.ToolAsked] = {}
        self._waiting: set[str] = {"hearing", "speaking"}
        self._lost = False
        self._said: list[ev.Event] = []
        self._orders: list[Order] = []

    # --- the verbs of the shell

    def take(self) -> tuple[list[ev.Event], list[Order]]:
        """What is to be told to the call, and what to the stages, in this order."""
        said, self._said = self._said, []
        orders, self._orders = self._orders, []
        return said, orders

    def tell(self, effect: ev.ToProvider) -> None:
        """What the call asks of its provider. Audio goes to the hearing stage by itself."""
        match effect:
            case ev.SeedConversation(items=items):
                self._history.seed(items)
            case ev.Truncate(item=item, heard=heard):
                self._history.agent(item, heard)
            case ev.ToolOutput(id=call, output=output):
                asked = self._open_tools.pop(call, None)
                if asked is not None:
                    self._history.tool(call, asked.name, asked.arguments, output)
            case ev.Respond(instructions=instructions, words=words):
                self._speak(words) if words else self._think(instructions)
            case ev.AppendAudio():
                pass

    def stage(self, name: str, event: st.HearingEvent | st.ThinkingEvent | st.SpeakingEvent, number: int = 0) -> None:
        """What the stage of this name said; `number` is that of the request which a thinking stage answers."""
        if self._lost:
            return
        if isinstance(event, st.StageLost):
            self._stage_lost(name, event, number)
        elif isinstance(event, st.StageReady):
            self._stage_ready(name)
        elif isinstance(event, st.TextPiece | st.ToolAsked | st.ReplyEnded):
            self._thought(event, number)
        else:
            self._on[type(event)](self, event)

    def awaited(self) -> str:
        """The stage that has to come next with something, if anything is due."""
        reply = self._reply
        if reply is None or reply.guess is not None:
            return "hearing"
        return "speaking" if reply.text else "thinking"

    # --- stages come and go

    def _stage_ready(self, name: str) -> None:
        if name in self._waiting:
            self._waiting.remove(name)
            if not self._waiting:
                self._said.append(ev.ProviderReady(attentive=False))

    def _stage_lost(self, name: str, event: st.StageLost, number: int) -> None:
        reply = self._reply
        if name == "thinking":
            if reply is None or number != reply.number or not reply.thinking:
                return  # What becomes of a stream after the reply was whole is nobody's loss.
            if reply.guess is not None:
                # A guess that failed costs nothing: the turn's end asks again.
                self._reply = None
                return
            if event.retry_same and not reply.text and not reply.tools and reply.tries < THINKING_TRIES:
                self._ask(reply)
                reply.tries += 1
                return
        self._lost = True
        self._said.append(ev.ProviderLost(event.word, event.retry_same, name, event.retry_after_s))

    # --- the caller

    def _turn_began(self, _: st.TurnBegan) -> None:
        if self._caller_speaks:
            return
        self._caller_speaks = True
        self._words = ""
        self._turns += 1
        self._said.append(ev.SpeechStarted())
        reply = self._reply
        if reply is not None and self._plan.barge_in:
            self._abandon(reply)

    def _heard(self, event: st.Words) -> None:
        self._turn_began(st.TurnBegan())
        self._words = event.text[:MAX_TEXT]

    def _likely_over(self, event: st.TurnLikelyOver) -> None:
        self._turn_began(st.TurnBegan())
        if self._reply is None and event.text and not self._open_tools:
            self._begin(None, guess=event.text[:MAX_TEXT])

    def _goes_on(self, _: st.TurnGoesOn) -> None:
        self._drop_guess()

    def _turn_ended(self, event: st.TurnEnded) -> None:
        if not self._caller_speaks and not event.text:
            return
        self._turn_began(st.TurnBegan())
        self._caller_speaks = False
        if not event.text:
            self._drop_guess()
            self._said.append(ev.SpeechStopped(words=False))
            return
        turn = f"t{self._turns}"
        self._said += (ev.SpeechStopped(), ev.UserTurn(turn), ev.UserTranscript(turn, event.text, final=True))
        self._history.caller(event.text)
        reply = self._reply
        if reply is not None and reply.guess is not None:
            if _same(reply.guess, event.text):
                self._keep_guess(reply)
                return
            self._drop_guess()
        if self._reply is None and not self._open_tools:
            self._begin(None)
        else:
            self._answer_due = True

    # --- replies

    def _think(self, asked: str | None) -> None:
        self._drop_guess()
        if self._reply is None:
            self._begin(asked)
        else:
            self._answer_due = True

    def _speak(self, words: str) -> None:
        """These very words, without asking the model."""
        self._drop_guess()
        if self._reply is not None:
            self._abandon(self._reply)
        reply = self._new(None)
        reply.thinking = reply.thought = False
        self._said.append(ev.ResponseStarted())
        self._voice(reply, words)
        self._whole(reply)

    def _begin(self, asked: str | None, *, guess: str | None = None) -> None:
        reply = self._new(asked)
        reply.guess = guess
        self._answer_due = False
        if guess is None:
            self._said.append(ev.ResponseStarted())
        self._ask(reply)

    def _new(self, asked: str | None) -> _Reply:
        self._numbers += 1
        self._reply = _Reply(self._numbers, f"a{self._numbers}", asked)
        return self._reply

    def _ask(self, reply: _Reply) -> None:
        seeds = self._history.seeds
        if reply.guess is not None:
            seeds = (*seeds, ev.SeedText("user", reply.guess))
        thought = st.Thought(
            instructions=self._plan.instructions, history=seeds, asked=reply.asked, tools=self._plan.tools
        )
        self._orders.append(Think(reply.number, thought))

    def _keep_guess(self, reply: _Reply) -> None:
        reply.guess = None
        self._said.append(ev.ResponseStarted())
        held, reply.held = reply.held, []
        for event in held:
            self._thought(event, reply.number)

    def _drop_guess(self) -> None:
        reply = self._reply
        if reply is not None and reply.guess is not None:
            self._orders.append(StopThinking(reply.number))
            self._reply = None

    def _thought(self, event: Thinking, number: int) -> None:
        reply = self._reply
        if reply is None or reply.number != number:
            return
        if reply.guess is not None:
            reply.held.append(event)
            return
        match event:
            case st.TextPiece(text=text):
                for clause in reply.clauses.feed(text):
                    self._voice(reply, clause)
            case st.ToolAsked(id=call, name=name, arguments=arguments):
                reply.tools += 1
                self._open_tools[call] = event
                self._said.append(ev.ToolCall(call, name, arguments))
            case st.ReplyEnded():
                reply.thinking = False
                self._whole(reply)

    def _voice(self, reply: _Reply, text: str) -> None:
        if not (text if reply.text else text.strip()):
            return
        reply.text += text
        reply.sounding = True
        self._orders.append(Say(reply.line, text))
        self._said.append(ev.ProviderTranscript(reply.line, text, final=False))
        self._history.agent(reply.line, reply.text)

    def _whole(self, reply: _Reply) -> None:
        """All text of the reply is known."""
        self._voice(reply, reply.clauses.rest())
        if reply.sounding:
            self._orders.append(EndLine(reply.line))
            self._said.append(ev.ProviderTranscript(reply.line, reply.text.strip(), final=True))
        self._maybe_done(reply)

    def _maybe_done(self, reply: _Reply) -> None:
        if reply.thinking or reply.sounding:
            return
        self._reply = None
        self._said.append(ev.ResponseDone(ok=True, detail="completed" if reply.thought else RECITED))
        if self._answer_due and not self._open_tools:
            self._begin(None)

    def _abandon(self, reply: _Reply) -> None:
        """The caller interrupts. What was sent of the line may still be heard; the call says how much was."""
        self._reply = None
        if reply.thinking:
            self._orders.append(StopThinking(reply.number))
        if reply.guess is not None:
            return
        if reply.sounding:
            self._orders.append(CancelLine(reply.line))
            known = reply.text[: reply.characters_heard] if reply.characters_heard else reply.text
            self._history.agent(reply.line, known.strip())
            self._said.append(ev.ProviderAudioDone(reply.line))
        self._said.append(ev.ResponseDone(ok=True, detail="cancelled"))

    # --- the voice

    def _sound(self, event: st.Sound) -> None:
        if self._reply is not None and event.line == self._reply.line:
            self._said.append(ev.ProviderAudio(event.line, event.payload))

    def _aligned(self, event: st.Aligned) -> None:
        if self._reply is not None and event.line == self._reply.line:
            self._reply.characters_heard = max(self._reply.characters_heard, event.characters)

    def _line_done(self, event: st.LineDone) -> None:
        reply = self._reply
        if reply is not None and event.line == reply.line and reply.sounding:
            reply.sounding = False
            self._said.append(ev.ProviderAudioDone(reply.line))
            self._maybe_done(reply)

    _on: ClassVar[dict[type, Callable[[Cascade, Any], None]]] = {
        st.TurnBegan: _turn_began, st.Words: _heard, st.TurnLikelyOver: _likely_over, st.TurnGoesOn: _goes_on,
        st.TurnEnded: _turn_ended, st.Sound: _sound, st.Aligned: _aligned, st.LineDone: _line_done,
    }  # fmt: skip


def _same(guess: str, text: str) -> bool:
    """A guess holds when only its punctuation or its capitals were mended since."""
    return [word for word in map(_plain, guess.split()) if word] == [word for word in map(_plain, text.split()) if word]


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())
