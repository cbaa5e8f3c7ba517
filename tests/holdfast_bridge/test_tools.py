"""What can go wrong with a tool's webhook is told to the model, never raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from holdfast_bridge.settings import Tool
from holdfast_bridge.tools import MAX_OUTPUT_BYTES, ToolRunner

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
