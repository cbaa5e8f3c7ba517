"""What every driver of a Twilio account shares: hosts, credentials, deadlines, error codes, limits and pages.

Facts this rests on: a Region is a half of an account of its own, with its own credentials and records, reached as
`product.edge.region.twilio.com`; `product.region` without an edge is gone. 429 with code 20429 means that too many
requests were open at once, not that too many were made; it was not processed and is safe to repeat after a pause.
https://www.twilio.com/docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region
https://www.twilio.com/docs/api/errors/20429

It refuses to know what is routed, and repeats nothing by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from holdfast.core.values import Budget
from holdfast.levers.base import WRITE_DEADLINE_S, DriverError
from holdfast.levers.budget import RateBudget

API_URL = "https://api.twilio.com"
HOME_REGION = "us1"
EDGES: Mapping[str, str] = {"us1": "ashburn", "ie1": "dublin", "au1": "sydney", "jp1": "tokyo"}
PAGE_SIZE = 1000
PAGES_MAX = 100
NAME_MAX = 64
# The account's limit is not published; blogs name about 100 for everything the account does. Half is kept for writes.
CONCURRENT = 8
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 32.0
ACCOUNT_NOT_ACTIVE = 20005


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """One Region's half of an account. `api_url` differs from Twilio's own only on a practice range."""

    account_sid: str
    region: str = HOME_REGION
    edge: str = ""
    api_url: str = API_URL

    def url(self, product: str) -> str:
        """The base of a product's addresses: `https://trunking.dublin.ie1.twilio.com`."""
        parts = urlsplit(self.api_url or API_URL)
        host = self._host(product, parts.hostname or "")
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"

    def _host(self, product: str, given: str) -> str:
        if not given.endswith(".twilio.com"):
            return given
        middle = given.removesuffix(".twilio.com").split(".")[1:]
        if not middle and (self.edge or self.region != HOME_REGION):
            middle = [self.edge or EDGES.get(self.region, ""), self.region]
        if middle and (len(middle) != 2 or not middle[0]):
            raise DriverError(
                "NoEdge",
                f"account {self.account_sid}: Region {self.region} is reached through an edge; name it, as in "
                "api.dublin.ie1.twilio.com",
                retryable=False,
            )
        return ".".join((product, *middle, "twilio", "com"))


