"""Chat completions both ways: what is asked, and what the pieces of an answer say."""

from __future__ import annotations

import itertools
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
from holdfast_bridge.providers.openai_chat import OpenAIChat, OpenAIChatConfig, status_failure


def codec(**changes: object) -> OpenAIChat:
    given: dict[str, object] = {"base_url": "https://api.openai.com/v1", "model": "gpt-5.4-mini", "key": "sk-1"}
    return OpenAIChat(OpenAIChatConfig(**{**given, **changes}))  # type: ignore[arg-type]


def asked(about: st.Thought, **changes: object) -> dict[str, Any]:
    return json.loads(codec(**changes).request(about, now=0.0).body)


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def piece(index: int, arguments: str, call: str | None = None, name: str | None = None) -> dict[str, object]:
    return {"index": index, "id": call, "function": {"name": name, "arguments": arguments}}


def stream(*events: object, done: bool = True) -> bytes:
    data = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return b"".join(b"data: " + one + b"\n\n" for one in [*data, *([b"[DONE]"] if done else [])])


def said(*events: object, done: bool = True) -> list[st.ThinkingEvent]:
    return fed(codec().reply(), stream(*events, done=done))


# --- the request


def test_a_request_names_the_model_its_limit_and_wants_a_stream() -> None:
    request = codec(no_store=True, extra={"reasoning_effort": "none"}).request(thought(), now=0.0)
    body = json.loads(request.body)
    assert request.url == "https://api.openai.com/v1/chat/completions"
    assert request.headers == {
        "content-type": "application/json", "accept": "text/event-stream", "authorization": "Bearer sk-1"
    }  # fmt: skip
    assert body["model"] == "gpt-5.4-mini"
    assert body["max_completion_tokens"] == 400
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["store"] is False
    assert body["reasoning_effort"] == "none"


