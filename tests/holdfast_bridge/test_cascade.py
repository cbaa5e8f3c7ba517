"""A cascade against the clock of its events: what the call is told, and what the stages are ordered to do."""

from __future__ import annotations

from holdfast_bridge.core import cascade as cc
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st

BOOK = st.Tool("book", "Books.", {"type": "object", "properties": {}})
END = st.ReplyEnded(st.Ended.SAID)


class Told:
    """Runs a cascade and keeps what it told and ordered since it was last asked."""

    def __init__(self, *, barge_in: bool = True) -> None:
        self.core = cc.Cascade(cc.CascadePlan(instructions="Be kind.", tools=(BOOK,), barge_in=barge_in))
        self.core.stage("hearing", st.StageReady())
        self.core.stage("speaking", st.StageReady())
        self.core.take()

    def heard(self, *said: st.HearingEvent) -> Told:
        for event in said:
            self.core.stage("hearing", event)
        return self

    def thought(self, number: int, *said: st.ThinkingEvent) -> Told:
        for event in said:
            self.core.stage("thinking", event, number)
        return self

    def spoken(self, *said: st.SpeakingEvent) -> Told:
        for event in said:
            self.core.stage("speaking", event)
        return self

    def told(self) -> list[ev.Event]:
        said, self.orders = self.core.take()
        return said

    def ordered(self) -> list[cc.Order]:
        return self.core.take()[1]

    def asked(self) -> st.Thought:
        [think] = [order for order in self.ordered() if isinstance(order, cc.Think)]
        return think.thought


def a_turn(text: str) -> tuple[st.HearingEvent, ...]:
    return st.TurnBegan(), st.Words(text), st.TurnEnded(text)


def test_it_is_ready_when_both_sockets_are() -> None:
    core = cc.Cascade(cc.CascadePlan(instructions=""))
    core.stage("speaking", st.StageReady())
    assert core.take()[0] == []
    core.stage("hearing", st.StageReady())
    core.stage("hearing", st.StageReady())
    assert core.take()[0] == [ev.ProviderReady(attentive=False)]


def test_a_turn_of_the_caller_becomes_a_question_to_the_model() -> None:
    now = Told().heard(*a_turn("hello"))
    assert now.told() == [
        ev.SpeechStarted(), ev.SpeechStopped(), ev.UserTurn("t1"), ev.UserTranscript("t1", "hello", final=True),
        ev.ResponseStarted(),
    ]  # fmt: skip
    thought = st.Thought(instructions="Be kind.", history=(ev.SeedText("user", "hello"),), tools=(BOOK,))
    assert now.orders == [cc.Think(1, thought)]


def test_a_reply_is_spoken_clause_by_clause_and_is_over_when_its_sound_has_come() -> None:
    now = Told().heard(*a_turn("hello"))
    now.told()
    now.thought(1, st.TextPiece("Good morning, how"), st.TextPiece(" are you?"), END)
    assert now.told() == [
        ev.ProviderTranscript("a1", "Good morning, ", final=False),
        ev.ProviderTranscript("a1", "how are you?", final=False),
        ev.ProviderTranscript("a1", "Good morning, how are you?", final=True),
    ]
    assert now.orders == [cc.Say("a1", "Good morning, "), cc.Say("a1", "how are you?"), cc.EndLine("a1")]
    now.spoken(st.Sound("a1", b"\x01"), st.LineDone("a1"))
    assert now.told() == [
        ev.ProviderAudio("a1", b"\x01"), ev.ProviderAudioDone("a1"), ev.ResponseDone(ok=True, detail="completed"),
    ]  # fmt: skip


def test_exact_words_are_spoken_without_asking_the_model_and_are_remembered() -> None:
    now = Told()
    now.core.tell(ev.Respond("Say exactly: This call is recorded.", words="This call is recorded."))
    assert now.ordered() == [cc.Say("a1", "This call is recorded."), cc.EndLine("a1")]
    now.spoken(st.LineDone("a1")).heard(*a_turn("fine"))
    assert now.asked().history == (ev.SeedText("assistant", "This call is recorded."), ev.SeedText("user", "fine"))


