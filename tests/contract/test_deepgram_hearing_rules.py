"""The rules of the simulated Deepgram that hears, with time moved by hand; every message is held against the vendor's
own description."""

import json
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from world_deepgram import AUTHORIZED, FLUX_QUERY, KEY, NOVA_QUERY, QUICK, V1, V2, StillWire, check_server, spoken

from holdfast_bridge.providers import deepgram_flux, deepgram_nova
from holdfast_gameday.world import voice
from holdfast_gameday.world.deepgram import Deepgram
from holdfast_gameday.world.deepgram_listen import Pace
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Answer, Upgrade

pytestmark = pytest.mark.contract


def session(path: str, query: str, *, late_s: float = 0.0, pace: Pace = QUICK) -> tuple[StillWire, object]:
    headers = {name.lower(): value for name, value in AUTHORIZED.items()}
    admitted = Deepgram(keys={KEY: "clinic"}, pace=pace).admit(Upgrade(path, parse_qs(query), headers))
    assert not isinstance(admitted, Answer)
    wire = StillWire(late_s=late_s)
    wire.session = admitted.session(wire, 1)
    wire.session.open()
    return wire, wire.session


def said(wire: StillWire, path: str) -> list[dict]:
    messages = [message for _, message in wire.messages]
    for message in messages:
        check_server(path, message)
    return messages


def test_nova_closes_after_ten_seconds_without_anything():
    wire, hears = session(V1, NOVA_QUERY)
    hears.receive(voice.silence(1), binary=True)
    wire.advance(9.9)
    assert wire.left is None
    wire.advance(1.2)
    assert wire.left == (
        1011,
        "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001",
    )
    assert said(wire, V1)[-1]["type"] == "Metadata"
    assert wire.waiting == 0


def test_a_word_every_four_seconds_keeps_nova_alive_once_it_has_heard_audio():
    wire, hears = session(V1, NOVA_QUERY)
    hears.receive(voice.silence(1), binary=True)
    for _ in range(10):
        wire.advance(4.0)
        hears.receive(b'{"type":"KeepAlive"}', binary=False)
    assert wire.left is None


def test_words_alone_do_not_keep_nova_alive_before_any_audio():
    wire, hears = session(V1, NOVA_QUERY)
    for _ in range(3):
        wire.advance(4.0)
        hears.receive(b'{"type":"KeepAlive"}', binary=False)
    assert wire.left is not None


@pytest.mark.parametrize(
    ("query", "audio"),
    [
        ("model=nova-3", b"\xff" * 160),
        ("model=nova-3&encoding=linear16&sample_rate=16000", b"\xff" * 160),
        (NOVA_QUERY, b'{"type":"KeepAlive"}'),
    ],
)
def test_nova_closes_on_audio_that_it_cannot_decode(query, audio):
    wire, hears = session(V1, query)
    hears.receive(audio, binary=True)
    assert wire.left == (1008, "DATA-0000")


def test_an_empty_message_closes_nova():
    wire, hears = session(V1, NOVA_QUERY)
    hears.receive(b"", binary=True)
    assert wire.left == (1000, "")


@pytest.mark.parametrize("message", [b'{"type":"ForceEndTurn"}', b"not a message", b"\xff"])
def test_nova_goes_on_after_a_word_that_it_does_not_know(message):
    wire, hears = session(V1, NOVA_QUERY)
    hears.receive(message, binary=False)
    wire.advance(0.1)
    assert wire.left is None
    assert [message["type"] for message in said(wire, V1)] == ["Error"]


def test_nova_without_endpointing_tells_a_gap_and_no_pause():
    wire, hears = session(V1, NOVA_QUERY.replace("endpointing=300", "endpointing=false"))
    hears.receive(spoken("hello", silence_ms=6000), binary=True)
    wire.advance(0.1)
    messages = said(wire, V1)
    assert not any(message.get("speech_final") for message in messages)
    assert [message["type"] for message in messages].count("UtteranceEnd") == 1


