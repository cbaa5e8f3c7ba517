"""What a caller hears while nobody speaks: a sound, a sentence, a question; and what becomes of a cough."""

from __future__ import annotations

from typing import Any

from bridge_core import PLAN, TENTH, Drive, asked, of

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import tone
from holdfast_bridge.core.opening import NOBODY_THERE
from holdfast_bridge.core.silence import Manners
from holdfast_bridge.core.unheard import PAUSE_FRAMES, SENTENCE_FRAMES

READY = ev.ProviderReady()
LOST = ev.ProviderLost("server", retry_same=False)
FIRST_TONE = ev.PlayTone(tone.piece(0, 200))


def in_conversation(**manners: Any) -> Drive:
    """Greeted, and nobody speaks."""
    call = Drive(PLAN, attempts=2, manners=Manners(**manners))
    call.say(READY, at=0.1)
    call.heard(call.line("g", "How can I help?", tenths=2, at=0.2), at=0.5)
    return call


def test_a_provider_lost_in_mid_sentence_leaves_less_than_300_ms_of_silence() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    marks = call.line("a", "it is a long story", tenths=4, at=1.5, done=False)
    call.say(LOST, at=1.6)
    assert call.core.get_timer() is not None
    assert of(ev.PlayTone, call.tick(at=1.8)) == [], "the carrier plays what it has"
    call.heard(marks, at=1.9)
    assert of(ev.PlayTone, call.tick(at=2.1)) == [FIRST_TONE]


def test_a_line_that_stands_still_leaves_less_than_300_ms_of_silence_before_anybody_is_lost() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    call.line("a", "it is a long story", tenths=3, at=1.5, done=False)
    assert of(ev.PlayTone, call.tick(at=2.04)) == []
    assert of(ev.PlayTone, call.tick(at=2.06) + call.tick(at=2.06)) == [FIRST_TONE]
    call.say(ev.ProviderAudio("a", TENTH), at=2.1)
    assert of(ev.PlayTone, call.tick(at=2.15)) == []


def test_a_line_that_ended_is_followed_by_no_sound() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    call.heard(call.line("a", "it is a story", tenths=3, at=1.5), at=1.8)
    assert of(ev.PlayTone, call.tick(at=2.1) + call.tick(at=3.5)) == []


def test_the_sound_stops_as_soon_as_the_next_provider_speaks() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    call.say(LOST, at=1.2)
    assert of(ev.PlayTone, call.tick(at=1.4)) == [FIRST_TONE]
    call.say(READY, at=1.5)
    more = ev.PlayTone(tone.piece(1600, 100))
    assert of(ev.PlayTone, call.tick(at=1.5)) == [more], "the next one is asked, and not heard yet"
    call.say(ev.ResponseStarted(), ev.ProviderAudio("b", TENTH), at=1.58)
    assert of(ev.PlayTone, call.tick(at=1.6)) == []


def test_the_sound_is_heard_too_when_it_was_the_callers_silence_that_gave_the_provider_away() -> None:
    call = in_conversation()
    loud, quiet = ev.CallerAudio(b"\x80" * 160), ev.CallerAudio(b"\xff" * 160)
    call.say(*[loud] * SENTENCE_FRAMES, *[quiet] * (PAUSE_FRAMES - 1), at=3.3)
    assert of(ev.ConnectProvider, call.say(quiet, at=3.32)) == [ev.ConnectProvider(1)]
    assert of(ev.PlayTone, call.tick(at=3.62)) == [FIRST_TONE]


def test_the_sound_is_no_part_of_what_was_said() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    call.say(LOST, at=1.2)
    call.tick(at=1.4)
    assert [item.text for item in call.record.items] == ["How can I help?", "tell me all"]


def test_a_call_in_which_nothing_is_due_stays_quiet_when_its_provider_goes() -> None:
    call = in_conversation()
    call.say(LOST, at=1.0)
    assert of(ev.PlayTone, call.tick(at=1.2) + call.tick(at=2.5)) == []


def test_a_slow_answer_gets_the_next_attempt_ready_and_a_fast_one_does_not() -> None:
    call = in_conversation()
    call.turn("u", "hello", at=1.0)
    assert of(ev.Prepare, call.tick(at=1.9)) == [ev.Prepare(1)]
    out = call.say(ev.ResponseStarted(), ev.ProviderAudio("b", TENTH), at=2.0)
    assert of(ev.Unprepare, out) == [ev.Unprepare()]


def test_a_stall_goes_to_the_attempt_that_was_made_ready() -> None:
    call = in_conversation()
    call.turn("u", "hello", at=1.0)
    call.tick(at=1.9)
    call.say(ev.Prepared(1), at=2.1)
    out = call.tick(at=2.8)
    assert of(ev.ConnectProvider, out) == [ev.ConnectProvider(1)]
    assert of(ev.Unprepare, out) == []
    assert asked(call.say(READY, at=2.8)) == [None]


