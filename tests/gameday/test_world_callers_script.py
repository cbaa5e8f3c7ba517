"""A caller takes turns: it waits to be answered, asks once more, and goes on."""

from __future__ import annotations

from collections.abc import Callable

from holdfast_gameday.world import voice
from holdfast_gameday.world.callers_ear import Ear
from holdfast_gameday.world.callers_script import Ask, Chat, Dialogue, Goodbye, Interrupt, Listen, Step, Tell
from holdfast_gameday.world.voice import Speaker, VoiceFrame, VoiceScanner


class Line:
    """A dialogue on a clock of 20 ms ticks; `answer` gives the agent's words for each finished caller utterance."""

    def __init__(self, *script: Step, answer: Callable[[str], str] = lambda text: f"re: {text}") -> None:
        self.ear = Ear()
        self.dialogue = Dialogue(script, self.ear, speaker=1)
        self.answer = answer
        self.said: list[tuple[float, str]] = []
        self.now = 0.0
        self._agent: list[bytes] = []
        self._utterance = 0

    def agent_says(self, text: str, *, cut: int | None = None) -> None:
        self._utterance += 1
        sound = voice.encode_utterance(Speaker.AGENT, 1, self._utterance, text)
        self._agent += [sound[at : at + 160] for at in range(0, len(sound), 160)][:cut]

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.now = round(self.now + 0.02, 2)
            spoken = self.dialogue.speak(self.now)
            for sound in VoiceScanner().feed(spoken or b""):
                if isinstance(sound, VoiceFrame) and sound.last:
                    self.said.append((self.now, sound.text))
                    if reply := self.answer(sound.text):
                        self.agent_says(reply)
            self.ear.hear(self._agent.pop(0) if self._agent else b"", self.now)


def test_the_caller_waits_for_the_greeting_and_speaks_when_it_is_over() -> None:
    line = Line(Listen(), Tell("my code is 4711"))
    line.run(2.0)
    assert line.said == []
    line.agent_says("hello")
    line.run(1.0)
    # 300 ms of greeting, 300 ms of quiet, a tick to make up its mind, 280 ms until the last frame begins.
    assert line.said == [(2.9, "my code is 4711")]


def test_an_answered_turn_is_noted_once_the_agent_is_quiet() -> None:
    line = Line(Tell("my code is 4711"), Ask("what is my code", "4711"))
    line.answer = lambda text: "your code is 4711" if "what" in text else "thank you"
    line.run(4.0)
    first, second = line.dialogue.turns
    assert (first.answer, first.attempts, second.answer, second.answered) == ("thank you", 1, "your code is 4711", True)
    assert line.dialogue.wants_to_hang_up


def test_a_question_is_repeated_once_after_six_silent_seconds() -> None:
    line = Line(Ask("what is my code", "4711"), answer=lambda text: "")
    line.run(20.0)
    (first, _), (second, _) = line.said
    assert round(second - first, 1) == 6.3
    (turn,) = line.dialogue.turns
    assert (turn.answered, turn.attempts) == (False, 2)


def test_another_answer_than_the_expected_one_does_not_count() -> None:
    line = Line(Ask("what is my code", "4711"), answer=lambda text: "i do not know your code")
    line.run(20.0)
    assert not line.dialogue.turns[0].answered


def test_small_talk_goes_on_until_told_to_finish() -> None:
    line = Line(Chat(), Ask("what is my code", "4711"), Goodbye())
    line.run(5.0)
    assert line.dialogue.chatting
    asked = len(line.said)
    assert asked >= 3
    assert line.said[2][1] == "tell me more 3"
    line.dialogue.finish()
    line.answer = lambda text: "it is 4711" if "what" in text else ""
    line.run(4.0)
    assert line.said[-2][1] == "what is my code"
    assert line.dialogue.said_goodbye


def test_the_caller_does_not_talk_into_an_utterance_that_may_be_taken_up_again() -> None:
    """The agent broke off in its answer; it comes back three seconds later, and the turn is answered."""
    line = Line(Tell("my code is 4711"), Tell("next"), answer=lambda text: "")
    line.run(0.4)
    line.agent_says("thank you very much", cut=5)
    line.run(3.0)
    assert len(line.said) == 1
    line.agent_says("thank you very much")
    line.run(1.2)
    assert [text for _, text in line.said] == ["my code is 4711", "next"]
    assert line.dialogue.turns[0].attempts == 1


def test_a_caller_whose_goodbye_is_ignored_hangs_up() -> None:
    line = Line(Goodbye(), answer=lambda text: "")
    line.run(20.0)
    assert [text for _, text in line.said] == ["goodbye", "goodbye"]
    assert line.dialogue.wants_to_hang_up


def test_a_caller_who_talks_into_an_answer_is_answered_for_what_he_threw_in() -> None:
    line = Line(Interrupt("read me the terms", words="wait a moment"))
    line.answer = lambda text: ""
    line.run(0.5)
    line.agent_says("the terms are long, and longer still than anybody would have thought when this began")
    line.run(2.0)
    assert [text for _, text in line.said] == ["read me the terms", "wait a moment"]
    line._agent.clear()
    line.agent_says("of course: wait a moment")
    line.run(1.5)
    [turn] = line.dialogue.turns
    assert (turn.question, turn.attempts, turn.answer) == ("wait a moment", 1, "of course: wait a moment")


def test_an_answer_that_is_too_short_to_be_talked_over_is_waited_for_again() -> None:
    line = Line(Interrupt("read me the terms"))
    line.answer = lambda text: "no"
    line.run(3.0)
    assert [text for _, text in line.said] == ["read me the terms"]
