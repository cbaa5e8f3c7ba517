"""What a provider's refusal, close or silence says of it, in the few kinds that the operator's breakers tell apart.

Pure, and the one place where a status, a close code or a vendor's error code becomes a kind. It knows no vendor's
protocol: codecs and links hand it what they met, and get a word fit for a metric's label.

    kind     lies with         examples
    5xx      the provider      HTTP 5xx, close 1006, 1011, 1012, 1013, a broken link, an error of the server
    timeout  the provider      no session within the deadline, a peer that stopped reading
    stall    the provider      a response that was asked for and never began to sound
    429      both              HTTP 429 and 498, `rate_limit_exceeded`: it is well and asks us to wait
    auth     the key           HTTP 401 and 403, close 1008
    quota    the account       HTTP 402, `insufficient_quota` under whatever status
    config   the spec          HTTP 400, 404, 422 and other 4xx to an upgrade, a session that is refused
    None     nobody            planned ends (1000, 1001, the end of a session's hour), what one call's content caused
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

RETRY_AFTER_MAX_S = 3_600.0
UNREADABLE_MAX = 3
"""So many messages that cannot be read, and a link is of no use."""
_PRIVATE_CODES = 3_000


class Failure(Enum):
    """How a provider failed: the words of the report to the operator."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    STALL = "stall"
    RATE_LIMITED = "429"
    AUTH = "auth"
    QUOTA = "quota"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused upgrade: a word for it, whether to ask the same again, and how long the provider asks us to wait."""

    word: str
    retry_same: bool = False
    retry_after_s: float = 0.0


_OUT_OF_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "credit balance")
_WRONG_KEY = ("API key not valid", "unregistered callers")
"""In Google's words, which come with 400 or 403, and with a close of 1007 or 1008."""
_CLOSED: Mapping[str, tuple[str, bool]] = {
    # Google's reasons, which tell more than its codes: 1007, 1008 and 1011 are used for almost anything.
    "exceeded your current quota": ("quota", False),
    "Resource has been exhausted": ("rate", False),
    "is not found for API version": ("model_not_found", False),
    "Publisher Model": ("model_not_found", False),
    "Requested entity was not found": ("config", False),
    "invalid argument": ("config", False),
    "Invalid JSON payload": ("config", False),
    "Invalid value at": ("config", False),
    "Operation is not implemented, or supported, or enabled": ("config", False),
    "session not found": ("session_expired", True),
    "operation was aborted": ("session_expired", True),
    "Deadline expired": ("session_expired", True),
}
_KINDS: Mapping[str, Failure | None] = {
    "auth": Failure.AUTH,
    "invalid_api_key": Failure.AUTH,
    "authentication_error": Failure.AUTH,
    "account_deactivated": Failure.AUTH,
    "forbidden": Failure.AUTH,
    "quota": Failure.QUOTA,
    "insufficient_quota": Failure.QUOTA,
    "billing_hard_limit_reached": Failure.QUOTA,
    "credit_balance_exhausted": Failure.QUOTA,
    "rate": Failure.RATE_LIMITED,
    "rate_limit_exceeded": Failure.RATE_LIMITED,
    "rate_limit_error": Failure.RATE_LIMITED,
    "config": Failure.CONFIG,
    "model_not_found": Failure.CONFIG,
    "invalid_request_error": Failure.CONFIG,
    "timeout": Failure.TIMEOUT,
    "not_reading": Failure.TIMEOUT,
    "stall": Failure.STALL,
    "deaf": None,
    "tool_loop": None,
    "session_expired": None,
    "content_filter": None,
    "context_length_exceeded": None,
    "inactive": None,
    "closed_1000": None,
    "closed_1001": None,
    "closed_1007": None,
    "closed_1009": None,
}


def kind(word: str) -> Failure | None:
    """The kind of a failure that was given this word; a word nobody thought of lies with the provider."""
    return _KINDS.get(word, Failure.ERROR)


def refused(status: int, *, body: str = "", retry_after: str = "") -> Refused:
    """An upgrade or a request that was answered with this status; 0: with nothing that can be read."""
    if any(sign in body for sign in _OUT_OF_CREDIT) or status == 402:
        return Refused("quota")
    if status in (401, 403) or any(sign in body for sign in _WRONG_KEY):
        return Refused("auth")
    if status in (429, 498):
        return Refused("rate", retry_after_s=_seconds(retry_after))
    if 400 <= status < 500:
        return Refused("config")
    return Refused("server" if status else "handshake", retry_same=True)


def closed(code: int, reason: str = "") -> tuple[str, bool]:
    """A link that the provider closed: the word for it, and whether to ask the same attempt again."""
    if any(sign in reason for sign in _OUT_OF_CREDIT):
        return "quota", False
    if reason.startswith(("invalid_request_error.", "DATA-0000")):
        return "config", False
    if found := next((found for sign, found in _CLOSED.items() if sign in reason), None):
        return found
    if code == 1008 or any(sign in reason for sign in _WRONG_KEY):
        return "auth", False
    # A vendor's own codes may be any: each would be a word of its own for a metric's label.
    return f"closed_{code}" if code < _PRIVATE_CODES else "closed_private", True


def error_event(error_type: str, code: str, *, configured: bool) -> tuple[str, bool] | None:
    """An error that the provider names on an open link: the word and whether to ask again. None: the link is usable."""
    named = next((name for name in (code, error_type) if name in _KINDS), "")
    if error_type == "server_error":
        return (error_type if code in _KINDS else code or error_type), True
    if named == "session_expired":
        return named, True
    found = _KINDS.get(named)
    if found in (Failure.AUTH, Failure.QUOTA):
        return found.value, False
    if configured:
        return None
    return ("rate", False) if found is Failure.RATE_LIMITED else ("config", False)


def _seconds(retry_after: str) -> float:
    """Seconds of a Retry-After. A date is not read: no clock of a vendor's is compared with ours."""
    try:
        asked = float(retry_after)
    except ValueError:
        return 0.0
    return min(asked, RETRY_AFTER_MAX_S) if asked > 0 else 0.0
