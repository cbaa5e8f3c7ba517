"""Bedrock's ConverseStream both ways: what is asked and signed, and what the frames of an answer say."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from world_thinking import BOOK, BOOKED, CHANGES, SIZES, STRANGE, check_any, fed, garbled, text, thought

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import SeedText
from holdfast_bridge.providers.bedrock import BedrockConfig, BedrockConverse, status_failure

NOW = 1_794_000_000.0


def codec(**changes: object) -> BedrockConverse:
    given: dict[str, object] = {
        "region": "eu-central-1", "model": "eu.amazon.nova-2-lite-v1:0", "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "secret",
    }  # fmt: skip
    return BedrockConverse(BedrockConfig(**{**given, **changes}))  # type: ignore[arg-type]


def asked(about: st.Thought, **changes: object) -> dict[str, Any]:
    return json.loads(codec(**changes).request(about, now=NOW).body)


def frame(payload: dict[str, object] | bytes, **headers: str) -> bytes:
    """`event="x"` is the header `:event-type`, and so on."""
    named = {":" + name.replace("_", "-"): value for name, value in headers.items()}
    said = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in named.items()
    )
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(said) + len(body), len(said))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + said + body
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, **payload: object) -> bytes:
    return frame({**payload, "p": "abc"}, message_type="event", event_type=kind)


def piece(index: int = 0, **delta: object) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def call(index: int, name: str, *pieces: str) -> bytes:
    begin = {"toolUse": {"toolUseId": f"tooluse_{index}", "name": name}}
    given = b"".join(piece(index, toolUse={"input": one}) for one in pieces)
    start = event("contentBlockStart", contentBlockIndex=index, start=begin)
    return start + given + event("contentBlockStop", contentBlockIndex=index)


def over(reason: str) -> bytes:
    usage = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14, "cacheReadInputTokens": 2}
    return event("messageStop", stopReason=reason) + event("metadata", usage=usage, metrics={"latencyMs": 7})


def said(*frames: bytes) -> list[st.ThinkingEvent]:
    return fed(codec().reply(), b"".join(frames), size=11)


def test_a_request_goes_to_the_regions_endpoint_with_the_models_name_in_the_path() -> None:
    extra = {"performanceConfig": {"latency": "optimized"}, "inferenceConfig": {"temperature": 0.2}}
    request = codec(extra=extra).request(thought(), now=NOW)
    body = json.loads(request.body)
    assert request.url == (
        "https://bedrock-runtime.eu-central-1.amazonaws.com/model/eu.amazon.nova-2-lite-v1:0/converse-stream"
    )
    assert request.headers["accept"] == "application/vnd.amazon.eventstream"
    assert request.headers["x-amz-date"] == "20261106T212000Z"
    assert body["inferenceConfig"] == {"maxTokens": 400, "temperature": 0.2}
    assert body["system"] == [{"text": "You are a receptionist."}]
    assert body["performanceConfig"] == {"latency": "optimized"}


def test_an_arn_stays_one_part_of_the_path_and_a_gateway_may_stand_before() -> None:
    arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0"
    request = codec(
        model=arn, base_url="https://gw.example/{tenant}", headers={"x-team": "{tenant}"},
        placeholders={"tenant": "clinic"},
    ).request(thought(), now=NOW)  # fmt: skip
    assert request.url == (
        "https://gw.example/clinic/model/arn:aws:bedrock:eu-central-1:123456789012:"
        "inference-profile%2Feu.x-v1:0/converse-stream"
    )
    assert request.headers["x-team"] == "clinic"


def test_a_request_is_signed_for_the_region_with_the_token_of_temporary_credentials() -> None:
    plain = codec().request(thought(), now=NOW).headers
    scope = "AKIDEXAMPLE/20261106/eu-central-1/bedrock/aws4_request"
    assert plain["authorization"].startswith(
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host;x-amz-date, Signature="
    )
    temporary = codec(session_token="token").request(thought(), now=NOW).headers
    assert temporary["x-amz-security-token"] == "token"
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token," in temporary["authorization"]


def test_the_credentials_are_not_shown_when_the_configuration_is_printed() -> None:
    secrets = {"secret_access_key": "hidden-1", "session_token": "hidden-2"}
    config = BedrockConfig(region="r", model="m", access_key_id="A", **secrets)
    assert "hidden" not in repr(config)


def test_tools_are_declared_and_the_call_can_always_be_ended() -> None:
    first, last = asked(thought())["toolConfig"]["tools"]
    schema = {"json": BOOK.parameters}
    assert first == {"toolSpec": {"name": "book", "description": BOOK.description, "inputSchema": schema}}
    assert last["toolSpec"]["name"] == "end_call"
    bare = st.Tool("book", "", {"type": "object"})
    assert asked(thought(tools=(bare,)))["toolConfig"]["tools"][0] == {
        "toolSpec": {"name": "book", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    }


def test_tools_and_instructions_can_be_marked_to_be_cached() -> None:
    point = {"cachePoint": {"type": "default"}}
    body = asked(thought(), cache=True)
    assert body["system"] == [{"text": "You are a receptionist."}, point]
    assert [next(iter(tool)) for tool in body["toolConfig"]["tools"]] == ["toolSpec", "toolSpec", "cachePoint"]
    assert "system" not in asked(st.Thought(instructions="", history=()), cache=True)


def test_a_conversation_with_a_tool_becomes_messages_in_turn() -> None:
    use = {"toolUseId": "call00001", "name": "book", "input": {"wish": "a table for Zoë, 你好"}}
    result = {"toolUseId": "call00001", "content": [{"text": '{"booking": "B1001"}'}]}
    remark = {"text": "[Not said by the caller, but an instruction to you]\nGo on."}
    assert asked(thought(*BOOKED, asked="Go on."))["messages"] == [
        {"role": "user", "content": [{"text": "(the call begins)"}]},
        {"role": "assistant", "content": [{"text": "hello"}]},
        {"role": "user", "content": [{"text": "my code is 4711"}]},
        {"role": "assistant", "content": [{"text": "you said: my code is 4711"}]},
        {"role": "user", "content": [{"text": "book a table for Zoë, 你好"}]},
        {"role": "assistant", "content": [{"toolUse": use}]},
        {"role": "user", "content": [{"toolResult": result}, remark]},
    ]


def test_words_and_tools_can_be_kept_apart_for_models_that_want_it() -> None:
    messages = asked(thought(*BOOKED, asked="Go on."), tools_apart=True)["messages"]
    kinds = [(one["role"], [next(iter(block)) for block in one["content"]]) for one in messages]
    assert kinds[-4:] == [
        ("assistant", ["toolUse"]), ("user", ["toolResult"]), ("assistant", ["text"]), ("user", ["text"])
    ]  # fmt: skip


def test_the_last_message_is_never_the_assistants() -> None:
    last = asked(thought(SeedText("user", "hi"), SeedText("assistant", "yes")))["messages"][-1]
    assert last["role"] == "user"


def test_text_is_given_out_as_it_comes_and_the_end_with_its_tokens() -> None:
    begin = event("messageStart", role="assistant")
    assert said(begin, piece(text="Grüß"), piece(text=" 你好"), event("contentBlockStop"), over("end_turn")) == [
        st.TextPiece("Grüß"), st.TextPiece(" 你好"), st.ReplyEnded(st.Ended.SAID, 11, 5)
    ]  # fmt: skip


def test_what_the_model_reasons_is_not_said() -> None:
    assert text(said(piece(reasoningContent={"text": "hm"}), piece(text="so"), over("end_turn"))) == "so"


def test_only_words_and_tools_are_pieces_of_an_answer() -> None:
    reply = codec().reply()
    list(reply.feed(event("messageStart", role="assistant") + piece(reasoningContent={"text": "hm"})))
    assert reply.pieces == 0
    list(reply.feed(piece(text="so") + call(1, "book", '{"wish":', '"Zoë"}')))
    assert reply.pieces == 4


def test_tools_are_asked_once_and_whole_when_the_reply_is_over() -> None:
    booking, hang_up = call(1, "book", '{"wish":', '"Zoë"}'), call(2, "end_call")
    assert said(piece(text="One moment."), booking, hang_up, over("tool_use")) == [
        st.TextPiece("One moment."), st.ToolAsked("tooluse_1", "book", '{"wish":"Zoë"}'),
        st.ToolAsked("tooluse_2", "end_call", "{}"), st.ReplyEnded(st.Ended.TOOLS, 11, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("end_turn", st.Ended.SAID), ("stop_sequence", st.Ended.SAID), ("max_tokens", st.Ended.TOO_LONG),
        ("model_context_window_exceeded", st.Ended.TOO_LONG), ("content_filtered", st.Ended.FILTERED),
        ("guardrail_intervened", st.Ended.FILTERED), ("practice", st.Ended.SAID),
    ],
)  # fmt: skip
def test_how_a_reply_ended_is_told(reason: str, ended: st.Ended) -> None:
    assert said(piece(text="so"), over(reason))[-1] == st.ReplyEnded(ended, 11, 5)


def test_a_tool_whose_arguments_were_cut_short_is_not_asked() -> None:
    assert said(piece(text="so"), call(1, "book", '{"wish":'), over("max_tokens")) == [
        st.TextPiece("so"), st.ReplyEnded(st.Ended.TOO_LONG, 11, 5)
    ]  # fmt: skip


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_what_the_model_garbled_is_a_failure(reason: str) -> None:
    told = said(piece(text="so"), call(1, "book", "{}"), over(reason))
    assert told == [st.TextPiece("so"), st.StageLost("server")]


def test_a_reply_without_a_word_is_a_failure() -> None:
    assert said(piece(reasoningContent={"text": "hm"}), over("max_tokens")) == [st.StageLost("empty")]
    assert said(over("content_filtered")) == [st.StageLost("content_filter", retry_same=False)]


def test_a_stream_that_ends_early_asks_no_tool_and_is_a_failure_and_one_without_its_count_is_not() -> None:
    assert said(piece(text="so"), call(1, "book", "{}")) == [st.TextPiece("so"), st.StageLost("cut")]
    assert said() == [st.StageLost("cut")]
    assert said(piece(text="so"), event("messageStop", stopReason="end_turn")) == [
        st.TextPiece("so"), st.ReplyEnded(st.Ended.SAID)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        ("throttlingException", st.StageLost("rate", retry_same=False)),
        ("validationException", st.StageLost("config", retry_same=False)),
        ("internalServerException", st.StageLost("server")),
        ("serviceUnavailableException", st.StageLost("server")),
        ("modelStreamErrorException", st.StageLost("server")),
        ("modelTimeoutException", st.StageLost("timeout")),
        ("practiceException", st.StageLost("server")),
    ],
)
def test_an_exception_in_the_stream_loses_the_stage_with_a_word_for_it(
    exception: str, expected: st.StageLost
) -> None:
    thrown = frame({"message": "no"}, message_type="exception", exception_type=exception)
    assert said(piece(text="so"), thrown, piece(text="more")) == [st.TextPiece("so"), expected]


def test_an_exception_is_understood_by_its_name_alone_or_by_what_it_says() -> None:
    bare = frame(b"", message_type="exception", exception_type="throttlingException")
    assert said(bare) == [st.StageLost("rate", retry_same=False)]
    long = {"message": "Input is too long for requested model."}
    thrown = frame(long, message_type="exception", exception_type="validationException")
    assert said(thrown) == [st.StageLost("context_length_exceeded", retry_same=False)]


def test_an_error_of_the_stream_itself_loses_the_stage() -> None:
    error = frame(b"", message_type="error", error_code="InternalFailure", error_message="no")
    assert said(error) == [st.StageLost("server")]


def test_some_frames_that_cannot_be_read_are_dropped_and_many_lose_the_stage() -> None:
    wrong = piece(text="wrong")[:-1] + b"\x00"
    bad = [wrong, frame(b"{", message_type="event", event_type="contentBlockDelta")]
    assert text(said(*bad, piece(text="so"), over("end_turn"))) == "so"
    assert said(*bad, wrong, piece(text="so")) == [st.StageLost("unreadable")]


def test_a_frame_whose_beginning_is_wrong_loses_the_stage_at_once() -> None:
    assert said(piece(text="so"), b"HTTP/1.1 200 OK", piece(text="more")) == [
        st.TextPiece("so"), st.StageLost("unreadable")
    ]  # fmt: skip


def test_what_is_not_known_is_let_pass_and_nothing_is_said_after_the_end() -> None:
    unknown = event("practiceUnheardOf", practice=[1]) + frame({}, message_type="practice")
    assert text(said(unknown, piece(text="so"), over("end_turn"), piece(text="more"), over("end_turn"))) == "so"


@pytest.mark.parametrize(
    ("status", "name", "expected"),
    [
        (403, "UnrecognizedClientException", st.StageLost("auth", retry_same=False)),
        (403, "InvalidSignatureException:http://internal.amazon.com/", st.StageLost("auth", retry_same=False)),
        (400, "ExpiredTokenException", st.StageLost("auth", retry_same=False)),
        (400, "ValidationException", st.StageLost("config", retry_same=False)),
        (400, "ServiceQuotaExceededException", st.StageLost("quota", retry_same=False)),
        (404, "ResourceNotFoundException", st.StageLost("config", retry_same=False)),
        (408, "ModelTimeoutException", st.StageLost("timeout")),
        (424, "ModelErrorException", st.StageLost("server")),
        (429, "ThrottlingException", st.StageLost("rate", retry_same=False)),
        (429, "ModelNotReadyException", st.StageLost("server")),
        (500, "", st.StageLost("server")),
    ],
)
def test_a_status_and_the_exceptions_name_say_why_the_request_was_refused(
    status: int, name: str, expected: st.StageLost
) -> None:
    headers = {"x-amzn-ErrorType": name} if name else {}
    assert status_failure(status, headers, b'{"message":"no"}') == expected
    assert codec().status_failure(status, headers, b'{"message":"no"}') == expected


@settings(max_examples=60, deadline=None)
@given(changes=CHANGES, strange=some.lists(STRANGE, max_size=4), sizes=SIZES)
def test_whatever_comes_is_one_answer_and_one_end(changes: Any, strange: list[object], sizes: list[int]) -> None:
    kinds = ("contentBlockStart", "contentBlockDelta", "messageStop", "metadata")
    whole = piece(text="Einen Moment, Zoë 你好.") + call(1, "book", '{"wish":', '"Zoë"}') + over("tool_use")
    odd = b"".join(
        frame(json.dumps(one).encode(), message_type="event", event_type=kind)
        for kind, one in zip(kinds, strange, strict=False)
    )
    check_any(codec().reply(), garbled(whole, changes), sizes)
    check_any(codec().reply(), odd + whole, sizes)
