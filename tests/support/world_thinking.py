"""What the tests of language models share: a thought, a question over HTTP, streams and their faults."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from hypothesis import strategies as some
from jsonschema import Draft202012Validator
from yarl import URL

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import Seed, SeedText, SeedTool
from holdfast_bridge.providers import Reply
from holdfast_gameday.world.vendor_http import Pace

KEY = "sk-practice"
QUICK = Pace(first_piece_s=0.002, piece_s=0.0002)
BOOK = st.Tool(
    "book", "Books a table.",
    {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
)  # fmt: skip
LOOK = st.Tool("look", "", {})
BOOKED: tuple[Seed, ...] = (
    SeedText("assistant", "hello"),
    SeedText("user", "my code is 4711"),
    SeedText("assistant", "you said: my code is 4711"),
    SeedText("user", "book a table for Zoë, 你好"),
    SeedTool("2.1.call_9", "book", '{"wish": "a table for Zoë, 你好"}', '{"booking": "B1001"}'),
)

SPEC = Path(__file__).parents[1] / "contract" / "specs" / "openai-rest.json"


class Codec(Protocol):
    def request(self, thought: st.Thought, *, now: float) -> st.Request: ...

    def reply(self) -> Reply: ...

    def status_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost: ...


def thought(*seeds: Seed, asked: str | None = None, tools: tuple[st.Tool, ...] = (BOOK,)) -> st.Thought:
    return st.Thought(instructions="You are a receptionist.", history=seeds, asked=asked, tools=tools)


async def ask(codec: Codec, about: st.Thought, *, within: float = 30) -> list[st.ThinkingEvent]:
    """One question, as the bridge's shell asks it: everything that the answer said."""
    request = codec.request(about, now=time.time())
    said: list[st.ThinkingEvent] = []
    async with asyncio.timeout(within), aiohttp.ClientSession() as session:
        url = URL(request.url, encoded=True)
        async with session.post(url, data=request.body, headers=request.headers) as answer:
            if answer.status != 200:
                return [codec.status_failure(answer.status, answer.headers, await answer.read())]
            reply = codec.reply()
            try:
                async for chunk in answer.content.iter_any():
                    said += reply.feed(chunk)
            except aiohttp.ClientPayloadError:
                pass
            return [*said, *reply.end()]


async def check_goes_on(codec: Codec) -> None:
    """A call that another vendor began is gone on with: its tool's result, its history, and an instruction."""
    booked = await ask(codec, thought(*BOOKED))
    code = await ask(codec, thought(*BOOKED, SeedText("user", "what is my code?")))
    wish = await ask(codec, thought(*BOOKED, asked="Say exactly: Grüß Gott, 你好"))
    failed = await ask(codec, thought(SeedTool("c", "book", "a table", '{"error":"no table is free"}')))
    two = SeedTool("a", "book", '{"wish":"1"}', "B1"), SeedTool("b", "look", "", '{"booking":"B2"}')
    both = await ask(codec, thought(SeedText("user", "book"), SeedText("user", "two"), *two))
    assert [text(said) for said in (booked, code, wish, failed, both)] == [
        "booked B1001", "your code is 4711", "Grüß Gott, 你好", "booked no table is free", "booked B2"
    ]  # fmt: skip
    end = code[-1]
    assert isinstance(end, st.ReplyEnded)
    assert end.how is st.Ended.SAID
    assert end.tokens_in > 0
    assert end.tokens_out > 0


async def check_opens_and_calls(codec: Codec) -> None:
    """A call is greeted, a tool is called, the call is ended; and the agent can be asked to go on unasked."""
    assert text(await ask(codec, thought(asked="Greet: Good morning."))) == "Good morning."
    called = await ask(codec, thought(SeedText("user", "book a table"), tools=(BOOK, LOOK)))
    assert tools_asked(called) == [("book", {"wish": "a table"})]
    assert isinstance(called[-1], st.ReplyEnded)
    assert called[-1].how is st.Ended.TOOLS
    bye = await ask(codec, thought(SeedText("user", "goodbye")))
    assert text(bye) == "goodbye"
    assert tools_asked(bye) == [("end_call", {})]
    again = await ask(codec, thought(SeedText("user", "hi"), SeedText("assistant", "you said: hi")))
    assert text(again) == "hello"


def text(said: Iterable[st.ThinkingEvent]) -> str:
    return "".join(event.text for event in said if isinstance(event, st.TextPiece))


def tools_asked(said: Iterable[st.ThinkingEvent]) -> list[tuple[str, object]]:
    return [(event.name, json.loads(event.arguments)) for event in said if isinstance(event, st.ToolAsked)]


def fed(reply: Reply, stream: bytes, *, size: int = 7) -> list[st.ThinkingEvent]:
    """The stream in small chunks, and its end."""
    said: list[st.ThinkingEvent] = []
    for start in range(0, len(stream), size):
        said += reply.feed(stream[start : start + size])
    return [*said, *reply.end()]


FIELDS = (
    "choices", "code", "content", "contentBlockIndex", "content_block", "delta", "error", "finish_reason", "function",
    "id", "index", "input", "inputTokens", "input_tokens", "message", "name", "object", "partial_json", "start",
    "stopReason", "stop_reason", "text", "toolUse", "tool_calls", "type", "usage",
)  # fmt: skip
WORDS = ("text", "text_delta", "tool_use", "error", "stop", "end_turn", "message_stop", "content_block_start", "{", "")
STRANGE = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.sampled_from(WORDS),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
"""Values as vendors send them, with the fields in the wrong places and of the wrong types."""
CHANGES = some.lists(
    some.tuples(some.integers(0, 3_000), some.integers(0, 40), some.binary(max_size=12)), max_size=4
)
SIZES = some.lists(some.integers(1, 300), max_size=12)


def garbled(stream: bytes, changes: Iterable[tuple[int, int, bytes]]) -> bytes:
    """For each change, other bytes in the place of so many that stood there."""
    for at, size, put in changes:
        stream = stream[:at] + put + stream[at + size :]
    return stream


def check_any(reply: Reply, stream: bytes, sizes: Iterable[int]) -> None:
    """Whatever the stream holds: it ends once, nothing follows, and no more is said than came in."""
    said: list[st.ThinkingEvent] = []
    at = 0
    for size in sizes:
        said += reply.feed(stream[at : at + size])
        at += size
    said += [*reply.feed(stream[at:]), *reply.end(), *reply.end(), *reply.feed(stream)]
    assert [event for event in said if isinstance(event, st.ReplyEnded | st.StageLost)] == said[-1:]
    assert len(text(said).encode()) <= len(stream)


@functools.cache
def _openai() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SPEC.read_text())
    return found


def check_openai(schema: str, value: object) -> None:
    """Fails unless the value is one that OpenAI's description allows."""
    spec = _openai()
    reference = {"$ref": f"#/components/schemas/{schema}"}
    validator = Draft202012Validator({**reference, "components": _nullable(spec["components"])})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not errors, f"{schema}: {errors}"


def _nullable(schema: Any) -> Any:
    """The description says `nullable` here and there, where JSON Schema says that the type is also null."""
    if isinstance(schema, list):
        return [_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _nullable(one) for name, one in schema.items() if name not in ("nullable", "example", "default")}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain
