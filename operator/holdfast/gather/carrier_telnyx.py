"""One cheap look at a Telnyx account: does its API answer, and is the account in use.

The balance is read: it is authenticated, changes nothing and says nothing about callers. When to look and what to make
of it is not known here; `core.carriers.verdict` judges the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from holdfast.errors import DriverError

DEADLINE_S = 1.5
SUSPENDED_WORDS = ("suspend", "account inactive", "blocked", "deactivat", "disabled")
"""Telnyx has no field for it; a refusal says it in its title."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` None: nobody answered. `detail` says in words what was seen, without a secret and without an amount."""

    status: int | None
    suspended: bool
    detail: str


class TelnyxAccount:
    """Looks at one account."""

    def __init__(
        self,
        *,
        api_url: str,
        key: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        base = api_url.rstrip("/")
        self._url = f"{base}/balance" if base.endswith("/v2") else f"{base}/v2/balance"
        self._key = key
        self._http = http
        self._deadline_s = deadline_s

    async def look(self) -> Outcome:
        """One request. It never raises: a key that cannot be had is told as a 401, which is our own fault."""
        try:
            async with asyncio.timeout(self._deadline_s):
                headers = {"Authorization": f"Bearer {await self._key()}"}
                answer = await self._http.get(self._url, headers=headers)
        except DriverError as error:
            return Outcome(401, suspended=False, detail=f"no key: {error.code}")
        except TimeoutError:
            return Outcome(None, suspended=False, detail=f"no answer in {self._deadline_s:.1f} s")
        except httpx.HTTPError as error:
            return Outcome(None, suspended=False, detail=type(error).__name__)
        title = _title(answer)
        suspended = answer.is_client_error and any(word in title.lower() for word in SUSPENDED_WORDS)
        return Outcome(answer.status_code, suspended=suspended, detail=f"{answer.status_code} {title}".rstrip())


def _title(answer: httpx.Response) -> str:
    """The vendor's own words for a refusal: code and title of the first error."""
    if answer.is_success:
        return ""
    try:
        first = answer.json()["errors"][0]
        return f"{first.get('code')} {first.get('title')}"[:120]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
