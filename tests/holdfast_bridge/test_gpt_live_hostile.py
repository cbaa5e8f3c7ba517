"""Whatever comes on the link: nothing is raised, and no more is heard than came."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from provider_gpt_live import SILENCE, SOUND, Live, sound_of

from holdfast_bridge.core import events as ev


def message(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False).encode()


def delta(chunk: bytes) -> bytes:
    return message("session.output_audio.delta", delta=base64.b64encode(chunk).decode())


def backends(kind: str, **fields: Any) -> bytes:
    return message("response.event", delegation_id="d1", event={"type": kind, **fields})


CALL = {"type": "function_call", "call_id": "c1", "name": "book", "arguments": "{}", "status": "completed"}
CONVERSATION = [
    delta(SILENCE), delta(SOUND),
    message("session.output_transcript.delta", event_id="e", delta="おはよう", start_ms=0, end_ms=200),
    *[delta(SILENCE)] * 9,
    message("session.input_transcript.delta", event_id="e", delta="予約を", start_ms=900, end_ms=1100), delta(SILENCE),
    message("session.delegation.created", delegation={"id": "d1", "type": "delegation", "target": "responses"}),
    backends("response.output_item.done", item=CALL), backends("response.completed", response={"output": []}),
    *[delta(SILENCE)] * 9, delta(SOUND), backends("response.failed", response={"error": {"code": "server_error"}}),
    message("error", error={"type": "server_error", "code": "internal_error", "message": "m", "param": None}),
    message("session.closed", reason="expired", usage={"seconds": 3}),
]  # fmt: skip


@some.composite
def garbled(draw: some.DrawFn) -> bytes:
    """A message of a conversation that was cut, or in which a few bytes were changed."""
    whole = bytearray(draw(some.sampled_from(CONVERSATION)))
    for at in draw(some.lists(some.integers(0, len(whole) - 1), max_size=4)):
        whole[at] = draw(some.integers(0, 255))
    return bytes(whole[: draw(some.integers(0, len(whole)))] if draw(some.booleans()) else whole)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.one_of(some.sampled_from(CONVERSATION), garbled(), some.binary(max_size=60)), max_size=60))
def test_whatever_comes_nothing_is_raised_and_no_more_sound_goes_out_than_came_in(messages: list[bytes]) -> None:
    live = Live()
    told: list[ev.Event] = []
    for each in messages:
        told += live.codec.decode(each)
        live.sent(ev.Respond(), *(ev.ToolOutput(call.id, "x") for call in told if isinstance(call, ev.ToolCall)))
    assert len(sound_of(told)) <= sum(len(each) for each in messages)
    assert told.count(ev.ProviderLost("unreadable")) <= 1


@pytest.mark.parametrize(
    "whole",
    [
        b"[" * 100_000,
        b'{"type":"response.event","event":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"type":"session.input_transcript.delta","delta":"a","start_ms":1e999,"end_ms":-1e999}',
        b'{"type":"session.output_transcript.delta","delta":"a","start_ms":99999999999999999999999,"end_ms":1}',
        b'{"type":"session.output_audio.delta","delta":"%%%"}',
        b'{"type":7}',
        b"null",
        b"",
    ],
)
def test_what_is_nested_huge_or_of_a_wrong_kind_raises_nothing(whole: bytes) -> None:
    live = Live()
    for _ in range(2):
        assert ev.ProviderLost("unreadable") not in live.codec.decode(whole)
    live.sounds(*[SOUND] * 3, *[SILENCE] * 20)


def test_words_without_end_are_kept_to_a_bound() -> None:
    live = Live()
    live.sounds(SOUND)
    said = "".join(
        event.text for _ in range(50) for event in live.agent("あ" * 500) if isinstance(event, ev.ProviderTranscript)
    )
    heard = "".join(
        event.text for _ in range(50) for event in live.caller("い" * 500) if isinstance(event, ev.UserTranscript)
    )
    assert (len(said), len(heard)) == (8_000, 8_000)


def test_calls_without_end_are_kept_to_a_bound() -> None:
    live = Live()
    for number in range(100):
        live.asks(f"c{number}")
        live.asks(f"d{number}", delegation=f"d{number}")
    calls = [event for event in live.inner("response.completed") if isinstance(event, ev.ToolCall)]
    assert len(calls) <= 16
