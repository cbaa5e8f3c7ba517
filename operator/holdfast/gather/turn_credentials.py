"""Short-lived credentials for TURN, for probes and for callers: made here from a coturn secret, or kept from a vendor.

A failure of an issuer is a DriverError and never a word on a relay. What a vendor issued is kept until half of its
life is gone, so that its limits and outages are seldom felt: while it is ill, what lives is handed out still.
Which relay a credential is for, and what becomes of it there, is not known here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.errors import DriverError
from holdfast.gather.turn_end import Credential

REFRESHED_AT = 0.5
AGAIN_AFTER_S = 5.0
ANOTHER_AFTER_S = 60.0


class Issuer(Protocol):
    """Makes credentials for the relays of one secret or one vendor's account."""

    async def issue(self, user: str, *, ttl_s: int) -> Credential:
        """One that lives `ttl_s`, and at least half of it still; DriverError when there is none to be had."""
        ...

    async def another(self, refused: Credential, *, ttl_s: int) -> Credential | None:
        """A relay took this one for wrong: the next worth trying at once, or None."""
        ...


class CoturnSecret:
    """The REST form of coturn: user name "expiry:user", password = HMAC-SHA1(secret, user name).

    `secrets`: the newest first; `another` goes on to the older, for a relay that does not know the newest yet. `user`
    is what coturn counts quotas by. An allocation outlives its credential, so minutes are enough, but for the clocks.
    """

    def __init__(
        self,
        *,
        name: str,
        secrets: Callable[[], Awaitable[Sequence[bytes]]],
        wall: Callable[[], float],
        separator: str = ":",
    ) -> None:
        if len(separator) != 1:
            raise ValueError(f"TURN issuer {name}: a separator is one character, as in coturn's rest-api-separator")
        self._name = name
        self._secrets = secrets
        self._wall = wall
        self._separator = separator

    async def issue(self, user: str, *, ttl_s: int) -> Credential:
        """Made anew each time, with the newest secret."""
        secrets = await self._secrets()
        if not secrets:
            raise DriverError("SecretMissing", f"TURN issuer {self._name}: there is no secret", retryable=False)
        username = f"{int(self._wall()) + ttl_s}{self._separator}{user}"
        return Credential(username, _password(secrets[0], username))

    async def another(self, refused: Credential, *, ttl_s: int) -> Credential | None:  # noqa: ARG002 - it has a life
        """The same user with the next older secret."""
        secrets = await self._secrets()
        for tried, older in itertools.pairwise(secrets):
            if hmac.compare_digest(refused.password, _password(tried, refused.username)):
                return Credential(refused.username, _password(older, refused.username))
        return None


def _password(secret: bytes, username: str) -> str:
    return base64.b64encode(hmac.new(secret, username.encode(), hashlib.sha1).digest()).decode()


@dataclass(slots=True)
class _Kept:
    credential: Credential
    asked_at: float
    ttl_s: int

    def fresh(self, now: float) -> bool:
        return now < self.asked_at + self.ttl_s * REFRESHED_AT

    def lives(self, now: float) -> bool:
        return now < self.asked_at + self.ttl_s


@dataclass(slots=True)
class _Failed:
    error: DriverError
    until: float


class KeptIssuer:
    """Credentials that a vendor makes: one request at a time for each life, and none while the vendor wants none."""

    def __init__(self, fetch: Callable[[int], Awaitable[Credential]], *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[int, _Kept] = {}
        self._failed: dict[int, _Failed] = {}
        self._one_at_a_time = asyncio.Lock()

    async def issue(self, user: str, *, ttl_s: int) -> Credential:  # noqa: ARG002 - vendors name users themselves
        """The kept one, or a new one when half of its life is gone; the kept one still while the vendor is ill."""
        async with self._one_at_a_time:
            kept, failed = self._kept.get(ttl_s), self._failed.get(ttl_s)
            if kept is not None and kept.fresh(self._clock()):
                return kept.credential
            if failed is None or failed.until <= self._clock():
                try:
                    return await self._anew(ttl_s)
                except DriverError as e:
                    failed = _Failed(e, self._clock() + (e.retry_after_s or AGAIN_AFTER_S))
                    self._failed[ttl_s] = failed
            if kept is not None and kept.lives(self._clock()):
                return kept.credential
            raise failed.error

    async def another(self, refused: Credential, *, ttl_s: int) -> Credential | None:
        """A new one where the refused one is no longer new: it was revoked, and not made for the wrong relay."""
        async with self._one_at_a_time:
            kept = self._kept.get(ttl_s)
            if kept is None:
                return None
            if kept.credential != refused:
                return kept.credential
            if self._clock() < kept.asked_at + ANOTHER_AFTER_S:
                return None
            try:
                return await self._anew(ttl_s)
            except DriverError:
                return None

    async def _anew(self, ttl_s: int) -> Credential:
        asked_at = self._clock()
        credential = await self._fetch(ttl_s)
        self._kept[ttl_s] = _Kept(credential, asked_at, ttl_s)
        self._failed.pop(ttl_s, None)
        return credential
