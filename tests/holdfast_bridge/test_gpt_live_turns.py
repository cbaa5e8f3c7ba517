"""Lines and turns, inferred from a stream that has no ends."""

from __future__ import annotations

import pytest
from bridge_core import of
from provider_gpt_live import SILENCE, SOUND, Live, sound_of, without_sound

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gpt_live_turns import Gate

# --- the agent's sound and words


def test_silence_is_not_told() -> None:
    assert Live().sounds(*[SILENCE] * 50) == []


def test_sound_begins_a_line_and_silence_ends_it() -> None:
    live = Live()
    begun = live.sounds(SILENCE, SILENCE[:320] + SOUND[:480])
    assert begun == [ev.ResponseStarted(), ev.ProviderAudio("line1", SOUND[:480])]
    assert live.agent("Good ") == [ev.ProviderTranscript("line1", "Good ", final=False)]
    live.agent("day.")
    assert without_sound(live.sounds(*[SILENCE] * 7)) == []
    assert live.sounds(SILENCE) == [
        ev.ProviderAudioDone("line1"),
        ev.ProviderTranscript("line1", "Good day.", final=True),
        ev.ResponseDone(ok=True, detail="completed"),
    ]
    assert live.sounds(*[SILENCE] * 20) == []


def test_a_pause_within_a_line_is_kept_at_its_length() -> None:
    live = Live()
    told = live.sounds(SOUND, *[SILENCE] * 7, SOUND)
    assert sound_of(told) == SOUND + SILENCE * 7 + SOUND
    assert {event.item for event in told if isinstance(event, ev.ProviderAudio)} == {"line1"}


def test_a_new_line_is_a_new_response() -> None:
    live = Live()
    live.line("One.")
    assert live.line("Two.")[0] == ev.ResponseStarted()
    assert of(ev.ProviderAudioDone, live.line("Three.")) == [ev.ProviderAudioDone("line3")]


def test_words_that_come_before_their_sound_are_words_of_the_line_that_follows() -> None:
    live = Live()
    live.line("One.")
    live.sounds(*[SILENCE] * 20)
    assert live.agent("Two ") == []
    assert live.sounds(SOUND)[:2] == [ev.ResponseStarted(), ev.ProviderTranscript("line2", "Two ", final=False)]
    live.agent("and three.")
    assert ev.ProviderTranscript("line2", "Two and three.", final=True) in live.sounds(*[SILENCE] * 8)


def test_words_that_come_after_their_line_was_told_are_not_given_to_the_next() -> None:
    live = Live()
    live.line("One.")
    live.read(type="session.output_transcript.delta", delta=" late", start_ms=500, end_ms=600)
    live.sounds(*[SILENCE] * 10)
    assert ev.ProviderTranscript("line2", "Two.", final=True) in live.line("Two.")


def test_words_that_come_after_their_line_was_told_are_not_given_to_the_next_that_sounds_already() -> None:
    live = Live()
    live.line("One.")
    live.sounds(SOUND)
    assert live.read(type="session.output_transcript.delta", delta=" late", start_ms=500, end_ms=600) == []
    assert live.agent("Two.") == [ev.ProviderTranscript("line2", "Two.", final=False)]


def test_a_line_without_a_word_has_an_empty_text() -> None:
    live = Live()
    told = live.sounds(SOUND, *[SILENCE] * 8)
    assert without_sound(told)[-2:] == [
        ev.ProviderTranscript("line1", "", final=True), ev.ResponseDone(ok=True, detail="completed"),
    ]  # fmt: skip


@pytest.mark.parametrize("code", [0xFF, 0x7F, 0xFE, 0x7E])
def test_digital_silence_and_its_neighbours_are_silence(code: int) -> None:
    assert Gate().feed(bytes([code]) * 800) == (False, b"")


def test_a_breath_of_sound_opens_the_gate() -> None:
    assert Gate().feed(b"\xff" * 640 + b"\xf0\x70" * 80) == (False, b"\xf0\x70" * 80)


def test_a_piece_with_a_long_silence_in_front_ends_the_line_and_begins_another() -> None:
    live = Live()
    live.sounds(SOUND)
    told = live.sounds(b"\xff" * 8_000 + SOUND)
    assert without_sound(told)[0] == ev.ProviderAudioDone("line1")
    assert told[-1] == ev.ProviderAudio("line2", SOUND)


# --- the caller's turns


def test_the_callers_words_begin_a_turn_and_silence_ends_it() -> None:
    live = Live()
    live.sounds(*[SILENCE] * 5)
    assert live.caller(" my code") == [
        ev.SpeechStarted(), ev.UserTurn("turn1"), ev.UserTranscript("turn1", " my code", final=False),
    ]  # fmt: skip
    assert live.sounds(*[SILENCE] * 7) == []
    assert live.caller(" is 4711") == [ev.UserTranscript("turn1", " is 4711", final=False)]
    assert live.sounds(*[SILENCE] * 8) == [
        ev.UserTranscript("turn1", "my code is 4711", final=True), ev.SpeechStopped(words=False),
    ]  # fmt: skip


