"""ElevenLabs: a context for each line, and where in the sound its words are."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from speaking_rules import Came, Told, obeys, steps

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.elevenlabs import ElevenLabsSpeaking, ElevenLabsVoice, headers, link_url

VOICE = ElevenLabsVoice(voice="v1")
MS = b"\xff" * 8


def sent(messages: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(message) for message in messages]


def read(codec: ElevenLabsSpeaking, **said: object) -> list[st.SpeakingEvent]:
    return list(codec.decode(json.dumps(said).encode(), binary=False))


def sound(codec: ElevenLabsSpeaking, line: str, ms: int, **more: object) -> list[st.SpeakingEvent]:
    return read(codec, audio=base64.b64encode(MS * ms).decode(), contextId=line, isFinal=None, **more)


def spelled(text: str, *, each_ms: int, durations: str = "charDurationsMs") -> dict[str, object]:
    starts = [each_ms * at for at in range(len(text))]
    return {"chars": list(text), "charStartTimesMs": starts, durations: [each_ms] * len(text)}


def test_the_link_asks_for_ulaw_clause_by_clause_with_the_times_of_the_words() -> None:
    url = link_url("wss://api.elevenlabs.io", ElevenLabsVoice(voice="a/b", language="de-AT"), {})
    assert url == (
        "wss://api.elevenlabs.io/v1/text-to-speech/a%2Fb/multi-stream-input?model_id=eleven_flash_v2_5"
        "&output_format=ulaw_8000&auto_mode=true&sync_alignment=true&inactivity_timeout=180&language_code=de"
    )


def test_a_gateways_path_and_query_are_kept_and_nothing_is_stored() -> None:
    voice = ElevenLabsVoice(voice="v", model="eleven_multilingual_v2", language="de", no_store=True)
    url = link_url("wss://gw.example.com/el/v1/text-to-speech", voice, {"tenant": "a b"})
    assert url == (
        "wss://gw.example.com/el/v1/text-to-speech/v/multi-stream-input?model_id=eleven_multilingual_v2"
        "&output_format=ulaw_8000&auto_mode=true&sync_alignment=true&inactivity_timeout=180&enable_logging=false"
        "&tenant=a+b"
    )


def test_the_key_has_a_header_of_its_own() -> None:
    assert headers("k") == {"xi-api-key": "k"}


def test_a_context_is_opened_with_the_settings_of_the_voice_and_only_so() -> None:
    codec = ElevenLabsSpeaking(ElevenLabsVoice(voice="v1", stability=0.4, speed=1.1))
    assert sent(codec.say("a1", "Hello ")) == [
        {"text": " ", "voice_settings": {"stability": 0.4, "speed": 1.1}, "context_id": "a1"},
        {"text": "Hello ", "context_id": "a1"},
    ]
    assert sent(codec.say("a1", "there.")) == [{"text": "there. ", "context_id": "a1"}]


def test_the_end_of_a_line_is_a_flush_and_a_close_because_only_a_closed_context_is_told_to_be_complete() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    assert sent(codec.end("a1")) == [
        {"context_id": "a1", "flush": True}, {"context_id": "a1", "close_context": True},
    ]  # fmt: skip
    assert codec.end("a1") == codec.say("a1", "more") == []


def test_a_line_is_done_once_when_its_last_sound_has_come() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.end("a1")
    assert sound(codec, "a1", 2) == [st.Sound("a1", MS * 2)]
    assert read(codec, audio=None, isFinal=True, contextId="a1") == [st.LineDone("a1")]
    assert read(codec, isFinal=True, contextId="a1") == []
    assert codec.say("a1", "more") == codec.end("a1") == []


def test_a_cancelled_line_is_closed_and_gives_no_more_sound_while_another_goes_on() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.say("a2", "Yes?")
    assert sent(codec.cancel("a1")) == [{"context_id": "a1", "close_context": True}]
    assert sound(codec, "a1", 1) == []
    assert sound(codec, "a2", 1) == [st.Sound("a2", MS)]
    assert read(codec, isFinal=True, contextId="a1") == []
    assert codec.say("a1", "more") == codec.end("a1") == codec.cancel("a1") == []


def test_a_line_that_was_ended_is_not_closed_again_because_that_might_open_it() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.end("a1")
    assert codec.cancel("a1") == []
    assert sound(codec, "a1", 1) == []


def test_the_place_of_words_counts_over_the_whole_line_and_not_the_spaces_we_added() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello there.")
    codec.say("a1", " How?")
    first = sound(codec, "a1", 130, alignment=spelled(" Hello there.", each_ms=10))
    assert first == [st.Sound("a1", MS * 130), st.Aligned("a1", 5, 60), st.Aligned("a1", 12, 130)]
    second = sound(codec, "a1", 50, alignment=spelled("  How? ", each_ms=10, durations="charsDurationsMs"))
    assert second[1:] == [st.Aligned("a1", 13, 140)]
    third = sound(codec, "a1", 10)
    assert third[1:] == [st.Aligned("a1", 17, 190)]


def test_words_are_told_only_when_their_sound_has_come() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "One two.")
    assert sound(codec, "a1", 40, alignment=spelled("One two.", each_ms=10))[1:] == [st.Aligned("a1", 3, 30)]
    assert sound(codec, "a1", 39, alignment=None)[1:] == []
    assert sound(codec, "a1", 1, alignment=None)[1:] == [st.Aligned("a1", 8, 80)]


def test_words_whose_times_run_past_the_sound_are_told_at_its_end() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hi.")
    codec.end("a1")
    sound(codec, "a1", 25, alignment=spelled("Hi.", each_ms=10))
    assert read(codec, isFinal=True, contextId="a1") == [st.Aligned("a1", 3, 30), st.LineDone("a1")]


def test_a_script_without_spaces_has_its_place_at_the_end_of_each_message() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "你好，再见。")
    assert sound(codec, "a1", 30, alignment=spelled("你好，", each_ms=10))[1:] == [st.Aligned("a1", 3, 30)]
    assert sound(codec, "a1", 30, alignment=spelled("再见。", each_ms=10))[1:] == [st.Aligned("a1", 6, 60)]


def test_a_context_that_the_vendor_closed_is_opened_again_for_the_rest_of_its_line() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello ")
    assert read(codec, isFinal=True, contextId="a1") == []
    assert [message["text"] for message in sent(codec.say("a1", "there."))] == [" ", "there. "]
    assert [*sent(codec.end("a1"))][-1] == {"context_id": "a1", "close_context": True}
    assert read(codec, isFinal=True, contextId="a1") == [st.LineDone("a1")]


def test_lines_that_are_open_are_kept_alive_and_else_the_socket_is() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    assert codec.keep_alive_s < 20
    assert sent(codec.keep_alive()) == [{"text": ""}]
    codec.say("a1", "Hello ")
    codec.say("a2", "Yes?")
    codec.end("a2")
    assert sent(codec.keep_alive()) == [{"text": "", "context_id": "a1"}]


def test_the_link_needs_nothing_to_open_and_is_closed_by_a_word() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    assert codec.opening() == []
    assert sent(codec.closing()) == [{"close_socket": True}]


@pytest.mark.parametrize(
    ("error", "lost", "kind"),
    [
        ("invalid_api_key", st.StageLost("auth", retry_same=False), failures.Failure.AUTH),
        ("quota_exceeded", st.StageLost("quota", retry_same=False), failures.Failure.QUOTA),
        ("too_many_concurrent_requests", st.StageLost("rate", retry_same=False), failures.Failure.RATE_LIMITED),
        ("voice_id_does_not_exist", st.StageLost("config", retry_same=False), failures.Failure.CONFIG),
        ("input_timeout_exceeded", st.StageLost("session_expired"), None),
        ("max_active_conversations", st.StageLost("session_expired"), None),
        ("internal_error", st.StageLost("server"), failures.Failure.ERROR),
        ({"nested": 1}, st.StageLost("server"), failures.Failure.ERROR),
    ],
)
def test_an_error_loses_the_stage_by_a_word_that_says_with_whom_it_lies(
    error: object, lost: st.StageLost, kind: failures.Failure | None
) -> None:
    assert read(ElevenLabsSpeaking(VOICE), message="…", error=error, code=1008, contextId=None) == [lost]
    assert failures.kind(lost.word) is kind


def test_an_error_of_one_line_loses_the_stage_unless_nobody_waits_for_that_line() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.say("a2", "Yes?")
    codec.cancel("a1")
    assert read(codec, error="internal_error", context_id="a1") == []
    assert read(codec, error="internal_error", context_id="a2") == [st.StageLost("server")]


def test_a_context_is_known_by_either_of_its_names() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.end("a1")
    audio = base64.b64encode(MS).decode()
    assert read(codec, audio=audio, context_id="a1") == [st.Sound("a1", MS)]
    assert read(codec, type="flush_done", context_id="a1") == []
    assert read(codec, isFinal=True, context_id="a1") == [st.LineDone("a1")]


def test_times_that_no_sound_can_have_are_bounded_and_do_not_cost_the_sound() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hi")
    codec.end("a1")
    wild = {"chars": ["H", "i"], "charStartTimesMs": [0.5, 1e308], "charDurationsMs": [10, 1e308]}
    assert sound(codec, "a1", 20, alignment=wild) == [st.Sound("a1", MS * 20)]
    assert read(codec, isFinal=True, contextId="a1") == [st.Aligned("a1", 2, 3_600_000), st.LineDone("a1")]


def test_what_is_unknown_is_let_pass() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    codec.say("a1", "Hello.")
    assert read(codec, type="practice.unheard_of") == []
    assert sound(codec, "a9", 1) == []
    assert read(codec, audio="", contextId="a1") == []
    assert list(codec.decode(b"\x01", binary=True)) == []


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    codec = ElevenLabsSpeaking(VOICE)
    garbage = [b"{", b"[]", b'{"audio":"%"}', b"\xff", b"null"] * 2
    outcomes = [list(codec.decode(message, binary=False)) for message in garbage]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [st.StageLost("unreadable")]


CONVERSATION = tuple(
    json.dumps(said).encode()
    for said in (
        {"audio": "AQIDBAUGBwgJ", "contextId": "a1", "isFinal": None, "alignment": spelled("Hello ", each_ms=1)},
        {"audio": "AQIDBAUGBwgJ", "context_id": "a2", "alignment": spelled(" こんに", each_ms=1)},
        {"audio": None, "isFinal": True, "contextId": "a1"},
        {"isFinal": True, "context_id": "a2"},
        {"type": "flush_done", "context_id": "a1"},
        {"message": "…", "error": "internal_error", "code": 1008},
    )
)


@settings(max_examples=60, deadline=None)
@given(steps(CONVERSATION))
def test_whatever_comes_no_line_gets_sound_that_did_not_come_or_after_it_is_over(order: list[Told | Came]) -> None:
    obeys(ElevenLabsSpeaking(VOICE), order)
