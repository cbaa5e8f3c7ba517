"""The carrier's REST API: asked at most twice, and a call that is over already counts as done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from control_builders import CALL, built

from holdfast_bridge.carrier import CarrierFailure, TwilioRest
from holdfast_bridge.core.rescue import Said
from holdfast_bridge.errors import CarrierError
from holdfast_gameday.world.ports import free_port

Answers = list[tuple[int, dict[str, Any]]]
Met = list[tuple[str, CarrierFailure | None]]


@asynccontextmanager
async def rest(
    answers: Answers, met: Met | None = None, **changes: Any
) -> AsyncIterator[tuple[TwilioRest, list[dict[str, str]]]]:
    """A carrier that gives these answers in turn, and what it was asked. `met` gets what is told of each."""
    asked: list[dict[str, str]] = []

    async def update(request: web.Request) -> web.Response:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        asked.append(fields | {"path": request.path, "auth": request.headers.get("Authorization", "")})
        status, body = answers.pop(0)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/{tail:.*}", update)
    port = free_port()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    carrier = {"name": "t", "kind": "twilio", "accountSid": "AC1", "apiUrl": f"http://127.0.0.1:{port}"} | changes
    settings = built(carrier=carrier)
    async with aiohttp.ClientSession() as http:
        told: Met = [] if met is None else met
        yield TwilioRest(http, lambda: settings, on_result=lambda *each: told.append(each)), asked
    await runner.cleanup()


async def test_a_redirect_names_the_call_and_the_url() -> None:
    async with rest([(200, {})]) as (carrier, asked):
        await carrier.redirect(CALL, "https://x/next?call=1&hop=0#ct=1000")
    assert asked[0]["path"] == f"/2010-04-01/Accounts/AC1/Calls/{CALL}.json"
    assert asked[0]["Url"] == "https://x/next?call=1&hop=0#ct=1000"
    assert asked[0]["auth"] == aiohttp.encode_basic_auth("SK-key", "api-secret")


async def test_a_hang_up_completes_the_call() -> None:
    async with rest([(200, {})]) as (carrier, asked):
        await carrier.hang_up(CALL)
    assert asked[0]["Status"] == "completed"


@pytest.mark.parametrize("over", [(404, {"code": 20404}), (400, {"code": 21220}), (404, {})])
async def test_a_call_that_is_over_is_done(over: tuple[int, dict[str, Any]]) -> None:
    async with rest([over]) as (carrier, asked):
        await carrier.redirect(CALL, "https://x")
    assert len(asked) == 1


@pytest.mark.parametrize("busy", [(429, {"code": 20429}), (503, {})])
async def test_a_busy_carrier_is_asked_once_more(busy: tuple[int, dict[str, Any]]) -> None:
    async with rest([busy, (200, {})]) as (carrier, asked):
        await carrier.redirect(CALL, "https://x")
    assert len(asked) == 2


async def test_what_the_carrier_refuses_twice_is_an_error_without_secrets() -> None:
    async with rest([(503, {}), (503, {"code": 1})]) as (carrier, asked):
        with pytest.raises(CarrierError) as caught:
            await carrier.redirect(CALL, "https://x")
    assert len(asked) == 2
    assert caught.value.status == 503
    assert "api-secret" not in str(caught.value)
    async with rest([(401, {"code": 20003})]) as (carrier, asked):
        with pytest.raises(CarrierError):
            await carrier.redirect(CALL, "https://x")
    assert len(asked) == 1


async def test_a_failed_hang_up_is_no_exception() -> None:
    async with rest([], apiUrl=f"http://127.0.0.1:{free_port()}") as (carrier, _):
        await carrier.hang_up(CALL)


async def test_the_canary_has_no_carrier() -> None:
    async with rest([], kind="canary") as (carrier, asked):
        await carrier.hang_up(CALL)
        await carrier.redirect(CALL, "https://x")
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}), Said.MOVED),
        ((404, {"code": 20404}), Said.OVER),
        ((400, {"code": 21220}), Said.OVER),
        ((429, {"code": 20429}), Said.BUSY),
        ((503, {}), Said.UNKNOWN),
        ((401, {"code": 20003}), Said.REFUSED),
    ],
)
async def test_a_push_is_asked_once_and_its_outcome_told(answer: tuple[int, dict[str, Any]], said: Said) -> None:
    async with rest([answer]) as (carrier, asked):
        assert (await carrier.push(CALL, "https://x/next")).said is said
    assert [each["Url"] for each in asked] == ["https://x/next"]


async def test_a_push_without_an_answer_is_an_unknown_outcome() -> None:
    async with rest([], apiUrl=f"http://127.0.0.1:{free_port()}") as (carrier, _):
        assert (await carrier.push(CALL, "https://x")).said is Said.UNKNOWN


async def test_nothing_is_pushed_for_the_canary() -> None:
    async with rest([], kind="canary") as (carrier, asked):
        assert (await carrier.push(CALL, "https://x")).said is Said.REFUSED
    assert asked == []


async def test_each_answer_is_told_and_what_concerns_a_call_or_our_key_is_no_failure_of_the_carrier() -> None:
    met: Met = []
    answers: Answers = [(503, {}), (200, {}), (404, {}), (401, {"code": 20003}), (429, {}), (500, {})]
    async with rest(answers, met) as (carrier, _):
        await carrier.redirect(CALL, "https://x")
        await carrier.hang_up(CALL)
        for _ in range(3):
            await carrier.push(CALL, "https://x/next")
    assert met == [
        ("t", CarrierFailure.ERROR), ("t", None), ("t", None), ("t", None), ("t", None), ("t", CarrierFailure.ERROR),
    ]  # fmt: skip


async def test_a_carrier_that_cannot_be_reached_is_told_each_time() -> None:
    met: Met = []
    async with rest([], met, apiUrl=f"http://127.0.0.1:{free_port()}") as (carrier, _):
        await carrier.hang_up(CALL)
    assert met == [("t", CarrierFailure.UNREACHABLE)] * 2
