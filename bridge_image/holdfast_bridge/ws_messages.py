"""Whole messages out of WebSocket frames, bounded. picows hands out frames; fragments are for its user to join."""

from __future__ import annotations

from picows import WSFrame, WSMsgType

TOO_MANY_PARTS = 256
TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
"""Looked up once: before Python 3.12 each look at an enum's member by its name is a call."""


class MessageTooBig(Exception):
    """A message grew over its bound, in bytes or in parts."""


class Messages:
    """The text messages of one socket."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, frame: WSFrame) -> bytes | None:
        """The message that this text or continuation frame completes, if it does."""
        data = frame.get_payload_as_bytes()
        if frame.fin and not self._parts:
            if len(data) > self._limit:
                raise MessageTooBig
            return data
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._limit or len(self._parts) > TOO_MANY_PARTS:
            raise MessageTooBig
        if not frame.fin:
            return None
        whole = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return whole


def is_text(frame: WSFrame) -> bool:
    kind = frame.msg_type
    return kind is TEXT or kind is CONTINUATION