class TwilioApi:
    """Requests to one half of one account. Every driver of that half shares this object, and so its limits."""

    def __init__(
        self,
        *,
        name: str,
        account: TwilioAccount,
        credentials: Callable[[], Awaitable[tuple[str, str]]],
        http: httpx.AsyncClient,
        budget: RateBudget,
        concurrent: int = CONCURRENT,
    ) -> None:
        self.name = name
        self.account = account
        self._credentials = credentials
        self._http = http
        self._budget = budget
        self._slots = asyncio.Semaphore(concurrent)
        self._steady = asyncio.Semaphore(max(1, concurrent // 2))
        self._refusals = 0

    def budget(self) -> Budget:
        """What may be sent now; nothing at all while the vendor wants a pause."""
        return self._budget.left()

    def path(self, resource: str) -> str:
        """The path of a resource of the account under the 2010 API."""
        return f"/2010-04-01/Accounts/{self.account.account_sid}/{resource}.json"

    async def pages(
        self, product: str, path: str, key: str, *, params: Mapping[str, str] | None = None, urgent: bool = False
    ) -> list[Mapping[str, Any]]:
        """All entries of a list. Only path and query of the next page are taken: our key goes to no other host."""
        found: list[Mapping[str, Any]] = []
        asked: dict[str, str] = {**(params or {}), "PageSize": str(PAGE_SIZE)}
        for _ in range(PAGES_MAX):
            answer = await self.call("GET", product, path, params=asked, urgent=urgent)
            entries = answer.get(key)
            if not isinstance(entries, list):
                raise DriverError("Malformed", f"twilio {self.name}: no list of {key}", retryable=True)
            found += [entry for entry in entries if isinstance(entry, dict)]
            meta = answer.get("meta")
            following = meta.get("next_page_url") if isinstance(meta, dict) else answer.get("next_page_uri")
            if not following:
                return found
            parts = urlsplit(str(following))
            path, asked = parts.path, dict(parse_qsl(parts.query))
        raise DriverError("Malformed", f"twilio {self.name}: more than {PAGES_MAX} pages of {key}", retryable=False)

    async def call(
        self,
        method: str,
        product: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        urgent: bool = False,
    ) -> Mapping[str, Any]:
        """One request within the deadline. What is not urgent leaves half of the slots to what is."""
        writes, sent = method != "GET", False
        url = self.account.url(product) + path
        try:
            async with asyncio.timeout(WRITE_DEADLINE_S):
                auth = await self._credentials()
                async with self._slot(urgent=urgent or writes):
                    self._spend(urgent=urgent or writes)
                    sent = True
                    answer = await self._http.request(method, url, params=params, data=form, auth=auth)
        except TimeoutError as e:
            raise DriverError(
                "Timeout", f"twilio {self.name}: no answer in 2 s", retryable=True, outcome_unknown=writes and sent
            ) from e
        except httpx.HTTPError as e:
            # Without a connection nothing was sent, so nothing can have been done.
            unknown = writes and not isinstance(e, httpx.ConnectError)
            raise DriverError(
                "Unreachable", f"twilio {self.name}: {type(e).__name__}", retryable=True, outcome_unknown=unknown
            ) from e
        return self._result(answer, writes=writes, secret=auth[1])

    @contextlib.asynccontextmanager
    async def _slot(self, *, urgent: bool) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as held:
            if not urgent:
                await held.enter_async_context(self._steady)
            await held.enter_async_context(self._slots)
            yield

    def _spend(self, *, urgent: bool) -> None:
        """Asked when a slot is free: what waited while the vendor said 429 must not be sent either."""
        if not self._budget.spend(urgent=urgent):
            raise DriverError(
                "RateBudget",
                f"twilio {self.name}: held back, the request budget is spent",
                retryable=True,
                retry_after_s=self._budget.blocked_for_s() or 1.0,
            )

    def _result(self, answer: httpx.Response, *, writes: bool, secret: str) -> Mapping[str, Any]:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise self._too_many(answer)
        self._refusals = 0
        if answer.status_code == httpx.codes.NO_CONTENT:
            return {}
        if answer.is_server_error:
            raise DriverError(
                "VendorError", f"twilio {self.name}: {answer.status_code}", retryable=True, outcome_unknown=writes
            )
        body = _json(answer)
        if not answer.is_success:
            raise self._refused(answer.status_code, body or {}, secret)
        if body is None:
            raise DriverError(
                "Malformed", f"twilio {self.name}: not a JSON object", retryable=True, outcome_unknown=writes
            )
        return body

    def _too_many(self, answer: httpx.Response) -> DriverError:
        """Twilio names no pause, so it doubles from one refusal to the next; where it does name one, that holds."""
        after = answer.headers.get("retry-after", "")
        pause_s = float(after) if after.isdecimal() else min(LAST_PAUSE_S, FIRST_PAUSE_S * 2**self._refusals)
        self._refusals = min(self._refusals + 1, 8)
        self._budget.block(pause_s)
        return DriverError(
            "RateLimited",
            f"twilio {self.name}: 429, too many requests of the account at once; pausing {pause_s:g} s",
            retryable=True,
            retry_after_s=pause_s,
        )

    def _refused(self, status: int, body: Mapping[str, Any], secret: str) -> DriverError:
        code = {401: "Unauthorized", 403: "Unauthorized", 404: "NoOrigin"}.get(status, "Refused")
        if body.get("code") == ACCOUNT_NOT_ACTIVE:
            code = "AccountSuspended"
        words = f"{body.get('code') or ''} {body.get('message') or ''}".strip()
        if secret:
            words = words.replace(secret, "…")
        hint = ""
        if code == "Unauthorized":
            hint = f"; is the key right, of Region {self.account.region}, and the account active?"
        return DriverError(code, f"twilio {self.name}: {status} {words[:200]}".rstrip() + hint, retryable=False)


def _json(answer: httpx.Response) -> Mapping[str, Any] | None:
    try:
        parsed = answer.json()
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def shown(url: object, method: object) -> str:
    """An address as it is compared: one that is not asked by POST is another one, so that it is seen and put right."""
    text = str(url or "")
    return text if not text or str(method or "POST").upper() == "POST" else f"{method} {text}"
