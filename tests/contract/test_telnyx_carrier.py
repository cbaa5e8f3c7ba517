"""One look at a Telnyx account, against the simulated API, and what the core makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import world_telnyx_spec

from holdfast.core import carriers
from holdfast.core.values import Verdict
from holdfast.errors import DriverError
from holdfast.gather.carrier_telnyx import Outcome, TelnyxAccount
from holdfast_gameday.world.telnyx import TelnyxApi
from holdfast_gameday.world.telnyx_faults import Fault
from holdfast_gameday.world.telnyx_state import TelnyxState

pytestmark = pytest.mark.contract


async def key() -> str:
    return "KEY-practice"


def judged(outcome: Outcome) -> Verdict:
    return carriers.verdict(outcome.status, suspended=outcome.suspended)


@pytest.fixture
async def sim() -> AsyncIterator[TelnyxApi]:
    sim = TelnyxApi(TelnyxState())
    async with sim.serving("127.0.0.1", 0):
        yield sim


@pytest.fixture
async def account(sim: TelnyxApi) -> AsyncIterator[TelnyxAccount]:
    async with httpx.AsyncClient(event_hooks=world_telnyx_spec.HOOKS) as http:
        yield TelnyxAccount(api_url=f"http://{sim.address}", key=key, http=http, deadline_s=0.2)


async def test_an_account_that_answers_is_up_after_one_request_without_a_write(
    sim: TelnyxApi, account: TelnyxAccount
) -> None:
    outcome = await account.look()
    assert (outcome, judged(outcome)) == (Outcome(200, suspended=False, detail="200"), Verdict.UP)
    assert sim.requests == [("GET", "/balance")]


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
    sim: TelnyxApi, account: TelnyxAccount, fault: Fault, status: int | None, verdict: Verdict
) -> None:
    sim.faults.arm(fault)
    outcome = await account.look()
    assert (outcome.status, judged(outcome)) == (status, verdict)
    assert "KEY-practice" not in outcome.detail


async def test_too_many_requests_of_ours_are_no_illness(sim: TelnyxApi, account: TelnyxAccount) -> None:
    sim.limits.lock_out(30.0)
    outcome = await account.look()
    assert (outcome.detail, judged(outcome)) == ("429 10011 Too many requests", Verdict.UNKNOWN)


async def test_a_suspended_account_says_nothing_of_the_carrier() -> None:
    refused = {"errors": [{"code": "20012", "title": "Account inactive", "detail": "x"}]}
    transport = httpx.MockTransport(lambda _request: httpx.Response(402, json=refused))
    async with httpx.AsyncClient(transport=transport) as http:
        outcome = await TelnyxAccount(api_url="https://api.telnyx.com", key=key, http=http).look()
    assert (outcome.suspended, judged(outcome)) == (True, Verdict.UNKNOWN)


async def test_a_key_that_cannot_be_read_is_our_own_fault() -> None:
    async def missing() -> str:
        raise DriverError("SecretMissing", "Secret holdfast/telnyx-eu has no key apiKey", retryable=False)

    async with httpx.AsyncClient() as http:
        outcome = await TelnyxAccount(api_url="https://api.telnyx.com", key=missing, http=http).look()
    assert (outcome.detail, judged(outcome)) == ("no key: SecretMissing", Verdict.UNKNOWN)
