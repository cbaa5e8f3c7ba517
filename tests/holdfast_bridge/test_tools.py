"""What can go wrong with a tool's webhook is told to the model, never raised."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web
from control_builders import built
from tool_webhook import LOOPBACK, hook

from holdfast_bridge.agent_config import Tool
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.tool_connections import ToolConnections
from holdfast_bridge.tools import MAX_OUTPUT_BYTES, ToolFailure, ToolRunner, prove


def tool(url: str, *, timeout_ms: int = 1000, **more: object) -> Tool:
    return Tool("t", url=url, timeout_ms=timeout_ms, **{"networks": LOOPBACK, **more})  # type: ignore[arg-type]


async def run(url: str, *, arguments: str = "{}", timeout_ms: int = 1000, **more: object) -> str:
    asked = tool(url, timeout_ms=timeout_ms, **more)
    async with ToolConnections(clock=time.monotonic) as connections:
        return await ToolRunner(connections).run(asked, call="CA1", key="1.1.c", arguments=arguments)


async def counted(
    url: str, *, arguments: str = "{}", timeout_ms: int = 1000, **more: object
) -> list[tuple[str, ToolFailure | None]]:
    """What is told of one run."""
    told: list[tuple[str, ToolFailure | None]] = []
    async with ToolConnections(clock=time.monotonic) as connections:
        tools = ToolRunner(connections, on_result=lambda tool, failure: told.append((tool, failure)))
        asked = tool(url, timeout_ms=timeout_ms, **more)
        await tools.run(asked, call="CA1", key="1.1.c", arguments=arguments)
    return told


async def test_the_answer_is_the_output() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"got": await request.json(), "key": request.headers["Idempotency-Key"]})

    async with hook(answer) as url:
        assert await run(url, arguments='{"a":1}') == (
            '{"got": {"call": "CA1", "tool": "t", "arguments": {"a": 1}}, "key": "CA1/1.1.c"}'
        )


async def test_arguments_that_are_no_object_are_not_sent() -> None:
    assert "not a JSON object" in await run("http://127.0.0.1:1/t", arguments="[1]")
    assert "not a JSON object" in await run("http://127.0.0.1:1/t", arguments="{")


async def test_a_status_is_told() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=500, text="secret stack trace")

    async with hook(answer) as url:
        assert await run(url) == '{"error":"the tool answered with status 500"}'


async def test_a_redirect_is_not_followed() -> None:
    async def answer(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/internal")

    async with hook(answer) as url:
        assert await run(url) == '{"error":"the tool answered with status 302"}'


async def test_a_long_answer_is_cut_off() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="x" * (MAX_OUTPUT_BYTES + 1))

    async with hook(answer) as url:
        assert await run(url) == '{"error":"the tool\'s answer is too long"}'


async def test_a_slow_answer_leaves_the_outcome_unknown() -> None:
    release = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with hook(answer) as url:
        assert "whether it took effect is not known" in await run(url, timeout_ms=50)
        release.set()


async def test_a_tool_that_is_not_there_is_told() -> None:
    assert await run("http://127.0.0.1:1/t") == '{"error":"the tool could not be reached"}'


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None), (204, None), (400, None), (409, None), (422, None),
        (500, ToolFailure.ERROR), (503, ToolFailure.ERROR), (429, ToolFailure.RATE_LIMITED),
        (302, ToolFailure.REFUSED), (401, ToolFailure.REFUSED), (404, ToolFailure.REFUSED),
    ],
)  # fmt: skip
async def test_how_the_webhook_answered_is_told_by_its_status(status: int, failure: ToolFailure | None) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with hook(answer) as url:
        assert await counted(url) == [("t", failure)]


async def test_silence_a_closed_port_and_a_flood_are_told_apart() -> None:
    release = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async def flood(_: web.Request) -> web.Response:
        return web.Response(text="x" * (MAX_OUTPUT_BYTES + 1))

    async with hook(silent) as url:
        assert await counted(url, timeout_ms=50) == [("t", ToolFailure.TIMEOUT)]
        release.set()
    async with hook(flood) as url:
        assert await counted(url) == [("t", ToolFailure.TOO_LONG)]
    assert await counted("http://127.0.0.1:1/t") == [("t", ToolFailure.UNREACHABLE)]


DAY = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}


@pytest.mark.parametrize("arguments", ["[1]", "{", '{"day": 1}', "{}", '{"day": "' + "x" * 16_384 + '"}', "\ud800"])
async def test_what_was_never_sent_tells_nothing_of_the_webhook(arguments: str) -> None:
    assert await counted("http://127.0.0.1:1/t", arguments=arguments, parameters=DAY) == []


async def test_arguments_that_do_not_fit_are_told_to_the_model_and_the_webhook_is_not_asked() -> None:
    hits: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        hits.append(await request.json())
        return web.Response(text="sun")

    async with hook(answer) as url:
        assert await run(url, arguments='{"day": 1}', parameters=DAY) == (
            '{"error":"the arguments do not fit the tool\'s parameters, so it was not asked: '
            "day: 1 is not of type 'string'\"}"
        )
        assert hits == []
        assert await run(url, arguments='{"day": "mon"}', parameters=DAY) == "sun"
        assert len(hits) == 1


async def test_a_tool_without_a_usable_schema_is_not_asked() -> None:
    """No bridge starts with one; a call that began before an edit must not find out by asking."""
    assert "cannot be used to check" in await run("http://127.0.0.1:1/t", parameters={"type": "strin"})


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({"url": "ftp://tools.example.com"}, "tools[1] (t).url must be http"),
        ({"url": "https://me:key@tools.example.com"}, "tools[1] (t).url must be http"),
        ({"url": "https:///t"}, "tools[1] (t).url must be http"),
        ({"url": "https://[x/t"}, "tools[1] (t).url must be http"),
        ({"parameters": {"type": "strin"}}, "tools[1] (t).parameters: $.type: 'strin' is not valid"),
        ({"networks": ["10.0.0.1/8"]}, "tools[1] (t).networks: 10.0.0.1/8 has host bits set"),
        ({"cacheSeconds": 60, "sideEffects": True}, "tools[1] (t).cacheSeconds: a tool with side effects"),
    ],
)
def test_a_tool_that_could_not_be_asked_is_refused_when_the_settings_are_read(
    written: dict[str, object], named: str
) -> None:
    well = {"name": "t", "url": "https://tools.example.com/t", "parameters": DAY, "networks": ["10.0.0.0/8"]}
    prove(built(tools=[well | {"name": "well"}]))
    with pytest.raises(SettingsError) as refused:
        prove(built(tools=[well | {"name": "well"}, well | written]))
    assert str(refused.value).startswith(f"agent.json: {named}")
