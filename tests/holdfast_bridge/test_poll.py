"""The long poll: directives come down and stay, news goes up within a second, an absent operator changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from control_builders import CALL, built, record
from control_parts import until

from holdfast_bridge.core.directive import Directive, DrainOrder
from holdfast_bridge.poll import Directives, Poller, Seen
from holdfast_bridge.tallies import ProviderResults
from holdfast_gameday.world.ports import free_port


class Operator:
    """Answers what it is told to; holds a poll whose version is the newest."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.directive: dict[str, Any] = {"version": 0, "buddy": None, "regions": [], "attempts": [], "lost": []}
        self.changed = asyncio.Event()
        self.broken = False

    def say(self, **changes: Any) -> None:
        self.directive = self.directive | changes
        self.changed.set()

    async def poll(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(request.headers["Authorization"])
        if self.broken:
            return web.Response(text="<html>")
        if body["version"] == self.directive["version"]:
            self.changed.clear()
            await self.changed.wait()
        return web.json_response(self.directive)


@asynccontextmanager
async def polled(
    operator: Operator, results: ProviderResults | None = None
) -> AsyncIterator[tuple[Poller, Directives]]:
    app = web.Application()
    app.router.add_post("/v1/poll", operator.poll)
    port = free_port()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    settings = built(operatorUrl=f"http://127.0.0.1:{port}")
    directives = Directives(lambda: settings)
    poller = Poller(
        settings=lambda: settings,
        directives=directives,
        seen=Seen(
            records=lambda: [record()],
            providers=(results or ProviderResults()).report,
            tools=list,
            carriers=list,
            latencies=list,
            ready=lambda: True,
            draining=lambda: False,
            buddy_up=lambda: False,
            holds=lambda: "a proof",
            problems=lambda: ("not tried: attempt a: no kind 'x' is known here",),
            loop_lag_s=lambda: 0.0346,
        ),
    )
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(poller.run())
            yield poller, directives
            task.cancel()
    finally:
        operator.changed.set()
        await runner.cleanup()


async def test_a_report_says_what_the_contract_says() -> None:
    operator = Operator()
    async with polled(operator):
        await until(lambda: len(operator.asked) == 1)
    assert operator.headers[0] == "Bearer operator-token"
    assert operator.asked[0].pop("began") > 0
    assert operator.asked[0] == {
        "pod": "pod-1",
        "podUid": "uid-1",
        "agent": "clinic/front-desk",
        "region": "fra",
        "version": 0,
        "ready": True,
        "draining": False,
        "calls": [{"call": CALL, "epoch": 1, "startedAt": 1000.0, "lastHeardAt": 1005.0}],
        "providers": [],
        "tools": [],
        "carriers": [],
        "latencies": [],
        "missingKeys": [],
        "buddyLink": "down",
        "holds": "a proof",
        "problems": ["not tried: attempt a: no kind 'x' is known here"],
        "loopLagMs": 35,
    }


async def test_a_directive_takes_effect_at_once_and_stays() -> None:
    operator = Operator()
    async with polled(operator) as (_, directives):
        assert directives().buddy == "ams"
        await until(lambda: len(operator.asked) == 1)
        operator.say(version=7, buddy=None, lost=["ams"])
        await until(lambda: directives().lost == ("ams",), within_s=30)
        assert directives().buddy is None
        await until(lambda: operator.asked[-1]["version"] == 7)
        operator.broken = True
        operator.changed.set()
        await until(lambda: len(operator.asked) >= 4)
        assert directives().lost == ("ams",)


async def test_news_goes_up_within_a_second_or_so_while_a_poll_waits() -> None:
    operator = Operator()
    results = ProviderResults()
    async with polled(operator, results) as (poller, _):
        await until(lambda: len(operator.asked) == 1)
        results.add("openai", False, "server")
        results.add("openai", True, "")
        began = time.monotonic()
        poller.news()
        poller.news()
        await until(lambda: len(operator.asked) == 2)
        assert time.monotonic() - began < 10
    (told,) = operator.asked[1]["providers"]
    assert (told["attempt"], told["ok"], told["lastError"]) == ("openai", 1, "server")
    assert [(each["kind"], each["count"]) for each in told["failed"]] == [("5xx", 1)]


def test_an_order_to_drain_lapses_by_itself() -> None:
    clock = [100.0]
    directives = Directives(built, clock=lambda: clock[0])
    directives.apply(Directive(version=1, drain=DrainOrder(until_seconds=60)))
    assert directives.drain_ordered()
    clock[0] = 160.0
    assert not directives.drain_ordered()


def test_attempts_take_the_order_that_was_named() -> None:
    from holdfast_bridge.core import directive

    settings = built(attempts=[{"name": name, "kind": "loopback"} for name in ("a", "b", "c")])
    ordered = directive.in_order(settings.agent, ("c", "a"))
    assert [attempt.name for attempt in ordered.attempts] == ["c", "a", "b"]
    assert directive.in_order(settings.agent, ("a", "b", "c")) is settings.agent
