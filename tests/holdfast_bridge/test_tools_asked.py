"""How a webhook is asked: signed, again where that is safe, on connections that last, and only where it may lie."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import tool_webhook
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from tool_webhook import LOOPBACK

from holdfast_bridge.agent_config import Tool
from holdfast_bridge.core import retries
from holdfast_bridge.tool_connections import ToolConnections
from holdfast_bridge.tools import ToolFailure, ToolRunner

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Names(AbstractResolver):
    """What a name means, turn by turn; the last meaning stays. Without one: it is not known now."""

    def __init__(self, *meanings: Sequence[str]) -> None:
        self.meanings = [list(each) for each in meanings]
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.meanings.pop(0) if len(self.meanings) > 1 else self.meanings[0]
        if not found:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in found
        ]

    async def close(self) -> None:
        return None


class Webhook:
    """Answers in turn what it was given; the last answer stays. Counts what reached it."""

    def __init__(self, *answers: Answer | int | str) -> None:
        self.answers = list(answers) or ["fine"]
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, int):
            return web.Response(status=said)
        return web.Response(text=said) if isinstance(said, str) else await said(request)


@asynccontextmanager
async def serving(hook: Webhook) -> AsyncIterator[Webhook]:
    async with tool_webhook.hook(hook.handle) as hook.url:
        yield hook


class Tools:
    """A runner with a clock and dice of its own, and what was told of its webhooks."""

    def __init__(self, connections: ToolConnections, secrets: Sequence[str] = ()) -> None:
        self.told: list[ToolFailure | None] = []
        self.now = 0.0
        self.runner = ToolRunner(
            connections,
            on_result=lambda _, failure: self.told.append(failure),
            secrets=lambda _: tuple(secrets),
            clock=lambda: self.now,
            wall=lambda: 1_700_000_000.0,
            die=lambda: 0.0,
        )

    async def ask(self, url: str, *, arguments: str = "{}", key: str = "1.1.c", **more: object) -> str:
        tool = Tool("t", url=url, **{"networks": LOOPBACK, **more})  # type: ignore[arg-type]
        return await self.runner.run(tool, call="CA1", key=key, arguments=arguments)


@asynccontextmanager
async def tools(names: Names | None = None, *, secrets: Sequence[str] = ()) -> AsyncIterator[Tools]:
    more = {} if names is None else {"resolver": lambda: names}
    async with ToolConnections(clock=lambda: 0.0, **more) as connections:  # type: ignore[arg-type]
        yield Tools(connections, secrets)


def named(hook: Webhook) -> str:
    return hook.url.replace("127.0.0.1", "tools.example.com")


async def drop(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


# Signed.


async def test_a_webhook_can_verify_who_asks_with_either_secret() -> None:
    async with serving(Webhook()) as hook, tools(secrets=["new", "whsec_b2xk"]) as t:
        await t.ask(hook.url, signing_files=("/current", "/previous"))
        sent = hook.requests[0].headers
        assert (sent["webhook-id"], sent["webhook-timestamp"]) == (sent["Idempotency-Key"], "1700000000")
        signed = b"CA1/1.1.c.1700000000." + hook.bodies[0]
        macs = [hmac.new(key, signed, hashlib.sha256).digest() for key in (b"new", b"old")]
        assert sent["webhook-signature"] == " ".join("v1," + base64.b64encode(mac).decode() for mac in macs)


async def test_without_a_secret_in_the_spec_nothing_is_signed() -> None:
    async with serving(Webhook()) as hook, tools() as t:
        assert await t.ask(hook.url) == "fine"
        assert not [name for name in hook.requests[0].headers if name.startswith("webhook-")]


@pytest.mark.parametrize("secrets", [[], ["whsec_%%"]])
async def test_a_request_that_was_to_be_signed_is_not_sent_without(secrets: list[str]) -> None:
    async with serving(Webhook()) as hook, tools(secrets=secrets) as t:
        assert "secret that signs the request is missing" in await t.ask(hook.url, signing_files=("/current",))
        assert (hook.requests, t.told) == ([], [ToolFailure.UNSIGNED])


# Asked again.


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_service_is_asked_again_with_the_same_key(status: int) -> None:
    async with serving(Webhook(status, status, "fine")) as hook, tools() as t:
        assert await t.ask(hook.url) == "fine"
        assert [request.headers["Idempotency-Key"] for request in hook.requests] == ["CA1/1.1.c"] * 3
        assert t.told == [None]


async def test_after_the_third_try_the_failure_is_told_once() -> None:
    async with serving(Webhook(503)) as hook, tools() as t:
        assert await t.ask(hook.url) == '{"error":"the tool answered with status 503"}'
        assert (len(hook.requests), t.told) == (3, [ToolFailure.ERROR])


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 501, 302])
async def test_an_answer_that_asking_again_would_not_change_stands(status: int) -> None:
    async with serving(Webhook(status, "fine")) as hook, tools() as t:
        assert f"status {status}" in await t.ask(hook.url)
        assert len(hook.requests) == 1


@pytest.mark.parametrize("answer", [429, 502, 503, 504, drop])
async def test_a_tool_with_side_effects_is_never_sent_twice(answer: Answer | int) -> None:
    async with serving(Webhook(answer, "fine")) as hook, tools() as t:
        assert "error" in await t.ask(hook.url, side_effects=True)
        assert len(hook.requests) == 1


async def test_a_lost_connection_leaves_the_outcome_of_side_effects_unknown() -> None:
    async with serving(Webhook(drop)) as hook, tools() as t:
        assert "whether it took effect is not known" in await t.ask(hook.url, side_effects=True)
        assert t.told == [ToolFailure.UNREACHABLE]


async def test_a_lost_connection_is_asked_again_where_nothing_can_happen_twice() -> None:
    async with serving(Webhook(drop, "fine")) as hook, tools() as t:
        assert await t.ask(hook.url) == "fine"
        assert len(hook.requests) == 2


async def test_what_was_never_sent_is_tried_again_even_with_side_effects() -> None:
    names = Names([], ["127.0.0.1"])
    async with serving(Webhook()) as hook, tools(names) as t:
        assert await t.ask(named(hook), side_effects=True) == "fine"
        assert (names.asked, len(hook.requests), t.told) == (2, 1, [None])


async def test_the_service_may_ask_for_more_time_than_there_is() -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "3"})

    async with serving(Webhook(busy, "fine")) as hook, tools() as t:
        assert "status 503" in await t.ask(hook.url, timeout_ms=2_000)
        assert len(hook.requests) == 1


async def test_a_slow_answer_is_not_asked_for_again() -> None:
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(Webhook(slow, "fine")) as hook, tools() as t:
        assert "did not answer in time" in await t.ask(hook.url, timeout_ms=50)
        release.set()
        assert (len(hook.requests), t.told) == (1, [ToolFailure.TIMEOUT])


async def test_a_failing_webhook_is_not_hammered() -> None:
    """Sixty questions at once of every call in a pod: the budget is the pod's, not the call's."""
    async with serving(Webhook(503)) as hook, tools() as t:
        await asyncio.gather(*(t.ask(hook.url, key=f"1.1.{number}") for number in range(60)))
        assert 60 <= len(hook.requests) <= 60 + retries.SAVED_MAX + 60 * retries.EARNED


# Only where it may lie.


@pytest.mark.parametrize("meaning", ["127.0.0.1", "169.254.169.254", "10.0.0.1"])
async def test_a_name_that_leads_inside_is_refused_by_what_it_leads_to(meaning: str) -> None:
    async with serving(Webhook()) as hook, tools(Names([meaning])) as t:
        assert "its address is not one that this agent may reach" in await t.ask(named(hook), networks=())
        assert (hook.requests, t.told) == ([], [ToolFailure.FORBIDDEN])


async def test_one_address_that_is_refused_refuses_the_name() -> None:
    async with serving(Webhook()) as hook, tools(Names(["127.0.0.1", "10.0.0.1"])) as t:
        assert "may not be asked" in await t.ask(named(hook))
        assert hook.requests == []


async def test_a_name_that_comes_to_mean_something_else_is_refused_then() -> None:
    """DNS rebinding: judged is what the connection goes to, every time that one is made."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with serving(Webhook()) as hook:
        for expected in ("fine", "may not be asked"):
            async with tools(names) as t:
                assert expected in await t.ask(named(hook), networks=("127.0.0.1/32",))
        assert len(hook.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"])
async def test_an_address_in_the_url_is_refused_in_every_spelling(host: str) -> None:
    async with serving(Webhook()) as hook, tools() as t:
        assert "may not be asked" in await t.ask(hook.url.replace("127.0.0.1", host), networks=())
        assert (hook.requests, t.told) == ([], [ToolFailure.FORBIDDEN])


async def test_a_redirect_inside_is_not_followed() -> None:
    async def away(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/t")

    async with serving(Webhook(away, "secret")) as hook, tools() as t:
        assert "status 307" in await t.ask(hook.url)
        assert len(hook.requests) == 1


async def test_a_connection_of_a_tool_that_may_go_there_is_not_lent_to_one_that_may_not() -> None:
    async with serving(Webhook()) as hook, tools(Names(["127.0.0.1"])) as t:
        assert await t.ask(named(hook)) == "fine"
        assert "may not be asked" in await t.ask(named(hook), networks=())


# On connections that last.


async def test_the_second_question_uses_the_connection_of_the_first() -> None:
    async with serving(Webhook()) as hook, tools() as t:
        for number in range(3):
            assert await t.ask(hook.url, key=f"1.1.{number}") == "fine"
        assert len({request.transport for request in hook.requests}) == 1


async def test_a_warmed_webhook_is_asked_on_the_connection_that_is_there() -> None:
    opened: asyncio.Queue[None] = asyncio.Queue()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.put_nowait(None)
        if await reader.readline():
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server, ToolConnections(clock=lambda: 0.0) as connections:
        tool = Tool("t", url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/t", networks=LOOPBACK)
        await connections.warm([tool, tool])
        await opened.get()
        await connections.warm([tool])
        assert await Tools(connections).ask(tool.url) == "fine"
        assert opened.empty()


async def test_a_webhook_that_cannot_be_warmed_breaks_nothing() -> None:
    async with ToolConnections(clock=lambda: 0.0, resolver=lambda: Names([])) as connections:
        await connections.warm([
            Tool("gone", url="http://127.0.0.1:1/t", networks=LOOPBACK), Tool("inside", url="http://10.0.0.1/t"),
            Tool("nameless", url="http://tools.example.com/t"), Tool("none"),
        ])  # fmt: skip


# Kept answers.


async def test_an_equal_question_is_answered_from_what_is_kept_until_its_time() -> None:
    async with serving(Webhook("rain", "sun")) as hook, tools() as t:
        asked = []
        for now, arguments in ((0.0, '{"a":1,"b":2}'), (59.0, '{"b": 2, "a": 1}'), (60.5, '{"a":1,"b":2}')):
            t.now = now
            asked.append(await t.ask(hook.url, arguments=arguments, cache_seconds=60))
        assert asked == ["rain", "rain", "sun"]
        assert t.told == [None, None], "what was not asked tells nothing of the webhook"


async def test_another_question_is_asked() -> None:
    async with serving(Webhook("rain", "sun")) as hook, tools() as t:
        assert await t.ask(hook.url, arguments='{"day":1}', cache_seconds=60) == "rain"
        assert await t.ask(hook.url, arguments='{"day":2}', cache_seconds=60) == "sun"


@pytest.mark.parametrize("status", [400, 409, 500, 404])
async def test_only_good_answers_are_kept(status: int) -> None:
    async with serving(Webhook(status, "sun")) as hook, tools() as t:
        assert "error" in await t.ask(hook.url, cache_seconds=60)
        assert await t.ask(hook.url, cache_seconds=60) == "sun"


async def test_nothing_is_kept_of_a_tool_with_side_effects() -> None:
    async with serving(Webhook("one", "two")) as hook, tools() as t:
        asked = [await t.ask(hook.url, cache_seconds=60, side_effects=True) for _ in range(2)]
        assert asked == ["one", "two"]


class Held:
    """An answer that comes when it is let go."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.there, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: web.Request) -> web.Response:
        self.there.set()
        await self.go.wait()
        return web.Response(status=self.status, text="late")


@pytest.mark.parametrize("status", [200, 500])
async def test_equal_questions_at_one_time_are_one_request(status: int) -> None:
    held = Held(status)
    async with serving(Webhook(held, "another")) as hook, tools() as t, asyncio.TaskGroup() as group:
        asking = [group.create_task(t.ask(hook.url, key=f"1.1.{n}", cache_seconds=60)) for n in range(5)]
        await held.there.wait()
        held.go.set()
        answers = {await each for each in asking}
        assert len(answers) == len(hook.requests) == len(t.told) == 1


async def test_when_the_call_that_asked_ends_another_one_asks() -> None:
    held = Held()
    async with serving(Webhook(held, "sun")) as hook, tools() as t, asyncio.TaskGroup() as group:
        first = group.create_task(t.ask(hook.url, cache_seconds=60))
        await held.there.wait()
        second = group.create_task(t.ask(hook.url, key="1.1.d", cache_seconds=60))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "sun"
        held.go.set()


async def test_who_waits_for_another_ones_answer_waits_no_longer_than_for_its_own() -> None:
    held = Held()
    async with serving(Webhook(held)) as hook, tools() as t, asyncio.TaskGroup() as group:
        first = group.create_task(t.ask(hook.url, cache_seconds=60, timeout_ms=2_000))
        await held.there.wait()
        assert "did not answer in time" in await t.ask(hook.url, key="1.1.d", cache_seconds=60, timeout_ms=50)
        held.go.set()
        assert await first == "late"
