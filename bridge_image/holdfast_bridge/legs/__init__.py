"""Legs: what carriers say on a socket, translated. Each is a pure codec; none knows of the others or of providers."""

from __future__ import annotations

from dataclasses import dataclass

UNSUPPORTED = 1003
INVALID = 1007
POLICY = 1008
TOO_BIG = 1009


class BadFrame(Exception):
    """The other side broke its protocol: the close code for it, and a reason fit for a metric's label."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Started:
    """A stream has introduced itself."""

    call: str
    account: str
    token: str