@pytest.mark.parametrize(("path", "query"), [(V1, NOVA_QUERY), (V2, FLUX_QUERY)])
def test_what_comes_after_the_leave_is_not_heard(path, query):
    wire, hears = session(path, query)
    hears.receive(b'{"type":"CloseStream"}', binary=False)
    told = len(wire.messages)
    hears.receive(spoken("hello"), binary=True)
    wire.advance(30.0)
    assert wire.left == (1000, "")
    assert len(said(wire, path)) == told


def test_words_that_are_not_final_yet_are_told_before_the_leave():
    wire, hears = session(V1, NOVA_QUERY)
    hears.receive(spoken("hello", silence_ms=20), binary=True)
    hears.receive(b'{"type":"CloseStream"}', binary=False)
    final = said(wire, V1)[-2]
    assert (final["is_final"], final["channel"]["alternatives"][0]["transcript"]) == (True, "hello")


def test_nova_makes_final_what_it_is_told_to():
    wire, hears = session(V1, NOVA_QUERY)
    hears.receive(spoken("hello", silence_ms=20), binary=True)
    hears.receive(b'{"type":"Finalize"}', binary=False)
    wire.advance(0.1)
    last = said(wire, V1)[-1]
    assert (last["is_final"], last["speech_final"], last["from_finalize"]) == (True, False, True)
    assert last["channel"]["alternatives"][0]["transcript"] == "hello"


def test_an_error_of_nova_is_a_close():
    wire, hears = session(V1, NOVA_QUERY)
    hears.fail(Fault(kind="error"))
    assert wire.left is not None
    assert wire.left[0] == 1011
    assert wire.left[1].endswith("net0000")


def test_flux_ends_a_link_that_sends_no_audio_and_a_turn_dangles_until_then():
    wire, hears = session(V2, FLUX_QUERY)
    hears.receive(spoken("hello", silence_ms=0), binary=True)
    wire.advance(19.0)
    assert "EndOfTurn" not in [message.get("event") for message in said(wire, V2)]
    wire.advance(4.0)
    assert said(wire, V2)[-1]["code"] == "INACTIVE_CLIENT"
    assert wire.left is not None


@pytest.mark.parametrize(
    ("message", "binary"), [(b'{"type":"KeepAlive"}', False), (b"not a message", False), (b'{"type":"Close"}', True)]
)
def test_flux_has_no_word_for_keeping_alive_and_takes_no_text_for_audio(message, binary):
    wire, hears = session(V2, FLUX_QUERY)
    hears.receive(message, binary=binary)
    assert said(wire, V2)[-1]["code"] == "UNPARSABLE_CLIENT_MESSAGE"
    assert wire.left is not None


def test_flux_ends_a_turn_by_silence_alone_when_no_sureness_is_enough():
    wire, hears = session(V2, FLUX_QUERY + "&eot_threshold=1.0&eot_timeout_ms=2000")
    hears.receive(spoken("hello", silence_ms=1980), binary=True)
    wire.advance(0.1)
    before = [message.get("event") for message in said(wire, V2)]
    hears.receive(voice.silence(1), binary=True)
    wire.advance(0.1)
    assert "EndOfTurn" not in before
    assert said(wire, V2)[-1]["trigger"] == "timeout"


def test_flux_ends_a_turn_when_it_is_told_to_and_warns_when_there_is_none():
    wire, hears = session(V2, FLUX_QUERY)
    hears.receive(spoken("hello there", silence_ms=20), binary=True)
    for _ in range(2):
        hears.receive(b'{"type":"ForceEndTurn"}', binary=False)
    wire.advance(0.1)
    ended, warned = said(wire, V2)[-2:]
    assert (ended["event"], ended["trigger"], ended["transcript"]) == ("EndOfTurn", "manual", "hello there")
    assert warned["code"] == "FORCE_END_TURN_NO_ACTIVE_TURN"


def test_flux_keeps_its_settings_when_it_refuses_new_ones():
    wire, hears = session(V2, FLUX_QUERY)
    asked = [
        {"thresholds": {"eager_eot_threshold": 0.9}}, {"thresholds": 7}, {"language_hints": ["de"]}, {"keyterms": 7},
        {"keyterms": ["Weiß"]},
    ]  # fmt: skip
    for change in asked:
        hears.receive(json.dumps({"type": "Configure", **change}).encode(), binary=False)
    wire.advance(0.1)
    answers = said(wire, V2)[1:]
    assert [answer["type"] for answer in answers] == ["ConfigureFailure"] * 4 + ["ConfigureSuccess"]
    assert answers[0]["code"] == "INVALID_THRESHOLD"
    assert answers[4]["thresholds"] == {"eot_threshold": 0.7, "eot_timeout_ms": 5000}
    assert answers[4]["keyterms"] == ["Weiß"]


