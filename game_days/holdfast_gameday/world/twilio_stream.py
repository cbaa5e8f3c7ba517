"""One Media Stream: the carrier's end of the socket to an agent. It paces nothing itself; it is told when 20 ms passed.

Errors carry Twilio's numbers (twilio.com/docs/api/errors):

    31901 connect timed out    31902 connection refused   31910 TLS       31920 handshake refused, query in the URL
    31922 scheme is not wss    31923 malformed URL        31924 closed by a protocol error
    31950 undecodable message  31951 invalid message      31952 play-out buffer full
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
import picows

from holdfast_gameday.world import twilio_signature, voice
from holdfast_gameday.world.twilio_net import Network
from holdfast_gameday.world.twilio_playout import PlayOut

MESSAGE_OCTETS_MAX = 1 << 20
SEND_BACKLOG_OCTETS_MAX = 4 << 20
_SILENT_PAYLOAD = base64.b64encode(voice.SILENT_FRAME)


class _Media(msgspec.Struct):
    payload: str


class _Mark(msgspec.Struct):
    name: str


class _Message(msgspec.Struct):
    event: str
    stream_sid: str = msgspec.field(name="streamSid", default="")
    media: _Media | None = None
    mark: _Mark | None = None


_decoder = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    connect_timeout_s: float = 5.0
    silence_s: float = 30.0
    """After so long without a sign of life from the peer's machine the stream counts as lost."""
    allow_plain: bool = False
    """Permits ws:// for tests on loopback; the real carrier never does."""
    on_sound: Callable[[str], None] = lambda _call_sid: None
    """Told of a call for which sound has come into its silence."""


@dataclass(frozen=True, slots=True)
class StreamError:
    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class StreamEnd:
    code: int
    """The WebSocket close code; 1006 when the socket closed without one."""
    by_us: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStart:
    """What the `start` message tells."""

    url: str
    account_sid: str
    call_sid: str
    token: str
    parameters: dict[str, str]