def test_what_is_extra_goes_before_our_own_and_leaves_the_rest_of_it() -> None:
    extra = {"stream_options": {"include_obfuscation": False}, "prompt_cache_key": "front", "model": "other"}
    body = asked(thought(), extra=extra)
    assert body["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert body["prompt_cache_key"] == "front"
    assert body["model"] == "other"


def test_the_key_is_not_shown_when_the_configuration_or_a_request_is_printed() -> None:
    config = OpenAIChatConfig(base_url="https://x", model="m", key="sk-secret", headers={"x": "sk-secret"})
    assert "sk-secret" not in repr(config)
    assert "sk-secret" not in repr(OpenAIChat(config).request(thought(), now=0.0))


def test_azure_takes_the_key_in_a_header_of_its_own_and_its_version_in_the_query() -> None:
    azure = codec(
        base_url="https://x.openai.azure.com/openai/deployments/d/?a=1", key_header="api-key",
        query={"api-version": "2026-06-01"},
    ).request(thought(), now=0.0)  # fmt: skip
    assert azure.url == (
        "https://x.openai.azure.com/openai/deployments/d/chat/completions?a=1&api-version=2026-06-01"
    )
    assert azure.headers["api-key"] == "sk-1"
    assert "authorization" not in azure.headers


def test_older_servers_get_the_fields_they_know() -> None:
    body = asked(thought(), tokens_field="max_tokens", usage=False)
    assert body["max_tokens"] == 400
    assert not {"max_completion_tokens", "stream_options", "store"} & set(body)


def test_tools_are_declared_and_the_call_can_always_be_ended() -> None:
    first, last = asked(thought())["tools"]
    assert first == {
        "type": "function",
        "function": {"name": "book", "description": BOOK.description, "parameters": BOOK.parameters},
    }
    assert last["function"]["name"] == "end_call"


def test_a_conversation_with_a_tool_becomes_messages_that_belong_together() -> None:
    booked = {"name": "book", "arguments": '{"wish": "a table for Zoë, 你好"}'}
    assert asked(thought(*BOOKED, asked="Go on."))["messages"] == [
        {"role": "system", "content": "You are a receptionist."},
        {"role": "user", "content": "(the call begins)"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "my code is 4711"},
        {"role": "assistant", "content": "you said: my code is 4711"},
        {"role": "user", "content": "book a table for Zoë, 你好"},
        {
            "role": "assistant", "content": None,
            "tool_calls": [{"id": "call00001", "type": "function", "function": booked}],
        },
        {"role": "tool", "tool_call_id": "call00001", "content": '{"booking": "B1001"}'},
        {"role": "system", "content": "Go on."},
    ]  # fmt: skip


def test_instructions_may_be_a_developers_and_notes_a_users() -> None:
    developer = asked(thought(asked="Hi."), instructions_role="developer", notes_role="developer")["messages"]
    roles = [message["role"] for message in developer]
    assert roles == ["developer", "user", "developer"]
    strict = asked(thought(SeedText("user", "hi"), asked="Go on."), notes_role="user")["messages"]
    assert strict == [
        {"role": "system", "content": "You are a receptionist."},
        {"role": "user", "content": "hi\n[Not said by the caller, but an instruction to you]\nGo on."},
    ]


def test_gateways_are_told_of_the_call_wherever_its_names_are_put() -> None:
    request = codec(
        base_url="https://gw.example/v1/{tenant}/{region}/compat",
        headers={"CF-AIG-Metadata": '{"agent":"{agent}","call":"{call}"}', "Authorization": "Bearer gw"},
        query={"who": "{tenant}/{agent}", "left": "{other}"},
        placeholders={"tenant": "zoë & co", "agent": "front\r\nX: 1", "region": "eu/1"},
    ).request(thought(), now=0.0)
    assert request.url == (
        "https://gw.example/v1/zo%C3%AB%20%26%20co/eu%2F1/compat/chat/completions"
        "?who=zo%C3%AB%20%26%20co%2Ffront%0D%0AX%3A%201&left=%7Bother%7D"
    )
    assert request.headers["cf-aig-metadata"] == '{"agent":"front%0D%0AX: 1","call":"{call}"}'
    assert request.headers["authorization"] == "Bearer gw"


# --- the answer


def test_text_is_given_out_as_it_comes_and_the_end_with_its_tokens() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": 7}}
    assert said(
        chunk(role="assistant", content=""), chunk(content="Grüß"), chunk(content=" 你好"), chunk("stop"), usage
    ) == [st.TextPiece("Grüß"), st.TextPiece(" 你好"), st.ReplyEnded(st.Ended.SAID, 31, 7)]


def test_a_refusal_of_the_models_is_spoken() -> None:
    assert text(said(chunk(refusal="I cannot do that."), chunk("stop"))) == "I cannot do that."


def test_what_the_model_thinks_is_not_said() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so"}]
    beside = chunk(content="", reasoning="hm", reasoning_content="hm")
    assert text(said(beside, chunk(content=parts), chunk(content=" be it"), chunk("stop"))) == "so be it"


def test_only_words_and_tools_are_pieces_of_an_answer() -> None:
    reply = codec().reply()
    list(reply.feed(b": PROCESSING\n\n" + stream(chunk(role="assistant", content=""), done=False)))
    list(reply.feed(stream(chunk(reasoning="hm"), {"choices": []}, b"7", done=False)))
    assert reply.pieces == 0
    list(reply.feed(stream(chunk(content="so"), done=False)))
    assert reply.pieces == 1
    list(reply.feed(stream(chunk(tool_calls=[piece(0, "", "call_1", "book")]), done=False)))
    list(reply.feed(stream(chunk(tool_calls=[piece(0, "{")]), chunk(tool_calls=[piece(0, "")]), done=False)))
    assert reply.pieces == 3


def test_tools_are_asked_once_and_whole_when_the_reply_is_over() -> None:
    events = said(
        chunk(content="One moment."), chunk(tool_calls=[piece(0, "", "call_1", "book")]),
        chunk(tool_calls=[piece(0, '{"wish":')]), chunk(tool_calls=[piece(1, "", "call_2", "end_call")]),
        chunk(tool_calls=[piece(0, '"Zoë"}')]), chunk("tool_calls"),
    )  # fmt: skip
    assert events == [
        st.TextPiece("One moment."), st.ToolAsked("call_1", "book", '{"wish":"Zoë"}'),
        st.ToolAsked("call_2", "end_call", "{}"), st.ReplyEnded(st.Ended.TOOLS),
    ]  # fmt: skip


def test_a_server_that_does_not_count_its_calls_or_says_stop_is_understood() -> None:
    events = said(
        chunk(tool_calls=[{"id": "a", "function": {"name": "book", "arguments": '{"wish":"1"}'}}]),
        chunk(tool_calls=[{"id": "b", "function": {"name": "book", "arguments": '{"wish":"2"}'}}]), chunk("stop"),
    )  # fmt: skip
    assert tools_asked(events) == [("book", {"wish": "1"}), ("book", {"wish": "2"})]
    assert events[-1] == st.ReplyEnded(st.Ended.TOOLS)


def test_a_name_may_come_late_or_again() -> None:
    events = said(
        chunk(tool_calls=[piece(0, "", "call_1")]), chunk(tool_calls=[piece(0, "{", name="book")]),
        chunk(tool_calls=[piece(0, "}", "call_1", "book")]), chunk("tool_calls"),
    )  # fmt: skip
    assert events == [st.ToolAsked("call_1", "book", "{}"), st.ReplyEnded(st.Ended.TOOLS)]


def test_an_id_of_each_piece_makes_no_other_call() -> None:
    pieces = [piece(0, "", "id-1", "book"), piece(0, "{", "id-2"), piece(0, "}", "id-3")]
    events = said(*(chunk(tool_calls=[one]) for one in pieces), chunk("tool_calls"))
    assert events == [st.ToolAsked("id-1", "book", "{}"), st.ReplyEnded(st.Ended.TOOLS)]


def test_an_id_that_a_model_uses_again_or_leaves_out_is_replaced() -> None:
    one = codec()
    reply = stream(chunk(tool_calls=[piece(0, "{}", "book:0", "book")]), chunk("tool_calls"))
    without = stream(chunk(tool_calls=[piece(0, "{}", None, "book")]), chunk("tool_calls"))
    strange = stream(chunk(tool_calls=[piece(0, "{}", "x" * 65, "book")]), chunk("tool_calls"))
    ours = stream(chunk(tool_calls=[piece(0, "{}", "holdfast-6", "book")]), chunk("tool_calls"))
    replies = (reply, reply, without, strange, ours, reply)
    ids = [event.id for one_reply in replies for event in fed(one.reply(), one_reply)[:1]]
    assert ids == ["book:0", *(f"holdfast-{number}" for number in range(2, 7))]


@pytest.mark.parametrize(
    ("finish", "ended"),
    [
        ("length", st.Ended.TOO_LONG), ("model_length", st.Ended.TOO_LONG), ("content_filter", st.Ended.FILTERED),
        ("stop", st.Ended.SAID), ("eos", st.Ended.SAID),
    ],
)
def test_how_a_reply_ended_is_told(finish: str, ended: st.Ended) -> None:
    assert said(chunk(content="so"), chunk(finish))[-1] == st.ReplyEnded(ended)


def test_a_tool_whose_arguments_were_cut_short_is_not_asked() -> None:
    events = said(
        chunk(tool_calls=[piece(0, '{"wish":"a"}', "c", "book")]), chunk(tool_calls=[piece(1, "", "d", "book")]),
        chunk("length"),
    )  # fmt: skip
    assert events == [st.ToolAsked("c", "book", '{"wish":"a"}'), st.ReplyEnded(st.Ended.TOO_LONG)]


def test_a_filtered_reply_does_nothing_and_one_without_a_word_is_a_failure() -> None:
    filtered = chunk(tool_calls=[piece(0, "{}", "c", "book")]), chunk("content_filter")
    assert said(chunk(content="so"), *filtered) == [st.TextPiece("so"), st.ReplyEnded(st.Ended.FILTERED)]
    assert said(*filtered) == [st.StageLost("content_filter", retry_same=False)]


def test_a_model_that_thought_until_the_limit_has_not_answered() -> None:
    assert said(chunk(reasoning="hm"), chunk("length")) == [st.StageLost("empty")]
    assert said(chunk("stop")) == [st.ReplyEnded(st.Ended.SAID)]


def test_arguments_over_the_limit_are_not_given_out_and_the_reply_says_that_it_was_too_long() -> None:
    large = json.dumps({"wish": "x" * 16_384})
    assert said(chunk(content="so"), chunk(tool_calls=[piece(0, large, "c", "book")]), chunk("tool_calls")) == [
        st.TextPiece("so"), st.ReplyEnded(st.Ended.TOO_LONG)
    ]  # fmt: skip
    whole = json.dumps({"wish": "x" * 16_000})
    assert tools_asked(said(chunk(tool_calls=[piece(0, whole, "c", "book")]), chunk("tool_calls"))) == [
        ("book", {"wish": "x" * 16_000})
    ]


def test_more_calls_than_anybody_needs_are_not_given_out() -> None:
    many = [chunk(tool_calls=[piece(index, "{}", f"c{index}", "book")]) for index in range(40)]
    assert len(tools_asked(said(*many, chunk("tool_calls")))) == 16


def test_a_stream_that_ends_early_is_a_failure_and_one_without_its_last_word_is_not() -> None:
    assert said(chunk(content="so"), done=False) == [st.TextPiece("so"), st.StageLost("cut")]
    assert said(done=False) == [st.StageLost("cut")]
    assert said() == [st.StageLost("cut")]
    assert said(chunk(content="so"), chunk("stop"), done=False) == [
        st.TextPiece("so"), st.ReplyEnded(st.Ended.SAID)
    ]  # fmt: skip


def test_nothing_is_said_after_the_end() -> None:
    reply = codec().reply()
    assert list(reply.feed(stream(chunk("stop")) + stream(chunk(content="more"))))[1:] == []
    assert list(reply.feed(stream(chunk(content="more")))) == []
    assert list(reply.end()) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "server_error", "code": None, "message": ""}, st.StageLost("server")),
        ({"type": "server_error", "code": "whatever they say", "message": ""}, st.StageLost("server")),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, st.StageLost("rate", retry_same=False)),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, st.StageLost("quota", retry_same=False)),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, st.StageLost("auth", retry_same=False)),
        ({"type": "invalid_request_error", "code": "invalid_value"}, st.StageLost("config", retry_same=False)),
        ({"type": "invalid_request_error", "code": "tool_use_failed"}, st.StageLost("tool_use_failed")),
        ({"type": "invalid_request_error", "code": "content_filter"}, st.StageLost("content_filter", retry_same=False)),
        ({"type": "InternalServerError", "code": 500, "message": "boom"}, st.StageLost("server")),
        ({"type": "BadRequestError", "code": 400}, st.StageLost("config", retry_same=False)),
        ({"message": "upstream is busy", "code": "429"}, st.StageLost("rate", retry_same=False)),
        ({"type": "overloaded", "message": "busy"}, st.StageLost("server")),
        ({"type": "authentication_error"}, st.StageLost("auth", retry_same=False)),
        ({"code": "context_length_exceeded"}, st.StageLost("context_length_exceeded", retry_same=False)),
        ({"code": -7}, st.StageLost("server")),
        ("the engine died", st.StageLost("server")),
    ],
)
def test_an_error_in_the_stream_loses_the_stage_with_a_word_for_it(error: object, expected: st.StageLost) -> None:
    assert said(chunk(content="so"), {"error": error}) == [st.TextPiece("so"), expected]


