"""What a call decides, by literal times. One behaviour each; the shell is absent."""

from __future__ import annotations

import pytest
from bridge_core import PLAN, TENTH, Drive, asked, of, raised

from holdfast_bridge.core import events as ev
from holdfast_bridge.session import SOUND_DUE_S


def test_a_new_call_is_recorded_and_dials_its_first_attempt() -> None:
    call = Drive()
    assert [type(effect) for effect in call.all] == [ev.Record, ev.ConnectProvider]
    assert call.record.state == "live"
    assert call.record.started_at == 1000.0


def test_the_disclosure_comes_before_the_greeting_and_is_recorded_only_when_heard() -> None:
    call = Drive(disclosure="You speak to a machine.")
    assert asked(call.say(ev.ProviderReady(), at=0.1)) == ["Say exactly: You speak to a machine."]
    out = call.say(ev.ResponseStarted(), ev.ProviderTranscript("a", "You speak to a machine.", final=True), at=0.2)
    out += call.say(*[ev.ProviderAudio("a", TENTH)] * 3, ev.ProviderAudioDone("a"), at=0.3)
    marks = [effect.name for effect in out if isinstance(effect, ev.SendMark)]
    assert asked(call.say(ev.ResponseDone(ok=True), at=0.4)) == ["Say exactly: How can I help?"]
    call.heard(marks[:1], at=0.5)
    assert not call.record.disclosure_heard
    call.heard(marks[1:], at=0.7)
    assert call.record.disclosure_heard


def test_the_disclosure_cannot_be_talked_over() -> None:
    call = Drive(disclosure="You speak to a machine.")
    call.say(ev.ProviderReady(), at=0.1)
    silence = [ev.AppendAudio(b"\xff")]
    assert call.say(ev.CallerAudio(b"x"), at=0.2) == silence, "there are vendors that speak only while sound comes in"
    marks = call.line("a", "You speak to a machine.", tenths=3, at=0.3)
    call.heard(marks, at=0.9)
    assert call.say(ev.CallerAudio(b"y"), at=1.0) == [ev.AppendAudio(b"y")]


