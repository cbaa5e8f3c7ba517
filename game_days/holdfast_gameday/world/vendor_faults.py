"""What goes wrong at a simulated speech vendor, on demand, by the name of a key or by share. Values and counting only.

It knows no vendor: how a refusal or an error is worded there is the simulator's business.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

Kind = Literal["refuse", "close", "drop", "stall", "error", "garbage", "garbled", "unknown", "slow"]
Moment = Literal["now", "speaking", "tool"]


@dataclass(frozen=True, slots=True)
class Fault:
    """For the given names of keys (None: all) and for this share of what it meets.

    refuse   new upgrades and requests are answered with `status`, and Retry-After where the vendor sends one
    close    links are closed with `code` and `reason`; streams of HTTP end in the middle
    drop     links are gone without a word
    stall    links stay open and say nothing more
    error    what is asked fails with the vendor's own error, `error_type` and `error_code`
    garbage  one message that cannot be read, then all is as before
    garbled  from then on no message can be read
    unknown  one message of a kind that nobody knows, then all is as before
    slow     the first message of a link, and the first of each reply, come `delay_s` later

    `at`: `now` strikes open links at once and new ones as soon as they are open; `speaking` when a reply has begun to
    sound (or its text to come); `tool` when the call of a tool has been sent. Each link is struck once.
    """

    kind: Kind
    _: KW_ONLY
    at: Moment = "now"
    keys: Collection[str] | None = None
    share: float = 1.0
    status: int = 503
    code: int = 1011
    reason: str = ""
    error_type: str = "server_error"
    error_code: str = "internal_error"
    retry_after_s: int = 1
    delay_s: float = 3.0


@dataclass(slots=True)
class Armed:
    fault: Fault
    met: int = 0

    def hits(self, key_name: str) -> bool:
        """Spread evenly instead of by dice, so that a share of 0.5 hits every second one."""
        if self.fault.keys is not None and key_name not in self.fault.keys:
            return False
        self.met += 1
        return int(self.met * self.fault.share) > int((self.met - 1) * self.fault.share)


@dataclass(frozen=True, slots=True)
class Happened:
    """What a link or a stream of this key reached, or that a fault struck it; when, on the callers' clock."""

    at: float
    key: str
    what: Moment | Literal["struck"]


@dataclass(slots=True)
class Counts:
    opened: int = 0
    refused: int = 0
    closed: int = 0
    unstored: int = 0
    """Of those that were opened, how many asked in the vendor's words that nothing be stored."""
    by_key: dict[str, int] = field(default_factory=dict)
