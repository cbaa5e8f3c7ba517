"""Aura: one stream without names, on which the codec keeps the lines apart."""

from __future__ import annotations

import json

from hypothesis import given, settings
from speaking_rules import Came, Told, obeys, steps

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.deepgram import headers
from holdfast_bridge.providers.deepgram_aura import AuraSpeaking, AuraVoice, link_url

FLUSHED = b'{"type":"Flushed","sequence_id":0}'
CLEARED = b'{"type":"Cleared","sequence_id":0}'
CONVERSATION = (b'{"type":"Metadata","request_id":"r"}', b"\x01\x02\x03", FLUSHED, CLEARED)


def shown(messages: list[bytes]) -> list[str]:
    """Texts as they are, other messages by their type."""
    return [said.get("text", said["type"].upper()) for said in map(json.loads, messages)]


def read(codec: AuraSpeaking, message: bytes) -> list[st.SpeakingEvent]:
    return list(codec.decode(message, binary=False))


def heard(codec: AuraSpeaking, sound: bytes) -> list[st.SpeakingEvent]:
    return list(codec.decode(sound, binary=True))


def speaking(*lines: str) -> AuraSpeaking:
    """Each line said and ended, in this order."""
    codec = AuraSpeaking()
    for line in lines:
        codec.say(line, f"This is {line}.")
        codec.end(line)
    return codec


def test_the_link_asks_for_ulaw_in_the_voice_of_the_language() -> None:
    voice = AuraVoice(voice="viktoria", language="de-AT")
    url = link_url("wss://api.eu.deepgram.com", voice, {})
    assert url == "wss://api.eu.deepgram.com/v1/speak?model=aura-2-viktoria-de&encoding=mulaw&sample_rate=8000"


def test_the_vendors_whole_name_of_a_voice_is_taken_as_it_is() -> None:
    url = link_url("wss://api.deepgram.com/v1/speak", AuraVoice(voice="aura-asteria-en", language="de"), {})
    assert url.startswith("wss://api.deepgram.com/v1/speak?model=aura-asteria-en&")


def test_what_is_said_can_be_kept_from_the_vendors_models_and_spoken_faster() -> None:
    url = link_url("wss://gw.example.com/dg", AuraVoice(no_store=True, speed=1.1), {"tenant": "a b"})
    assert url == (
        "wss://gw.example.com/dg/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000"
        "&mip_opt_out=true&speed=1.1&tenant=a+b"
    )


def test_the_key_is_a_token() -> None:
    assert headers("k") == {"Authorization": "Token k"}


def test_a_line_is_spoken_piece_by_piece_and_flushed_at_its_end() -> None:
    codec = AuraSpeaking()
    assert shown(codec.say("a1", "Grüß Gott, ")) == ["Grüß Gott, "]
    assert shown(codec.say("a1", "你好。")) == ["你好。"]
    assert shown(codec.end("a1")) == ["FLUSH"]
    assert codec.end("a1") == []
    assert codec.say("a1", "more") == []


def test_sound_belongs_to_the_line_that_was_flushed_first() -> None:
    codec = speaking("a1", "a2")
    assert heard(codec, b"\x01") == [st.Sound("a1", b"\x01")]
    assert read(codec, FLUSHED) == [st.LineDone("a1")]
    assert heard(codec, b"\x02") == [st.Sound("a2", b"\x02")]
    assert read(codec, FLUSHED) == [st.LineDone("a2")]
    assert heard(codec, b"\x03") == []
    assert codec.say("a1", "more") == codec.end("a1") == []
    assert read(codec, FLUSHED) == []


def test_sound_before_the_flush_belongs_to_the_line_that_is_open() -> None:
    codec = AuraSpeaking()
    codec.say("a1", "Hello ")
    assert heard(codec, b"\x01") == [st.Sound("a1", b"\x01")]
    assert read(codec, FLUSHED) == []


def test_a_line_waits_while_one_before_it_is_open() -> None:
    codec = AuraSpeaking()
    codec.say("a1", "One ")
    assert codec.say("a2", "two ") == codec.end("a2") == codec.say("a3", "three ") == []
    assert shown(codec.end("a1")) == ["FLUSH", "two ", "FLUSH", "three "]
    assert shown(codec.say("a3", "four.")) == ["four."]


def test_a_line_that_was_cancelled_gives_no_sound_until_the_vendor_has_cleared() -> None:
    codec = speaking("a1")
    assert shown(codec.cancel("a1")) == ["CLEAR"]
    assert heard(codec, b"\x01") == []
    assert shown(codec.say("a2", "Yes?")) == ["Yes?"]
    assert shown(codec.end("a2")) == ["FLUSH"]
    assert heard(codec, b"\x01") == []
    assert read(codec, FLUSHED) == []
    assert read(codec, CLEARED) == []
    assert heard(codec, b"\x02") == [st.Sound("a2", b"\x02")]
    assert read(codec, FLUSHED) == [st.LineDone("a2")]


