"""Twilio's messages, good and bad."""

from __future__ import annotations

import base64
import json

import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.legs import BadFrame, Started
from holdfast_bridge.legs.twilio import TwilioLeg

CONNECTED = b'{"event":"connected","protocol":"Call","version":"1.0.0"}'
ULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def start(**changes: object) -> bytes:
    body = {"accountSid": "AC1", "callSid": "CA1", "customParameters": {"token": "t"}, "mediaFormat": ULAW, **changes}
    return json.dumps({"event": "start", "streamSid": "MZ1", "start": body}).encode()


def media(payload: bytes = b"abc", *, stream: str = "MZ1", track: str = "inbound") -> bytes:
    body = {"track": track, "chunk": "1", "timestamp": "0", "payload": base64.b64encode(payload).decode()}
    return json.dumps({"event": "media", "sequenceNumber": "3", "streamSid": stream, "media": body}).encode()


def started() -> TwilioLeg:
    leg = TwilioLeg()
    assert leg.decode(CONNECTED) is None
    assert leg.decode(start()) == Started("CA1", "AC1", "t")
    return leg


def test_what_a_stream_says_becomes_events() -> None:
    leg = started()
    assert leg.decode(media()) == ev.CallerAudio(b"abc")
    assert leg.decode(b'{"event":"mark","streamSid":"MZ1","mark":{"name":"m1"}}') == ev.CallerMark("m1")
    assert leg.decode(b'{"event":"dtmf","streamSid":"MZ1","dtmf":{"track":"x","digit":"#"}}') == ev.CallerDtmf("#")
    assert leg.decode(b'{"event":"stop","streamSid":"MZ1","stop":{"callSid":"CA1"}}') == ev.CallerStop()


def test_empty_audio_and_the_outbound_track_are_nothing() -> None:
    leg = started()
    assert leg.decode(media(b"")) is None
    assert leg.decode(media(track="outbound")) is None


def test_what_is_sent_is_what_twilio_documents() -> None:
    leg = started()
    assert json.loads(leg.media(b"\x00\xff")) == {"event": "media", "streamSid": "MZ1", "media": {"payload": "AP8="}}
    assert json.loads(leg.mark("m3")) == {"event": "mark", "streamSid": "MZ1", "mark": {"name": "m3"}}
    assert json.loads(leg.clear) == {"event": "clear", "streamSid": "MZ1"}


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"hello", 1007, "not_json"),
        (b"", 1007, "not_json"),
        (b"\xff\xfe", 1007, "not_json"),
        (b'{"event":"media","x":' + b"[" * 50_000, 1007, "not_json"),
        (b"null", 1007, "not_a_message"),
        (b"[]", 1007, "not_a_message"),
        (b'{"event":7}', 1007, "not_a_message"),
        (b"{}", 1007, "not_a_message"),
        (b'{"event":"dance"}', 1003, "unknown_event"),
        (b'{"event":"media","streamSid":"MZ1"}', 1007, "malformed"),
        (b'{"event":"media","streamSid":"MZ1","media":{"payload":"a"}}', 1007, "malformed"),
        (b'{"event":"media","streamSid":"MZ1","media":{"payload":"_-_-"}}', 1007, "malformed"),
        (b'{"event":"mark","streamSid":"MZ1"}', 1007, "malformed"),
        (b'{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"12"}}', 1007, "malformed"),
        (media(stream="MZ2"), 1008, "other_stream"),
        (media(b"x" * 20_000), 1008, "too_much_audio"),
        (start(), 1008, "wrong_order"),
        (CONNECTED, 1008, "wrong_order"),
    ],
)
def test_a_bad_message_is_refused_with_a_code_and_a_reason(message: bytes, code: int, reason: str) -> None:
    leg = started()
    with pytest.raises(BadFrame) as bad:
        leg.decode(message)
    assert (bad.value.code, bad.value.reason) == (code, reason)


@pytest.mark.parametrize("message", [media(), b'{"event":"stop","streamSid":"MZ1"}', start()])
def test_nothing_comes_before_its_time(message: bytes) -> None:
    with pytest.raises(BadFrame) as bad:
        TwilioLeg().decode(message)
    assert bad.value.reason == "wrong_order"


@pytest.mark.parametrize(
    "message",
    [
        b'{"event":"media","event":"dance","streamSid":"MZ1"}',
        b'{"event":["media"],"streamSid":"MZ1"}',
        b'{"event":NaN}',
        b'{"event":Infinity}',
        b'{"event":1e400}',
        b'{"event":' + b"9" * 60_000 + b"}",
        b'{"event":"\\ud800"}',
        b'{"event":"media\\u0000"}',
        b'{"event":"media\x00"}',
        b"\xef\xbb\xbf" + CONNECTED,
        b'{"__proto__":{"event":"media"}}',
        b" " * 60_000,
        b"{" + b",".join(b'"%d":0' % key for key in range(9_000)) + b"}",
        b'{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"*#A"}}',
        b'{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":""}}',
        b'{"event":"mark","streamSid":"MZ1","mark":{"name":"' + b"m" * 300 + b'"}}',
        b'{"event":"media","streamSid":"MZ1","media":{"payload":["AAAA"]}}',
        b'{"event":"media","streamSid":"MZ1","media":{"payload":"AAA"}}',
        media(b"x" * 16_001),
    ],
)
def test_what_no_carrier_sends_is_refused_whatever_stage_the_stream_is_in(message: bytes) -> None:
    for leg in (TwilioLeg(), started()):
        with pytest.raises(BadFrame):
            leg.decode(message)


@pytest.mark.parametrize("size", [1, 159, 160, 161, 16_000])
def test_sound_may_come_in_pieces_of_any_size_up_to_two_seconds(size: int) -> None:
    assert started().decode(media(b"x" * size)) == ev.CallerAudio(b"x" * size)


@pytest.mark.parametrize("number", ['"-1"', '"0"', '"99999999999999999999"', "7", "null", '"seven"', "[]"])
def test_numbers_that_count_or_date_a_message_are_not_believed(number: str) -> None:
    numbered = f'"chunk":{number},"timestamp":{number},"payload":"AAAA"'
    message = f'{{"event":"media","sequenceNumber":{number},"streamSid":"MZ1","media":{{{numbered}}}}}'
    assert started().decode(message.encode()) == ev.CallerAudio(bytes(3))


def test_nothing_comes_after_the_stop() -> None:
    leg = started()
    leg.decode(b'{"event":"stop","streamSid":"MZ1"}')
    with pytest.raises(BadFrame, match="wrong_order"):
        leg.decode(media())


def test_another_media_format_is_not_spoken() -> None:
    leg = TwilioLeg()
    leg.decode(CONNECTED)
    with pytest.raises(BadFrame) as bad:
        leg.decode(start(mediaFormat={**ULAW, "sampleRate": 16000}))
    assert bad.value.code == 1003


def test_a_stream_id_cannot_smuggle_json() -> None:
    leg = TwilioLeg()
    leg.decode(CONNECTED)
    with pytest.raises(BadFrame):
        leg.decode(start().replace(b'"MZ1"', b'"MZ\\",\\"x"'))
