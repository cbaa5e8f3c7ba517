"""The simulated chat completions as the vendor's own client, the `openai` package, sees them, and as the bridge's codec
does; both sides held against OpenAI's description (MIT).
"""

from __future__ import annotations

import json
import time

import aiohttp
import pytest
from openai import APIError, AsyncAzureOpenAI, AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError
from world_thinking import (
    BOOKED,
    KEY,
    QUICK,
    ask,
    check_goes_on,
    check_openai,
    check_opens_and_calls,
    text,
    thought,
)

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import SeedText
from holdfast_bridge.providers.openai_chat import OpenAIChat, OpenAIChatConfig
from holdfast_gameday.world.openai_chat import MODELS, OpenAIChatVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import VendorHttp

pytestmark = pytest.mark.contract
KEYS = {KEY: "clinic", "sk-other": "shop"}
BOOK = {
    "type": "function",
    "function": {
        "name": "book", "description": "Books.",
        "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}},
    },
}  # fmt: skip


@pytest.fixture
async def sim():
    server = VendorHttp(OpenAIChatVendor(keys=KEYS), pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server


def client(sim, key: str = KEY) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=f"http://{sim.address}/v1", max_retries=0)


def codec(sim, **changes) -> OpenAIChat:
    given = {"base_url": f"http://{sim.address}/v1", "model": MODELS[0], "key": KEY}
    return OpenAIChat(OpenAIChatConfig(**{**given, **changes}))


async def chunks(ours: AsyncOpenAI, *messages: dict, **more) -> list:
    asked = {"model": MODELS[0], "stream_options": {"include_usage": True}, **more}
    stream = await ours.chat.completions.create(messages=list(messages), stream=True, **asked)
    return [chunk async for chunk in stream]


def spoken(answer: list) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def user(said: str) -> dict:
    return {"role": "user", "content": said}


# --- the vendor's own client


async def test_the_official_client_converses_in_pieces(sim):
    async with client(sim) as ours:
        answer = await chunks(ours, {"role": "system", "content": "Be kind."}, user("hi, Zoë 你好"))
    assert spoken(answer) == "you said: hi, Zoë 你好"
    assert len([chunk for chunk in answer if chunk.choices and chunk.choices[0].delta.content]) > 2
    assert answer[-2].choices[0].finish_reason == "stop"
    assert answer[-1].usage.total_tokens == answer[-1].usage.prompt_tokens + answer[-1].usage.completion_tokens


