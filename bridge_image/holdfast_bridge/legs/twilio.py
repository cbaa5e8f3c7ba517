"""Twilio Media Streams, bidirectional: messages to events, effects to messages. Pure, one object per socket.

    expects       connected ──► start ──► media | dtmf | mark … ──► stop
    refuses       1003 an event or a media format we do not speak
                  1007 not JSON, or a message without its fields
                  1008 a message out of order, of another stream, or with more audio than a message may carry

https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

import enum
from binascii import b2a_base64
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast_bridge.core import events as ev
from holdfast_bridge.legs import INVALID, POLICY, UNSUPPORTED, BadFrame, Started

MAX_AUDIO_BYTES = 16_000
"""Two seconds in one message, a hundred times what the carrier sends."""

Sid = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]+$")]


class _Connected(msgspec.Struct, frozen=True, tag_field="event", tag="connected"):
    pass


class _Format(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class _Start(msgspec.Struct, frozen=True, rename="camel"):
    account_sid: Sid
    call_sid: Sid
    media_format: _Format
    custom_parameters: dict[str, Annotated[str, Meta(max_length=4096)]] = {}


class _Started(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="start"):
    stream_sid: Sid
    start: _Start


class _Audio(msgspec.Struct, frozen=True, gc=False):
    payload: bytes
    track: str = "inbound"


class _Media(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="media"):
    stream_sid: str
    media: _Audio


class _Key(msgspec.Struct, frozen=True, gc=False):
    digit: Annotated[str, Meta(pattern=r"^[0-9*#A-D]$")]


class _Dtmf(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="dtmf"):
    stream_sid: str
    dtmf: _Key


class _Name(msgspec.Struct, frozen=True, gc=False):
    name: Annotated[str, Meta(max_length=256)]


class _Mark(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="mark"):
    stream_sid: str
    mark: _Name


class _Stop(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="stop"):
    stream_sid: str


class _AnyEvent(msgspec.Struct, frozen=True):
    event: str


_EVENTS = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})
_decoder = msgspec.json.Decoder(_Media | _Mark | _Dtmf | _Stop | _Started | _Connected)
_event_decoder = msgspec.json.Decoder(_AnyEvent)


class _Stage(enum.Enum):
    OPEN = "open"
    CONNECTED = "connected"
    STARTED = "started"
    STOPPED = "stopped"


class TwilioLeg:
    def __init__(self) -> None:
        self._stage = _Stage.OPEN
        self._stream = ""
        self._media_head = b""
        self._mark_head = b""
        self.clear = b""
        """The message that empties the carrier's buffer."""

    def decode(self, message: bytes) -> ev.Event | Started | None:
        """What the message means, None if nothing; raises BadFrame."""
        try:
            said = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _refusal(message) from error
        if type(said) is _Media:
            if said.stream_sid != self._stream or self._stage is not _Stage.STARTED:
                self._check(said.stream_sid)
            payload = said.media.payload
            if len(payload) > MAX_AUDIO_BYTES:
                raise BadFrame(POLICY, "too_much_audio")
            return ev.CallerAudio(payload) if payload and said.media.track == "inbound" else None
        return self._seldom(said)

    def _seldom(self, said: _Media | _Mark | _Dtmf | _Stop | _Started | _Connected) -> ev.Event | Started | None:
        match said:
            case _Connected():
                self._advance(_Stage.OPEN, _Stage.CONNECTED)
                return None
            case _Started():
                self._advance(_Stage.CONNECTED, _Stage.STARTED)
                return self._start(said)
            case _Mark():
                self._check(said.stream_sid)
                return ev.CallerMark(said.mark.name)
            case _Dtmf():
                self._check(said.stream_sid)
                return ev.CallerDtmf(said.dtmf.digit)
            case _Stop():
                self._check(said.stream_sid)
                self._stage = _Stage.STOPPED
                return ev.CallerStop()
            case _:
                return None

    def media(self, payload: bytes) -> bytes:
        return self._media_head + b2a_base64(payload, newline=False) + b'"}}'

    def mark(self, name: str) -> bytes:
        """`name` is one of ours and needs no escaping."""
        return self._mark_head + name.encode() + b'"}}'

    def _start(self, said: _Started) -> Started:
        form = said.start.media_format
        if (form.encoding, form.sample_rate, form.channels) != ("audio/x-mulaw", 8000, 1):
            raise BadFrame(UNSUPPORTED, "media_format")
        self._stream = said.stream_sid
        stream = b'","streamSid":"' + self._stream.encode()
        self._media_head = b'{"event":"media' + stream + b'","media":{"payload":"'
        self._mark_head = b'{"event":"mark' + stream + b'","mark":{"name":"'
        self.clear = b'{"event":"clear' + stream + b'"}'
        return Started(said.start.call_sid, said.start.account_sid, said.start.custom_parameters.get("token", ""))

    def _advance(self, expected: _Stage, then: _Stage) -> None:
        if self._stage is not expected:
            raise BadFrame(POLICY, "wrong_order")
        self._stage = then

    def _check(self, stream: str) -> None:
        if self._stage is not _Stage.STARTED:
            raise BadFrame(POLICY, "wrong_order")
        if stream != self._stream:
            raise BadFrame(POLICY, "other_stream")


def _refusal(message: bytes) -> BadFrame:
    try:
        event = _event_decoder.decode(message).event
    except msgspec.ValidationError:
        return BadFrame(INVALID, "not_a_message")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return BadFrame(INVALID, "not_json")
    return BadFrame(INVALID, "malformed") if event in _EVENTS else BadFrame(UNSUPPORTED, "unknown_event")