def test_a_carrier_without_marks_does_not_leave_the_caller_unheard() -> None:
    call = Drive(disclosure="You speak to a machine.", greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.line("a", "You speak to a machine.", tenths=3, at=0.0)
    call.tick(at=2.2)
    assert call.say(ev.CallerAudio(b"x"), at=2.25) == [ev.AppendAudio(b"\xff")]
    call.tick(at=2.31)
    assert call.say(ev.CallerAudio(b"x"), at=2.4) == [ev.AppendAudio(b"x")]


def test_words_said_before_the_provider_answers_are_held_and_passed_on() -> None:
    call = Drive()
    assert call.say(ev.CallerAudio(b"a"), ev.CallerAudio(b"b"), at=0.1) == []
    out = call.say(ev.ProviderReady(), at=0.2)
    assert of(ev.AppendAudio, out) == [ev.AppendAudio(b"a"), ev.AppendAudio(b"b")]


@pytest.mark.parametrize("at", [0.5, 1.0, 1.45, 1.99, 2.6, 3.1, 4.0])
def test_sound_sets_no_deadline_that_an_armed_timer_would_not_find_in_time(at: float) -> None:
    """The session leaves its timer alone at each frame, when it is due within this time anyway."""
    call = Drive()
    call.say(ev.ProviderReady(), ev.ResponseStarted(), ev.ProviderTranscript("a", "One.", final=True), at=0.1)
    before = call.core.get_timer()
    call.say(ev.CallerAudio(b"x"), at=at)
    assert call.core.get_timer() == before
    call.say(ev.ProviderAudio("a", TENTH), at=at)
    after = call.core.get_timer()
    assert before is not None
    assert after is not None
    assert after >= min(before, at + SOUND_DUE_S)


def test_barge_in_clears_the_carrier_and_truncates_at_what_was_heard() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    marks = call.line("a", "one two three four five six seven eight", tenths=8, at=0.1)
    call.heard(marks[:2], at=0.6)
    out = call.say(ev.SpeechStarted(), at=0.65)
    assert out == [ev.ClearCarrier(), ev.Truncate("a", 400, "one two three four")]
    call.tick(at=2.0)
    assert call.record.items[-1].text == "one two three four"


def test_marks_that_come_back_from_a_clear_prove_nothing() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    marks = call.line("a", "one two three four", tenths=8, at=0.1)
    call.say(ev.SpeechStarted(), at=0.2)
    call.heard(marks, at=0.25)
    call.tick(at=1.3)
    assert call.record.items[-1].heard_ms == 0


def test_late_audio_of_a_line_that_was_cut_is_not_played() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.line("a", "one two three four", tenths=4, at=0.1, done=False)
    call.say(ev.SpeechStarted(), at=0.2)
    assert call.say(ev.ProviderAudio("a", TENTH), at=0.21) == []


def test_without_barge_in_the_agent_speaks_on() -> None:
    call = Drive(greeting="", barge_in=False)
    call.say(ev.ProviderReady(), at=0.0)
    call.line("a", "one two three four", tenths=4, at=0.1)
    assert call.say(ev.SpeechStarted(), at=0.2) == []


def test_the_next_owner_takes_up_the_sentence_that_was_cut() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.turn("u", "tell me more", at=1.0)
    marks = call.line("a", "one two three four five six seven eight", tenths=8, at=1.1)
    call.heard(marks[:2], at=1.6)
    call.tick(at=2.7)
    heir = Drive(epoch=2, resumed=raised(call.record))
    out = heir.say(ev.ProviderReady(), at=0.1)
    assert of(ev.SeedConversation, out) == [
        ev.SeedConversation((ev.SeedText("user", "tell me more"), ev.SeedText("assistant", "one two three four")))
    ]
    [instructions] = asked(out)
    assert instructions is not None
    assert instructions.endswith("Say exactly: five six seven eight")


def test_a_question_that_was_not_answered_is_answered_by_the_next_owner() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.turn("u", "what is my code", at=1.0)
    heir = Drive(epoch=2, resumed=raised(call.record))
    assert asked(heir.say(ev.ProviderReady(), at=0.1)) == [None]


def test_a_caller_who_was_cut_off_is_asked_to_say_it_again() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.turn("u", "my code is 4711", at=1.0)
    call.heard(call.line("a", "thank you", tenths=4, at=1.1), at=1.6)
    call.tick(at=2.6)
    heir = Drive(epoch=2, resumed=raised(call.record))
    [said] = asked(heir.say(ev.ProviderReady(), at=0.1))
    assert said == "Say exactly: Sorry, the line was interrupted for a moment. Please say that again."


def test_a_disclosure_is_not_repeated_after_a_hand_over_once_it_was_heard() -> None:
    call = Drive(disclosure="You speak to a machine.")
    call.say(ev.ProviderReady(), at=0.0)
    call.heard(call.line("a", "You speak to a machine.", tenths=4, at=0.1), at=0.6)
    heir = Drive(epoch=2, disclosure="You speak to a machine.", resumed=raised(call.record))
    assert asked(heir.say(ev.ProviderReady(), at=0.1)) == ["Say exactly: How can I help?"]


def test_a_disclosure_that_was_cut_is_said_again_in_full() -> None:
    call = Drive(disclosure="You speak to a machine.")
    call.say(ev.ProviderReady(), at=0.0)
    marks = call.line("a", "You speak to a machine.", tenths=6, at=0.1)
    call.heard(marks[:1], at=0.4)
    call.tick(at=1.5)
    heir = Drive(epoch=2, disclosure="You speak to a machine.", resumed=raised(call.record))
    assert asked(heir.say(ev.ProviderReady(), at=0.1)) == ["Say exactly: You speak to a machine."]


def test_a_tool_is_run_once_and_its_result_answered() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    out = call.say(ev.ResponseStarted(), ev.ToolCall("c1", "book", "{}"), ev.ResponseDone(ok=True), at=1.0)
    assert of(ev.RunTool, out) == [ev.RunTool("1.1.c1", "book", "{}")]
    assert call.record.tools[0].state == "intent"
    out = call.say(ev.ToolResult("1.1.c1", "42"), at=1.5)
    assert out == [ev.ToolOutput("c1", "42"), ev.Respond(None)]
    assert call.record.tools[0].state == "done"
    assert call.say(ev.ToolResult("1.1.c1", "43"), at=1.6) == []


def test_a_result_that_comes_while_the_model_speaks_waits_for_its_end() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.say(ev.ResponseStarted(), ev.ToolCall("c1", "book", "{}"), at=1.0)
    assert asked(call.say(ev.ToolResult("1.1.c1", "42"), at=1.1)) == []
    assert asked(call.say(ev.ResponseDone(ok=True), at=1.2)) == [None]


def test_a_tool_with_side_effects_in_flight_is_asked_about_and_never_repeated() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.turn("u", "book a table", at=0.9)
    call.say(ev.ResponseStarted(), ev.ToolCall("c1", "book", "{}"), at=1.0)
    heir = Drive(epoch=2, resumed=raised(call.record))
    out = heir.say(ev.ProviderReady(), at=0.1)
    assert of(ev.RunTool, out) == []
    [seeds] = [effect.items for effect in out if isinstance(effect, ev.SeedConversation)]
    assert seeds[-1].role == "system"  # type: ignore[union-attr]
    assert "Do not call it again" in seeds[-1].text  # type: ignore[union-attr]
    [said] = asked(out)
    assert said is not None
    assert "I cannot tell yet whether it went through" in said
    assert heir.record.tools[0].state == "asked"


def test_a_tool_done_before_the_hand_over_is_known_to_the_next_owner_in_its_place() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.turn("u", "book a table", at=0.9)
    call.say(ev.ResponseStarted(), ev.ToolCall("c1", "book", "{}"), ev.ToolResult("1.1.c1", "42"), at=1.0)
    heir = Drive(epoch=2, resumed=raised(call.record))
    out = heir.say(ev.ProviderReady(), at=0.1)
    assert of(ev.SeedConversation, out) == [
        ev.SeedConversation((ev.SeedText("user", "book a table"), ev.SeedTool("1.1.c1", "book", "{}", "42")))
    ]
    assert asked(out) == [None]


def test_a_tool_that_the_agent_does_not_have_is_not_run() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    out = call.say(ev.ResponseStarted(), ev.ToolCall("c1", "rm", "{}"), at=1.0)
    assert out == [ev.ToolOutput("c1", '{"error":"no such tool"}')]


def test_a_ninth_tool_in_one_turn_is_refused() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    for number in range(8):
        assert of(ev.RunTool, call.say(ev.ToolCall(f"c{number}", "look", "{}"), at=1.0))
    assert of(ev.RunTool, call.say(ev.ToolCall("c9", "look", "{}"), at=1.0)) == []


def test_the_agent_hangs_up_when_its_goodbye_has_been_heard() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    marks = call.line("a", "goodbye", tenths=3, at=1.0, done=False)
    out = call.say(ev.ProviderAudioDone("a"), ev.ToolCall("c1", "end_call", "{}"), ev.ResponseDone(ok=True), at=1.1)
    marks += [effect.name for effect in out if isinstance(effect, ev.SendMark)]
    assert of(ev.EndCall, out) == []
    [end] = call.heard(marks, at=1.5)
    assert end == ev.EndCall(ev.End.AGENT_HUNG_UP, over=True, hang_up=True)
    assert call.record.state == "ended"


def test_an_agent_that_ends_the_call_without_a_word_is_made_to_say_goodbye() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    out = call.say(ev.ResponseStarted(), ev.ToolCall("c1", "end_call", "{}"), ev.ResponseDone(ok=True), at=1.0)
    assert out[0] == ev.ToolOutput("c1", "{}")
    assert asked(out) == ["Say a short goodbye to the caller. Call no tool."]
    [end] = call.heard(call.line("a", "bye", tenths=2, at=1.2), at=1.5)
    assert isinstance(end, ev.EndCall)


def test_a_goodbye_whose_marks_never_come_back_does_not_keep_the_call_for_ever() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.line("a", "goodbye", tenths=3, at=1.0, done=False)
    call.say(ev.ToolCall("c1", "end_call", "{}"), ev.ResponseDone(ok=True), at=1.1)
    assert call.core.get_timer() is not None
    assert of(ev.EndCall, call.tick(at=13.2)) == [ev.EndCall(ev.End.AGENT_HUNG_UP, over=True, hang_up=True)]


def test_the_caller_hangs_up() -> None:
    call = Drive(greeting="")
    [end] = call.say(ev.CallerStop(), at=3.0)
    assert end == ev.EndCall(ev.End.CALLER_HUNG_UP, over=True, hang_up=False)
    assert call.record.state == "ended"


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((ev.CarrierLost(),), ev.End.CARRIER_LOST),
        ((ev.Released(), ev.CallerStop()), ev.End.RELEASED),
        ((ev.Released(), ev.CarrierLost()), ev.End.RELEASED),
        ((ev.Superseded(2),), ev.End.SUPERSEDED),
    ],
)
def test_a_call_that_goes_on_elsewhere_stays_live(events: tuple[ev.Event, ...], reason: ev.End) -> None:
    call = Drive(greeting="")
    assert call.say(*events, at=3.0) == [ev.EndCall(reason, over=False, hang_up=False)]
    assert call.record.state == "live"
    assert call.say(ev.CallerStop(), at=3.1) == []
    assert call.core.get_timer() is None


