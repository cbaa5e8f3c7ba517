"""Telnyx's API v2 as the levers and the carrier's evidence use it: one request, its deadline, its limits, its errors.

It does not know what is asked or written. Telnyx tells in headers how many requests it still takes for the request at
hand (`x-ratelimit-limit`, `-remaining`, `-reset` in seconds), so what is known of the limits is kept by family, the
first part of a path, and learnt anew with every answer. https://developers.telnyx.com/development/api-fundamentals
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from holdfast.core.values import Budget
from holdfast.levers.base import WRITE_DEADLINE_S, DriverError

LOCK_OUT_S = 60.0
"""How long a 429 without `x-ratelimit-reset` is heeded; the windows that Telnyx documents are shorter."""
RESERVE_SHARE = 10
"""One request of so many is kept for writes."""
PAGE_SIZE = 250
PAGES_MAX = 40


@dataclass(slots=True)
class _Family:
    """What the vendor last said of one family of requests."""

    limit: int
    left: int
    resets_at: float
    blocked_until: float = 0.0


class TelnyxLimits:
    """What Telnyx still takes from one key; everything that uses the key shares one of these."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._families: dict[str, _Family] = {}

    def spend(self, family: str, *, urgent: bool) -> bool:
        """Whether a request may be made now; what is not urgent leaves the reserve alone."""
        known = self._families.get(family)
        if known is None:
            return True
        now = self._clock()
        if now < known.blocked_until:
            return False
        if now >= known.resets_at:
            return True
        if known.left <= (0 if urgent else _reserve(known)):
            return False
        known.left -= 1
        return True

    def heard(self, family: str, headers: Mapping[str, str]) -> None:
        """An answer came: take over what it says of its family."""
        told = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
        if all(each.isdecimal() for each in told):
            limit, left, reset_s = map(int, told)
            blocked = self._families[family].blocked_until if family in self._families else 0.0
            self._families[family] = _Family(limit, left, self._clock() + reset_s, blocked)

    def block(self, family: str, for_s: float) -> None:
        """The vendor said 429: nothing of this family is sent until it said it would listen again."""
        until = self._clock() + for_s
        known = self._families.setdefault(family, _Family(0, 0, until))
        known.blocked_until = max(known.blocked_until, until)

    def waits_s(self, family: str) -> float:
        """Seconds until the vendor listens again; 0 when it does now or nothing is known."""
        known = self._families.get(family)
        if known is None:
            return 0.0
        return max(0.0, max(known.blocked_until, known.resets_at) - self._clock())

    def left(self) -> Budget | None:
        """The scarcest of all families; None before the vendor has told anything."""
        now = self._clock()
        told = [
            Budget(0 if now < one.blocked_until else one.left, _reserve(one))
            for one in self._families.values()
            if now < one.resets_at or now < one.blocked_until
        ]
        return min(told, key=lambda budget: budget.left, default=None)


