"""Server-sent events: the rules of the standard, and that no cut of the bytes changes what is read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from holdfast_bridge.core.sse import EventReader, ServerEvent


def read(*chunks: bytes, max_octets: int = 1024) -> list[tuple[str, bytes]]:
    reader = EventReader(max_octets=max_octets)
    return [(event.name, event.data) for chunk in chunks for event in reader.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\r\n\r\n", [("", b"a")]),
        (b"data:  a\r\r", [("", b" a")]),
        (b"event: greeting\ndata: a\ndata: b\n\ndata: c\n\n", [("greeting", b"a\nb"), ("", b"c")]),
        (b": a comment\n\ndata: a\n: another\n\n", [("", b"a")]),
        (b"event: lost\n\ndata: a\n\n", [("", b"a")]),
        (b"data\n\ndata:\n\n", [("", b""), ("", b"")]),
        (b"id: 7\nretry: 10\ndata: a: b\n\n", [("", b"a: b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        ("data: grüß 你好\n\n".encode(), [("", "grüß 你好".encode())]),
        (b"event: \xff\ndata: \xff\n\n", [("\ufffd", b"\xff")]),
        (b"data: never finished\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert read(stream) == expected


def test_a_line_may_end_between_two_chunks_in_the_middle_of_its_end() -> None:
    assert read(b"data: a\r", b"\n\r", b"\ndata: b\r", b"\r", b"\n") == [("", b"a"), ("", b"b")]


def test_an_event_over_the_limit_ends_the_reading_and_leaves_what_came_before() -> None:
    reader = EventReader(max_octets=20)
    assert reader.feed(b"data: a\n\ndata: " + b"x" * 30) == [ServerEvent("", b"a")]
    assert reader.too_long
    assert reader.feed(b"\n\ndata: b\n\n") == []


def test_an_event_of_many_lines_is_held_to_the_same_limit() -> None:
    reader = EventReader(max_octets=25)
    assert reader.feed(b"data: 12345\n" * 3) == []
    assert not reader.too_long
    assert reader.feed(b"data: 12345\n") == []
    assert reader.too_long


def test_comments_do_not_add_up() -> None:
    reader = EventReader(max_octets=20)
    assert reader.feed(b": keep-alive\n\n" * 100) == []
    assert not reader.too_long


TEXT = some.text(some.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
LINE_ENDS = some.sampled_from(["\n", "\r\n", "\r"])


@settings(max_examples=150, deadline=None)
@given(
    events=some.lists(some.tuples(some.sampled_from(["", "delta", "über"]), some.lists(TEXT, min_size=1, max_size=3))),
    ends=some.lists(LINE_ENDS, min_size=1, max_size=5),
    cuts=some.lists(some.integers(min_value=0, max_value=400), max_size=12),
)
def test_any_cut_of_the_bytes_gives_the_same_events(
    events: list[tuple[str, list[str]]], ends: list[str], cuts: list[int]
) -> None:
    lines: list[str] = []
    for name, data in events:
        lines += [f"event: {name}"] if name else [": a comment"]
        lines += [f"data: {text}" for text in data] + [""]
    stream = "".join(line + ends[index % len(ends)] for index, line in enumerate(lines)).encode()
    # A lone CR before a line that ends in LF would be one CRLF: with mixed ends only the whole reading is compared.
    whole = read(stream, max_octets=4096)
    if len(set(ends)) == 1:
        assert whole == [(name, "\n".join(data).encode()) for name, data in events]
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    pieces = [stream[start:stop] for start, stop in itertools.pairwise(edges)]
    assert read(*pieces, max_octets=4096) == whole
    assert read(*(bytes([octet]) for octet in stream), max_octets=4096) == whole
