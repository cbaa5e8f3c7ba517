"""Server-sent events, read from a stream that may be cut anywhere.

Pure and bounded. It does not know what an event means, and keeps only its name and its data: nobody here takes up a
broken stream again, so ids and retry times say nothing to us.
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

import msgspec

MAX_EVENT_OCTETS = 256 * 1024
_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"


class ServerEvent(msgspec.Struct, frozen=True, gc=False):
    name: str
    """As sent; empty when the event has none."""
    data: bytes
    """Its lines, joined by line feeds."""


class EventReader:
    """One object per stream."""

    def __init__(self, *, max_octets: int = MAX_EVENT_OCTETS) -> None:
        self.too_long = False
        """An event was longer than allowed: nothing is read any more."""
        self._max = max_octets
        self._line = bytearray()
        self._first = True
        self._after_cr = False
        self._name = ""
        self._data: list[bytes] = []
        self._octets = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that this chunk completes. One that the stream's end leaves unfinished is never given out."""
        if self._after_cr and chunk:
            # The line ended with the carriage return, which came last in the chunk before this one.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk or self.too_long:
            return []
        self._after_cr = chunk.endswith(b"\r")
        found: list[ServerEvent] = []
        start = 0
        for end in _LINE_END.finditer(chunk):
            self._line += chunk[start : end.start()]
            start = end.end()
            if self._octets + len(self._line) > self._max:
                break
            self._line_over(found)
        else:
            self._line += chunk[start:]
        if self._octets + len(self._line) > self._max:
            self.too_long = True
            self._line.clear()
            self._data.clear()
        return found

    def _line_over(self, found: list[ServerEvent]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            self._first = False
            line = line.removeprefix(_MARK)
        if line:
            self._field(line)
            return
        if self._data:
            found.append(ServerEvent(self._name, b"\n".join(self._data)))
        self._name = ""
        self._data = []
        self._octets = 0

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._octets += len(value) + 1
        elif name == b"event":
            self._name = value.decode(errors="replace")
