"""What the server's messages mean to a call: turns and lines, which Gemini Live does not name."""

from __future__ import annotations

import pytest
from bridge_gemini import FRAME, HEARD, QUIET, TONE, VERTEX, ask_tool, heard, kinds, read, ready, said, sound, speak

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gemini_live import GeminiCodec


def answered(c: GeminiCodec, text: str = "hello") -> None:
    """A whole exchange."""
    heard(c, text)
    sound(c, words="you said")
    said(c, generationComplete=True)
    said(c, turnComplete=True)


# --- a turn of the model


def test_a_spoken_turn_and_its_answer() -> None:
    c = ready()
    assert heard(c, "my code") == [
        ev.UserTurn("u1"),
        ev.UserTranscript("u1", "my code", final=False),
        ev.SpeechStopped(),
        ev.UserTranscript("u1", "my code", final=True),
    ]
    assert heard(c, " is 7") == [
        ev.UserTranscript("u1", " is 7", final=False),
        ev.SpeechStopped(),
        ev.UserTranscript("u1", "my code is 7", final=True),
    ]
    assert sound(c, words="you said") == [
        ev.ResponseStarted(),
        ev.ProviderAudio("a1", HEARD),
        ev.ProviderTranscript("a1", "you said", final=False),
    ]
    assert said(c, outputTranscription={"text": " seven."}) == [ev.ProviderTranscript("a1", " seven.", final=False)]
    assert said(c, generationComplete=True) == [ev.ProviderAudioDone("a1")]
    assert said(c, turnComplete=True, turnCompleteReason="TURN_COMPLETE_REASON_UNSPECIFIED") == [
        ev.ProviderTranscript("a1", "you said seven.", final=True),
        ev.ResponseDone(ok=True, detail="completed"),
    ]


def test_each_response_has_a_line_of_its_own() -> None:
    c = ready()
    lines = []
    for _ in range(2):
        c.encode(ev.Respond("Say exactly: Hello"))
        lines += [event.item for event in sound(c) if isinstance(event, ev.ProviderAudio)]
        said(c, generationComplete=True)
        said(c, turnComplete=True)
    assert lines == ["a1", "a2"]


def test_a_line_that_was_asked_for_is_no_answer_to_the_caller() -> None:
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]


def test_a_model_that_thinks_on_after_its_turn_may_speak_again_by_itself() -> None:
    c = ready()
    heard(c, "look it up")
    sound(c)
    said(c, turnComplete=True, interactionStatus="IN_PROGRESS")
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]
    said(c, turnComplete=True, interactionStatus="IDLE")
    assert kinds(sound(c))[0] == "UserTurn"


def test_sound_after_the_end_of_the_sound_belongs_to_the_line_and_has_an_end() -> None:
    c = ready()
    sound(c)
    said(c, generationComplete=True)
    assert kinds(sound(c)) == ["ProviderAudio"]
    assert kinds(said(c, turnComplete=True)) == ["ProviderAudioDone", "ProviderTranscript", "ResponseDone"]


def test_words_of_the_agent_alone_begin_no_response() -> None:
    c = ready()
    assert said(c, outputTranscription={"text": "you "}) == []
    assert ev.ProviderTranscript("a1", "you ", final=False) in sound(c)


def test_words_of_the_agent_that_come_too_late_are_no_part_of_the_next_line() -> None:
    c = ready()
    answered(c)
    speak(c, 400)
    assert said(c, outputTranscription={"text": "stray"}) == []
    heard(c, "and now")
    assert not [event for event in sound(c) if isinstance(event, ev.ProviderTranscript)]


def test_the_text_of_a_line_is_bounded() -> None:
    c = ready()
    sound(c)
    pieces = [said(c, outputTranscription={"text": "é" * 10_000}) for _ in range(3)]
    lengths = [len(event.text) for each in pieces for event in each if isinstance(event, ev.ProviderTranscript)]
    assert lengths == [10_000, 6_384]


# --- silence where there should be sound


def test_the_silence_before_a_line_is_not_passed_on() -> None:
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    assert kinds(sound(c, pcm=QUIET)) == ["ResponseStarted"]
    assert kinds(sound(c, words="Hello")) == ["ProviderAudio", "ProviderTranscript"]
    assert kinds(sound(c, pcm=QUIET)) == ["ProviderAudio"]


def test_silence_in_the_place_of_an_answer_leaves_the_answer_due() -> None:
    c = ready()
    speak(c, 1_000)
    heard(c, "hello")
    events = [event for _ in range(50) for event in sound(c, pcm=QUIET)]
    assert kinds(events) == ["UserTranscript", "SpeechStopped", "ResponseStarted"]


