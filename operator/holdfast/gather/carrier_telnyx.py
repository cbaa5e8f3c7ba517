"""Whether Telnyx's API answers for one account: one cheap authenticated read, and what its answer says.

The balance is read: it changes nothing and says nothing about callers, and its amounts are neither kept nor told. The
verdict is `holdfast.core.carriers`'. When it is asked again, and what follows, is not this module's to know.
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
SUSPENDED_WORDS = ("suspend", "account inactive", "blocked", "deactivat", "disabled")
"""Telnyx has no field for it; a refusal may say it in its title."""


@dataclass(frozen=True, slots=True)
class Target:
    """An account's API."""

    carrier: str
    api_url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one read. `own_fault`: why nothing was learned of the carrier; empty when something was."""

    status: int | None = None
    suspended: bool = False
    detail: str = ""
    own_fault: str = ""
    took_s: float = 0.0


class TelnyxCarrierProbe:
    """Makes one read and never raises. `clock` only measures."""

    def __init__(self, *, http: httpx.AsyncClient, clock: Callable[[], float], deadline_s: float = DEADLINE_S) -> None:
        self._http = http
        self._clock = clock
        self._deadline_s = deadline_s

    async def ask(
        self,
        target: Target,
        *,
        key: Callable[[], Awaitable[str]],
        may_ask: Callable[[], bool] = lambda: True,
    ) -> Outcome:
        """The outcome within the deadline. `may_ask`: whether the account's request budget lets this one pass."""
        try:
            # Before the carrier's deadline begins: a slow read of our Secret says nothing about the carrier.
            async with asyncio.timeout(self._deadline_s):
                headers = {"Authorization": f"Bearer {await key()}"}
        except (DriverError, TimeoutError) as e:
            return Outcome(own_fault=f"no key to ask with: {str(e) or 'not read in time'}")
        if not may_ask():
            return Outcome(own_fault="held back by the account's request budget")
        base = target.api_url.rstrip("/").removesuffix("/v2")
        began = self._clock()
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._http.get(f"{base}/v2/balance", headers=headers)
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
    if answer.is_success:
        if "data" not in body:
            return Outcome(own_fault="the answer is not Telnyx's; is there a proxy on the way?", took_s=took_s)
        return Outcome(answer.status_code, took_s=took_s)
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    title = str(first.get("title") or "")[:100]
    suspended = answer.is_client_error and any(word in title.lower() for word in SUSPENDED_WORDS)
    detail = f"{answer.status_code} {first.get('code') or ''} {title}"
    return Outcome(answer.status_code, suspended=suspended, detail=" ".join(detail.split()), took_s=took_s)
