"""Deepgram Nova-3 both ways: turns out of pieces of text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.deepgram import headers
from holdfast_bridge.providers.deepgram_nova import NovaHearing, NovaSession, link_url

BASE = "wss://api.deepgram.com"


def codec_at_work() -> NovaHearing:
    """The vendor has already said something."""
    codec = NovaHearing(NovaSession())
    assert read(codec, type="Metadata") == [st.StageReady()]
    return codec


def read(codec: NovaHearing, **message: object) -> list[st.HearingEvent]:
    return list(codec.decode(json.dumps(message).encode(), binary=False))


def result(
    codec: NovaHearing, text: str, *, final: bool = False, pause: bool = False, at_s: float = 1.0
) -> list[st.HearingEvent]:
    """`at_s`: the second of the audio up to which it reaches."""
    alternative = {"transcript": text, "confidence": 0.9, "words": []}
    return read(
        codec, channel_index=[0, 1], start=at_s - 0.25, duration=0.25, is_final=final, speech_final=pause,
        channel={"alternatives": [alternative]}, type="Results",
    )  # fmt: skip


def started(codec: NovaHearing, at_s: float = 0.5) -> list[st.HearingEvent]:
    return read(codec, type="SpeechStarted", channel=[0, 1], timestamp=at_s)


def gap(codec: NovaHearing, last_word_end: float = 2.5) -> list[st.HearingEvent]:
    return read(codec, channel=[0, 1], last_word_end=last_word_end, type="UtteranceEnd")


# --- the link


def test_a_link_asks_for_ulaw_and_for_all_that_turns_are_built_from() -> None:
    session = NovaSession(language="de", silence_ms=400, keyterms=("Weiß", "Röntgen"), no_store=True)
    assert link_url(BASE, session, {"tag": "clinic"}) == (
        "wss://api.deepgram.com/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&channels=1&language=de"
        "&interim_results=true&endpointing=400&utterance_end_ms=1000&vad_events=true&punctuate=true"
        "&keyterm=Wei%C3%9F&keyterm=R%C3%B6ntgen&mip_opt_out=true&tag=clinic"
    )


def test_a_gateway_may_lie_before_the_endpoint_and_the_query_overrides() -> None:
    url = link_url("wss://gw.example.com/deepgram/v1/listen", NovaSession(), {"model": "nova-3-medical"})
    assert url.startswith("wss://gw.example.com/deepgram/v1/listen?model=nova-3-medical&")


@pytest.mark.parametrize(
    ("language", "asked"),
    [("ja", "ja"), ("de-DE", "de"), ("DE", "de"), ("de-CH", "de-CH"), ("pt-BR", "pt-BR"), ("multi", "multi")],
)
def test_a_region_is_asked_for_only_where_the_vendor_knows_it(language: str, asked: str) -> None:
    assert f"&language={asked}&" in link_url(BASE, NovaSession(language=language), {})


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"utterance_end_ms": 900}, "utteranceEndMs must be from 1000 to 5000"), ({"silence_ms": -1}, "silenceMs")],
)
def test_what_the_vendor_would_refuse_every_link_for_is_no_session(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NovaSession(**asked)


def test_audio_that_the_vendor_cannot_decode_lies_with_our_configuration_and_not_with_the_key() -> None:
    assert failures.closed(1008, "DATA-0000") == ("config", False)


def test_the_key_goes_into_a_header() -> None:
    assert headers("k") == {"Authorization": "Token k"}


# --- to the vendor


def test_audio_goes_out_as_it_comes_and_never_empty() -> None:
    codec = codec_at_work()
    assert codec.audio_is_binary
    assert codec.append(b"a" * 160) == b"a" * 160
    assert codec.append(b"") is None


def test_keeping_alive_is_the_second_of_silence_that_was_missing() -> None:
    codec = codec_at_work()
    assert codec.keep_alive_s == 1.0
    assert codec.keep_alive() == b"\xff" * 8000


def test_nothing_is_sent_at_the_opening_and_one_word_before_the_end() -> None:
    codec = codec_at_work()
    assert codec.opening() == []
    assert codec.closing() == [b'{"type":"CloseStream"}']


# --- turns


def test_the_first_message_of_any_kind_says_that_the_link_is_ready() -> None:
    codec = NovaHearing(NovaSession())
    assert started(codec) == [st.StageReady(), st.TurnBegan()]
    assert result(codec, "yes") == [st.Words("yes")]


def test_a_turn_begins_with_speech_grows_and_ends_with_a_pause() -> None:
    codec = codec_at_work()
    assert started(codec) == [st.TurnBegan()]
    assert result(codec, "") == []
    assert result(codec, "Ich hätte") == [st.Words("Ich hätte")]
    assert result(codec, "Ich hätte gern") == [st.Words("Ich hätte gern")]
    assert result(codec, "Ich hätte gern") == []
    assert result(codec, "Ich hätte gern was.", final=True, pause=True) == [st.TurnEnded("Ich hätte gern was.")]


def test_words_begin_a_turn_when_nothing_else_did() -> None:
    codec = codec_at_work()
    assert result(codec, "yes") == [st.TurnBegan(), st.Words("yes")]
    assert started(codec) == []


def test_a_turn_of_one_result_is_told_whole() -> None:
    assert result(codec_at_work(), "yes", final=True, pause=True) == [st.TurnBegan(), st.TurnEnded("yes")]


def test_the_final_pieces_of_a_turn_are_joined() -> None:
    codec = codec_at_work()
    started(codec)
    assert result(codec, "my number is two two", final=True) == [st.Words("my number is two two")]
    assert result(codec, "two three") == [st.Words("my number is two two two three")]
    assert result(codec, "two three three", final=True, pause=True) == [
        st.TurnEnded("my number is two two two three three")
    ]


def test_the_pieces_of_a_script_without_spaces_are_joined_without_any() -> None:
    codec = codec_at_work()
    result(codec, "私の番", final=True)
    assert result(codec, "号は") == [st.Words("私の番号は")]
    result(codec, "号は", final=True)
    assert result(codec, "47", final=True) == [st.Words("私の番号は 47")]
    assert result(codec, "11です", final=True, pause=True) == [st.TurnEnded("私の番号は 47 11です")]


def test_the_pieces_of_korean_have_spaces() -> None:
    codec = codec_at_work()
    result(codec, "예약", final=True)
    assert result(codec, "해 주세요", final=True, pause=True) == [st.TurnEnded("예약 해 주세요")]


def test_a_pause_that_comes_without_words_ends_the_turn_with_those_that_came_before() -> None:
    codec = codec_at_work()
    result(codec, "hello there", final=True)
    assert result(codec, "", final=True, pause=True) == [st.TurnEnded("hello there")]


def test_a_noise_is_a_turn_without_words_only_if_it_was_told_to_have_begun() -> None:
    codec = codec_at_work()
    assert result(codec, "", final=True, pause=True) == []
    assert started(codec) == [st.TurnBegan()]
    assert result(codec, "", final=True, pause=True) == [st.TurnEnded("")]
    assert result(codec, "", final=True, pause=True) == []


def test_speech_that_started_and_never_brought_a_word_ends_by_itself() -> None:
    """The vendor's detector of speech and its pauses know nothing of each other: a cough may start and never end."""
    codec = codec_at_work()
    assert started(codec, at_s=3.5) == [st.TurnBegan()]
    assert result(codec, "", at_s=4.0, final=True) == []
    assert result(codec, "", at_s=5.0) == []
    assert result(codec, "", at_s=5.5) == [st.TurnEnded("")]
    assert result(codec, "", at_s=9.0) == []
    assert result(codec, "yes", at_s=9.5) == [st.TurnBegan(), st.Words("yes")]


