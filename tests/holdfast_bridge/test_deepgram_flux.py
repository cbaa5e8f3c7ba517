"""Deepgram Flux both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.deepgram import headers
from holdfast_bridge.providers.deepgram_flux import FluxHearing, FluxSession, link_url, model_for

BASE = "wss://api.eu.deepgram.com"


def read(codec: FluxHearing, **message: object) -> list[st.HearingEvent]:
    return list(codec.decode(json.dumps(message).encode(), binary=False))


def told(codec: FluxHearing, *turns: tuple[str, str]) -> list[st.HearingEvent]:
    """What becomes of these events of a turn, each with its transcript."""
    return [
        event
        for place, (kind, text) in enumerate(turns)
        for event in read(codec, type="TurnInfo", event=kind, transcript=text, sequence_id=place, words=[])
    ]


# --- the link


def test_a_link_asks_for_ulaw_and_for_nothing_that_was_not_configured() -> None:
    url = link_url(BASE, FluxSession(), {})
    assert url == (
        "wss://api.eu.deepgram.com/v2/listen"
        "?model=flux-general-en&encoding=mulaw&sample_rate=8000&eot_threshold=0.7&eot_timeout_ms=5000"
    )


def test_a_link_asks_for_all_that_was_configured() -> None:
    session = FluxSession(
        model="flux-general-multi", language_hints=("de", "ja"), eager_threshold=0.4, end_threshold=0.8,
        end_timeout_ms=3000, keyterms=("Frau Weiß", "予約"), no_store=True,
    )  # fmt: skip
    assert link_url(BASE, session, {"tag": "clinic"}).partition("?")[2] == (
        "model=flux-general-multi&encoding=mulaw&sample_rate=8000&eot_threshold=0.8&eot_timeout_ms=3000"
        "&eager_eot_threshold=0.4&language_hint=de&language_hint=ja&keyterm=Frau+Wei%C3%9F&keyterm=%E4%BA%88%E7%B4%84"
        "&mip_opt_out=true&tag=clinic"
    )


def test_the_english_model_is_given_no_hints_because_it_would_refuse_the_link() -> None:
    assert "language_hint" not in link_url(BASE, FluxSession(language_hints=("en-GB",)), {})


def test_hints_are_languages_without_their_regions_and_each_only_once() -> None:
    session = FluxSession(model="flux-general-multi", language_hints=("pt-BR", "PT", "de-AT"))
    assert link_url(BASE, session, {}).endswith("&language_hint=pt&language_hint=de")


def test_the_model_is_that_of_the_language() -> None:
    assert model_for("en-US") == "flux-general-en"
    assert model_for("de") == model_for("ja-JP") == "flux-general-multi"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"language_hints": ("de",)}, "flux-general-en hears English only; de needs flux-general-multi"),
        ({"model": "flux-general-multi", "language_hints": ("de", "sv")}, "Flux does not hear sv"),
        ({"end_threshold": 0.4}, "endThreshold must be from 0.5 to 1.0"),
        ({"eager_threshold": 0.2}, "eagerThreshold must be from 0.3"),
        ({"eager_threshold": 0.8}, "not above endThreshold"),
        ({"eager_threshold": 0.95, "end_threshold": 1.0}, "to 0.9"),
        ({"end_timeout_ms": 499}, "endTimeoutMs must be from 500 to 60000"),
        ({"keyterms": ("a",) * 101}, "at most 100"),
    ],
)
def test_what_the_vendor_would_refuse_every_link_for_is_no_session(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FluxSession(**asked)


def test_a_gateway_may_lie_before_the_endpoint_and_the_endpoint_may_be_written_out() -> None:
    through = link_url("wss://gw.example.com/deepgram/", FluxSession(), {})
    written = link_url("wss://api.deepgram.com/v2/listen", FluxSession(), {})
    assert through.startswith("wss://gw.example.com/deepgram/v2/listen?")
    assert written.startswith("wss://api.deepgram.com/v2/listen?")


def test_what_an_operator_puts_into_the_query_goes_before_what_we_would_ask_for() -> None:
    url = link_url(BASE, FluxSession(), {"eot_threshold": "0.9"})
    assert url.count("eot_threshold") == 1
    assert "eot_threshold=0.9" in url


def test_the_key_goes_into_a_header() -> None:
    assert headers("k") == {"Authorization": "Token k"}


# --- to the vendor


def test_audio_is_sent_in_pieces_of_80_ms() -> None:
    codec = FluxHearing()
    sent = [codec.append(bytes([number]) * 160) for number in range(8)]
    assert [None if message is None else len(message) for message in sent] == [None, None, None, 640] * 2
    assert sent[3] == b"\0" * 160 + b"\1" * 160 + b"\2" * 160 + b"\3" * 160


def test_more_audio_than_one_piece_is_sent_at_once() -> None:
    codec = FluxHearing()
    codec.append(b"a" * 160)
    assert codec.append(b"b" * 1000) == b"a" * 160 + b"b" * 1000


def test_no_audio_sends_nothing() -> None:
    assert FluxHearing().append(b"") is None


def test_keeping_alive_is_the_half_second_that_was_missing_and_begins_with_what_was_held() -> None:
    codec = FluxHearing()
    assert codec.audio_is_binary
    assert codec.keep_alive_s == 0.5
    assert codec.keep_alive() == b"\xff" * 4000
    codec.append(b"a" * 160)
    assert codec.keep_alive() == b"a" * 160 + b"\xff" * 3840
    assert codec.keep_alive() == b"\xff" * 4000


def test_nothing_is_sent_at_the_opening_and_one_word_before_the_end() -> None:
    assert FluxHearing().opening() == []
    assert FluxHearing().closing() == [b'{"type":"CloseStream"}']


# --- from the vendor


def test_the_link_is_ready_once() -> None:
    codec = FluxHearing()
    assert read(codec, type="Connected", request_id="r", sequence_id=0) == [st.StageReady()]
    assert read(codec, type="Connected", request_id="r", sequence_id=1) == []


def test_a_turn_begins_grows_and_ends() -> None:
    events = told(
        FluxHearing(),
        ("Update", ""),
        ("StartOfTurn", "Ich"),
        ("Update", "Ich hätte gern"),
        ("Update", "Ich hätte gern"),
        ("Update", "Ich hätte gern einen Termin."),
        ("EndOfTurn", "Ich hätte gern einen Termin."),
        ("Update", ""),
    )
    assert events == [
        st.TurnBegan(),
        st.Words("Ich"),
        st.Words("Ich hätte gern"),
        st.Words("Ich hätte gern einen Termin."),
        st.TurnEnded("Ich hätte gern einen Termin."),
    ]


def test_a_turn_that_is_likely_over_may_go_on() -> None:
    events = told(
        FluxHearing(),
        ("StartOfTurn", "I need"),
        ("EagerEndOfTurn", "I need to cancel."),
        ("Update", "I need to cancel."),
        ("TurnResumed", "I need to cancel please"),
        ("EagerEndOfTurn", "I need to cancel please."),
        ("EndOfTurn", "I need to cancel please."),
    )
    assert events == [
        st.TurnBegan(),
        st.Words("I need"),
        st.TurnLikelyOver("I need to cancel."),
        st.TurnGoesOn(),
        st.Words("I need to cancel please"),
        st.TurnLikelyOver("I need to cancel please."),
        st.TurnEnded("I need to cancel please."),
    ]


def test_two_turns_of_the_same_words_are_two_turns() -> None:
    turn = (("StartOfTurn", "yes"), ("EndOfTurn", "yes"))
    assert told(FluxHearing(), *turn, *turn) == [st.TurnBegan(), st.Words("yes"), st.TurnEnded("yes")] * 2


def test_a_turn_whose_beginning_was_missed_is_told_whole() -> None:
    assert told(FluxHearing(), ("EagerEndOfTurn", "yes"), ("EndOfTurn", "yes")) == [
        st.TurnBegan(), st.TurnLikelyOver("yes"), st.TurnEnded("yes"),
    ]  # fmt: skip
    assert told(FluxHearing(), ("EndOfTurn", "yes")) == [st.TurnBegan(), st.TurnEnded("yes")]


def test_a_turn_that_has_ended_does_not_end_again() -> None:
    codec = FluxHearing()
    told(codec, ("StartOfTurn", "yes"))
    turn = {"type": "TurnInfo", "transcript": "yes", "turn_index": 4}
    assert read(codec, event="EndOfTurn", **turn) == [st.TurnEnded("yes")]
    assert read(codec, event="EndOfTurn", **turn) == []
    assert read(codec, event="EagerEndOfTurn", **turn) == []
    assert read(codec, event="EndOfTurn", **turn | {"turn_index": 5}) == [st.TurnBegan(), st.TurnEnded("yes")]


def test_outside_of_a_turn_nothing_goes_on_and_nothing_empty_ends() -> None:
    assert told(FluxHearing(), ("Update", "yes"), ("TurnResumed", "yes"), ("EndOfTurn", "")) == []


def test_a_turn_that_began_ends_even_without_words() -> None:
    assert told(FluxHearing(), ("StartOfTurn", "uh"), ("EndOfTurn", " ")) == [
        st.TurnBegan(), st.Words("uh"), st.TurnEnded(""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "expected", "kind"),
    [
        ("INTERNAL_SERVER_ERROR", st.StageLost("server_error"), failures.Failure.ERROR),
        ("NET-0000", st.StageLost("server_error"), failures.Failure.ERROR),
        ("SOMETHING_NEW", st.StageLost("server_error"), failures.Failure.ERROR),
        ("INACTIVE_CLIENT", st.StageLost("inactive"), None),
        ("UNPARSABLE_CLIENT_MESSAGE", st.StageLost("config", retry_same=False), failures.Failure.CONFIG),
        ("ASR_PAYMENT_REQUIRED", st.StageLost("quota", retry_same=False), failures.Failure.QUOTA),
        ("INVALID_AUTH", st.StageLost("auth", retry_same=False), failures.Failure.AUTH),
        ("TOO_MANY_REQUESTS", st.StageLost("rate", retry_same=False), failures.Failure.RATE_LIMITED),
    ],
)
def test_an_error_loses_the_stage_by_its_code(
    code: str, expected: st.StageLost, kind: failures.Failure | None
) -> None:
    assert read(FluxHearing(), type="Error", sequence_id=3, code=code, description="…") == [expected]
    assert failures.kind(expected.word) is kind


def test_what_is_unknown_or_only_a_warning_is_let_pass() -> None:
    codec = FluxHearing()
    assert read(codec, type="Warning", code="FORCE_END_TURN_NO_ACTIVE_TURN", description="") == []
    assert read(codec, type="ConfigureSuccess", thresholds={}, keyterms=[]) == []
    assert read(codec, type="practice.unheard_of", a=[1]) == []
    assert told(codec, ("SomethingNew", "yes")) == []
    assert list(codec.decode(b"\0\1\2", binary=True)) == []


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    codec = FluxHearing()
    garbage = [b"{", b"[]", b'{"type":7}', b"\xff", b'{"type":"TurnInfo","event":"Update","transcript":null}'] * 2
    outcomes = [list(codec.decode(message, binary=False)) for message in garbage]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [st.StageLost("unreadable")]


# --- whatever comes

_TURNS = some.builds(
    lambda event, index, text: {"type": "TurnInfo", "event": event, "turn_index": index, "transcript": text},
    some.sampled_from(["Update", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn", "New"]),
    some.integers(min_value=0, max_value=3),
    some.sampled_from(["", "ja", "ja bitte", "予約"]),
)
_MESSAGES = some.one_of(
    _TURNS.map(lambda said: json.dumps(said).encode()),
    some.tuples(_TURNS.map(lambda said: json.dumps(said, ensure_ascii=False).encode()), some.integers(0, 90)).map(
        lambda cut: cut[0][: cut[1]]
    ),
    some.binary(max_size=60),
    some.just(b'{"type":"TurnInfo","words":' + b"[" * 50_000),
    some.just(b'{"type":"TurnInfo","turn_index":1' + b"0" * 400 + b"}"),
)


@settings(max_examples=60, deadline=None)
@given(some.lists(_MESSAGES, max_size=30))
def test_whatever_comes_turns_begin_before_they_end_and_say_nothing_between(messages: list[bytes]) -> None:
    codec = FluxHearing()
    in_turn = False
    for event in (event for message in messages for event in codec.decode(message, binary=False)):
        if isinstance(event, st.TurnBegan):
            assert not in_turn
            in_turn = True
        elif not isinstance(event, st.StageLost):
            assert in_turn
            in_turn = not isinstance(event, st.TurnEnded)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.one_of(some.none(), some.binary(max_size=1000)), max_size=20))
def test_all_audio_is_sent_once_and_in_order_and_only_silence_is_added(pieces: list[bytes | None]) -> None:
    """None: nothing came for a while."""
    codec = FluxHearing()
    sent = b"".join((codec.keep_alive() if piece is None else codec.append(piece)) or b"" for piece in pieces)
    sent += codec.keep_alive()
    heard = b"".join(piece or b"" for piece in pieces)
    assert sent.replace(b"\xff", b"") == heard.replace(b"\xff", b"")


def test_how_far_it_has_heard_is_known_from_every_message_of_a_turn():
    codec = FluxHearing()
    read(codec, type="TurnInfo", event="Update", transcript="", audio_window_start=0.0, audio_window_end=1.25)
    assert codec.heard_ms == 1250.0