def test_a_line_of_nothing_but_silence_is_a_response_that_stalled_and_said_no_word() -> None:
    """The vendor's server was seen to send 27 s of it, with a transcript of what should have been said."""
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    faint = b"\x12\x00\xee\xff" * 240
    events = [event for _ in range(50) for event in sound(c, words="Hello", pcm=faint)]
    events += said(c, generationComplete=True)
    events += said(c, turnComplete=True)
    assert events == [ev.ResponseStarted(), ev.ResponseDone(ok=False, detail="stall")]


# --- the caller's words, in whatever order they come


def test_an_answer_to_words_not_known_yet_keeps_their_place() -> None:
    c = ready()
    assert kinds(sound(c)) == ["UserTurn", "ResponseStarted", "ProviderAudio"]
    assert heard(c, "late ") == [ev.UserTranscript("u1", "late", final=True)]
    assert heard(c, "words") == [ev.UserTranscript("u1", "late words", final=True)]
    assert said(c, turnComplete=True)[-1] == ev.ResponseDone(ok=True, detail="completed")


def test_words_that_come_when_all_is_said_wait_for_no_answer() -> None:
    c = ready()
    speak(c, 1_000)
    answered(c, "my code")
    speak(c, 3_000, frame=FRAME)
    assert heard(c, " is 7") == [ev.UserTranscript("u1", "my code is 7", final=True)]


def test_words_of_a_caller_who_has_spoken_since_are_a_turn_of_their_own() -> None:
    c = ready()
    answered(c)
    speak(c, 400)
    speak(c, 600, frame=FRAME)
    assert heard(c, "what is my code") == [
        ev.UserTurn("u2"),
        ev.UserTranscript("u2", "what is my code", final=False),
        ev.SpeechStopped(),
        ev.UserTranscript("u2", "what is my code", final=True),
    ]


def test_a_crack_on_the_line_is_no_speech() -> None:
    c = ready()
    speak(c, 1_000)
    answered(c)
    for _ in range(20):
        speak(c, 60)
        speak(c, 600, frame=FRAME)
    assert kinds(heard(c, "late")) == ["UserTranscript"]


@pytest.mark.parametrize("ms", [0, 400])
def test_a_line_that_never_gets_its_words_leaves_the_next_turn_its_own(ms: int) -> None:
    c = ready()
    sound(c)
    said(c, turnComplete=True)
    speak(c, ms)
    assert heard(c, "first words")[0] == ev.UserTurn("u2")


def test_a_caller_too_soft_for_our_ear_is_understood_all_the_same() -> None:
    c = ready()
    for number in range(1, 4):
        speak(c, 1_000, frame=b"\x74\xf4" * 80)
        assert heard(c, "hello")[0] == ev.UserTurn(f"u{number}")
        sound(c)
        said(c, turnComplete=True)


def test_the_text_of_a_turn_is_bounded() -> None:
    c = ready()
    finals = [heard(c, "ж" * 10_000)[-1] for _ in range(3)]
    assert [len(final.text) for final in finals if isinstance(final, ev.UserTranscript)] == [10_000, 16_384, 16_384]


# --- when an answer is due


def test_no_answer_is_due_while_the_caller_speaks_on() -> None:
    """Words come while he speaks; a long sentence must not look like a provider that has fallen silent."""
    c = ready(silence_ms=500)
    assert speak(c, 1_000) == []
    assert kinds(heard(c, "well, I wanted")) == ["UserTurn", "UserTranscript"]
    assert speak(c, 3_000) == []
    assert speak(c, 480, frame=FRAME) == []
    assert speak(c, 20, frame=FRAME) == [ev.SpeechStopped(), ev.UserTranscript("u1", "well, I wanted", final=True)]
    assert speak(c, 3_000, frame=FRAME) == []


def test_noise_on_the_line_puts_the_answer_off_for_five_seconds_at_most() -> None:
    c = ready()
    speak(c, 1_000)
    heard(c, "it is loud here")
    assert speak(c, 4_980) == []
    assert speak(c, 20)[0] == ev.SpeechStopped()


def test_what_was_noticed_is_told_with_the_next_message_at_the_latest() -> None:
    c = ready()
    speak(c, 1_000)
    heard(c, "hello")
    for _ in range(25):
        c.append(FRAME)
    assert read(c, usageMetadata={})[0] == ev.SpeechStopped()
    assert c.noticed() == []