async def test_the_official_client_runs_a_tool(sim):
    async with client(sim) as ours:
        answer = await chunks(ours, user("book a room"), tools=[BOOK])
        deltas = [call for chunk in answer if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
        arguments = "".join(delta.function.arguments for delta in deltas)
        call = {"id": deltas[0].id, "type": "function", "function": {"name": "book", "arguments": arguments}}
        done = await chunks(
            ours, user("book a room"), {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": deltas[0].id, "content": '{"booking": "B7"}'}, tools=[BOOK],
        )  # fmt: skip
    assert len(deltas) > 2
    assert json.loads(arguments) == {"wish": "a room"}
    assert answer[-2].choices[0].finish_reason == "tool_calls"
    assert spoken(done) == "booked B7"


async def test_the_official_clients_accumulating_stream_reads_it(sim):
    async with client(sim) as ours, ours.chat.completions.stream(
        model=MODELS[0], messages=[user("goodbye")], tools=[BOOK]
    ) as stream:  # fmt: skip
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "goodbye"


async def test_the_official_client_probes_its_key_by_listing_models(sim):
    async with client(sim) as ours:
        assert [model.id async for model in ours.models.list()] == list(MODELS)
        assert (await ours.models.retrieve(MODELS[1])).id == MODELS[1]
    assert sim.counts.opened == 0


async def test_the_official_client_is_refused_as_by_the_vendor(sim):
    call = {"id": "c", "type": "function", "function": {"name": "book", "arguments": "{}"}}
    async with client(sim) as ours, client(sim, "sk-wrong") as stranger:
        with pytest.raises(AuthenticationError):
            await chunks(stranger, user("hi"))
        with pytest.raises(NotFoundError, match="does not exist") as missing:
            await chunks(ours, user("hi"), model="gpt-nothing")
        with pytest.raises(BadRequestError, match="must be followed by tool messages"):
            await chunks(ours, user("book"), {"role": "assistant", "tool_calls": [call]}, user("now"))
        with pytest.raises(BadRequestError, match="must be a response to a preceeding message"):
            await chunks(ours, user("book"), {"role": "tool", "tool_call_id": "c", "content": "7"})
        with pytest.raises(BadRequestError, match="Unknown parameter: 'practice'"):
            await chunks(ours, user("hi"), extra_body={"practice": 1})
        with pytest.raises(BadRequestError, match="at the same time"):
            await chunks(ours, user("hi"), max_tokens=1, max_completion_tokens=1)
        with pytest.raises(BadRequestError, match="object schema missing properties"):
            await chunks(ours, user("hi"), tools=[{**BOOK, "function": {"name": "book", "parameters": {}}}])
    assert missing.value.code == "model_not_found"
    assert sim.counts.refused == 7


async def test_the_official_client_meets_an_error_in_the_stream(sim):
    sim.inject(Fault(kind="error", at="speaking"))
    async with client(sim) as ours:
        with pytest.raises(APIError, match="The server had an error on demand"):
            await chunks(ours, user("hi"))


async def test_azures_client_finds_its_deployment_with_its_own_header():
    vendor = OpenAIChatVendor(keys=KEYS, base=f"/openai/deployments/{MODELS[0]}")
    server = VendorHttp(vendor, pace=QUICK)
    async with server.serving("127.0.0.1", 0) as address:
        async with AsyncAzureOpenAI(
            api_key=KEY, azure_endpoint=f"http://{address}", api_version="2026-06-01", max_retries=0
        ) as ours:
            theirs = await chunks(ours, user("hi"))
        azure = OpenAIChatConfig(
            base_url=f"http://{address}/openai/deployments/{MODELS[0]}", model=MODELS[0], key=KEY,
            key_header="api-key", query={"api-version": "2026-06-01"},
        )  # fmt: skip
        own = await ask(OpenAIChat(azure), thought(SeedText("user", "hi")))
    assert spoken(theirs) == text(own) == "you said: hi"


# --- the vendor's description


async def test_every_chunk_and_answer_is_one_that_the_description_allows(sim):
    headers = {"Authorization": f"Bearer {KEY}"}
    base = f"http://{sim.address}/v1"
    async with aiohttp.ClientSession(headers=headers) as session:
        for said in ("hi", "book a room", "goodbye"):
            asked = {
                "model": MODELS[0], "messages": [user(said)], "tools": [BOOK], "stream": True,
                "stream_options": {"include_usage": True},
            }  # fmt: skip
            async with session.post(f"{base}/chat/completions", json=asked) as answer:
                lines = (await answer.text()).split("\n\n")
            assert lines[-2:] == ["data: [DONE]", ""]
            for line in lines[:-2]:
                check_openai("CreateChatCompletionStreamResponse", json.loads(line.removeprefix("data: ")))
        async with session.get(f"{base}/models") as answer:
            check_openai("ListModelsResponse", await answer.json())
        async with session.post(f"{base}/chat/completions", json={}) as answer:
            check_openai("ErrorResponse", await answer.json())


@pytest.mark.parametrize("changes", [{}, {"notes_role": "user"}, {"instructions_role": "developer"}])
def test_our_requests_are_ones_that_the_description_allows(changes):
    ours = OpenAIChat(OpenAIChatConfig(base_url="http://x", model=MODELS[0], no_store=True, **changes))
    for about in (thought(), thought(asked="Greet: hi"), thought(*BOOKED), thought(*BOOKED, asked="Go on.")):
        body = json.loads(ours.request(about, now=time.time()).body)
        check_openai("CreateChatCompletionRequest", body)


# --- the bridge's codec


@pytest.mark.parametrize("notes_role", ["system", "developer", "user"])
async def test_our_codec_goes_on_with_a_call_that_another_vendor_began(sim, notes_role):
    await check_goes_on(codec(sim, notes_role=notes_role))


async def test_our_codec_opens_a_call_and_calls_tools(sim):
    await check_opens_and_calls(codec(sim, no_store=True))
    assert set(sim.counts.by_key) == {"clinic"}


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"key": "sk-wrong"}, "auth"), ({"model": "gpt-nothing"}, "config"), ({"extra": {"practice": 1}}, "config")],
)
async def test_our_codec_is_refused_with_what_is_wrong(sim, changes, word):
    said = await ask(codec(sim, **changes), thought(SeedText("user", "hi")))
    assert said == [st.StageLost(word, retry_same=False)]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Fault(kind="refuse", status=429, error_type="tokens", error_code="rate_limit_exceeded", retry_after_s=7),
            [st.StageLost("rate", retry_same=False, retry_after_s=7.0)],
        ),
        (
            Fault(kind="refuse", status=429, error_type="insufficient_quota", error_code="insufficient_quota"),
            [st.StageLost("quota", retry_same=False)],
        ),
        (Fault(kind="refuse", status=503), [st.StageLost("server")]),
        (Fault(kind="close"), [st.StageLost("cut")]),
        (Fault(kind="error"), [st.StageLost("server")]),
        (
            Fault(kind="error", error_type="rate_limit_error", error_code="rate_limit_exceeded"),
            [st.StageLost("rate", retry_same=False)],
        ),
        (Fault(kind="close", at="speaking"), [st.TextPiece("you"), st.StageLost("cut")]),
        (Fault(kind="drop", at="speaking"), [st.TextPiece("you"), st.StageLost("cut")]),
        (Fault(kind="error", at="speaking"), [st.TextPiece("you"), st.StageLost("server")]),
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
