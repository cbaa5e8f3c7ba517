"""What every voice has to hold to, whatever its vendor says and whatever becomes of that on its way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as some

from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import SpeakingCodec

LINES = ("a1", "a2", "a3")
TEXTS = ("Hello there, ", "costs 12.50 now.", " ", "…", "こんにちは。", "👍 Grüße")
Told: TypeAlias = tuple[str, ...]
"""What the codec is told: say, end or cancel, of which line, and the text."""
Came: TypeAlias = tuple[bytes, bool]
"""A message, and whether it was binary."""
HOSTILE = (
    b"[" * 50_000,
    b'{"type":"chunk","data":' + b"{" * 50_000,
    b'{"type":"timestamps","context_id":"a1","word_timestamps":{"words":["Hello"],"end":[1e308]}}',
    b'{"contextId":"a1","alignment":{"chars":["H"],"charStartTimesMs":[1e308],"charDurationsMs":[1e308]}}',
    b'{"type":"Flushed","sequence_id":1' + b"0" * 400 + b"}",
    b'{"type":"error","context_id":"a1","status_code":1' + b"0" * 40 + b"}",
)


def steps(messages: Sequence[bytes]) -> some.SearchStrategy[list[Told | Came]]:
    """Orders for the codec, and between them these messages: as they are, cut or altered, and others."""
    whole = some.sampled_from(messages)
    cut = some.builds(lambda message, at: message[:at], whole, some.integers(0, 200))
    altered = some.builds(_altered, whole, some.integers(0, 200), some.integers(0, 255))
    came = some.one_of(whole, whole, whole, cut, altered, some.binary(max_size=40), some.sampled_from(HOSTILE))
    lines = some.sampled_from(LINES)
    told = some.one_of(
        some.tuples(some.just("say"), lines, some.sampled_from(TEXTS)),
        some.tuples(some.sampled_from(["end", "cancel"]), lines),
    )
    return some.lists(some.one_of(told, told, some.tuples(came, some.booleans())), max_size=40)


@dataclass(slots=True)
class _Line:
    text: str = ""
    ended: bool = False
    over: bool = False
    placed: int = 0


def obeys(codec: SpeakingCodec, order: Iterable[Told | Came]) -> None:
    """Fails where sound comes of nothing or of a line that is over, where a line ends twice or before it was ended."""
    lines = {line: _Line() for line in LINES}
    for step in order:
        if isinstance(step[0], bytes):
            message, binary = step
            _judge(lines, list(codec.decode(message, binary=bool(binary))), octets=len(message))
        else:
            for sent in _tell(codec, lines, *map(str, step)):
                json.loads(sent)


def _tell(codec: SpeakingCodec, lines: dict[str, _Line], what: str, name: str, text: str = "") -> list[bytes]:
    line = lines[name]
    if what == "say":
        line.text += "" if line.ended or line.over else text
        return codec.say(name, text)
    if what == "end":
        line.ended = line.ended or bool(line.text)
        return codec.end(name)
    line.over = True
    return codec.cancel(name)


def _judge(lines: dict[str, _Line], events: Sequence[st.SpeakingEvent], *, octets: int) -> None:
    for event in events:
        if isinstance(event, st.StageLost | st.StageReady):
            continue
        line = lines[event.line]
        assert line.text
        assert not line.over
        if isinstance(event, st.LineDone):
            assert line.ended
            line.over = True
        elif isinstance(event, st.Aligned):
            assert line.placed < event.characters <= len(line.text)
            assert event.upto_ms >= 0
            line.placed = event.characters
    assert sum(len(event.payload) for event in events if isinstance(event, st.Sound)) <= octets


def _altered(message: bytes, at: int, octet: int) -> bytes:
    place = at % len(message)
    return message[:place] + bytes([octet]) + message[place + 1 :]