def test_a_superseded_bridge_silences_what_the_carrier_still_holds() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.line("a", "one two", tenths=4, at=0.1)
    assert call.say(ev.Superseded(2), at=0.2)[0] == ev.ClearCarrier()


def test_a_provider_lost_in_mid_sentence_is_followed_by_another_that_says_the_rest() -> None:
    call = Drive(greeting="", attempts=2)
    call.say(ev.ProviderReady(), at=0.0)
    call.heard(call.line("a", "abcd efgh", tenths=2, at=0.1), at=0.4)
    call.turn("u", "tell me", at=1.0)
    # Nine characters took 200 ms, so these eighteen will take 400, of which half was sent.
    call.line("b", "abcd efgh ijkl mno", tenths=2, at=1.1, done=False)
    assert call.say(ev.ProviderLost("closed_1011"), at=1.2) == [ev.ConnectProvider(0)]
    assert of(ev.ConnectProvider, call.say(ev.ProviderLost("timeout"), at=1.5)) == [ev.ConnectProvider(1)]
    out = call.say(ev.ProviderReady(), at=1.6)
    assert of(ev.ClearCarrier, out) == []
    [instructions] = asked(out)
    assert instructions is not None
    assert instructions.endswith("Say exactly: ijkl mno")


def test_a_call_without_a_provider_lets_the_carrier_ask_elsewhere() -> None:
    call = Drive(greeting="")
    assert call.say(ev.ProviderLost("server"), at=0.1) == [ev.ConnectProvider(0)]
    assert call.say(ev.ProviderLost("server"), at=0.2) == [ev.ConnectProvider(0)]
    assert call.say(ev.ProviderLost("server"), at=0.3) == [ev.EndCall(ev.End.NO_PROVIDER, over=False, hang_up=False)]


