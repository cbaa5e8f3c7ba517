"""The simulated Messages API as the vendor's own client, the `anthropic` package, sees it, and as our codec does."""

from __future__ import annotations

import json

import pytest
from anthropic import (
    APIStatusError,
    AsyncAnthropic,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
)
from world_thinking import BOOKED, KEY, QUICK, ask, check_goes_on, check_opens_and_calls, text, thought

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import SeedText
from holdfast_bridge.providers.anthropic import AnthropicConfig, AnthropicMessages
from holdfast_gameday.world.anthropic import MODELS, AnthropicVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import VendorHttp

pytestmark = pytest.mark.contract
BOOK = {
    "name": "book", "description": "Books.",
    "input_schema": {"type": "object", "properties": {"wish": {"type": "string"}}},
}  # fmt: skip
USE = {"type": "tool_use", "id": "toolu_1", "name": "book", "input": {"wish": "a room"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": '{"booking": "B7"}'}


@pytest.fixture
async def sim():
    server = VendorHttp(AnthropicVendor(keys={KEY: "clinic"}), pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server


def client(sim, key: str = KEY, **headers: str) -> AsyncAnthropic:
    return AsyncAnthropic(api_key=key, base_url=f"http://{sim.address}", max_retries=0, default_headers=headers)


def codec(sim, **changes) -> AnthropicMessages:
    given = {"base_url": f"http://{sim.address}", "model": MODELS[0], "key": KEY}
    return AnthropicMessages(AnthropicConfig(**{**given, **changes}))


async def events(ours: AsyncAnthropic, *messages: dict, **more) -> list:
    asked = {"model": MODELS[0], "max_tokens": 100, **more}
    stream = await ours.messages.create(messages=list(messages), stream=True, **asked)
    return [event async for event in stream]


def user(*content) -> dict:
    return {"role": "user", "content": list(content) if isinstance(content[0], dict) else content[0]}


def agent(*content) -> dict:
    return {**user(*content), "role": "assistant"}


# --- the vendor's own client


async def test_the_official_client_converses_in_pieces(sim):
    async with client(sim) as ours:
        answer = await events(ours, user("hi, Zoë 你好"), system="Be kind.")
    kinds = [event.type for event in answer]
    pieces = [event.delta.text for event in answer if event.type == "content_block_delta"]
    assert "".join(pieces) == "you said: hi, Zoë 你好"
    assert len(pieces) > 2
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert answer[-2].delta.stop_reason == "end_turn"
    assert answer[-2].usage.output_tokens > 0


async def test_the_official_clients_accumulating_stream_runs_a_tool(sim):
    async with client(sim) as ours:
        asked = {"model": MODELS[0], "max_tokens": 100, "tools": [BOOK]}
        async with ours.messages.stream(messages=[user("book a room")], **asked) as stream:
            called = await stream.get_final_message()
        [use] = called.content
        told = [user("book a room"), agent(use.to_dict()), user({**RESULT, "tool_use_id": use.id})]
        async with ours.messages.stream(messages=told, **asked) as stream:
            done = await stream.get_final_text()
    assert called.stop_reason == "tool_use"
    assert (use.name, use.input) == ("book", {"wish": "a room"})
    assert done == "booked B7"


async def test_the_official_client_probes_its_key_by_listing_models(sim):
    async with client(sim) as ours:
        assert [model.id async for model in ours.models.list()] == list(MODELS)
        assert (await ours.models.retrieve(MODELS[1])).id == MODELS[1]


async def test_a_key_is_taken_in_the_older_header_too(sim):
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    async with client(sim, "sk-wrong", **headers) as ours:
        assert (await events(ours, user("hi"), extra_body={"temperature": 0.2}))[-1].type == "message_stop"


@pytest.mark.parametrize(
    ("messages", "more", "message"),
    [
        ([agent("hello"), user("hi")], {}, 'first message must use the "user" role'),
        ([user("hi"), agent("hello")], {}, "does not support assistant message prefill"),
        ([user("book"), agent(USE), user("now")], {}, "`tool_use` ids were found without `tool_result` blocks"),
        ([user("book"), agent("no"), user(RESULT)], {}, "unexpected `tool_use_id` found in `tool_result`"),
        (
            [user("book"), agent(USE), user({"type": "text", "text": "now"}, RESULT)], {},
            "`tool_result` blocks must come before other content",
        ),
        ([user("book"), agent({**USE, "id": "2.1.c"}), user({**RESULT, "tool_use_id": "2.1.c"})], {}, "match pattern"),
        ([user(" ")], {}, "non-whitespace"),
        ([user("hi")], {"extra_body": {"temperature": 1.0}}, "temperature: Extra inputs are not permitted"),
        ([user("hi")], {"max_tokens": -1}, "max_tokens"),
    ],
)  # fmt: skip
async def test_the_official_client_is_refused_as_by_the_vendor(sim, messages, more, message):
    async with client(sim) as ours:
        with pytest.raises(BadRequestError, match=message):
            await events(ours, *messages, **more)
    assert sim.counts.refused == 1


async def test_the_official_client_is_refused_for_its_key_its_model_or_its_version(sim):
    async with client(sim, "sk-wrong") as stranger, client(sim) as ours:
        with pytest.raises(AuthenticationError):
            await events(stranger, user("hi"))
        with pytest.raises(NotFoundError):
            await events(ours, user("hi"), model="claude-nothing")
        with pytest.raises(BadRequestError, match="is not a valid version"):
            await events(ours, user("hi"), extra_headers={"anthropic-version": "2022-01-01"})


async def test_the_official_client_meets_faults(sim):
    async with client(sim) as ours:
        sim.inject(Fault(kind="error", at="speaking", error_type="overloaded_error"))
        with pytest.raises(APIStatusError, match="overloaded_error"):
            await events(ours, user("hi"))
        sim.heal()
        sim.inject(Fault(kind="refuse", status=529))
        with pytest.raises(OverloadedError):
            await events(ours, user("hi"))
        sim.heal()
        sim.inject(Fault(kind="refuse", status=429, retry_after_s=7))
        with pytest.raises(RateLimitError) as limited:
            await events(ours, user("hi"))
    assert limited.value.response.headers["retry-after"] == "7"


# --- the bridge's codec


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
async def test_our_codec_goes_on_with_a_call_that_another_vendor_began(sim, version):
    await check_goes_on(codec(sim, version=version))


async def test_our_codec_opens_a_call_and_calls_tools(sim):
    await check_opens_and_calls(codec(sim, extra={"cache_control": {"type": "ephemeral"}}))


def test_our_requests_hold_only_what_the_official_client_knows():
    from anthropic.types import message_create_params

    body = json.loads(codec_body())
    assert set(body) <= set(message_create_params.MessageCreateParamsStreaming.__annotations__) | set(
        message_create_params.MessageCreateParamsBase.__annotations__
    )


def codec_body() -> bytes:
    ours = AnthropicMessages(AnthropicConfig(model=MODELS[0], key=KEY))
    return ours.request(thought(*BOOKED, asked="Go on."), now=0.0).body


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"key": "sk-wrong"}, "auth"), ({"model": "claude-nothing"}, "config"), ({"version": "1999-01-01"}, "config"),
        ({"extra": {"top_k": 3}}, "config"),
    ],
)  # fmt: skip
async def test_our_codec_is_refused_with_what_is_wrong(sim, changes, word):
    said = await ask(codec(sim, **changes), thought(SeedText("user", "hi")))
    assert said == [st.StageLost(word, retry_same=False)]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Fault(kind="refuse", status=429, retry_after_s=7),
            [st.StageLost("rate", retry_same=False, retry_after_s=7.0)],
        ),
        (Fault(kind="refuse", status=529), [st.StageLost("server")]),
        (Fault(kind="close"), [st.StageLost("cut")]),
        (Fault(kind="error", error_type="rate_limit_error"), [st.StageLost("rate", retry_same=False)]),
        (Fault(kind="close", at="speaking"), [st.TextPiece("you"), st.StageLost("cut")]),
        (Fault(kind="drop", at="speaking"), [st.TextPiece("you"), st.StageLost("cut")]),
        (
            Fault(kind="error", at="speaking", error_type="overloaded_error"),
            [st.TextPiece("you"), st.StageLost("server")],
        ),
    ],
)
async def test_a_fault_is_told_by_our_codec(sim, fault, said):
    sim.inject(fault)
    assert await ask(codec(sim), thought(SeedText("user", "hi"))) == said
    sim.heal()
    assert text(await ask(codec(sim), thought(SeedText("user", "hi")))) == "you said: hi"


@pytest.mark.parametrize("kind", ["garbage", "unknown"])
@pytest.mark.parametrize("at", ["now", "speaking"])
async def test_what_cannot_be_read_or_is_not_known_changes_nothing(sim, kind, at):
    sim.inject(Fault(kind=kind, at=at))
    said = await ask(codec(sim), thought(SeedText("user", "hi")))
    assert text(said) == "you said: hi"
    assert isinstance(said[-1], st.ReplyEnded)


async def test_a_stream_that_is_closed_after_a_tools_call_asks_for_nothing(sim):
    sim.inject(Fault(kind="close", at="tool"))
    assert await ask(codec(sim), thought(SeedText("user", "book a table"))) == [st.StageLost("cut")]
