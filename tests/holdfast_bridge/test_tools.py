"""What can go wrong with a tool's webhook is told to the model, never raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from holdfast_bridge.settings import Tool
from holdfast_bridge.tools import MAX_OUTPUT_BYTES, ToolFailure, ToolRunner

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def hook(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/t", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/t"
    finally:
        await runner.cleanup()


async def run(url: str, *, arguments: str = "{}", timeout_ms: int = 1000) -> str:
    async with aiohttp.ClientSession() as http:
        tool = Tool("t", url=url, timeout_ms=timeout_ms)
        return await ToolRunner(http).run(tool, call="CA1", key="1.1.c", arguments=arguments)


async def counted(url: str, *, arguments: str = "{}", timeout_ms: int = 1000) -> list[tuple[str, ToolFailure | None]]:
    """What is told of one run."""
    told: list[tuple[str, ToolFailure | None]] = []
    async with aiohttp.ClientSession() as http:
        tools = ToolRunner(http, on_result=lambda tool, failure: told.append((tool, failure)))
        tool = Tool("t", url=url, timeout_ms=timeout_ms)
        await tools.run(tool, call="CA1", key="1.1.c", arguments=arguments)
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


async def test_what_was_never_sent_tells_nothing_of_the_webhook() -> None:
    assert await counted("http://127.0.0.1:1/t", arguments="[1]") == []