def test_a_turn_that_no_word_of_the_vendor_ends_is_over_when_nothing_was_said_for_long() -> None:
    codec = NovaHearing(NovaSession(utterance_end_ms=2000))
    result(codec, "hello there", at_s=2.0, final=True)
    assert result(codec, "", at_s=4.75) == []
    assert result(codec, "", at_s=5.0) == [st.TurnEnded("hello there")]


def test_words_that_were_taken_back_are_not_in_the_turn() -> None:
    codec = codec_at_work()
    assert result(codec, "uh") == [st.TurnBegan(), st.Words("uh")]
    assert result(codec, "", final=True, pause=True) == [st.TurnEnded("")]


def test_two_turns_of_the_same_words_are_two_turns() -> None:
    codec = codec_at_work()
    turn = [st.TurnBegan(), st.Words("yes"), st.TurnEnded("yes")]
    heard = [event for _ in range(2) for pause in (False, True) for event in result(codec, "yes", pause=pause)]
    assert heard == turn * 2


def test_a_gap_ends_a_turn_that_noise_kept_from_a_pause() -> None:
    codec = codec_at_work()
    result(codec, "hello there", final=True)
    assert gap(codec) == [st.TurnEnded("hello there")]
    assert result(codec, "how are you") == [st.TurnBegan(), st.Words("how are you")]