def test_errors_of_other_shapes_are_understood_too() -> None:
    old = {"object": "error", "message": "no", "type": "NotFoundError", "code": 404}
    assert said(old) == [st.StageLost("config", retry_same=False)]
    for failed in ("error", "insufficient_system_resource"):
        assert said(chunk(failed, content="so")) == [st.TextPiece("so"), st.StageLost("server")]


def test_some_garbage_is_dropped_and_much_of_it_loses_the_stage() -> None:
    for bad in itertools.permutations([b"{", b"\xff", b"7", b'{"choices":7}', b"null", b"[]"], 2):
        assert text(said(*bad, chunk(content="so"), chunk("stop"))) == "so"
        assert said(*bad, b"[]", chunk(content="so")) == [st.StageLost("unreadable")]


def test_an_endless_event_loses_the_stage() -> None:
    reply = codec().reply()
    assert list(reply.feed(b"data: " + b"x" * 300_000)) == [st.StageLost("unreadable")]
    assert list(reply.feed(b"x")) == []


def test_an_endless_answer_is_ended() -> None:
    told = said(*[chunk(content="x" * 1_000)] * 40, chunk("stop"))
    assert told == [st.TextPiece("x" * 1_000)] * 32 + [st.ReplyEnded(st.Ended.TOO_LONG)]