def test_flux_counts_its_messages_and_its_turns():
    wire, hears = session(V2, FLUX_QUERY)
    for number in (1, 2):
        hears.receive(spoken("hello", number=number), binary=True)
    wire.advance(0.1)
    messages = said(wire, V2)
    assert [message["sequence_id"] for message in messages] == list(range(len(messages)))
    assert [message["turn_index"] for message in messages if message.get("event") == "EndOfTurn"] == [0, 1]


def test_a_slow_vendor_is_late_with_the_first_words_of_each_turn_and_keeps_the_order():
    wire, hears = session(V2, FLUX_QUERY, late_s=3.0)
    hears.receive(spoken("hello there", silence_ms=0), binary=True)
    wire.advance(2.9)
    assert [message["type"] for message in said(wire, V2)] == ["Connected"]
    wire.advance(0.2)
    assert said(wire, V2)[1]["event"] == "StartOfTurn"
    assert [moment for _, moment in wire.reached_at] == ["speaking"]


def test_an_agent_that_hears_itself_is_no_caller():
    wire, hears = session(V2, FLUX_QUERY)
    echo = voice.encode_utterance(voice.Speaker.AGENT, 1, 1, "hello, how can I help you")
    hears.receive(echo + voice.silence(50), binary=True)
    wire.advance(0.1)
    assert {message.get("event", "Connected") for message in said(wire, V2)} == {"Connected", "Update"}


def test_an_utterance_that_goes_on_after_a_gap_was_known_whole_and_is_no_second_turn():
    wire, hears = session(V2, FLUX_QUERY)
    whole = spoken("my code is four seven one one", silence_ms=0)
    hears.receive(whole[:1600] + voice.silence(30) + whole[1600:] + voice.silence(30), binary=True)
    hears.receive(whole + voice.silence(30), binary=True)
    wire.advance(0.1)
    ended = [message["transcript"] for message in said(wire, V2) if message.get("event") == "EndOfTurn"]
    assert ended == ["my code is four seven one one"] * 2


def live(wire: StillWire, hears: object, audio: bytes) -> None:
    """As a carrier sends it: 20 ms every 20 ms."""
    for start in range(0, len(audio), 160):
        hears.receive(audio[start : start + 160], binary=True)
        wire.advance(0.02)


@pytest.mark.parametrize(
    ("path", "query", "most_s"),
    [(V2, FLUX_QUERY, 0.4), (V1, NOVA_QUERY, 0.4), (V1, NOVA_QUERY.replace("=300", "=500"), 0.6)],
)
def test_at_its_usual_pace_a_turn_ends_half_a_second_after_the_last_word(path, query, most_s):
    wire, hears = session(path, query, pace=Pace())
    live(wire, hears, spoken("good morning", silence_ms=0))
    last_word_s = wire.now
    live(wire, hears, voice.silence(40))
    said(wire, path)
    ended = next(
        at for at, message in wire.messages if message.get("event") == "EndOfTurn" or message.get("speech_final")
    )
    assert ended - last_word_s < most_s


@pytest.mark.parametrize(
    ("path", "query", "most_s"),
    [
        (V2, FLUX_QUERY, deepgram_flux.FluxHearing.silence_max_s),
        (V1, NOVA_QUERY, deepgram_nova.NovaHearing.silence_max_s),
    ],
)
def test_while_audio_comes_the_vendor_is_never_mute_for_long(path, query, most_s):
    """So a bridge may take one that is for stalled."""
    wire, hears = session(path, query, pace=Pace())
    live(wire, hears, voice.silence(500))
    moments = [0.0, *(at for at, _ in wire.messages), wire.now]
    assert max(later - sooner for sooner, later in pairwise(moments)) < most_s / 2