def test_a_gap_ends_nothing_that_is_over_or_not_final_yet() -> None:
    codec = codec_at_work()
    result(codec, "hello", final=True, pause=True)
    assert gap(codec) == []
    assert started(codec) == [st.TurnBegan()]
    assert gap(codec) == []
    assert result(codec, "I go on") == [st.Words("I go on")]
    assert gap(codec) == []


@pytest.mark.parametrize("last_word_end", [-1.0, 2.5])
def test_a_gap_after_words_of_an_older_turn_does_not_end_the_new_one(last_word_end: float) -> None:
    codec = codec_at_work()
    result(codec, "an old turn", final=True, pause=True, at_s=3.0)
    result(codec, "a new turn", final=True, at_s=3.5)
    assert gap(codec, last_word_end) == []
    assert gap(codec, 3.5) == [st.TurnEnded("a new turn")]
    assert gap(codec, 3.5) == []


def test_a_turn_without_any_pause_ends_before_it_fills_the_memory() -> None:
    codec = codec_at_work()
    ended = [
        event
        for _ in range(25)
        for event in result(codec, "x" * 1000, final=True)
        if isinstance(event, st.TurnEnded)
    ]
    assert [len(turn.text) for turn in ended] == [20_019]


# --- what is no turn


def test_what_is_unknown_is_let_pass_and_an_error_waits_for_the_close() -> None:
    codec = codec_at_work()
    assert read(codec, type="Error", variant="SchemaError", description="…", message="{}") == []
    assert read(codec, type="practice.unheard_of", channel={"a": 1}) == []
    assert read(codec, type="Results", channel={"alternatives": []}) == []
    assert list(codec.decode(b"\0\1\2", binary=True)) == []


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    codec = NovaHearing(NovaSession())
    garbage = [b"{", b"[]", b'{"type":7}', b"\xff", b'{"type":"Results","channel":[0,1]}'] * 2
    outcomes = [list(codec.decode(message, binary=False)) for message in garbage]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [st.StageLost("unreadable")]


# --- whatever comes

_RESULTS = some.builds(
    lambda text, final, pause, at_s: {
        "type": "Results", "is_final": final, "speech_final": pause, "start": at_s, "duration": 0.5,
        "channel": {"alternatives": [{"transcript": text}]},
    },
    some.sampled_from(["", "ja", "ja bitte", "予約"]), some.booleans(), some.booleans(), some.floats(-1, 9),
)  # fmt: skip
_OTHERS = some.sampled_from([
    {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 1.0},
    {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.0},
    {"type": "Metadata", "duration": 3.0, "channels": 1},
    {"type": "Results", "start": 1e308, "duration": 1e308, "channel": {"alternatives": []}},
])
_SAID = some.one_of(_RESULTS, _OTHERS)
_MESSAGES = some.one_of(
    _SAID.map(lambda said: json.dumps(said).encode()),
    some.tuples(_SAID.map(lambda said: json.dumps(said, ensure_ascii=False).encode()), some.integers(0, 140)).map(
        lambda cut: cut[0][: cut[1]]
    ),
    some.binary(max_size=60),
    some.just(b'{"type":"Results","channel":' + b"[" * 50_000),
    some.just(b'{"type":"Results","channel":{"alternatives":' + b'[{"a":' * 50_000),
    some.just(b'{"type":"SpeechStarted","timestamp":1' + b"0" * 400 + b"}"),
)


@settings(max_examples=60, deadline=None)
@given(some.lists(_MESSAGES, max_size=30))
def test_whatever_comes_turns_begin_before_they_end_and_say_nothing_between(messages: list[bytes]) -> None:
    codec = NovaHearing(NovaSession())
    in_turn = False
    for event in (event for message in messages for event in codec.decode(message, binary=False)):
        if isinstance(event, st.TurnBegan):
            assert not in_turn
            in_turn = True
        elif not isinstance(event, st.StageLost | st.StageReady):
            assert in_turn
            in_turn = not isinstance(event, st.TurnEnded)


def test_how_far_it_has_heard_is_known_but_for_the_end_of_an_utterance():
    codec = codec_at_work()
    assert codec.heard_ms == 0.0
    result(codec, "hello", final=True, at_s=2.5)
    assert codec.heard_ms == 2500.0
    assert read(codec, type="UtteranceEnd", channel=[0, 1], last_word_end=2.4) == [st.TurnEnded("hello")]
    assert codec.heard_ms == 0.0
