"""AWS's event stream: frames with headers, a payload and two checksums, read from chunks that are cut anywhere.

Pure and bounded. It knows no service's events, and of the headers only those whose value is text.
https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html

    total  headers  prelude's   headers            payload   message's
    octets octets   CRC32                                    CRC32
    4      4        4           as many as told    the rest  4          big-endian

    a header: octets of its name (1), name, type (1), value; of type 7: octets of the text (2), text
"""

from __future__ import annotations

import struct
import zlib

import msgspec

MAX_FRAME_OCTETS = 256 * 1024
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_OVERHEAD = _PRELUDE.size + _CRC.size
_TEXT = 7
_BYTES = 6
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Types of values with a length of their own: true, false, a byte, whole numbers, a time, a UUID."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    headers: dict[str, str]
    payload: bytes


class FrameReader:
    """One object per stream."""

    def __init__(self, *, max_octets: int = MAX_FRAME_OCTETS) -> None:
        self.broken = False
        """The beginning of a frame could not be trusted: where the next one begins is not known, nothing is read."""
        self._max = max_octets
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[Frame | None]:
        """The frames that this chunk completes; None for one whose content cannot be read."""
        if self.broken:
            return []
        self._held += chunk
        found: list[Frame | None] = []
        while len(self._held) >= _PRELUDE.size:
            total, headers, check = _PRELUDE.unpack_from(self._held)
            in_order = headers + _OVERHEAD <= total <= self._max
            if not in_order or zlib.crc32(self._held[: _PRELUDE.size - _CRC.size]) != check:
                self.broken = True
                self._held.clear()
                break
            if len(self._held) < total:
                break
            found.append(_frame(bytes(self._held[:total]), headers))
            del self._held[:total]
        return found


def _frame(data: bytes, headers: int) -> Frame | None:
    end = len(data) - _CRC.size
    if zlib.crc32(data[:end]) != _CRC.unpack_from(data, end)[0]:
        return None
    begin = _PRELUDE.size + headers
    try:
        return Frame(_headers(data[_PRELUDE.size : begin]), data[begin:end])
    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
        return None


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        size = data[at]
        name = _slice(data, at + 1, size).decode()
        at += 1 + size
        kind = data[at]
        at += 1
        if kind in (_TEXT, _BYTES):
            size = _SHORT.unpack_from(data, at)[0]
            value = _slice(data, at + _SHORT.size, size)
            at += _SHORT.size + size
            if kind == _TEXT:
                found[name] = value.decode()
        else:
            at += _FIXED[kind]
    if at != len(data):
        raise IndexError(at)
    return found


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise IndexError(at)
    return data[at : at + size]