def _reserve(family: _Family) -> int:
    return max(1, family.limit // RESERVE_SHARE)


class TelnyxApi:
    """One account's API. `who` begins every error: the kind and name of the lever or the carrier."""

    def __init__(
        self,
        *,
        who: str,
        api_url: str,
        key: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        limits: TelnyxLimits,
    ) -> None:
        self.who = who
        base = api_url.rstrip("/")
        self._base = base if base.endswith("/v2") else f"{base}/v2"
        self._key = key
        self._http = http
        self._limits = limits

    def budget(self) -> Budget | None:
        """How many requests Telnyx takes from us now; None before it has told."""
        return self._limits.left()

    async def get(self, path: str, *, params: Mapping[str, str] | None = None, urgent: bool = False) -> Any:
        """The `data` of one answer."""
        return (await self._call("GET", path, params=params, urgent=urgent)).get("data")

    async def pages(self, path: str, *, params: Mapping[str, str], urgent: bool = False) -> list[Mapping[str, Any]]:
        """The `data` of all pages, in as few requests as their size allows."""
        found: list[Mapping[str, Any]] = []
        for page in range(1, PAGES_MAX + 1):
            query = {**params, "page[size]": str(PAGE_SIZE), "page[number]": str(page)}
            answer = await self._call("GET", path, params=query, urgent=urgent)
            listed, meta = answer.get("data"), answer.get("meta")
            if not isinstance(listed, list):
                raise DriverError("Malformed", f"{self.who}: {path} is not a list", retryable=True)
            found += [one for one in listed if isinstance(one, dict)]
            if not isinstance(meta, dict) or page >= int(meta.get("total_pages") or 1):
                return found
        raise DriverError("TooMany", f"{self.who}: {path} has more than {PAGES_MAX} pages", retryable=False)

    async def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One write; its `data`."""
        return (await self._call(method, path, body=body, urgent=True)).get("data")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        urgent: bool = False,
    ) -> Mapping[str, Any]:
        family, writes = path.strip("/").partition("/")[0], method != "GET"
        headers = await self._headers()
        if not self._limits.spend(family, urgent=urgent):
            waits_s = self._limits.waits_s(family) or 1.0
            message = f"{self.who}: held back, Telnyx takes no more requests to {family} for {waits_s:.0f} s"
            raise DriverError("RateBudget", message, retryable=True, retry_after_s=waits_s)
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                answer = await self._http.request(
                    method, f"{self._base}{path}", params=params, json=body, headers=headers
                )
        except TimeoutError as e:
            message = f"{self.who}: no answer to {method} {path} in {WRITE_DEADLINE_S:.0f} s"
            raise DriverError("Timeout", message, retryable=True, outcome_unknown=writes) from e
        except httpx.HTTPError as e:
            message = f"{self.who}: {method} {path}: {type(e).__name__}"
            raise DriverError("Unreachable", message, retryable=True, outcome_unknown=writes) from e
        self._limits.heard(family, answer.headers)
        return self._result(answer, family, writes=writes)

    async def _headers(self) -> Mapping[str, str]:
        """Before the vendor's deadline begins: a key that is read too slowly leaves nothing unknown at the vendor."""
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                return {"Authorization": f"Bearer {await self._key()}"}
        except TimeoutError as e:
            message = f"{self.who}: the API key was not read in {WRITE_DEADLINE_S:.0f} s"
            raise DriverError("SecretUnread", message, retryable=True) from e

    def _result(self, answer: httpx.Response, family: str, *, writes: bool) -> Mapping[str, Any]:
        status = answer.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            told = answer.headers.get("x-ratelimit-reset", "") or answer.headers.get("retry-after", "")
            wait_s = float(told) if told.isdecimal() and int(told) > 0 else LOCK_OUT_S
            self._limits.block(family, wait_s)
            raise DriverError("RateLimited", f"{self.who}: 429", retryable=True, retry_after_s=wait_s)
        if answer.is_server_error:
            raise DriverError("VendorError", f"{self.who}: {status}", retryable=True, outcome_unknown=writes)
        body = _object(answer)
        if answer.is_success:
            if body is None:
                raise DriverError(
                    "Malformed", f"{self.who}: the answer is not JSON", retryable=True, outcome_unknown=writes
                )
            return body
        code = {401: "Unauthorized", 403: "Unauthorized", 404: "NoOrigin"}.get(status, "Refused")
        raise DriverError(code, f"{self.who}: {status} {_errors(body or {})}".rstrip(), retryable=False)


def _object(answer: httpx.Response) -> Mapping[str, Any] | None:
    try:
        parsed = answer.json()
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _errors(body: Mapping[str, Any]) -> str:
    """Telnyx's own words: code, title and the field that it is about, shortened."""
    listed = body.get("errors")
    told = []
    for error in listed if isinstance(listed, list) else []:
        if isinstance(error, dict):
            source = error.get("source")
            pointer = source.get("pointer", "") if isinstance(source, dict) else ""
            told.append(f"{error.get('code')} {error.get('title')} {pointer}".rstrip())
    return "; ".join(told)[:200]
