"""One link to a speech provider: a WebSocket client with deadlines, or a loop within the process.

Knows sockets, TLS and how vendors refuse; what is said on the link is the codec's business. Losses are reported once,
as a class of error fit for a metric's label: texts of vendors may hold what must not be logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from holdfast_bridge.core import failures
from holdfast_bridge.ws_messages import BINARY, DATA, TEXT, BadMessage, Messages, Pace, answer_ping

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_UNSENT_BYTES = 256 * 1024
MAX_REFUSAL_BYTES = 4_096
FLOOD_WINDOW = 1_000
FLOOD_WINDOW_S = 0.5
FLOOD_WINDOWS = 6
"""Six thousand frames in a row, or 12 MB, faster than 2,000 a second, or 4 MB. A vendor sends up to fifty a second, and
sound a few times faster than it is heard."""
PING_S = 5.0
"""A provider that has been mute for this long is asked whether it lives, and has as long again to answer."""

OnMessage = Callable[[bytes], None]
OnLost = Callable[[str, bool], None]
"""(error class, whether the same attempt may be tried again)"""


class ProviderUnreachable(Exception):
    """The link did not come about."""

    def __init__(self, error_class: str, *, retry_same: bool = True, retry_after_s: float = 0.0) -> None:
        super().__init__(error_class)
        self.error_class = error_class
        self.retry_same = retry_same
        self.retry_after_s = retry_after_s
        self.part = ""
        """Of a provider that is made of several: the one that could not be reached."""


class ProviderLink(Protocol):
    def send(self, message: bytes, *, binary: bool = False) -> None:
        """Never waits; a link that cannot take more is lost."""
        ...

    def close(self) -> None:
        """Ends the link without reporting it as lost."""
        ...


class LoopbackLink:
    """What is sent comes back."""

    def __init__(self, on_message: OnMessage) -> None:
        self._on_message: OnMessage | None = on_message

    def send(self, message: bytes, *, binary: bool = False) -> None:  # noqa: ARG002 - all is one to a loop
        if self._on_message is not None:
            self._on_message(message)

    def close(self) -> None:
        self._on_message = None


class SocketLink(WSListener):
    """`on_binary`: told of binary messages, which are ignored without it."""

    def __init__(self, on_message: OnMessage, on_lost: OnLost, on_binary: OnMessage | None = None) -> None:
        self.opened = False
        """It was open once; what became of it since was told."""
        self._on_message = on_message
        self._on_binary = on_binary
        self._on_lost: OnLost | None = on_lost
        self._messages = Messages(MAX_MESSAGE_BYTES)
        clock = asyncio.get_running_loop().time
        self._pace = Pace(clock, window=FLOOD_WINDOW, within_s=FLOOD_WINDOW_S, windows=FLOOD_WINDOWS)
        self._transport: WSTransport | None = None
        self._blocked = False
        self._unsent = 0
        self._ended: asyncio.Task[None] | None = None

    def send(self, message: bytes, *, binary: bool = False) -> None:
        if self._transport is None:
            return
        if self._blocked:
            self._unsent += len(message)
            if self._unsent > MAX_UNSENT_BYTES:
                self._lose("not_reading")
                return
        self._transport.send(BINARY if binary else TEXT, message)

    def close(self) -> None:
        self._on_lost = None
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect(graceful=not self._blocked)
            self._transport = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.opened = True
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._transport is None:
            return
        if self._pace.too_fast(frame.payload_size):
            self._lose("flood")
        elif (kind := frame.msg_type) in DATA:
            self._read(frame)
        elif kind is WSMsgType.PING:
            answer_ping(transport, frame, blocked=self._blocked)
        elif kind is WSMsgType.CLOSE:
            code, reason = int(frame.get_close_code().value), frame.get_close_message() or b""
            transport.send_close(WSCloseCode.OK)
            self._lose(*failures.closed(code, reason.decode(errors="replace")))

    def _read(self, frame: WSFrame) -> None:
        """Binary messages are read where somebody wants them."""
        try:
            message = self._messages.feed(frame)
        except BadMessage as bad:
            self._lose(bad.reason)
            return
        hear = self._on_binary if self._messages.binary else self._on_message
        if message is not None and hear is not None:
            hear(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        # It is over within one turn of the loop: picows has the transport's end ready when this returns.
        self._ended = asyncio.get_running_loop().create_task(_heeded(transport))
        self._lose("disconnected")

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked, self._unsent = False, 0

    def _lose(self, error_class: str, retry_same: bool = True) -> None:
        transport, self._transport = self._transport, None
        on_lost, self._on_lost = self._on_lost, None
        if transport is not None:
            transport.disconnect(graceful=False)
        if on_lost is not None:
            on_lost(error_class, retry_same)


async def _heeded(transport: WSTransport) -> None:
    """Takes note of why picows ended a link by itself. Else the loop would log it, with what the vendor had sent."""
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """One context for all links; it honours SSL_CERT_FILE.

    picows' fast TLS reads CPython's own structures. With Debian's Python 3.11 and OpenSSL 3.0.20 its handshake never
    ends, so its portable engine is asked for; it speaks through the `ssl` module alone.
    """
    context = ssl.create_default_context()
    context._aiofastnet_force_fallback_ssl = True  # type: ignore[attr-defined]  # noqa: SLF001 - its only switch
    return context


async def dial(
    url: str,
    headers: Mapping[str, str],
    *,
    on_message: OnMessage,
    on_lost: OnLost,
    on_binary: OnMessage | None = None,
    timeout_s: float = 2.0,
    pong_within_s: float = PING_S,
) -> SocketLink:
    """An open link, or ProviderUnreachable within the deadline."""
    link = SocketLink(on_message, on_lost, on_binary)
    try:
        async with asyncio.timeout(timeout_s):
            await ws_connect(
                lambda: link,
                url,
                ssl_context=tls() if url.startswith("wss:") else None,
                websocket_handshake_timeout=timeout_s,
                logger_name="provider",
                enable_auto_ping=True,
                auto_ping_idle_timeout=max(PING_S, pong_within_s),
                auto_ping_reply_timeout=pong_within_s,
                auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=False,
                max_frame_size=MAX_MESSAGE_BYTES,
                max_redirects=0,
                extra_headers=dict(headers),
            )
    except TimeoutError as error:
        raise ProviderUnreachable("timeout") from error
    except WSHandshakeError as error:
        raise _refused(error) from error
    except (OSError, WSError) as error:
        raise ProviderUnreachable("tls" if isinstance(error, ssl.SSLError) else "connect") from error
    if not link.opened:
        # A vendor that hangs up in the handshake without a word is no error to picows.
        raise ProviderUnreachable("connect")
    return link


def _refused(error: WSHandshakeError) -> ProviderUnreachable:
    """Only what the vendor's answer means is kept of it."""
    answer = error.response
    status = int(answer.status) if answer is not None else 0
    retry_after = str(answer.headers.get("Retry-After") or "") if answer is not None else ""
    body = (error.raw_body or b"")[:MAX_REFUSAL_BYTES].decode(errors="replace")
    refused = failures.refused(status, body=body, retry_after=retry_after)
    return ProviderUnreachable(refused.word, retry_same=refused.retry_same, retry_after_s=refused.retry_after_s)