def test_a_caller_who_interrupts_silences_the_model_and_the_voice() -> None:
    now = Told().heard(*a_turn("hello")).thought(1, st.TextPiece("Once upon a time, there was "))
    now.spoken(st.Sound("a1", b"\x01")).told()
    now.heard(st.TurnBegan())
    assert now.told() == [
        ev.SpeechStarted(), ev.ProviderAudioDone("a1"), ev.ResponseDone(ok=True, detail="cancelled"),
    ]  # fmt: skip
    assert now.orders == [cc.StopThinking(1), cc.CancelLine("a1")]


def test_nothing_of_an_interrupted_reply_is_told_later() -> None:
    now = Told().heard(*a_turn("hello")).thought(1, st.TextPiece("Once upon a time, there was "))
    now.heard(st.TurnBegan()).told()
    now.thought(1, st.TextPiece("a king. "), st.ToolAsked("c1", "book", "{}"), END)
    now.spoken(st.Sound("a1", b"\x01"), st.LineDone("a1"))
    assert now.told() == []
    assert now.orders == []


def test_the_model_is_told_of_an_interrupted_line_only_what_was_heard() -> None:
    now = Told().heard(*a_turn("hello")).thought(1, st.TextPiece("Once upon a time, there was "))
    now.heard(st.TurnBegan())
    now.core.tell(ev.Truncate("a1", 400, heard="Once upon"))
    now.heard(st.TurnEnded("stop"))
    now.ordered()
    assert now.core._history.seeds[1:] == (ev.SeedText("assistant", "Once upon"), ev.SeedText("user", "stop"))


def test_a_voice_that_tells_how_far_it_came_bounds_what_was_heard() -> None:
    now = Told().heard(*a_turn("hello")).thought(1, st.TextPiece("Once upon a time, there was "))
    now.spoken(st.Aligned("a1", 9, 600)).heard(*a_turn("stop"))
    now.ordered()
    assert now.core._history.seeds[1] == ev.SeedText("assistant", "Once upon")


def test_an_agent_that_may_not_be_interrupted_finishes_and_then_answers() -> None:
    now = Told(barge_in=False).heard(*a_turn("hello")).thought(1, st.TextPiece("Good morning. "), END)
    now.ordered()
    now.heard(*a_turn("and you?"))
    assert now.ordered() == []
    now.spoken(st.LineDone("a1"))
    assert now.asked().history[-1] == ev.SeedText("user", "and you?")


def test_a_noise_without_words_asks_for_no_answer() -> None:
    now = Told().heard(st.TurnBegan(), st.TurnEnded(""))
    assert now.told() == [ev.SpeechStarted(), ev.SpeechStopped(words=False)]
    assert now.orders == []


def test_a_likely_end_lets_the_model_think_and_nobody_hears_of_it() -> None:
    now = Told().heard(st.TurnBegan(), st.TurnLikelyOver("book a table"))
    assert now.told() == [ev.SpeechStarted()]
    assert [type(order) for order in now.orders] == [cc.Think]
    now.thought(1, st.TextPiece("Certainly, for when? "), st.ToolAsked("c1", "book", "{}"), END)
    assert now.told() == []


def test_a_guess_that_held_is_spoken_at_once() -> None:
    now = Told().heard(st.TurnBegan(), st.TurnLikelyOver("book a table"))
    now.thought(1, st.TextPiece("Certainly, for when? "), END).told()
    now.heard(st.TurnEnded("Book a table."))
    assert ev.UserTranscript("t1", "Book a table.", final=True) in now.told()
    assert now.orders == [cc.Say("a1", "Certainly, "), cc.Say("a1", "for when? "), cc.EndLine("a1")]


def test_a_guess_is_dropped_when_the_caller_goes_on() -> None:
    now = Told().heard(st.TurnBegan(), st.TurnLikelyOver("book a table"))
    now.told()
    now.heard(st.TurnGoesOn(), st.TurnEnded("book a table for two"))
    now.told()
    assert now.orders[0] == cc.StopThinking(1)
    assert isinstance(now.orders[1], cc.Think)
    assert now.orders[1].thought.history == (ev.SeedText("user", "book a table for two"),)


