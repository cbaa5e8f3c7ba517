"""Whole messages out of WebSocket frames, bounded in size and in pace.

picows hands out frames and refuses those that are malformed in themselves. What RFC 6455 says of their order and of
their reserved bits is left to its user, and is held here. It does not know what a message means.
https://www.rfc-editor.org/rfc/rfc6455#section-5.2
https://www.rfc-editor.org/rfc/rfc6455#section-5.4
"""

from __future__ import annotations

from collections.abc import Callable

from picows import WSFrame, WSMsgType, WSTransport

PROTOCOL_ERROR = 1002
TOO_BIG = 1009
TOO_MANY_PARTS = 256
_UNIT_BYTES = 2048
TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
"""Looked up once: frames come fifty times a second and call."""
DATA = (TEXT, BINARY, CONTINUATION)
"""The frames that carry messages."""


class BadMessage(Exception):
    """The other side broke the protocol: the close code for it, and a reason fit for a metric's label."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Messages:
    """The messages of one socket."""

    def __init__(self, limit: int) -> None:
        self.binary = False
        """Whether the message that came last, or is coming, is a binary one."""
        self._limit = limit
        self._parts: list[bytes] | None = None
        self._size = 0

    def feed(self, frame: WSFrame) -> bytes | None:
        """The message that this frame of data completes, if it does; raises BadMessage."""
        kind, parts = frame.msg_type, self._parts
        if (kind is CONTINUATION) is (parts is None) or frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise BadMessage(PROTOCOL_ERROR, "protocol_error")
        data = frame.get_payload_as_bytes()
        if parts is None:
            self.binary = kind is BINARY
            if frame.fin:
                if len(data) > self._limit:
                    raise BadMessage(TOO_BIG, "too_big")
                return data
            self._parts = []
        return self._part(data, last=bool(frame.fin))

    def _part(self, data: bytes, *, last: bool) -> bytes | None:
        assert self._parts is not None
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._limit or len(self._parts) > TOO_MANY_PARTS:
            raise BadMessage(TOO_BIG, "too_big")
        if not last:
            return None
        whole = b"".join(self._parts)
        self._parts, self._size = None, 0
        return whole


class Pace:
    """Notices frames that come faster than they may, window after window. One object per socket.

    A frame counts as one, and as one more for every 2 KiB of it. The clock is read once a window.
    """

    def __init__(self, clock: Callable[[], float], *, window: int, within_s: float, windows: int) -> None:
        """Too fast: so many `windows` in a row, each of `window` counts in less than `within_s`."""
        self._clock = clock
        self._window = window
        self._within_s = within_s
        self._windows = windows
        self._count = 0
        self._fast = 0
        self._since = clock()

    def too_fast(self, size: int) -> bool:
        """Count a frame of this size; True once they have come too fast for too long."""
        self._count += 1 + size // _UNIT_BYTES
        if self._count < self._window:
            return False
        now = self._clock()
        windows, self._count = divmod(self._count, self._window)
        self._fast = self._fast + windows if now - self._since < self._within_s * windows else 0
        self._since = now
        return self._fast >= self._windows


def answer_ping(transport: WSTransport, frame: WSFrame, *, blocked: bool) -> None:
    """picows would answer also those who do not read: their answers would pile up here."""
    if not blocked:
        transport.send_pong(frame.get_payload_as_bytes())