def test_an_answer_that_has_begun_is_not_waited_for() -> None:
    c = ready()
    speak(c, 1_000)
    heard(c, "hello")
    assert kinds(sound(c)) == ["UserTranscript", "SpeechStopped", "ResponseStarted", "ProviderAudio"]
    assert speak(c, 6_000, frame=FRAME) == []


def test_a_model_that_may_keep_silent_is_not_waited_for() -> None:
    c = ready(replies_to_all=False)
    assert ev.SpeechStopped(words=False) in heard(c, "hm")
    sound(c)
    assert said(c, interrupted=True)[-1] == ev.SpeechStopped(words=False)


def test_a_model_that_was_asked_is_waited_for_even_if_the_caller_speaks() -> None:
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    assert kinds(heard(c, "hello?")) == ["UserTurn", "UserTranscript"]


def test_on_vertex_the_caller_is_known_to_speak() -> None:
    c = ready(vertex=VERTEX, vad_signals=True)
    assert read(c, voiceActivity={"voiceActivityType": "ACTIVITY_START"}) == [ev.SpeechStarted()]
    assert read(c, voiceActivity={"voiceActivityType": "ACTIVITY_START"}) == []
    assert kinds(heard(c, "hi")) == ["UserTurn", "UserTranscript"]
    assert read(c, voiceActivity={"voiceActivityType": "ACTIVITY_END"}) == [
        ev.SpeechStopped(), ev.UserTranscript("u1", "hi", final=True),
    ]  # fmt: skip
    assert read(c, voiceActivity={"voiceActivityType": "ACTIVITY_END"}) == []
    sound(c)
    read(c, voiceActivity={"voiceActivityType": "ACTIVITY_START"})
    assert kinds(said(c, interrupted=True)) == ["ProviderAudioDone", "ProviderTranscript", "ResponseDone"]


def test_an_answer_before_the_end_of_the_callers_speech_ends_it() -> None:
    c = ready(vertex=VERTEX, vad_signals=True)
    read(c, voiceActivity={"voiceActivityType": "ACTIVITY_START"})
    assert kinds(sound(c)) == ["UserTurn", "SpeechStopped", "ResponseStarted", "ProviderAudio"]
    assert read(c, voiceActivity={"voiceActivityType": "ACTIVITY_END"}) == []


# --- the caller speaks over the agent


def test_an_interruption_ends_the_line_and_waits_for_an_answer() -> None:
    c = ready()
    heard(c, "tell me")
    sound(c, words="here is")
    assert said(c, interrupted=True) == [
        ev.SpeechStarted(),
        ev.ProviderAudioDone("a1"),
        ev.ProviderTranscript("a1", "here is", final=True),
        ev.ResponseDone(ok=True, detail="cancelled"),
        ev.SpeechStopped(),
    ]
    assert said(c, turnComplete=True) == []
    assert kinds(heard(c, "stop")) == ["UserTurn", "UserTranscript", "SpeechStopped", "UserTranscript"]
    assert ev.ProviderAudio("a2", HEARD) in sound(c)


def test_a_caller_who_speaks_over_the_agent_for_long_is_answered_when_he_is_done() -> None:
    """Some sessions fall silent for good after an interruption, without a word: his own sound must tell."""
    c = ready()
    sound(c, words="here is")
    speak(c, 300)
    assert kinds(said(c, interrupted=True))[-1] == "ResponseDone"
    assert said(c, turnComplete=True) == []
    assert speak(c, 4_000) == []
    assert speak(c, 500, frame=FRAME) == [ev.SpeechStopped()]


def test_an_interruption_after_the_last_sound_is_one_all_the_same() -> None:
    c = ready()
    answered(c)
    assert said(c, interrupted=True) == [ev.SpeechStarted(), ev.SpeechStopped()]


def test_an_interruption_before_the_first_sound_takes_the_question_back() -> None:
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    assert said(c, interrupted=True) == [ev.SpeechStarted(), ev.SpeechStopped()]
    assert kinds(heard(c, "wait")) == ["UserTurn", "UserTranscript", "SpeechStopped", "UserTranscript"]


def test_a_question_of_ours_that_cuts_off_an_answer_is_no_interruption_of_the_callers() -> None:
    c = ready()
    heard(c, "what is my code")
    c.encode(ev.Respond())
    assert said(c, interrupted=True) == []
    assert said(c, turnComplete=True) == []
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]
    assert kinds(said(c, interrupted=True))[0] == "SpeechStarted"


# --- a turn of the model without sound