class MediaStream(picows.WSListener):
    """Open from its construction by `open_stream` until `ended` is done."""

    def __init__(
        self, start: StreamStart, report: Callable[[StreamError], None], on_sound: Callable[[str], None]
    ) -> None:
        self.sid = "MZ" + secrets.token_hex(16)
        self.ended: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()
        self.playout = PlayOut(lambda: on_sound(start.call_sid))
        self._start = start
        self._report = report
        self._transport: picows.WSTransport | None = None
        self._sequence = 1
        self._chunk = 0
        self._stopped = False
        self._close_code = 1006
        self._overflow_reported = False
        self._template = (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
            b'"payload":"%s"},"streamSid":"' + self.sid.encode() + b'"}'
        )

    # What the carrier does.

    def send_sound(self, sound: bytes | None) -> None:
        """The caller's next 20 ms; None is silence."""
        if self._transport is None or self._stopped:
            return
        payload = _SILENT_PAYLOAD if sound is None else base64.b64encode(sound)
        self._chunk += 1
        if self._transport.underlying_transport.get_write_buffer_size() > SEND_BACKLOG_OCTETS_MAX:
            return
        message = self._template % (self._next(), self._chunk, (self._chunk - 1) * voice.FRAME_MS, payload)
        self._transport.send(picows.WSMsgType.TEXT, message)

    def play(self) -> bytes:
        """What the caller hears in these 20 ms; empty when the agent sent nothing more."""
        sound, marks = self.playout.play()
        self._echo(marks)
        return sound

    def press(self, digit: str) -> None:
        self._send({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}})

    def stop(self) -> None:
        """The call ended or got other TwiML: `stop`, then the socket is closed."""
        if self._stopped or self._transport is None:
            return
        start = self._start
        self._send({"event": "stop", "stop": {"accountSid": start.account_sid, "callSid": start.call_sid}})
        self._stopped = True
        self._transport.send_close(picows.WSCloseCode.OK)
        self._transport.disconnect()

    def abort(self) -> None:
        """Closes without a word, as when the carrier itself loses the connection."""
        self._stopped = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # What the socket says.

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        start = self._start
        transport.send(picows.WSMsgType.TEXT, b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        self._send(
            {
                "event": "start",
                "start": {
                    "streamSid": self.sid,
                    "accountSid": start.account_sid,
                    "callSid": start.call_sid,
                    "tracks": ["inbound"],
                    "customParameters": start.parameters,
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                },
            }
        )

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.TEXT:
            self._message(frame.get_payload_as_bytes())
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            self._close_code = int(frame.get_close_code().value) or 1005
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type is picows.WSMsgType.BINARY:
            self._report(StreamError(31950, "a binary message"))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - picows's signature
        if not self.ended.done():
            self.ended.set_result(StreamEnd(1000 if self._stopped else self._close_code, self._stopped))
        self._transport = None

    def _message(self, text: bytes) -> None:
        if self._stopped:
            return
        try:
            message = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._report(StreamError(31950, f"not a message: {type(error).__name__}"))
            return
        if message.stream_sid != self.sid:
            self._report(StreamError(31951, "a message for another stream"))
            return
        match message:
            case _Message(event="media", media=_Media(payload=payload)):
                self._media(payload)
            case _Message(event="mark", mark=_Mark(name=name)):
                self._echo(self.playout.mark(name))
            case _Message(event="clear"):
                self._echo(self.playout.clear())
            case _:
                self._report(StreamError(31951, f"an invalid {message.event[:20]!r} message"))

    def _media(self, payload: str) -> None:
        try:
            sound = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            self._report(StreamError(31951, "media that is not base64"))
            return
        self.playout.write(sound)
        if self.playout.overflowed and not self._overflow_reported:
            self._overflow_reported = True
            self._report(StreamError(31952, "more media than can be buffered"))

    def _echo(self, marks: list[str]) -> None:
        for name in marks:
            self._send({"event": "mark", "mark": {"name": name}})

    def _send(self, message: dict[str, object]) -> None:
        if self._transport is None or self._stopped:
            return
        message |= {"sequenceNumber": str(self._next()), "streamSid": self.sid}
        self._transport.send(picows.WSMsgType.TEXT, json.dumps(message, separators=(",", ":")).encode())

    def _next(self) -> int:
        number = self._sequence
        self._sequence += 1
        return number


async def open_stream(
    start: StreamStart, *, network: Network, options: StreamOptions, report: Callable[[StreamError], None]
) -> MediaStream | StreamError:
    """Dials the URL; an error is a value, for the call goes on with its next verb."""
    refusal = _refusal(start.url, options)
    if refusal is not None:
        return refusal
    parts = urlsplit(start.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    network.record(host, port, kind="twilio-stream", path=parts.path)
    stream = MediaStream(start, report, options.on_sound)

    dialled: list[socket.socket] = []

    async def dial(_url: object) -> socket.socket:
        sock = await network.dial(host, port, silence_s=options.silence_s)
        dialled.append(sock)
        return sock

    try:
        async with asyncio.timeout(options.connect_timeout_s):
            await picows.ws_connect(
                lambda: stream,
                start.url,
                ssl_context=network.trust if parts.scheme == "wss" else None,
                websocket_handshake_timeout=options.connect_timeout_s,
                max_frame_size=MESSAGE_OCTETS_MAX,
                max_redirects=0,
                extra_headers={twilio_signature.HEADER: twilio_signature.sign(start.url, {}, start.token)},
                socket_factory=dial,
                logger_name="twilio",
            )
    except TimeoutError:
        _abandon(dialled)
        return StreamError(31901, "connect timed out")
    except ssl.SSLError as error:
        return StreamError(31910, f"TLS: {error.reason}")
    except picows.WSError as error:
        return StreamError(31920, f"handshake: {_status(error)}")
    except OSError as error:
        return StreamError(31902, f"connect failed: {error.strerror or error}")
    except asyncio.CancelledError:
        stream.abort()
        _abandon(dialled)
        raise
    return stream


def _abandon(sockets: list[socket.socket]) -> None:
    """A handshake given up leaves its transport open; the end of its socket is what ends it."""
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _refusal(url: str, options: StreamOptions) -> StreamError | None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return StreamError(31923, "malformed URL")
    if not host:
        return StreamError(31923, "malformed URL")
    if parts.scheme != "wss" and not (parts.scheme == "ws" and options.allow_plain):
        return StreamError(31922, f"scheme {parts.scheme!r} is not wss")
    if parts.query:
        return StreamError(31920, "the URL has a query string")
    return None


def _status(error: picows.WSError) -> str:
    response = getattr(error, "response", None)
    return f"status {response.status}" if response is not None else type(error).__name__
