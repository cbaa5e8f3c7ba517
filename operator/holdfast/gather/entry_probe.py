"""The synthetic call: proves that a region's public entry takes a signed call and carries audio both ways.

It plays the carrier to the fleet-owned canary agent, whose provider is a loop-back: what the probe says comes back. It
refuses to judge: one call gives one outcome, and what outcomes mean is decided in `holdfast.core`.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import hmac
import json
import secrets
import ssl
import time
from dataclasses import dataclass

import aiohttp

CANARY = "holdfast-system/canary"
TOKEN_LIFE_S = 120
FRAME_BYTES = 160
FRAME_S = 0.02
CLOSE_DEADLINE_S = 0.3
REFUSES_US = frozenset({401, 403, 429})


@dataclass(frozen=True, slots=True)
class Target:
    """A region's public entry. `url` is the canary's media address, exactly as it is signed."""

    region: str
    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call. `stage` is where it ended: connect, start, first frame, echo, or done.

    `own_fault` says that the failure tells of us (our resolver, our key) and nothing of the region.
    """

    ok: bool
    stage: str
    detail: str
    elapsed_s: float
    own_fault: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each stage of a call may take, and all of it: a region that takes the socket and is mute is ill."""

    connect_s: float
    first_frame_s: float
    echo_s: float
    all_s: float

    @classmethod
    def within(cls, timeout_s: float) -> Limits:
        """Shares of a probe's whole time-out: opening takes several round trips, an echo takes one."""
        return cls(connect_s=0.8 * timeout_s, first_frame_s=0.6 * timeout_s, echo_s=0.4 * timeout_s, all_s=timeout_s)


def media_url(host: str) -> str:
    """Where the canary of the region with this public host takes media."""
    return f"wss://{host}/a/{CANARY}/media"


def signature(key: bytes, url: str) -> str:
    """X-Twilio-Signature of an upgrade: HMAC-SHA1 over the address alone, for a handshake has no form."""
    return base64.b64encode(hmac.new(key, url.encode(), hashlib.sha1).digest()).decode()


def start_token(key: bytes, *, call: str, region: str, expires: int, nonce: str) -> str:
    """The token a bridge would have put into its own answer to the webhook."""
    payload = {"c": call, "a": CANARY, "r": region, "e": 1, "x": expires, "n": nonce}
    first = _b64(json.dumps(payload, separators=(",", ":")).encode())
    return f"{first}.{_b64(hmac.new(key, first.encode(), hashlib.sha256).digest())}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class EntryProbe:
    """Makes synthetic calls. Every call opens its own connection: a kept one would prove nothing about the entry."""

    def __init__(self, session: aiohttp.ClientSession, tls: ssl.SSLContext) -> None:
        self._session = session
        self._tls = tls

    async def call(self, target: Target, *, key: bytes, timeout_s: float) -> Outcome:
        """One whole call within the time-out, hung up at the end."""
        began, limits = time.monotonic(), Limits.within(timeout_s)
        stage = _Stage(limits)
        own_fault = False
        try:
            async with asyncio.timeout(limits.all_s), asyncio.timeout(None) as stage.deadline:
                stage.enter("connect", limits.connect_s)
                detail = await self._converse(target, key, stage)
        except TimeoutError:
            detail = f"{stage.name}: no end within {1000 * min(stage.limit_s, limits.all_s):.0f} ms"
        except aiohttp.WSServerHandshakeError as e:
            detail = f"upgrade: HTTP {e.status}"
            own_fault = e.status in REFUSES_US
        except aiohttp.ClientConnectorDNSError:
            detail = "connect: the name does not resolve"
            own_fault = True
        except (aiohttp.ClientError, OSError) as e:
            detail = f"{stage.name}: {_words(e)}"
        return Outcome(
            ok=not detail,
            stage=stage.name,
            detail=detail,
            elapsed_s=time.monotonic() - began,
            own_fault=own_fault,
        )

    async def _converse(self, target: Target, key: bytes, stage: _Stage) -> str:
        headers = {"X-Twilio-Signature": signature(key, target.url)}
        limits = aiohttp.ClientWSTimeout(ws_close=CLOSE_DEADLINE_S)
        async with self._session.ws_connect(target.url, headers=headers, ssl=self._tls, timeout=limits) as ws:
            stage.enter("first frame", stage.limits.first_frame_s)
            call = _Call(region=target.region)
            await ws.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
            await ws.send_str(call.start(key))
            detail = await _until_echo(ws, call, stage)
            if not detail:
                stage.enter("done", stage.limits.echo_s)
                await ws.send_str(call.stop())
            return detail


def _words(error: Exception) -> str:
    """What an engineer calls it: this text stands in conditions, Events and reports."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno in _NAMED:
        return _NAMED[cause.errno]
    return type(error).__name__


_NAMED = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
}


class _Stage:
    """How far a call got, and when that stage has taken too long; read after a time-out has torn it down."""

    __slots__ = ("deadline", "limit_s", "limits", "name")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.name = "connect"
        self.limit_s = limits.all_s
        self.deadline: asyncio.Timeout | None = None

    def enter(self, name: str, limit_s: float) -> None:
        self.name, self.limit_s = name, limit_s
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + limit_s)


class _Call:
    """The carrier's side of one call: numbered messages and one pattern of audio, new for every call."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._call = f"CA{secrets.token_hex(16)}"
        self._stream = f"MZ{secrets.token_hex(16)}"
        self._sequence = 0
        self._frames = 0
        self.pattern = secrets.token_bytes(FRAME_BYTES)

    def start(self, key: bytes) -> str:
        # The token's life is wall-clock time by its format; this is the one place of the probe that reads that clock.
        expires = int(time.time()) + TOKEN_LIFE_S
        token = start_token(
            key, call=self._call, region=self._region, expires=expires, nonce=secrets.token_hex(8)
        )
        start = {
            "accountSid": "canary",
            "streamSid": self._stream,
            "callSid": self._call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        }
        return self._message("start", {"start": start})

    def media(self) -> str:
        self._frames += 1
        media = {
            "track": "inbound",
            "chunk": str(self._frames),
            "timestamp": str(self._frames * 20),
            "payload": base64.b64encode(self.pattern).decode(),
        }
        return self._message("media", {"media": media})

    def stop(self) -> str:
        return self._message("stop", {"stop": {"accountSid": "canary", "callSid": self._call}})

    def _message(self, event: str, content: dict[str, object]) -> str:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self._stream}
        return json.dumps(head | content, separators=(",", ":"))


async def _until_echo(ws: aiohttp.ClientWebSocketResponse, call: _Call, stage: _Stage) -> str:
    """Speak every 20 ms and listen until our own pattern comes back. Empty string, or why it never can."""
    listening = asyncio.create_task(_listen(ws, call.pattern, stage))
    try:
        while not listening.done():
            await ws.send_str(call.media())
            await asyncio.wait((listening,), timeout=FRAME_S)
        return listening.result()
    finally:
        listening.cancel()


async def _listen(ws: aiohttp.ClientWebSocketResponse, pattern: bytes, stage: _Stage) -> str:
    heard = bytearray()
    async for message in ws:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        try:
            event = json.loads(message.data)
            if event.get("event") != "media":
                continue
            heard += base64.b64decode(event["media"]["payload"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{stage.name}: the entry sent a message that is not one of a media stream"
        if stage.name == "first frame":
            stage.enter("echo", stage.limits.echo_s)
        if pattern in heard:
            return ""
        del heard[: -2 * FRAME_BYTES]
    return f"{stage.name}: closed with {ws.close_code} before the echo"