def test_a_refused_key_is_not_tried_again() -> None:
    call = Drive(greeting="")
    out = call.say(ev.ProviderLost("auth", retry_same=False), at=0.1)
    assert out == [ev.EndCall(ev.End.NO_PROVIDER, over=False, hang_up=False)]


def test_a_provider_that_is_asked_and_stays_silent_is_given_up() -> None:
    call = Drive()
    call.say(ev.ProviderReady(), at=0.0)
    assert call.tick(at=1.7) == []
    assert call.tick(at=1.8) == [ev.ConnectProvider(0)]
    assert asked(call.say(ev.ProviderReady(), at=2.0)) == ["Say exactly: How can I help?"]


def test_a_call_ends_at_its_longest_time_with_a_goodbye() -> None:
    call = Drive(greeting="", max_call_s=60.0)
    call.say(ev.ProviderReady(), at=0.0)
    [instructions] = asked(call.tick(at=60.0))
    assert instructions is not None
    assert "longest allowed time" in instructions
    [end] = of(ev.EndCall, call.heard(call.line("a", "bye", tenths=2, at=60.5), at=61.0))
    assert end == ev.EndCall(ev.End.TOO_LONG, over=True, hang_up=True)


def test_the_longest_time_counts_from_the_first_owner() -> None:
    call = Drive(greeting="", max_call_s=60.0)
    heir = Drive(PLAN, raised(call.record), epoch=2, wall_s=1050.0, max_call_s=60.0)
    assert heir.core.get_timer() == 10.0


def test_a_loop_back_returns_audio_and_says_nothing_of_its_own() -> None:
    call = Drive(greeting="", speaks=False)
    assert call.say(ev.ProviderReady(), at=0.0) == []
    assert call.say(ev.CallerAudio(b"x"), at=0.1) == [ev.AppendAudio(b"x")]
    assert call.say(ev.ProviderAudio("echo", b"x"), at=0.1) == [ev.SendAudio(b"x")]


def test_it_is_silent_only_when_neither_side_speaks() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    assert call.core.silent()
    call.say(ev.SpeechStarted(), at=0.5)
    assert not call.core.silent()
    call.say(ev.SpeechStopped(), at=0.9)
    assert not call.core.silent()
    marks = call.line("a", "yes", tenths=2, at=1.0)
    assert not call.core.silent()
    call.heard(marks, at=1.3)
    assert call.core.silent()


def test_the_journal_is_written_at_once_for_a_turn_and_once_a_second_for_what_is_heard() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.turn("u", "my code is 4711", at=1.0)
    assert isinstance(call.all[-1], ev.Record)
    assert call.all[-1].now
    marks = call.line("a", "thank you very much", tenths=8, at=1.1)
    before = call.record.seq
    call.heard(marks[:3], at=1.8)
    assert call.record.seq == before
    call.tick(at=2.8)
    assert call.record.seq == before + 1
    assert call.record.items[-1].heard_ms == 600
    assert isinstance(call.all[-1], ev.Record)
    assert not call.all[-1].now


def test_keys_pressed_together_are_answered_once() -> None:
    call = Drive(greeting="")
    call.say(ev.ProviderReady(), at=0.0)
    call.say(ev.CallerDtmf("4"), at=1.0)
    call.say(ev.CallerDtmf("7"), at=1.5)
    assert asked(call.tick(at=2.6)) == []
    assert asked(call.tick(at=3.0)) == [None]