def test_a_session_that_will_end_is_changed_for_another_while_nobody_speaks() -> None:
    call = in_conversation()
    out = call.say(ev.ProviderEnding(60.0), at=10.0)
    assert out == [ev.Prepare(0)]
    out = call.say(ev.Prepared(0), at=10.3)
    assert out == [ev.ConnectProvider(0, blame=False, planned=True)]
    out = call.say(READY, at=10.3)
    assert [seed.text for seed in of(ev.SeedConversation, out)[0].items] == ["How can I help?"]
    assert asked(out) == [], "nobody hears of it"


def test_a_session_that_ends_in_mid_sentence_is_taken_up_where_the_sentence_was_heard_to() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    marks = call.line("a", "it is a long story", tenths=10, at=1.5, done=False)
    call.heard(marks[:2], at=2.0)
    [prepare] = of(ev.Prepare, call.say(ev.ProviderEnding(3.0), at=2.0))
    assert prepare == ev.Prepare(0)
    [connect] = of(ev.ConnectProvider, call.say(ev.Prepared(0), at=2.2))
    assert connect == ev.ConnectProvider(0, blame=False, planned=True)
    [line] = asked(call.say(READY, at=2.2))
    assert line is not None
    assert "Go on where the caller stopped hearing you" in line


def test_a_change_of_session_counts_against_nobody() -> None:
    call = in_conversation()
    for at in (10.0, 30.0, 50.0):
        call.say(ev.ProviderEnding(60.0), at=at)
        call.say(ev.Prepared(0), READY, at=at + 1)
    call.say(LOST, at=60.0)
    assert call.core.record.state == "live"
    assert of(ev.ConnectProvider, call.all)[-1] == ev.ConnectProvider(1)


def test_a_call_that_says_goodbye_is_not_given_another_session() -> None:
    call = in_conversation()
    call.turn("u", "bye", at=1.0)
    call.say(ev.ResponseStarted(), ev.ToolCall("c", "end_call", "{}"), at=1.2)
    assert of(ev.Prepare, call.say(ev.ProviderEnding(1.0), at=1.3)) == []


def test_a_cough_does_not_cost_the_caller_the_rest_of_the_sentence() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    marks = call.line("a", "one two three four five six", tenths=20, at=1.5)
    call.heard(marks[:5], at=2.5)
    assert of(ev.ClearCarrier, call.say(ev.SpeechStarted(), at=2.6))
    out = call.say(ev.SpeechStopped(words=False), at=2.9)
    [respond] = of(ev.Respond, out)
    assert respond.words == "four five six"


def test_a_cough_in_a_line_that_is_not_known_to_its_end_asks_the_model_to_finish_it() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    call.say(ev.ResponseStarted(), ev.ProviderTranscript("a", "one two three four", final=False), at=1.5)
    call.say(*[ev.ProviderAudio("a", TENTH)] * 20, at=1.6)
    call.say(ev.ResponseDone(ok=True), ev.SpeechStarted(), at=2.6)
    [respond] = of(ev.Respond, call.say(ev.SpeechStopped(words=False), at=2.9))
    assert respond.words == ""
    assert respond.instructions.endswith("Say exactly: one two three four")


def test_words_of_the_caller_make_the_cut_sentence_a_thing_of_the_past() -> None:
    call = in_conversation()
    call.turn("u", "tell me all", at=1.0)
    marks = call.line("a", "one two three four five six", tenths=20, at=1.5)
    call.heard(marks[:5], at=2.5)
    call.say(ev.SpeechStarted(), ev.UserTurn("v"), ev.UserTranscript("v", "stop", final=True), at=2.6)
    assert asked(call.say(ev.SpeechStopped(words=False), at=2.9)) == []


def test_a_tool_that_takes_its_time_is_announced_in_the_agents_words() -> None:
    call = in_conversation(tone=False, tool_words="One moment, please.")
    call.turn("u", "book a table", at=1.0)
    call.say(ev.ResponseStarted(), ev.ToolCall("c", "book", "{}"), ev.ResponseDone(ok=True), at=1.2)
    [respond] = of(ev.Respond, call.tick(at=2.4))
    assert respond == ev.Respond("Say exactly: One moment, please.", "One moment, please.")
    [run] = of(ev.RunTool, call.all)
    call.line("w", "One moment, please.", tenths=1, at=2.6)
    assert asked(call.say(ev.ToolResult(run.id, "B1001"), at=3.0)) == [None]


def test_a_silent_caller_is_asked_and_then_told_goodbye() -> None:
    call = in_conversation(tone=False, prompt="Are you still there?", prompts_max=1)
    assert asked(call.tick(at=10.4)) == []
    assert asked(call.tick(at=10.5)) == ["Say exactly: Are you still there?"]
    call.heard(call.line("p", "Are you still there?", tenths=2, at=11.0), at=11.5)
    assert asked(call.tick(at=21.5)) == [NOBODY_THERE]
    call.heard(call.line("q", "Goodbye.", tenths=2, at=22.0), at=22.5)
    assert of(ev.EndCall, call.all) == [ev.EndCall(ev.End.CALLER_SILENT, over=True, hang_up=True)]