def test_a_guess_is_dropped_when_the_turn_ended_otherwise() -> None:
    now = Told().heard(st.TurnBegan(), st.TurnLikelyOver("book"))
    now.told()
    now.heard(st.TurnEnded("look"))
    now.told()
    assert [type(order) for order in now.orders] == [cc.StopThinking, cc.Think]


def test_a_guess_that_failed_costs_nothing() -> None:
    now = Told().heard(st.TurnBegan(), st.TurnLikelyOver("book"))
    now.told()
    now.thought(1, st.StageLost("server")).heard(st.TurnEnded("book"))
    assert not any(isinstance(event, ev.ProviderLost) for event in now.told())
    assert [type(order) for order in now.orders] == [cc.Think]


def test_a_tool_is_told_once_and_its_result_goes_into_the_next_question() -> None:
    now = Told().heard(*a_turn("book a table"))
    now.thought(1, st.ToolAsked("c1", "book", '{"a":1}'), st.ReplyEnded(st.Ended.TOOLS))
    assert now.told()[-2:] == [ev.ToolCall("c1", "book", '{"a":1}'), ev.ResponseDone(ok=True, detail="completed")]
    now.core.tell(ev.ToolOutput("c1", '{"booking":"B7"}'))
    now.core.tell(ev.Respond())
    assert now.asked().history == (
        ev.SeedText("user", "book a table"), ev.SeedTool("c1", "book", '{"a":1}', '{"booking":"B7"}'),
    )  # fmt: skip


def test_words_said_while_a_tool_runs_wait_for_its_result() -> None:
    now = Told().heard(*a_turn("book a table"))
    now.thought(1, st.ToolAsked("c1", "book", "{}"), st.ReplyEnded(st.Ended.TOOLS)).told()
    now.heard(*a_turn("for two"))
    assert now.ordered() == []
    now.core.tell(ev.ToolOutput("c1", "7"))
    now.core.tell(ev.Respond())
    assert len(now.asked().history) == 3


def test_a_request_that_failed_before_a_word_is_repeated_once() -> None:
    now = Told().heard(*a_turn("hello"))
    now.told()
    now.thought(1, st.StageLost("server"))
    assert now.told() == []
    assert [type(order) for order in now.orders] == [cc.Think]
    now.thought(1, st.StageLost("server"))
    assert now.told() == [ev.ProviderLost("server", part="thinking")]


def test_a_refused_key_is_not_asked_again() -> None:
    now = Told().heard(*a_turn("hello"))
    now.told()
    now.thought(1, st.StageLost("auth", retry_same=False))
    assert now.told() == [ev.ProviderLost("auth", retry_same=False, part="thinking")]


def test_a_request_that_failed_after_a_word_loses_the_provider() -> None:
    now = Told().heard(*a_turn("hello")).thought(1, st.TextPiece("Good morning, how "))
    now.told()
    now.thought(1, st.StageLost("cut"))
    assert now.told() == [ev.ProviderLost("cut", part="thinking")]


def test_a_lost_socket_loses_the_provider_once() -> None:
    now = Told()
    now.spoken(st.StageLost("closed_1011")).heard(st.StageLost("disconnected"))
    assert now.told() == [ev.ProviderLost("closed_1011", part="speaking")]


def test_a_seeded_conversation_is_what_the_model_sees() -> None:
    now = Told()
    seeds = (ev.SeedText("user", "my code is 4711"), ev.SeedTool("1.1.c", "book", "{}", "7"))
    now.core.tell(ev.SeedConversation(seeds))
    now.core.tell(ev.Respond("Go on."))
    asked = now.asked()
    assert asked.history == seeds
    assert asked.asked == "Go on."


def test_what_becomes_of_a_stream_after_the_reply_was_whole_is_nobodys_loss() -> None:
    now = Told().heard(*a_turn("hello"))
    now.thought(1, st.TextPiece("Good morning."), END)
    now.told()
    now.thought(1, st.StageLost("stall"))
    assert now.told() == []


def test_words_that_were_given_do_not_count_as_the_models() -> None:
    now = Told()
    now.core.tell(ev.Respond("Say exactly: hello", words="hello"))
    now.spoken(st.Sound("a1", b"x"), st.LineDone("a1"))
    assert now.told()[-1] == ev.ResponseDone(ok=True, detail=cc.RECITED)
