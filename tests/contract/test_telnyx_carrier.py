"""One read of a Telnyx account, against the simulated API, and what the core makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
import world_telnyx_spec

from holdfast.core.values import Verdict
from holdfast.errors import DriverError
from holdfast.gather.carrier_telnyx import Outcome, Target, TelnyxCarrierProbe, result
from holdfast_gameday.world.telnyx import TelnyxApi
from holdfast_gameday.world.telnyx_faults import Fault
from holdfast_gameday.world.telnyx_state import TelnyxState

pytestmark = pytest.mark.contract


async def key() -> str:
    return "KEY-practice"


@dataclass
class Account:
    sim: TelnyxApi
    http: httpx.AsyncClient

    async def ask(self, *, key: Callable[[], Awaitable[str]] = key, may_ask: bool = True) -> Outcome:
        probe = TelnyxCarrierProbe(http=self.http, clock=lambda: 0.0, deadline_s=0.2)
        target = Target("telnyx-eu", f"http://{self.sim.address}")
        return await probe.ask(target, key=key, may_ask=lambda: may_ask)


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    sim = TelnyxApi(TelnyxState())
    async with sim.serving("127.0.0.1", 0), httpx.AsyncClient(event_hooks=world_telnyx_spec.HOOKS) as http:
        yield Account(sim, http)


async def test_an_account_that_answers_is_up_after_one_request_without_a_write(account: Account) -> None:
    outcome = await account.ask()
    assert (outcome, result(outcome).verdict) == (Outcome(200), Verdict.UP)
    assert account.sim.requests == [("GET", "/balance")]


@pytest.mark.parametrize(
    ("fault", "status", "verdict"),
    [
        (Fault("down"), None, Verdict.DOWN),
        (Fault("slow", seconds=5.0), None, Verdict.DOWN),
        (Fault("error", status=503), 503, Verdict.DOWN),
        (Fault("revoked"), 401, Verdict.UNKNOWN),
        (Fault("error", status=403), 403, Verdict.UNKNOWN),
    ],
)
async def test_what_is_ours_is_no_illness_of_the_carrier(
    account: Account, fault: Fault, status: int | None, verdict: Verdict
) -> None:
    account.sim.faults.arm(fault)
    outcome = await account.ask()
    assert (outcome.status, result(outcome).verdict) == (status, verdict)
    assert "KEY-practice" not in outcome.detail


async def test_too_many_requests_of_ours_are_no_illness(account: Account) -> None:
    account.sim.limits.lock_out(30.0)
    outcome = await account.ask()
    assert (outcome.detail, result(outcome).verdict) == ("429 10011 Too many requests", Verdict.UNKNOWN)


async def test_a_key_that_cannot_be_read_is_our_own_fault(account: Account) -> None:
    async def missing() -> str:
        raise DriverError("SecretMissing", "Secret holdfast/telnyx-eu has no key apiKey", retryable=False)

    outcome = await account.ask(key=missing)
    assert (result(outcome).verdict, "has no key apiKey" in outcome.own_fault) == (Verdict.UNKNOWN, True)
    assert account.sim.requests == []


async def test_a_key_that_is_read_too_slowly_says_nothing_of_the_carrier(account: Account) -> None:
    """Regression: one deadline over both once made a slow API server of ours look like a carrier that is down."""

    async def slow() -> str:
        await asyncio.Event().wait()
        raise AssertionError

    assert result(await account.ask(key=slow)).verdict is Verdict.UNKNOWN


async def test_a_read_that_the_budget_holds_back_is_not_made(account: Account) -> None:
    assert result(await account.ask(may_ask=False)).verdict is Verdict.UNKNOWN
    assert account.sim.requests == []


@pytest.mark.parametrize(
    ("answer", "own_fault", "suspended"),
    [
        (httpx.Response(200, text="<html>sign in</html>"), True, False),
        (httpx.Response(200, json=[]), True, False),
        (httpx.Response(402, json={"errors": [{"code": "20012", "title": "Account inactive"}]}), False, True),
    ],
)
async def test_an_answer_that_says_nothing_of_the_carrier_is_known_as_such(
    answer: httpx.Response, own_fault: bool, suspended: bool
) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: answer)) as http:
        probe = TelnyxCarrierProbe(http=http, clock=lambda: 0.0)
        outcome = await probe.ask(Target("telnyx-eu", "https://api.telnyx.com/v2"), key=key)
    assert (bool(outcome.own_fault), outcome.suspended) == (own_fault, suspended)
    assert result(outcome).verdict is Verdict.UNKNOWN
