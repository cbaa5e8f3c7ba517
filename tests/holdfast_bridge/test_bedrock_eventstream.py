"""AWS's event stream: frames as AWS writes them, cut anywhere, and what cannot be trusted."""

from __future__ import annotations

import itertools
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from holdfast_bridge.providers.bedrock_eventstream import Frame, FrameReader

# Two frames of AWS's own documentation and SDKs: without headers, and with one.
PLAIN = bytes([
    0, 0, 0, 30, 0, 0, 0, 0, 186, 242, 246, 138, 123, 34, 102, 111, 111, 34, 58, 32, 34, 98, 97, 114, 34, 125,
    174, 114, 88, 228,
])  # fmt: skip
TYPED = bytes([
    0, 0, 0, 62, 0, 0, 0, 32, 64, 93, 249, 70, 12, 99, 111, 110, 116, 101, 110, 116, 45, 116, 121, 112, 101, 7, 0, 16,
    97, 112, 112, 108, 105, 99, 97, 116, 105, 111, 110, 47, 106, 115, 111, 110, 123, 34, 102, 111, 111, 34, 58, 32, 34,
    98, 97, 114, 34, 125, 111, 162, 191, 59,
])  # fmt: skip
TYPED_FRAME = Frame({"content-type": "application/json"}, b'{"foo": "bar"}')


def frame(headers: bytes = b"", payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def test_frames_are_read_as_the_vendor_writes_them() -> None:
    assert FrameReader().feed(PLAIN + TYPED) == [Frame({}, b'{"foo": "bar"}'), TYPED_FRAME]


def test_a_frame_cut_anywhere_is_one_frame() -> None:
    reader = FrameReader()
    assert [found for octet in TYPED for found in reader.feed(bytes([octet]))] == [TYPED_FRAME]


def test_headers_that_are_no_text_are_passed_over() -> None:
    headers = (
        b"\x01a\x00\x01b\x01\x01c\x02\x07\x01d\x03\x00\x07\x01e\x04\x00\x00\x00\x07"
        b"\x01f\x05" + bytes(8) + b"\x01g\x06\x00\x03abc\x01h\x08" + bytes(8) + b"\x01i\x09" + bytes(16)
        + b"\x01j\x07\x00\x04gr\xc3\xbc"
    )  # fmt: skip
    assert FrameReader().feed(frame(headers)) == [Frame({"j": "grü"}, b"")]


@pytest.mark.parametrize(
    "headers",
    [b"\x05ab", b"\x01a", b"\x01a\x07", b"\x01a\x07\x00\x09abc", b"\x01a\x05\x00", b"\x01a\x0a",
     b"\x01a\x07\x00\x01\xff"],
)  # fmt: skip
def test_a_frame_whose_headers_cannot_be_read_is_told_and_the_next_is_read(headers: bytes) -> None:
    assert FrameReader().feed(frame(headers, b"x") + TYPED) == [None, TYPED_FRAME]


@pytest.mark.parametrize("at", [12, 30, 50, 60])
def test_a_wrong_checksum_makes_a_frame_unreadable_and_the_next_is_read(at: int) -> None:
    wrong = bytearray(TYPED)
    wrong[at] ^= 1
    reader = FrameReader()
    assert reader.feed(bytes(wrong) + TYPED) == [None, TYPED_FRAME]
    assert not reader.broken


@pytest.mark.parametrize("at", range(12))
def test_a_beginning_that_cannot_be_trusted_ends_the_reading(at: int) -> None:
    wrong = bytearray(TYPED)
    wrong[at] ^= 1
    reader = FrameReader()
    assert reader.feed(PLAIN + bytes(wrong) + TYPED) == [Frame({}, b'{"foo": "bar"}')]
    assert reader.broken
    assert reader.feed(TYPED) == []


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (30, 15), (2_000, 0), (2**32 - 1, 0)])
def test_an_impossible_or_an_endless_frame_ends_the_reading(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    reader = FrameReader(max_octets=1_000)
    assert reader.feed(prelude + struct.pack(">I", zlib.crc32(prelude))) == []
    assert reader.broken


@settings(max_examples=100, deadline=None)
@given(
    payloads=some.lists(some.binary(max_size=40), max_size=6),
    cuts=some.lists(some.integers(min_value=0, max_value=400), max_size=12),
)
def test_any_cut_of_the_bytes_gives_the_same_frames(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(b"\x01a\x07\x00\x01b", payload) for payload in payloads)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    reader = FrameReader()
    found = [one for start, stop in itertools.pairwise(edges) for one in reader.feed(stream[start:stop])]
    assert found == [Frame({"a": "b"}, payload) for payload in payloads]
