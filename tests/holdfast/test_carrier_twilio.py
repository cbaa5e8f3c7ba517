"""The evidence of a Twilio account: what is the carrier's fault and what is ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from lever_twilio import TwilioStage, twilio

from holdfast.core.values import Verdict
from holdfast.errors import DriverError
from holdfast.gather.carrier_twilio import Outcome, Target, TwilioCarrierProbe, result
from holdfast_gameday.world.twilio_faults import FaultKind


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio() as stage:
        yield stage


async def asked(stage: TwilioStage, *, deadline_s: float = 1.5, secret: str = "", http: object = None) -> Outcome:
    (key,) = stage.ireland.api_keys or ("SK" + "0" * 32,)

    async def credentials() -> tuple[str, str]:
        return key, secret or stage.ireland.api_keys.get(key, "revoked")

    probe = TwilioCarrierProbe(http=http or stage.http, clock=stage.clock, deadline_s=deadline_s)
    target = Target("twilio-eu", "https://api.dublin.ie1.twilio.com", stage.ireland.sid)
    return await probe.ask(target, credentials=credentials)


async def test_an_account_that_answers_is_up_by_one_request(stage: TwilioStage) -> None:
    assert result(await asked(stage)).verdict is Verdict.UP
    assert len(stage.requests()) == 1


async def test_a_standard_key_is_enough(stage: TwilioStage) -> None:
    """A Standard key may not see the account itself; a probe that asked for it would call every key wrong."""
    stage.ireland.standard_keys |= set(stage.ireland.api_keys)
    assert result(await asked(stage)).verdict is Verdict.UP


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_is_the_carriers(stage: TwilioStage, status: int) -> None:
    stage.arm(FaultKind.ERROR, status=status)
    outcome = await asked(stage)
    assert (outcome.status, result(outcome).verdict) == (status, Verdict.DOWN)


async def test_a_lost_connection_is_the_carriers(stage: TwilioStage) -> None:
    stage.arm(FaultKind.DROP)
    outcome = await asked(stage)
    assert (outcome.status, result(outcome).verdict) == (None, Verdict.DOWN)


async def test_silence_ends_at_the_deadline_and_is_the_carriers(stage: TwilioStage) -> None:
    stage.arm(FaultKind.SLOW, delay_s=5.0)
    outcome = await asked(stage, deadline_s=0.05)
    assert result(outcome).verdict is Verdict.DOWN
    assert outcome.detail == "no answer in 0.05 s"


async def test_a_revoked_key_is_ours(stage: TwilioStage) -> None:
    stage.ireland.api_keys.clear()
    outcome = await asked(stage)
    assert (outcome.status, outcome.detail, result(outcome).verdict) == (401, "401 20003", Verdict.UNKNOWN)


async def test_a_suspended_account_is_ours(stage: TwilioStage) -> None:
    """Another region would fare no better: it is the same account."""
    stage.ireland.status = "suspended"
    assert result(await asked(stage)).verdict is Verdict.UNKNOWN


async def test_an_account_that_is_not_active_is_told_from_the_body(stage: TwilioStage) -> None:
    body = {"code": 20005, "message": "Account not active", "status": 503}
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503, json=body)))
    outcome = await asked(stage, http=http)
    assert (outcome.suspended, result(outcome).verdict) == (True, Verdict.UNKNOWN)


async def test_too_many_requests_are_ours(stage: TwilioStage) -> None:
    stage.arm(FaultKind.TOO_MANY)
    outcome = await asked(stage)
    assert (outcome.status, result(outcome).verdict) == (429, Verdict.UNKNOWN)


async def test_an_answer_that_is_not_twilios_proves_nothing(stage: TwilioStage) -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>welcome</html>")))
    assert result(await asked(stage, http=http)).verdict is Verdict.UNKNOWN


async def test_without_credentials_or_budget_nothing_is_sent_and_nothing_learned(stage: TwilioStage) -> None:
    async def missing() -> tuple[str, str]:
        raise DriverError("SecretMissing", "Secret twilio-eu has no key apiKey", retryable=False)

    async def credentials() -> tuple[str, str]:
        return "SK1", "s3cret"

    probe = TwilioCarrierProbe(http=stage.http, clock=stage.clock)
    target = Target("twilio-eu", "https://api.dublin.ie1.twilio.com", stage.ireland.sid)
    unread = await probe.ask(target, credentials=missing)
    held = await probe.ask(target, credentials=credentials, may_ask=lambda: False)
    assert [result(outcome).verdict for outcome in (unread, held)] == [Verdict.UNKNOWN] * 2
    assert "twilio-eu" in unread.own_fault
    assert stage.requests() == []


async def test_no_outcome_carries_the_secret(stage: TwilioStage) -> None:
    assert "not-the-secret" not in repr(await asked(stage, secret="not-the-secret"))