@pytest.mark.parametrize(
    "message", [{"waitingForInput": True}, {"turnComplete": True, "turnCompleteReason": "NEED_MORE_INPUT"}]
)
def test_a_model_that_waits_for_more_owes_no_answer(message: dict[str, object]) -> None:
    c = ready()
    heard(c, "my number is")
    assert said(c, **message) == [ev.SpeechStopped(words=False)]


def test_a_model_that_ends_its_turn_without_a_sound_still_owes_the_answer() -> None:
    """Half of somebody's calls met this: the deadline that is running must find it."""
    c = ready()
    assert ev.SpeechStopped() in heard(c, "hello?")
    assert said(c, turnComplete=True) == []


def test_a_model_that_was_told_nothing_may_end_its_turn_without_a_sound() -> None:
    c = ready()
    answered(c)
    assert said(c, turnComplete=True) == [ev.SpeechStopped(words=False)]
    speak(c, 400)
    assert said(c, turnComplete=True) == []


@pytest.mark.parametrize("status", ["IDLE", "IN_PROGRESS"])
def test_a_line_that_was_asked_for_is_waited_for_until_the_deadline(status: str) -> None:
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    assert said(c, turnComplete=True, interactionStatus=status) == []
    assert said(c, waitingForInput=True) == []
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("PROHIBITED_INPUT_CONTENT", "content_filter"),
        ("GENERATED_AUDIO_SAFETY", "content_filter"),
        ("INPUT_OTHER", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call"),
        ("RESPONSE_REJECTED", "response_rejected"),
    ],
)
def test_an_answer_that_may_not_be_given_is_a_response_that_failed(reason: str, detail: str) -> None:
    c = ready()
    heard(c, "say it")
    assert said(c, turnComplete=True, turnCompleteReason=reason)[-1] == ev.ResponseDone(ok=False, detail=detail)
    assert said(c, modelTurn={"parts": []}) == []


def test_a_line_that_was_cut_off_by_a_filter_was_said_so_far() -> None:
    c = ready()
    heard(c, "say it")
    sound(c, words="well")
    done = said(c, turnComplete=True, turnCompleteReason="GENERATED_AUDIO_SAFETY")[-1]
    assert done == ev.ResponseDone(ok=True, detail="completed")


# --- tools


def test_a_tool_ends_the_response_and_its_results_begin_another() -> None:
    c = ready()
    heard(c, "book monday")
    assert ask_tool(c) == [
        ev.ResponseStarted(),
        ev.ToolCall("f1", "book", '{"day":"mon"}'),
        ev.ResponseDone(ok=True, detail="tool_calls"),
    ]
    assert said(c, turnComplete=True) == []
    c.encode(ev.ToolOutput("f1", "7"))
    assert said(c, turnComplete=True) == []
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]


def test_a_line_before_a_tool_is_over_with_it() -> None:
    c = ready()
    heard(c, "bye")
    sound(c, words="goodbye")
    assert kinds(ask_tool(c, "end_call")) == ["ProviderAudioDone", "ProviderTranscript", "ToolCall", "ResponseDone"]


def test_what_the_caller_says_while_a_tool_runs_is_a_turn_of_its_own() -> None:
    c = ready()
    heard(c, "book monday")
    ask_tool(c)
    speak(c, 400)
    assert kinds(heard(c, "are you there")) == ["UserTurn", "UserTranscript"]


def test_a_model_that_speaks_while_its_tool_runs_answers_nobody_new() -> None:
    c = ready()
    heard(c, "book monday")
    ask_tool(c)
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]


def test_a_goodbye_asked_for_after_a_tool_replaces_what_the_tool_made_the_model_say() -> None:
    c = ready()
    ask_tool(c, "end_call")
    c.encode(ev.ToolOutput("f1", "{}"))
    assert len(c.encode(ev.Respond("Say a short goodbye to the caller."))) == 1
    sound(c, words="well")
    assert said(c, interrupted=True) == [
        ev.ProviderAudioDone("a1"), ev.ProviderTranscript("a1", "well", final=True),
    ]  # fmt: skip
    assert said(c, turnComplete=True) == []
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]
    assert kinds(said(c, turnComplete=True))[-1] == "ResponseDone"


def test_a_line_goes_on_over_many_messages_without_one_lost_sample() -> None:
    c = ready()
    c.encode(ev.Respond("Say exactly: Hello"))
    payloads = [event.payload for _ in range(50) for event in sound(c, pcm=TONE) if isinstance(event, ev.ProviderAudio)]
    assert len(b"".join(payloads)) == 50 * 160
