"""How a synthetic caller holds a conversation: it speaks, waits for the answer, asks once more, goes on. Pure.

    READY ── the line is quiet ──▶ SPEAKING ── last frame ──▶ AWAITING ── answered and quiet ──▶ next step
      ▲                                                          │
      └────────────── nothing heard for 6 s, once ───────────────┘  (a second time: the turn stays unanswered)
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_gameday.world import voice
from holdfast_gameday.world.callers_ear import Ear, Segment

QUIET_S = 0.3
"""The agent has finished when it has been silent for so long after the end of an utterance."""
PATIENCE_S = 6.0
"""Without a sound for so long the caller asks again."""
GREETING_PATIENCE_S = 15.0
LISTENS_S = 0.8
"""So much of an answer is heard before it is talked over."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Until the agent has said something to its end."""


@dataclass(frozen=True, slots=True)
class Tell:
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Answered only by an utterance that contains `expect`."""

    text: str
    expect: str


@dataclass(frozen=True, slots=True)
class Chat:
    """Small questions again and again, so that the agent speaks most of the time, until told to finish."""

    text: str = "tell me more {n}"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Asks, and talks into the answer. Answered by an utterance that contains the words that were thrown in."""

    text: str
    words: str = "wait a moment please"


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Then the agent is expected to hang up."""

    text: str = "goodbye"


Step = Listen | Tell | Ask | Chat | Interrupt | Goodbye


def remember_a_code(code: str) -> tuple[Step, ...]:
    """The standard call: a fact is told, small talk follows until `finish`, the fact is asked for, goodbye."""
    return (Listen(), Tell(f"my code is {code}"), Chat(), Ask("what is my code", code), Goodbye())


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    expect: str
    asked_at: float
    """The end of the question when it was first asked."""
    attempts: int
    answered_at: float | None
    """When the answer had been heard to its end."""
    answer: str

    @property
    def answered(self) -> bool:
        return self.answered_at is not None


class _Phase(enum.Enum):
    LISTENING = enum.auto()
    READY = enum.auto()
    SPEAKING = enum.auto()
    AWAITING = enum.auto()
    DONE = enum.auto()


class Dialogue:
    """Asked every 20 ms what the caller says; reads the ear, and tells it when a turn ended."""

    def __init__(self, script: Sequence[Step], ear: Ear, *, speaker: int) -> None:
        self.turns: list[Turn] = []
        self.said_goodbye = False
        self.wants_to_hang_up = False
        self._steps = deque(script)
        self._ear = ear
        self._speaker = speaker
        self._utterance = 0
        self._chats = 0
        self._finishing = False
        self._frames: deque[bytes] = deque()
        self._phase = _Phase.DONE
        self._question = ""
        self._attempts = 0
        self._asked_at = 0.0
        self._first_asked_at = 0.0
        self._threw_in = False
        self._heard_before = 0
        self._began_at: float | None = None

    @property
    def chatting(self) -> bool:
        """In small talk, with one answer heard: the call is worth breaking."""
        return bool(self._steps) and isinstance(self._steps[0], Chat) and self._chats > 1

    def finish(self) -> None:
        """No more small talk after the present turn."""
        self._finishing = True

    def speak(self, now: float) -> bytes | None:
        if self._began_at is None:
            self._began_at = now
            self._begin()
        match self._phase:
            case _Phase.SPEAKING:
                return self._next_frame(now)
            case _Phase.READY if self._may_speak(now):
                self._say()
                return self._next_frame(now)
            case _Phase.LISTENING | _Phase.AWAITING:
                self._await(now)
        return None

    # Steps

    def _begin(self) -> None:
        if self._steps and isinstance(self._steps[0], Chat) and self._finishing:
            self._steps.popleft()
        if not self._steps:
            self._phase = _Phase.DONE
            self.wants_to_hang_up = True
            return
        self._attempts = 0
        self._threw_in = False
        self._heard_before = len(self._ear.finished)
        match self._steps[0]:
            case Listen():
                self._phase = _Phase.LISTENING
                return
            case Chat(text):
                self._chats += 1
                self._question = text.format(n=self._chats)
            case Tell(text) | Ask(text, _) | Interrupt(text, _) | Goodbye(text):
                self._question = text
        self._phase = _Phase.READY

    def _go_on(self) -> None:
        if not isinstance(self._steps[0], Chat):
            self._steps.popleft()
        self._begin()

    # Speaking

    def _may_speak(self, now: float) -> bool:
        """Not into the agent's words; an utterance that broke off is waited for as long as an answer."""
        return self._ear.quiet_for(now) >= (PATIENCE_S if self._ear.interrupted() else QUIET_S)

    def _say(self) -> None:
        self._utterance += 1
        self._attempts += 1
        sound = voice.encode_utterance(voice.Speaker.CALLER, self._speaker, self._utterance, self._question)
        size = voice.FRAME_OCTETS
        self._frames.extend(sound[at : at + size] for at in range(0, len(sound), size))
        self._heard_before = len(self._ear.finished)
        self._phase = _Phase.SPEAKING

    def _next_frame(self, now: float) -> bytes:
        frame = self._frames.popleft()
        if not self._frames:
            self._asked_at = now
            if self._attempts == 1:
                self._first_asked_at = now
            self._ear.turn_ended(now)
            self._phase = _Phase.AWAITING
            self.said_goodbye = self.said_goodbye or isinstance(self._steps[0], Goodbye)
        return frame

    # Listening

    def _await(self, now: float) -> None:
        step = self._steps[0]
        if isinstance(step, Interrupt) and not self._threw_in and self._ear.spoken_for(self._asked_at) >= LISTENS_S:
            self._question, self._threw_in, self._attempts = step.words, True, 0
            self._say()
            return
        answer = self._answer(step)
        if answer is not None:
            if self._may_speak(now):
                self._note(answer)
                self._go_on()
            return
        if isinstance(step, Listen):
            assert self._began_at is not None
            if now - self._began_at >= GREETING_PATIENCE_S and self._ear.quiet_for(now) >= PATIENCE_S:
                self._go_on()
        elif now - self._asked_at >= PATIENCE_S and self._ear.quiet_for(now) >= PATIENCE_S:
            self._unanswered()

    def _answer(self, step: Step) -> Segment | None:
        """The utterance that answers; nothing answers a goodbye but the end of the call."""
        if isinstance(step, Goodbye) or (isinstance(step, Interrupt) and not self._threw_in):
            return None
        expect = _expected(step)
        for heard in self._ear.finished[self._heard_before :]:
            if expect in heard.text:
                return heard
        return None

    def _unanswered(self) -> None:
        if self._attempts < 2:
            self._phase = _Phase.READY
            return
        self._note(None)
        self._go_on()

    def _note(self, answer: Segment | None) -> None:
        step = self._steps[0]
        if isinstance(step, Listen):
            return
        expect = step.expect if isinstance(step, Ask) else ""
        at, text = (answer.until, answer.text) if answer is not None else (None, "")
        self.turns.append(Turn(self._question, expect, self._first_asked_at, self._attempts, at, text))


def _expected(step: Step) -> str:
    match step:
        case Ask(_, expect):
            return expect
        case Interrupt(_, words):
            return words
    return ""
