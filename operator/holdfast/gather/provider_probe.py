"""One call with a key of the fleet's own: the cheapest that proves a provider, the key's quota and the model.

One row for each kind of provider says what is asked and what answer is expected; it is the same as the bridges' own.
No audio is sent and nothing is said. It judges nothing but this one answer; what follows is decided in the core.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp

from holdfast.core import providers
from holdfast.core.means import CanaryKey
from holdfast.core.providers import Failure
from holdfast.core.results import Outcome

ANSWER_WITHIN_S = 2.0
CLOSE_WITHIN_S = 0.3
MAX_BODY_BYTES = 4_096
MAX_MESSAGE_BYTES = 65_536
OUT_OF_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "credit balance")
BAD_KEY = frozenset({"invalid_api_key", "authentication_error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How one kind of provider is asked. `awaits`: the event that a link begins with; empty: a plain request.

    `path` of a plain request stands in the place of the key's own.
    """

    awaits: str = ""
    method: str = "GET"
    path: str = ""
    expected: frozenset[int] = frozenset({HTTPStatus.OK})


PROBES: Mapping[str, Probe] = {
    "openai": Probe(awaits="session.created"),
}


class _RefusedError(Exception):
    """The provider answered with a status that is not the expected one."""

    def __init__(self, status: int, body: str, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class ProviderProbe:
    """`secret` gives the text of one entry of a Secret in the operator's namespace, or raises."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        secret: Callable[[str, str], Awaitable[str]],
        probes: Mapping[str, Probe] = PROBES,
    ) -> None:
        self._tls = tls
        self._secret = secret
        self._probes = probes

    async def __call__(self, key: CanaryKey) -> tuple[Outcome, str]:
        """The outcome, and a word for it. A Secret that cannot be read says nothing of the provider: it raises."""
        bearer = await self._secret(key.secret, key.secret_key)
        row = self._probes[key.kind]
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._ask(key, row, bearer)
        except _RefusedError as refused:
            failure = refusal(refused.status, refused.body)
            return Outcome(failure, _seconds(refused.retry_after)), f"HTTP {refused.status}"
        except TimeoutError:
            return Outcome(Failure.TIMEOUT), "timeout"
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(Failure.ERROR), type(error).__name__

    async def _ask(self, key: CanaryKey, row: Probe, bearer: str) -> tuple[Outcome, str]:
        # A connection of its own each time: a kept one would prove nothing of a new call.
        async with aiohttp.ClientSession(
            headers={**key.headers, "Authorization": f"Bearer {bearer}"}, raise_for_status=_expecting(row)
        ) as http:
            parts = urlsplit(key.base_url)
            if row.awaits:
                url = urlunsplit(parts._replace(query=urlencode({"model": key.model, **key.query})))
                return await self._open(http, url, row)
            scheme = "https" if parts.scheme in ("wss", "https") else "http"
            url = urlunsplit(parts._replace(scheme=scheme, path=row.path, query=""))
            async with http.request(row.method, url, ssl=self._tls, allow_redirects=False):
                return Outcome(), ""

    async def _open(self, http: aiohttp.ClientSession, url: str, row: Probe) -> tuple[Outcome, str]:
        limits = aiohttp.ClientWSTimeout(ws_close=CLOSE_WITHIN_S)
        async with http.ws_connect(url, ssl=self._tls, timeout=limits, max_msg_size=MAX_MESSAGE_BYTES) as socket:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                # Also a planned end is a failure here, where nothing had begun.
                failure = closing(socket.close_code or 1006, str(message.extra or "")) or Failure.ERROR
                return Outcome(failure), f"closed {socket.close_code}"
            try:
                said = message.json()
                if said["type"] == row.awaits:
                    return Outcome(), ""
                error = said.get("error") or {}
                failure = error_event(str(error.get("type") or ""), str(error.get("code") or ""))
                return Outcome(failure), failure.value
            except (ValueError, KeyError, TypeError, AttributeError):
                return Outcome(Failure.ERROR), "unreadable"


def _expecting(row: Probe) -> Callable[[aiohttp.ClientResponse], Awaitable[None]]:
    expected = {HTTPStatus.SWITCHING_PROTOCOLS} if row.awaits else row.expected

    async def check(answer: aiohttp.ClientResponse) -> None:
        if answer.status not in expected:
            body = (await answer.content.read(MAX_BODY_BYTES)).decode(errors="replace")
            raise _RefusedError(answer.status, body, answer.headers.get("Retry-After", ""))

    return check


def refusal(status: int, body: str = "") -> Failure:
    """What a refused upgrade says. There is no call's content here: a refusal of the request is one of our settings."""
    found = providers.failure_of(status, out_of_credit=any(sign in body for sign in OUT_OF_CREDIT))
    return found or (Failure.CONFIG if 400 <= status < 500 else Failure.ERROR)


def closing(code: int, reason: str = "") -> Failure | None:
    """What a close before the first event says; None: a planned end."""
    if any(sign in reason for sign in OUT_OF_CREDIT):
        return Failure.QUOTA
    if reason.startswith("invalid_request_error."):
        return Failure.CONFIG
    return None if code in (1000, 1001, 1007, 1009) else providers.failure_of(code) or Failure.ERROR


def error_event(error_type: str, code: str) -> Failure:
    """What an error event before the first event says."""
    if error_type == "server_error":
        return Failure.ERROR
    if code in OUT_OF_CREDIT or error_type in OUT_OF_CREDIT:
        return Failure.QUOTA
    if code in BAD_KEY or error_type in BAD_KEY:
        return Failure.AUTH
    return Failure.RATE_LIMITED if code == "rate_limit_exceeded" else Failure.CONFIG


def _seconds(retry_after: str) -> float:
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        return 0.0
