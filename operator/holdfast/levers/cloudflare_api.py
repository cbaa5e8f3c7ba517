"""Cloudflare's API as both of its levers ask it: the envelope, the errors, the deadline, the shared request budget.

It refuses to know pools, tunnels or regions. The API allows 1200 requests per five minutes per user over everything
that user does, and answers 429 to all of it for the next five minutes when that is passed: whoever shares a token
shares a budget. https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from holdfast.core.values import Budget
from holdfast.levers.base import WRITE_DEADLINE_S, DriverError
from holdfast.levers.budget import RateBudget

LOCK_OUT_S = 300.0


class CloudflareApi:
    """One account, asked on behalf of one lever."""

    def __init__(
        self,
        *,
        lever: str,
        api_url: str,
        token: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        budget: RateBudget,
    ) -> None:
        self._lever = lever
        base = api_url.rstrip("/")
        self._base = base if base.endswith("/client/v4") else f"{base}/client/v4"
        self._token = token
        self._http = http
        self._budget = budget

    def left(self) -> Budget:
        """What may be asked now; everything of the account draws on it."""
        return self._budget.left()

    async def one(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, urgent: bool
    ) -> Mapping[str, Any]:
        """The object that is the answer's result."""
        result = await self.ask(method, path, body=body, urgent=urgent)
        if isinstance(result, dict):
            return result
        raise self._malformed("no object", writes=method != "GET")

    async def many(self, path: str, *, urgent: bool) -> list[Mapping[str, Any]]:
        """The objects that are the answer's result."""
        result = await self.ask("GET", path, urgent=urgent)
        if result is None or isinstance(result, list):
            return [each for each in result or () if isinstance(each, dict)]
        raise self._malformed("no list", writes=False)

    async def ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None, urgent: bool) -> Any:
        """The result of one request. `urgent`: it may spend what is kept for failover."""
        if not self._budget.spend(urgent=urgent):
            raise DriverError(
                "RateBudget",
                f"lever {self._lever}: held back, the request budget is spent",
                retryable=True,
                retry_after_s=self._budget.blocked_for_s() or 1.0,
            )
        writes = method != "GET"
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                headers = {"Authorization": f"Bearer {await self._token()}"}
                answer = await self._http.request(method, f"{self._base}{path}", json=body, headers=headers)
        except TimeoutError as e:
            raise DriverError(
                "Timeout", f"lever {self._lever}: no answer in 2 s", retryable=True, outcome_unknown=writes
            ) from e
        except httpx.HTTPError as e:
            raise DriverError(
                "Unreachable", f"lever {self._lever}: {type(e).__name__}", retryable=True, outcome_unknown=writes
            ) from e
        return self._result(answer, writes=writes)

    def _result(self, answer: httpx.Response, *, writes: bool) -> Any:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            after = answer.headers.get("retry-after", "")
            wait_s = float(after) if after.isdecimal() else LOCK_OUT_S
            self._budget.block(wait_s)
            raise DriverError("RateLimited", f"lever {self._lever}: 429", retryable=True, retry_after_s=wait_s)
        if answer.is_server_error:
            raise DriverError(
                "VendorError",
                f"lever {self._lever}: {answer.status_code}",
                retryable=True,
                outcome_unknown=writes,
            )
        envelope = _envelope(answer)
        if answer.is_success and envelope is None:
            raise self._malformed("no envelope", writes=writes)
        if answer.is_success and envelope and envelope.get("success") is True:
            return envelope.get("result")
        code = {401: "Unauthorized", 403: "Unauthorized", 404: "NoOrigin"}.get(answer.status_code, "Refused")
        raise DriverError(
            code, f"lever {self._lever}: {answer.status_code} {_errors(envelope or {})}".rstrip(), retryable=False
        )

    def _malformed(self, what: str, *, writes: bool) -> DriverError:
        """An answer that nobody at the vendor's API gave, as a proxy on the way might: it says nothing of a write."""
        return DriverError(
            "Malformed", f"lever {self._lever}: the answer holds {what}", retryable=True, outcome_unknown=writes
        )


def _envelope(answer: httpx.Response) -> Mapping[str, Any] | None:
    try:
        parsed = answer.json()
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _errors(envelope: Mapping[str, Any]) -> str:
    """Cloudflare's own words: `code message` pairs, shortened."""
    listed = envelope.get("errors") or []
    return "; ".join(f"{e.get('code')} {e.get('message')}" for e in listed if isinstance(e, dict))[:200]