def test_an_answer_that_comes_sooner_ends_the_callers_speech_but_not_yet_his_text() -> None:
    live = Live()
    live.caller("hello")
    assert live.sounds(SILENCE, SOUND)[:2] == [ev.SpeechStopped(), ev.ResponseStarted()]
    assert live.caller(" there") == [ev.UserTranscript("turn1", " there", final=False)]
    assert without_sound(live.sounds(*[SOUND] * 8)) == [ev.UserTranscript("turn1", "hello there", final=True)]


def test_a_caller_who_makes_the_model_stop_has_interrupted_it() -> None:
    live = Live()
    live.sounds(*[SOUND] * 5)
    live.agent("The line is")
    live.sounds(*[SOUND] * 3)
    assert live.caller("wait") == [ev.UserTurn("turn1"), ev.UserTranscript("turn1", "wait", final=False)]
    assert without_sound(live.sounds(SOUND, SILENCE)) == []
    assert without_sound(live.sounds(SILENCE)) == [
        ev.SpeechStarted(),
        ev.ProviderAudioDone("line1"),
        ev.ProviderTranscript("line1", "The line is", final=True),
        ev.ResponseDone(ok=True, detail="interrupted"),
    ]
    assert live.sounds(*[SILENCE] * 6) == [
        ev.UserTranscript("turn1", "wait", final=True), ev.SpeechStopped(words=False),
    ]  # fmt: skip


def test_an_uh_huh_over_which_the_model_speaks_on_interrupts_nothing() -> None:
    live = Live()
    live.sounds(*[SOUND] * 3)
    live.agent("The line")
    live.sounds(*[SOUND] * 2)
    live.caller("mhm")
    told = live.sounds(*[SOUND] * 10, *[SILENCE] * 3, *[SOUND] * 2)
    assert without_sound(told) == [ev.UserTranscript("turn1", "mhm", final=True)]
    assert sound_of(told) == SOUND * 10 + SILENCE * 3 + SOUND * 2


def test_words_said_before_the_answer_that_come_late_interrupt_nothing() -> None:
    live = Live()
    live.sounds(*[SILENCE] * 5)
    live.caller("tell me")
    live.sounds(*[SOUND] * 3)
    live.agent("Well")
    live.read(type="session.input_transcript.delta", delta=" more", start_ms=300, end_ms=500)
    assert of(ev.SpeechStarted, live.sounds(*[SILENCE] * 3)) == []


def test_white_space_alone_begins_no_turn() -> None:
    assert Live().caller(" ") == []


# --- what is overdue


def stalled(told: list[ev.Event]) -> bool:
    return ev.ProviderLost("stall") in told


def test_a_model_that_says_nothing_stalls_only_when_it_becomes_a_habit() -> None:
    live = Live()
    for _ in range(2):
        live.caller("one moment")
        assert of(ev.SpeechStopped, live.sounds(*[SILENCE] * 60)) == [ev.SpeechStopped(words=False)]
    live.line("I am here.")
    for _ in range(2):
        live.caller("one moment")
        assert not stalled(live.sounds(*[SILENCE] * 60))
    live.caller("hello?")
    assert not stalled(live.sounds(*[SILENCE] * 37))
    assert live.sounds(SILENCE) == [ev.ProviderLost("stall")]


def test_a_caller_who_pauses_between_his_sentences_is_not_left_unanswered() -> None:
    live = Live()
    for _ in range(5):
        live.caller("and then")
        assert not stalled(live.sounds(*[SILENCE] * 30))


def test_a_line_that_was_asked_for_and_does_not_come_is_a_stall_by_the_time_of_the_sound() -> None:
    live = Live()
    live.sent(ev.Respond("Say hi"))
    assert live.sounds(SILENCE) == [ev.SpeechStopped(words=False)]
    assert live.sounds(*[SILENCE] * 28) == []
    assert live.sounds(SILENCE) == [ev.ProviderLost("stall")]


def test_a_line_that_was_asked_for_has_all_its_time_again_after_the_caller_spoke() -> None:
    live = Live()
    live.sounds(*[SILENCE] * 2)
    live.sent(ev.Respond("Say hi"))
    live.caller("hello?")
    told = live.sounds(*[SILENCE] * 37)
    assert of(ev.SpeechStopped, told) == [ev.SpeechStopped(words=False)]
    assert not stalled(told)
    assert stalled(live.sounds(SILENCE))


def test_the_deadline_of_a_call_is_not_lifted_while_the_caller_speaks() -> None:
    live = Live()
    live.caller("hello?")
    live.sent(ev.Respond("Say hi"))
    assert live.sounds(*[SILENCE] * 7) == []
    assert of(ev.SpeechStopped, live.sounds(*[SILENCE] * 5)) == [ev.SpeechStopped(words=False)]


def test_a_line_needs_no_deadline_lifted() -> None:
    live = Live()
    live.sent(ev.Respond("Say hi"))
    assert of(ev.SpeechStopped, live.line("Hi!")) == []
    assert live.sounds(*[SILENCE] * 100) == []


def test_a_backend_that_works_has_longer_than_a_model_that_has_only_to_speak() -> None:
    live = Live()
    live.sent(ev.Respond("Answer."))
    live.read(type="session.delegation.created", delegation={"id": "d", "target": "responses"}, offset_ms=0)
    assert not stalled(live.sounds(*[SILENCE] * 79))
    assert stalled(live.sounds(SILENCE))
