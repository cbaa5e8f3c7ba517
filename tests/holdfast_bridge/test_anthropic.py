"""Anthropic's Messages both ways: what is asked, and what the events of an answer say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from world_thinking import (
    BOOK,
    BOOKED,
    CHANGES,
    SIZES,
    STRANGE,
    check_any,
    fed,
    garbled,
    text,
    thought,
    tools_asked,
)

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import SeedText
from holdfast_bridge.providers.anthropic import AnthropicConfig, AnthropicMessages, status_failure


def codec(**changes: object) -> AnthropicMessages:
    given: dict[str, object] = {"model": "claude-haiku-5-5", "key": "sk-1"}
    return AnthropicMessages(AnthropicConfig(**{**given, **changes}))  # type: ignore[arg-type]


def asked(about: st.Thought, **changes: object) -> dict[str, Any]:
    return json.loads(codec(**changes).request(about, now=0.0).body)


def stream(*events: dict[str, object] | bytes) -> bytes:
    return b"".join(
        event if isinstance(event, bytes) else b"event: %s\ndata: %s\n\n" % (
            str(event["type"]).encode(), json.dumps(event).encode()
        )
        for event in events
    )  # fmt: skip


def start(**usage: object) -> dict[str, object]:
    counted = {"input_tokens": 9, "output_tokens": 1} | usage
    return {"type": "message_start", "message": {"id": "msg_1", "usage": counted}}


def begin(index: int, kind: str = "text", **block: object) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **block}}


def piece(index: int, kind: str = "text_delta", **delta: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def stop(index: int) -> dict[str, object]:
    return {"type": "content_block_stop", "index": index}


def over(reason: str, *, tokens: int = 5) -> list[dict[str, object]]:
    usage = {"output_tokens": tokens}
    return [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}, {"type": "message_stop"}]


def said(*events: dict[str, object] | bytes) -> list[st.ThinkingEvent]:
    return fed(codec().reply(), stream(*events))


BOOKING = (
    begin(1, "tool_use", id="toolu_1", name="book", input={}),
    piece(1, "input_json_delta", partial_json=""),
    piece(1, "input_json_delta", partial_json='{"wish":'),
    piece(1, "input_json_delta", partial_json='"Zoë"}'),
    stop(1),
)


def test_a_request_names_the_version_the_model_and_its_limit() -> None:
    request = codec(extra={"thinking": {"type": "disabled"}}).request(thought(), now=0.0)
    body = json.loads(request.body)
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers["x-api-key"] == "sk-1"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert body["model"] == "claude-haiku-5-5"
    assert body["max_tokens"] == 400
    assert body["stream"] is True
    assert body["system"] == "You are a receptionist."
    assert body["thinking"] == {"type": "disabled"}
    assert not {"temperature", "top_p", "top_k"} & set(body)


def test_a_marker_for_the_cache_goes_beside_our_own_fields() -> None:
    marked = asked(thought(), extra={"cache_control": {"type": "ephemeral"}, "tool_choice": {"type": "any"}})
    assert marked["cache_control"] == {"type": "ephemeral"}
    assert marked["tool_choice"] == {"type": "any"}
    assert marked["system"] == "You are a receptionist."


def test_a_gateway_gets_its_own_address_version_and_headers() -> None:
    request = codec(
        base_url="https://gw.example/{tenant}/anthropic", version="2023-06-01", key="",
        headers={"cf-aig-authorization": "Bearer t"}, placeholders={"tenant": "clinic"},
    ).request(thought(), now=0.0)  # fmt: skip
    assert request.url == "https://gw.example/clinic/anthropic/v1/messages"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "x-api-key" not in request.headers


def test_the_key_is_not_shown_when_the_configuration_is_printed() -> None:
    assert "sk-secret" not in repr(AnthropicConfig(model="m", key="sk-secret", headers={"x": "sk-secret"}))


def test_tools_are_declared_and_the_call_can_always_be_ended() -> None:
    first, last = asked(thought())["tools"]
    assert first == {"name": "book", "description": BOOK.description, "input_schema": BOOK.parameters}
    assert last["name"] == "end_call"
    assert last["input_schema"]["type"] == "object"


def test_a_conversation_with_a_tool_becomes_messages_in_turn() -> None:
    wish = {"wish": "a table for Zoë, 你好"}
    remark = "[Not said by the caller, but an instruction to you]\nGo on."
    assert asked(thought(*BOOKED, asked="Go on."))["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "(the call begins)"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
        {"role": "user", "content": [{"type": "text", "text": "my code is 4711"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "you said: my code is 4711"}]},
        {"role": "user", "content": [{"type": "text", "text": "book a table for Zoë, 你好"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call00001", "name": "book", "input": wish}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call00001", "content": '{"booking": "B1001"}'},
                {"type": "text", "text": remark},
            ],
        },
    ]


def test_the_last_message_is_never_the_assistants() -> None:
    last = asked(thought(SeedText("user", "hi"), SeedText("assistant", "yes")))["messages"][-1]
    assert last == {"role": "user", "content": [{"type": "text", "text": "(the caller waits for you to go on)"}]}


def test_without_instructions_there_is_no_system_prompt() -> None:
    assert "system" not in asked(st.Thought(instructions=" ", history=()))


def test_text_is_given_out_as_it_comes_and_the_end_with_its_tokens() -> None:
    events = said(
        start(cache_read_input_tokens=20, cache_creation_input_tokens=3), {"type": "ping"}, begin(0, text=""),
        piece(0, text="Grüß"), piece(0, text=" 你好"), stop(0), *over("end_turn", tokens=7),
    )  # fmt: skip
    assert events == [st.TextPiece("Grüß"), st.TextPiece(" 你好"), st.ReplyEnded(st.Ended.SAID, 32, 7)]


def test_what_the_model_thinks_is_not_said() -> None:
    events = said(
        start(), begin(0, "thinking", thinking="", signature=""), piece(0, "thinking_delta", thinking="hm"),
        piece(0, "signature_delta", signature="x"), stop(0), begin(1), piece(1, text="so"), stop(1), *over("end_turn"),
    )  # fmt: skip
    assert text(events) == "so"


def test_only_words_and_tools_are_pieces_of_an_answer() -> None:
    reply = codec().reply()
    list(reply.feed(stream(start(), {"type": "ping"}, begin(0, "thinking"), piece(0, "thinking_delta", thinking="hm"))))
    list(reply.feed(stream(piece(0, "signature_delta", signature="x"), stop(0), begin(1, text=""))))
    assert reply.pieces == 0
    list(reply.feed(stream(piece(1, text="so"))))
    assert reply.pieces == 1
    list(reply.feed(stream(*BOOKING)))
    assert reply.pieces == 4


def test_tools_are_asked_once_and_whole_when_the_reply_is_over() -> None:
    hang_up = begin(2, "tool_use", id="toolu_2", name="end_call", input={}), stop(2)
    events = said(start(), begin(0), piece(0, text="One moment."), stop(0), *BOOKING, *hang_up, *over("tool_use"))
    assert events == [
        st.TextPiece("One moment."), st.ToolAsked("toolu_1", "book", '{"wish":"Zoë"}'),
        st.ToolAsked("toolu_2", "end_call", "{}"), st.ReplyEnded(st.Ended.TOOLS, 9, 5),
    ]  # fmt: skip


def test_arguments_that_come_with_the_calls_beginning_are_kept() -> None:
    whole = begin(0, "tool_use", id="toolu_1", name="book", input={"wish": "Zoë"})
    assert tools_asked(said(start(), whole, stop(0), *over("tool_use"))) == [("book", {"wish": "Zoë"})]


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("end_turn", st.Ended.SAID), ("stop_sequence", st.Ended.SAID), ("pause_turn", st.Ended.SAID),
        ("max_tokens", st.Ended.TOO_LONG), ("model_context_window_exceeded", st.Ended.TOO_LONG),
        ("refusal", st.Ended.FILTERED), ("practice", st.Ended.SAID),
    ],
)  # fmt: skip
def test_how_a_reply_ended_is_told(reason: str, ended: st.Ended) -> None:
    assert said(start(), begin(0), piece(0, text="so"), stop(0), *over(reason))[-1] == st.ReplyEnded(ended, 9, 5)


def test_a_tool_whose_arguments_were_cut_short_is_not_asked() -> None:
    for cut in (BOOKING[:1], BOOKING[:3]):
        told = said(start(), begin(0), piece(0, text="so"), *cut, stop(1), *over("max_tokens"))
        assert told == [st.TextPiece("so"), st.ReplyEnded(st.Ended.TOO_LONG, 9, 5)]


def test_a_reply_without_a_word_is_a_failure_unless_the_model_had_nothing_to_say() -> None:
    thinking = begin(0, "thinking"), piece(0, "thinking_delta", thinking="hm"), stop(0)
    assert said(start(), *thinking, *over("max_tokens")) == [st.StageLost("empty")]
    assert said(start(), *over("refusal")) == [st.StageLost("content_filter", retry_same=False)]
    assert said(start(), *over("end_turn")) == [st.ReplyEnded(st.Ended.SAID, 9, 5)]


def test_a_stream_that_ends_early_asks_no_tool_and_is_a_failure() -> None:
    assert said(start(), begin(0), piece(0, text="so"), *BOOKING) == [st.TextPiece("so"), st.StageLost("cut")]
    assert said() == [st.StageLost("cut")]
    assert said(start(), {"type": "message_stop"}) == [st.StageLost("cut")]
    assert said(start(), begin(0), piece(0, text="so"), stop(0), over("end_turn")[0])[-1] == st.ReplyEnded(
        st.Ended.SAID, 9, 5
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, st.StageLost("server")),
        ({"type": "api_error", "message": ""}, st.StageLost("server")),
        ({"type": "timeout_error", "message": ""}, st.StageLost("server")),
        ({"type": "practice_error"}, st.StageLost("server")),
        ({"type": "rate_limit_error", "message": ""}, st.StageLost("rate", retry_same=False)),
        ({"type": "authentication_error", "message": ""}, st.StageLost("auth", retry_same=False)),
        ({"type": "billing_error", "message": ""}, st.StageLost("quota", retry_same=False)),
        ({"type": "invalid_request_error", "message": "no"}, st.StageLost("config", retry_same=False)),
        (
            {"type": "invalid_request_error", "message": "Your credit balance is too low"},
            st.StageLost("quota", retry_same=False),
        ),
        (
            {"type": "rate_limit_error", "message": "", "details": {"error_code": "enforced_spend_limit_reached"}},
            st.StageLost("quota", retry_same=False),
        ),
        (
            {"type": "invalid_request_error", "message": "prompt is too long: 209303 tokens > 200000 maximum"},
            st.StageLost("context_length_exceeded", retry_same=False),
        ),
        ({"type": 7, "message": None}, st.StageLost("cut")),
    ],
)
def test_an_error_in_the_stream_loses_the_stage_with_a_word_for_it(
    error: dict[str, object], expected: st.StageLost
) -> None:
    assert said(start(), begin(0), piece(0, text="so"), {"type": "error", "error": error}) == [
        st.TextPiece("so"), expected
    ]  # fmt: skip


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    bad = b'data: {"type"\n\n'
    assert text(said(*[bad] * 2, begin(0), piece(0, text="so"), *over("end_turn"))) == "so"
    assert said(*[bad] * 3, begin(0), piece(0, text="so"), *over("end_turn")) == [st.StageLost("unreadable")]


def test_an_endless_event_loses_the_stage() -> None:
    assert list(codec().reply().feed(b"data: " + b"x" * 300_000)) == [st.StageLost("unreadable")]


def test_what_is_not_known_is_let_pass_and_nothing_is_said_after_the_end() -> None:
    unknown: dict[str, object] = {"type": "practice_unheard_of"}
    citing = piece(0, "citations_delta", citation={"a": 1})
    events = said(start(), unknown, begin(0), citing, piece(0, text="so"), *over("end_turn"), *over("refusal"))
    assert text(events) == "so"


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (401, {}, b"", st.StageLost("auth", retry_same=False)),
        (400, {}, b'{"error":{"message":"Your credit balance is too low"}}', st.StageLost("quota", retry_same=False)),
        (402, {}, b"", st.StageLost("quota", retry_same=False)),
        (404, {}, b"", st.StageLost("config", retry_same=False)),
        (429, {"retry-after": "12"}, b"", st.StageLost("rate", retry_same=False, retry_after_s=12.0)),
        (429, {}, b'{"error":{"details":{"error_code":"enforced_spend_limit_reached"}}}', st.StageLost("quota", False)),
        (504, {}, b"", st.StageLost("server")),
        (529, {}, b"", st.StageLost("server")),
    ],
)
def test_a_status_says_why_the_request_was_refused(
    status: int, headers: dict[str, str], body: bytes, expected: st.StageLost
) -> None:
    assert status_failure(status, headers, body) == expected
    assert codec().status_failure(status, headers, body) == expected


@settings(max_examples=60, deadline=None)
@given(changes=CHANGES, strange=some.lists(STRANGE, max_size=4), sizes=SIZES)
def test_whatever_comes_is_one_answer_and_one_end(changes: Any, strange: list[object], sizes: list[int]) -> None:
    whole = stream(start(), begin(0), piece(0, text="Einen Moment, Zoë 你好."), stop(0), *BOOKING, *over("tool_use"))
    odd = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in strange)
    check_any(codec().reply(), garbled(whole, changes), sizes)
    check_any(codec().reply(), odd + whole, sizes)