def test_after_two_cancels_both_have_to_be_cleared() -> None:
    codec = speaking("a1")
    codec.cancel("a1")
    codec.say("a2", "Yes?")
    codec.cancel("a2")
    codec.say("a3", "No.")
    read(codec, CLEARED)
    assert heard(codec, b"\x02") == []
    read(codec, CLEARED)
    assert heard(codec, b"\x03") == [st.Sound("a3", b"\x03")]


def test_what_was_sent_behind_a_cancelled_line_is_sent_again() -> None:
    codec = speaking("a1", "a2")
    codec.say("a3", "This is ")
    codec.say("a3", "a3.")
    codec.say("a4", "This waits.")
    assert shown(codec.cancel("a1")) == ["CLEAR", "This is a2.", "FLUSH", "This is ", "a3."]


def test_a_line_cancelled_behind_another_is_spoken_to_nobody() -> None:
    codec = speaking("a1", "a2", "a3")
    assert codec.cancel("a2") == []
    read(codec, FLUSHED)
    assert heard(codec, b"\x02") == []
    assert read(codec, FLUSHED) == []
    assert heard(codec, b"\x03") == [st.Sound("a3", b"\x03")]


def test_an_open_line_cancelled_behind_another_is_flushed_so_that_it_does_not_run_into_the_next() -> None:
    codec = speaking("a1")
    codec.say("a2", "This is ")
    codec.say("a3", "This is a3.")
    assert shown(codec.cancel("a2")) == ["FLUSH", "This is a3."]
    assert heard(codec, b"\x01") == [st.Sound("a1", b"\x01")]
    assert read(codec, FLUSHED) == [st.LineDone("a1")]
    assert read(codec, FLUSHED) == []
    assert heard(codec, b"\x03") == [st.Sound("a3", b"\x03")]


def test_lines_nobody_wants_are_cleared_with_the_next_one_that_is_cancelled() -> None:
    codec = speaking("a1", "a2", "a3")
    codec.cancel("a1")
    read(codec, CLEARED)
    codec.cancel("a3")
    assert shown(codec.cancel("a2")) == ["CLEAR"]
    assert shown(codec.say("a4", "On.")) == ["On."]


def test_a_line_that_waits_is_forgotten_without_a_word() -> None:
    codec = AuraSpeaking()
    codec.say("a1", "One ")
    codec.say("a2", "two ")
    assert codec.cancel("a2") == []
    assert shown(codec.end("a1")) == ["FLUSH"]


def test_late_text_of_a_cancelled_line_is_not_spoken() -> None:
    codec = AuraSpeaking()
    codec.say("a1", "One ")
    codec.cancel("a1")
    assert codec.say("a1", "more") == codec.end("a1") == codec.cancel("a1") == []


def test_the_link_needs_nothing_to_open_or_to_stay_and_is_closed_by_a_word() -> None:
    codec = AuraSpeaking()
    assert codec.opening() == codec.keep_alive() == []
    assert codec.keep_alive_s == 0.0
    assert shown(codec.closing()) == ["CLOSE"]


def test_a_flush_that_is_refused_loses_the_stage_because_its_line_would_never_end() -> None:
    codec = speaking("a1")
    warned = b'{"type":"Warning","code":"X","description":"Cannot process any more Flush messages."}'
    [lost] = read(codec, warned)
    assert lost == st.StageLost("rate", retry_same=False)
    assert failures.kind("rate") is failures.Failure.RATE_LIMITED


def test_an_error_is_the_vendors() -> None:
    [lost] = read(AuraSpeaking(), b'{"type":"Error","description":"out of order"}')
    assert lost == st.StageLost("server")
    assert failures.kind("server") is failures.Failure.ERROR


def test_what_is_unknown_is_let_pass() -> None:
    codec = speaking("a1")
    assert read(codec, b'{"type":"Metadata","request_id":"r"}') == []
    assert read(codec, b'{"type":"Warning","code":"X","description":"y"}') == []
    assert read(codec, b'{"type":"practice.unheard_of","code":null}') == []
    assert read(codec, CLEARED) == []
    assert heard(codec, b"\x01") == [st.Sound("a1", b"\x01")]


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    codec = AuraSpeaking()
    outcomes = [read(codec, message) for message in [b"{", b"[]", b'{"type":7}', b"\xff", b"null"] * 2]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [st.StageLost("unreadable")]


@settings(max_examples=60, deadline=None)
@given(steps(CONVERSATION))
def test_whatever_comes_no_line_gets_sound_that_did_not_come_or_after_it_is_over(order: list[Told | Came]) -> None:
    obeys(AuraSpeaking(), order)
