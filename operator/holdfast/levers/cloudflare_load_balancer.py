"""Cloudflare Load Balancing: one pool per region, switched by the pool's `enabled`.

Facts this rests on: a disabled pool gets no new traffic and the load balancer goes on to the next pool in order; the
API allows 1200 requests per five minutes per user over everything it does, and answers 429 to all of it for the next
five minutes when that is passed. https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from holdfast.core.values import Budget
from holdfast.levers import marks
from holdfast.levers.base import WRITE_DEADLINE_S, DriverError, OriginChange, OriginReading
from holdfast.levers.budget import RateBudget

LOCK_OUT_S = 300.0


class CloudflareLoadBalancer:
    """The pools of one zone's edge."""

    def __init__(
        self,
        *,
        name: str,
        zone: str,
        api_url: str,
        account_id: str,
        pools: Mapping[str, str],
        token: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        budget: RateBudget,
    ) -> None:
        self._name = name
        self._zone = zone
        base = api_url.rstrip("/")
        base = base if base.endswith("/client/v4") else f"{base}/client/v4"
        self._pools_url = f"{base}/accounts/{account_id}/load_balancers/pools"
        self._pools = dict(pools)
        self._token = token
        self._http = http
        self._budget = budget

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    async def read(self, region: str) -> OriginReading:
        """Ask for the region's pool."""
        pool, mark = await self._pool(region, urgent=False)
        return OriginReading(region=region, enabled=bool(pool.get("enabled")), epoch=mark.epoch)

    def normalise(self, change: OriginChange) -> OriginReading:
        """The pool as it will read once the change is in force."""
        return OriginReading(region=change.region, enabled=change.enabled, epoch=change.epoch)

    def budget(self) -> Budget:
        """The account's request budget; everything of the account draws on it."""
        return self._budget.left()

    async def apply(self, change: OriginChange) -> None:
        """PATCH `enabled` and the epoch in our mark; never the origins, so there is nothing of others to overwrite."""
        pool, mark = await self._pool(change.region, urgent=True)
        if mark.epoch > change.epoch:
            raise DriverError(
                "Fenced",
                f"lever {self._name}: the pool of {change.region} was written under epoch {mark.epoch}, "
                f"ours is {change.epoch}",
                retryable=False,
            )
        if mark.epoch == change.epoch and pool.get("enabled") is change.enabled:
            return
        described = marks.render(marks.Mark(change.epoch, mark.words), self._zone, change.region)
        body = {"enabled": change.enabled, "description": described}
        await self._call("PATCH", self._url(change.region), body=body, urgent=True)

    async def _pool(self, region: str, *, urgent: bool) -> tuple[Mapping[str, Any], marks.Mark]:
        pool = await self._call("GET", self._url(region), body=None, urgent=urgent)
        mark = marks.parse(str(pool.get("description") or ""), self._zone, region)
        if mark is None:
            raise DriverError(
                "NotOurs",
                f"lever {self._name}: the pool of {region} lacks our mark; "
                f'put "holdfast:{self._zone}/{region}" first in its description',
                retryable=False,
            )
        return pool, mark

    def _url(self, region: str) -> str:
        pool = self._pools.get(region)
        if not pool:
            raise DriverError(
                "NoOrigin", f"lever {self._name}: Region {region} names no pool in spec.origins", retryable=False
            )
        return f"{self._pools_url}/{pool}"

    async def _call(self, method: str, url: str, *, body: Mapping[str, Any] | None, urgent: bool) -> Mapping[str, Any]:
        if not self._budget.spend(urgent=urgent):
            raise DriverError(
                "RateBudget",
                f"lever {self._name}: held back, the request budget is spent",
                retryable=True,
                retry_after_s=self._budget.blocked_for_s() or 1.0,
            )
        writes = method != "GET"
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                headers = {"Authorization": f"Bearer {await self._token()}"}
                answer = await self._http.request(method, url, json=body, headers=headers)
        except TimeoutError as e:
            raise DriverError(
                "Timeout", f"lever {self._name}: no answer in 2 s", retryable=True, outcome_unknown=writes
            ) from e
        except httpx.HTTPError as e:
            raise DriverError(
                "Unreachable", f"lever {self._name}: {type(e).__name__}", retryable=True, outcome_unknown=writes
            ) from e
        return self._result(answer, writes=writes)

    def _result(self, answer: httpx.Response, *, writes: bool) -> Mapping[str, Any]:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            after = answer.headers.get("retry-after", "")
            wait_s = float(after) if after.isdecimal() else LOCK_OUT_S
            self._budget.block(wait_s)
            raise DriverError("RateLimited", f"lever {self._name}: 429", retryable=True, retry_after_s=wait_s)
        if answer.is_server_error:
            raise DriverError(
                "VendorError",
                f"lever {self._name}: {answer.status_code}",
                retryable=True,
                outcome_unknown=writes,
            )
        envelope = _envelope(answer)
        result = envelope.get("result")
        if answer.is_success and envelope.get("success") is True and isinstance(result, dict):
            return result
        code = {401: "Unauthorized", 403: "Unauthorized", 404: "NoOrigin"}.get(answer.status_code, "Refused")
        raise DriverError(
            code, f"lever {self._name}: {answer.status_code} {_errors(envelope)}".rstrip(), retryable=False
        )


def _envelope(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        parsed = answer.json()
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _errors(envelope: Mapping[str, Any]) -> str:
    """Cloudflare's own words: `code message` pairs, shortened."""
    listed = envelope.get("errors") or []
    return "; ".join(f"{e.get('code')} {e.get('message')}" for e in listed if isinstance(e, dict))[:200]
