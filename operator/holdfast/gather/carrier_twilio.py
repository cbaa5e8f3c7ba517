"""Whether Twilio's API answers for one account: one cheap authenticated read, and what its answer says.

The read is a list of one application, which a Standard or Restricted key may make; the account itself only a Main key
may see, so asking for it would look like a wrong key for ever. The verdict is `holdfast.core.carriers`'. When it is
asked again, and what follows, is not this module's to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from holdfast.core import carriers, evidence
from holdfast.core.values import Verdict
from holdfast.errors import DriverError

DEADLINE_S = 1.5
ACCOUNT_NOT_ACTIVE = 20005


@dataclass(frozen=True, slots=True)
class Target:
    """An account's API. `api_url` is that of its Region: `https://api.dublin.ie1.twilio.com`."""

    carrier: str
    api_url: str
    account_sid: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one read. `own_fault`: why nothing was learned of the carrier; empty when something was."""

    status: int | None = None
    suspended: bool = False
    detail: str = ""
    own_fault: str = ""
    took_s: float = 0.0


class TwilioCarrierProbe:
    """Makes one read and never raises. `clock` only measures."""

    def __init__(self, *, http: httpx.AsyncClient, clock: Callable[[], float], deadline_s: float = DEADLINE_S) -> None:
        self._http = http
        self._clock = clock
        self._deadline_s = deadline_s

    async def ask(
        self,
        target: Target,
        *,
        credentials: Callable[[], Awaitable[tuple[str, str]]],
        may_ask: Callable[[], bool] = lambda: True,
    ) -> Outcome:
        """The outcome within the deadline. `may_ask`: whether the account's request budget lets this one pass."""
        try:
            # Before the carrier's deadline begins: a slow read of our Secret says nothing about the carrier.
            async with asyncio.timeout(self._deadline_s):
                auth = await credentials()
        except (DriverError, TimeoutError) as e:
            return Outcome(own_fault=f"no credentials to ask with: {e or 'not read in time'}")
        if not may_ask():
            return Outcome(own_fault="held back by the account's request budget")
        url = f"{target.api_url.rstrip('/')}/2010-04-01/Accounts/{target.account_sid}/Applications.json"
        began = self._clock()
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._http.get(url, params={"PageSize": "1"}, auth=auth)
        except TimeoutError:
            return Outcome(detail=f"no answer in {self._deadline_s:g} s", took_s=self._clock() - began)
        except httpx.HTTPError as e:
            return Outcome(detail=type(e).__name__, took_s=self._clock() - began)
        return _outcome(answer, self._clock() - began)


def result(outcome: Outcome) -> evidence.Result:
    """UP, DOWN, or UNKNOWN when the fault is ours: a wrong key, a suspended account, too many requests."""
    if outcome.own_fault:
        return evidence.Result(Verdict.UNKNOWN, outcome.own_fault)
    return evidence.Result(carriers.verdict(outcome.status, suspended=outcome.suspended), outcome.detail)


def _outcome(answer: httpx.Response, took_s: float) -> Outcome:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    if answer.is_success and "applications" not in body:
        return Outcome(own_fault="the answer is not Twilio's; is there a proxy on the way?", took_s=took_s)
    suspended = body.get("code") == ACCOUNT_NOT_ACTIVE or body.get("status") in ("suspended", "closed")
    detail = "" if answer.is_success else f"{answer.status_code} {body.get('code') or ''}".strip()
    return Outcome(answer.status_code, suspended=suspended, detail=detail, took_s=took_s)
