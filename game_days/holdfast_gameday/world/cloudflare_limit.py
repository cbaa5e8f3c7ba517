"""Cloudflare's request limit: so many per window and user, then nothing but 429 for another window.

Pure: the caller says what time it is.
"""

from __future__ import annotations

import email.utils
import math
from dataclasses import dataclass

REQUESTS_MAX = 1200
WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    remaining: int
    reset_at: float

    def headers(self, now: float, *, limit: int) -> dict[str, str]:
        headers = {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": email.utils.formatdate(self.reset_at, usegmt=True),
        }
        if not self.allowed:
            headers["retry-after"] = str(max(1, math.ceil(self.reset_at - now)))
        return headers


class RequestLimit:
    """One user's count: the dashboard, a key and every token of the user draw on it together."""

    __slots__ = ("_blocked_until", "_count", "_window_end", "limit")

    def __init__(self, limit: int = REQUESTS_MAX) -> None:
        self.limit = limit
        self._count = 0
        self._window_end = 0.0
        self._blocked_until = 0.0

    def spend(self, now: float) -> Verdict:
        if now < self._blocked_until:
            return Verdict(allowed=False, remaining=0, reset_at=self._blocked_until)
        if now >= self._window_end:
            self._count = 0
            self._window_end = now + WINDOW_S
        self._count += 1
        if self._count > self.limit:
            self.lock_out(now)
            return Verdict(allowed=False, remaining=0, reset_at=self._blocked_until)
        return Verdict(allowed=True, remaining=self.limit - self._count, reset_at=self._window_end)

    def lock_out(self, now: float) -> None:
        self._blocked_until = now + WINDOW_S
        self._window_end = self._blocked_until
