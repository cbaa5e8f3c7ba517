"""Cartesia: a context for each line, another when the first expired, and where in the sound the words are."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from speaking_rules import Came, Told, obeys, steps

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.cartesia import CartesiaSpeaking, CartesiaVoice, headers, link_url

VOICE = CartesiaVoice(voice="v1")
MS = b"\xff" * 8


def sent(messages: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(message) for message in messages]


def shown(messages: list[bytes]) -> list[tuple[object, object, object]]:
    return [(said["context_id"], said["transcript"], said["continue"]) for said in sent(messages)]


def read(codec: CartesiaSpeaking, kind: str, context: str | None, **said: object) -> list[st.SpeakingEvent]:
    message = {"type": kind, "context_id": context, "done": kind == "done", "status_code": 206, **said}
    return list(codec.decode(json.dumps(message).encode(), binary=False))


def sound(codec: CartesiaSpeaking, context: str, ms: int) -> list[st.SpeakingEvent]:
    return read(codec, "chunk", context, data=base64.b64encode(MS * ms).decode(), step_time=1.5)


def timed(codec: CartesiaSpeaking, context: str, **ends: float) -> list[st.SpeakingEvent]:
    words = {"words": list(ends), "start": [0.0] * len(ends), "end": list(ends.values())}
    return read(codec, "timestamps", context, word_timestamps=words)


def test_the_address_is_completed_and_a_gateways_query_is_kept() -> None:
    assert link_url("wss://api.cartesia.ai", VOICE, {}) == "wss://api.cartesia.ai/tts/websocket"
    url = link_url("wss://gw.example.com/c/tts/websocket", VOICE, {"tenant": "a b"})
    assert url == "wss://gw.example.com/c/tts/websocket?tenant=a+b"


def test_the_key_goes_with_the_version_of_the_api() -> None:
    assert headers("k") == {"Authorization": "Bearer k", "Cartesia-Version": "2026-03-01"}


def test_a_piece_says_all_that_the_vendor_needs_to_know() -> None:
    voice = CartesiaVoice(voice="v1", language="de-AT", speed=1.1, emotion="calm", max_buffer_delay_ms=200)
    assert sent(CartesiaSpeaking(voice).say("a1", "Grüß Gott, ")) == [
        {
            "model_id": "sonic-3",
            "voice": {"mode": "id", "id": "v1"},
            "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
            "add_timestamps": True,
            "use_normalized_timestamps": False,
            "max_buffer_delay_ms": 200,
            "language": "de",
            "generation_config": {"speed": 1.1, "emotion": "calm"},
            "context_id": "a1",
            "transcript": "Grüß Gott, ",
            "continue": True,
        }
    ]


def test_a_line_is_continued_and_finished() -> None:
    codec = CartesiaSpeaking(VOICE)
    assert shown([*codec.say("a1", "你好，"), *codec.say("a1", "再见。"), *codec.end("a1")]) == [
        ("a1", "你好，", True), ("a1", "再见。", True), ("a1", "", False),
    ]  # fmt: skip
    assert codec.end("a1") == codec.say("a1", "more") == []


def test_a_line_is_done_once_when_its_last_sound_has_come() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.end("a1")
    assert sound(codec, "a1", 2) == [st.Sound("a1", MS * 2)]
    assert read(codec, "done", "a1") == [st.LineDone("a1")]
    assert read(codec, "done", "a1") == []
    assert codec.say("a1", "more") == codec.end("a1") == []


def test_a_cancelled_line_gives_no_more_sound_while_another_goes_on() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.say("a2", "Yes?")
    assert sent(codec.cancel("a1")) == [{"context_id": "a1", "cancel": True}]
    assert sound(codec, "a1", 1) == []
    assert sound(codec, "a2", 1) == [st.Sound("a2", MS)]
    assert read(codec, "done", "a1") == []
    assert read(codec, "error", "a1", status_code=400) == []
    assert codec.say("a1", "more") == codec.end("a1") == codec.cancel("a1") == []


def test_words_are_placed_in_the_line_and_told_when_their_sound_has_come() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello, dear world.")
    assert timed(codec, "a1", **{"Hello,": 0.02, "dear": 0.03, "world.": 0.05}) == []
    assert sound(codec, "a1", 30)[1:] == [st.Aligned("a1", 6, 20), st.Aligned("a1", 11, 30)]
    assert sound(codec, "a1", 20)[1:] == [st.Aligned("a1", 18, 50)]


def test_a_word_that_is_not_in_the_text_stands_for_as_many_characters() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "It costs 12 now.")
    sound(codec, "a1", 90)
    placed = timed(codec, "a1", It=0.01, costs=0.02, XY=0.03, **{"now.": 0.04})
    assert placed == [
        st.Aligned("a1", 2, 10), st.Aligned("a1", 8, 20), st.Aligned("a1", 11, 30), st.Aligned("a1", 16, 40),
    ]  # fmt: skip


def test_a_line_whose_context_expired_goes_on_in_another_and_goes_on_counting() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "One moment. ")
    sound(codec, "a1", 40)
    timed(codec, "a1", **{"One": 0.02, "moment.": 0.04})
    assert read(codec, "done", "a1") == []
    assert shown(codec.say("a1", "Found.")) == [("a1.2", "Found.", True)]
    assert sound(codec, "a1.2", 30) == [st.Sound("a1", MS * 30)]
    assert timed(codec, "a1.2", **{"Found.": 0.03}) == [st.Aligned("a1", 18, 70)]
    assert shown(codec.end("a1")) == [("a1.2", "", False)]
    assert read(codec, "done", "a1.2") == [st.LineDone("a1")]


@pytest.mark.parametrize("last", ["done", "error"])
def test_a_line_that_ends_after_its_context_expired_is_done(last: str) -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "One moment.")
    sound(codec, "a1", 40)
    read(codec, "done", "a1")
    assert shown(codec.end("a1")) == [("a1.2", "", False)]
    assert read(codec, last, "a1.2", status_code=400) == [st.LineDone("a1")]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("last", ["done", "error"])
def test_text_that_crossed_with_the_expiry_of_its_context_is_not_lost_unnoticed(last: str, ended: bool) -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "One moment. ")
    sound(codec, "a1", 40)
    codec.say("a1", "Found.")
    if ended:
        codec.end("a1")
    assert read(codec, last, "a1", status_code=400) == [st.StageLost("session_expired")]
    assert failures.kind("session_expired") is None


def test_text_for_a_context_that_had_expired_unnoticed_loses_the_stage_when_the_vendor_refuses_it() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "One moment. ")
    codec.say("a1", "Found.")
    sound(codec, "a1", 40)
    assert read(codec, "done", "a1") == []
    assert read(codec, "error", "a1", status_code=400) == [st.StageLost("session_expired")]
    codec.cancel("a1")
    assert read(codec, "error", "a1", status_code=400) == []


def test_an_end_that_crossed_with_the_expiry_of_its_context_is_no_loss() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "One moment. ")
    sound(codec, "a1", 40)
    codec.end("a1")
    assert read(codec, "done", "a1") == [st.LineDone("a1")]
    assert read(codec, "error", "a1", status_code=400) == []


def test_a_context_begins_with_a_word_because_the_vendor_refuses_one_without() -> None:
    codec = CartesiaSpeaking(VOICE)
    assert codec.say("a1", "… ") == codec.say("a1", "👍 ") == []
    assert shown(codec.say("a1", "Gut. ")) == [("a1", "… 👍 Gut. ", True)]
    assert shown(codec.say("a1", "!")) == [("a1", "!", True)]
    sound(codec, "a1", 40)
    assert timed(codec, "a1", **{"Gut.": 0.02}) == [st.Aligned("a1", 8, 20)]
    read(codec, "done", "a1")
    assert codec.say("a1", "… ") == []
    assert shown(codec.say("a1", "再见。")) == [("a1.2", "… 再见。", True)]


@pytest.mark.parametrize("last", ["done", "error"])
def test_a_line_without_a_word_is_done_without_sound(last: str) -> None:
    codec = CartesiaSpeaking(VOICE)
    assert codec.say("a1", "…") == []
    assert shown(codec.end("a1")) == [("a1", "…", False)]
    assert read(codec, last, "a1", status_code=400) == [st.LineDone("a1")]


@pytest.mark.parametrize(
    ("status", "code", "lost", "kind"),
    [
        (401, None, st.StageLost("auth", retry_same=False), failures.Failure.AUTH),
        (402, None, st.StageLost("quota", retry_same=False), failures.Failure.QUOTA),
        (403, "quota_exceeded", st.StageLost("quota", retry_same=False), failures.Failure.QUOTA),
        (429, "concurrency_limited", st.StageLost("rate", retry_same=False), failures.Failure.RATE_LIMITED),
        (400, "model_not_found", st.StageLost("config", retry_same=False), failures.Failure.CONFIG),
        (503, None, st.StageLost("server"), failures.Failure.ERROR),
        (None, None, st.StageLost("server"), failures.Failure.ERROR),
    ],
)
def test_an_error_loses_the_stage_by_its_status(
    status: int | None, code: str | None, lost: st.StageLost, kind: failures.Failure
) -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello.")
    assert read(codec, "error", "a1", status_code=status, error_code=code, title="…", message="…") == [lost]
    assert read(CartesiaSpeaking(VOICE), "error", None, status_code=status, error_code=code) == [lost]
    assert failures.kind(lost.word) is kind


def test_a_limit_that_is_met_in_the_middle_of_a_line_is_still_a_limit() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello.")
    sound(codec, "a1", 1)
    assert read(codec, "error", "a1", status_code=429) == [st.StageLost("rate", retry_same=False)]


def test_a_word_timed_beyond_all_sound_is_told_at_the_end_of_it() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello.")
    codec.end("a1")
    sound(codec, "a1", 20)
    assert timed(codec, "a1", **{"Hello.": 1e308}) == []
    assert read(codec, "done", "a1") == [st.Aligned("a1", 6, 3_600_000), st.LineDone("a1")]


def test_the_link_needs_nothing_to_open_to_stay_or_to_close() -> None:
    codec = CartesiaSpeaking(VOICE)
    assert codec.opening() == codec.keep_alive() == codec.closing() == []
    assert codec.keep_alive_s == 0.0


def test_what_is_unknown_is_let_pass() -> None:
    codec = CartesiaSpeaking(VOICE)
    codec.say("a1", "Hello.")
    assert read(codec, "practice.unheard_of", None) == []
    assert read(codec, "flush_done", "a1", flush_id=1, flush_done=True) == []
    assert read(codec, "chunk", "a9", data="AAAA") == []
    assert read(codec, "timestamps", "a1", word_timestamps=None) == []
    assert list(codec.decode(b"\x01", binary=True)) == []


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    codec = CartesiaSpeaking(VOICE)
    garbage = [b"{", b"[]", b'{"type":"chunk","data":"%"}', b"\xff", b"null"] * 2
    outcomes = [list(codec.decode(message, binary=False)) for message in garbage]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [st.StageLost("unreadable")]


CONVERSATION = tuple(
    json.dumps(said).encode()
    for said in (
        {"type": "chunk", "context_id": "a1", "data": "AQIDBAUGBwgJ", "done": False},
        {"type": "chunk", "context_id": "a1.2", "data": "AQIDBAUGBwgJ", "done": False},
        {"type": "timestamps", "context_id": "a1", "word_timestamps": {"words": ["Hello", "12"], "end": [0.1, 0.2]}},
        {"type": "timestamps", "context_id": "a2", "word_timestamps": {"words": ["は", "。"], "end": [0.001, 0.002]}},
        {"type": "done", "context_id": "a1", "done": True},
        {"type": "done", "context_id": "a2", "done": True},
        {"type": "error", "context_id": "a2", "status_code": 400, "done": True},
    )
)


@settings(max_examples=60, deadline=None)
@given(steps(CONVERSATION))
def test_whatever_comes_no_line_gets_sound_that_did_not_come_or_after_it_is_over(order: list[Told | Came]) -> None:
    obeys(CartesiaSpeaking(VOICE), order)