def test_what_is_not_known_is_let_pass() -> None:
    gateway = b'{"practice":1}', {"choices": [], "prompt_filter_results": []}, {"choices": [{"index": 0}]}
    assert text(said(*gateway, chunk(content="so", reasoning="hm"), chunk("stop"))) == "so"


# --- refusals


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (401, {}, b"", st.StageLost("auth", retry_same=False)),
        (404, {}, b'{"error":{"code":"model_not_found"}}', st.StageLost("config", retry_same=False)),
        (429, {"Retry-After": "7"}, b"", st.StageLost("rate", retry_same=False, retry_after_s=7.0)),
        (429, {}, b'{"error":{"code":"insufficient_quota"}}', st.StageLost("quota", retry_same=False)),
        (498, {"retry-after": "2"}, b"", st.StageLost("rate", retry_same=False, retry_after_s=2.0)),
        (400, {}, b'{"error":{"code":"content_filter"}}', st.StageLost("content_filter", retry_same=False)),
        (400, {}, b'{"error":"bad"}', st.StageLost("config", retry_same=False)),
        (400, {}, b'{"error":{"code":"tool_use_failed"}}', st.StageLost("tool_use_failed")),
        (
            413, {}, b'{"error":{"type":"tokens","code":"rate_limit_exceeded","message":"Request too large"}}',
            st.StageLost("rate", retry_same=False),
        ),
        (
            400, {}, b'{"object":"error","message":"This model\'s maximum context length is 8192 tokens."}',
            st.StageLost("context_length_exceeded", retry_same=False),
        ),
        (408, {}, b"<html>", st.StageLost("timeout")),
        (503, {}, b"\xff", st.StageLost("server")),
    ],
)
def test_a_status_says_why_the_request_was_refused(
    status: int, headers: dict[str, str], body: bytes, expected: st.StageLost
) -> None:
    assert status_failure(status, headers, body) == expected
    assert codec().status_failure(status, headers, body) == expected


BOOKING = stream(
    chunk(role="assistant", content=""), chunk(content="Einen Moment, Zoë 你好."),
    chunk(tool_calls=[piece(0, "", "call_1", "book")]), chunk(tool_calls=[piece(0, '{"wish":"Zoë"}')]),
    chunk("tool_calls"), {"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": 7}},
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(changes=CHANGES, strange=some.lists(STRANGE, max_size=4), sizes=SIZES)
def test_whatever_comes_is_one_answer_and_one_end(changes: Any, strange: list[object], sizes: list[int]) -> None:
    check_any(codec().reply(), garbled(BOOKING, changes), sizes)
    check_any(codec().reply(), stream(*strange, done=False) + BOOKING, sizes)
