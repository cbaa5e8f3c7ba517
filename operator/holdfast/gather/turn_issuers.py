"""Vendors that issue TURN credentials: Cloudflare (generate-ice-servers) and Twilio (Tokens).

Each asks once and answers with one credential or a DriverError; `KeptIssuer` keeps it. The addresses a vendor sends
along are not used: what callers are offered stands in the Region, so that no answer can lead them elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from holdfast.errors import DriverError
from holdfast.gather.turn_end import Credential

ANSWER_DEADLINE_S = 2.0
LOCK_OUT_S = 30.0
CLOUDFLARE_API = "https://rtc.live.cloudflare.com"
TWILIO_API = "https://api.twilio.com"


class CloudflareCredentials:
    """One TURN key of an account. `token`: the key's own API token; it can do nothing but this."""

    def __init__(
        self,
        *,
        name: str,
        key_id: str,
        token: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        api_url: str = CLOUDFLARE_API,
        deadline_s: float = ANSWER_DEADLINE_S,
    ) -> None:
        self._name = name
        self._url = f"{api_url.rstrip('/')}/v1/turn/keys/{key_id}/credentials/generate-ice-servers"
        self._token = token
        self._http = http
        self._deadline_s = deadline_s

    async def fetch(self, ttl_s: int) -> Credential:
        """POST; 201 carries the credential, for 48 h at most. A call over TURN ends soon after its credential does."""
        headers = {"Authorization": f"Bearer {await self._token()}"}
        asked = self._http.post(self._url, json={"ttl": ttl_s}, headers=headers)
        answer = await _answer(self._name, asked, self._deadline_s)
        servers = answer.get("iceServers")
        listed = servers if isinstance(servers, list) else [servers]
        for server in listed:
            if isinstance(server, dict) and "username" in server:
                return _credential(self._name, server.get("username"), server.get("credential"))
        raise _senseless(self._name)


class TwilioCredentials:
    """Network Traversal Service of one account. `basic`: an API key's SID and its secret."""

    def __init__(
        self,
        *,
        name: str,
        account_sid: str,
        basic: Callable[[], Awaitable[tuple[str, str]]],
        http: httpx.AsyncClient,
        api_url: str = TWILIO_API,
        deadline_s: float = ANSWER_DEADLINE_S,
    ) -> None:
        self._name = name
        self._url = f"{api_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Tokens.json"
        self._basic = basic
        self._http = http
        self._deadline_s = deadline_s

    async def fetch(self, ttl_s: int) -> Credential:
        """POST; 201 carries the credential."""
        user, secret = await self._basic()
        asked = self._http.post(self._url, data={"Ttl": str(ttl_s)}, auth=(user, secret))
        answer = await _answer(self._name, asked, self._deadline_s)
        return _credential(self._name, answer.get("username"), answer.get("password"))


async def _answer(name: str, asked: Awaitable[httpx.Response], deadline_s: float) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(deadline_s):
            response = await asked
    except TimeoutError as e:
        raise DriverError("Timeout", f"TURN issuer {name}: no answer in {deadline_s:g} s", retryable=True) from e
    except httpx.HTTPError as e:
        raise DriverError("Unreachable", f"TURN issuer {name}: {type(e).__name__}", retryable=True) from None
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        after = response.headers.get("retry-after", "")
        wait_s = float(after) if after.isdecimal() and len(after) < 6 else LOCK_OUT_S
        raise DriverError("RateLimited", f"TURN issuer {name}: 429", retryable=True, retry_after_s=wait_s)
    if response.is_server_error:
        raise DriverError("VendorError", f"TURN issuer {name}: {status}", retryable=True)
    if status in (401, 403):
        raise DriverError(
            "Unauthorized", f"TURN issuer {name}: {status}, its key is refused; renew its Secret", retryable=False
        )
    if status == httpx.codes.NOT_FOUND:
        raise DriverError("NotFound", f"TURN issuer {name}: 404, no such key or account", retryable=False)
    if not response.is_success:
        raise DriverError("Refused", f"TURN issuer {name}: {status}", retryable=False)
    try:
        body = response.json()
    except ValueError:
        raise _senseless(name) from None
    if not isinstance(body, dict):
        raise _senseless(name)
    return body


def _credential(name: str, username: object, password: object) -> Credential:
    if not (isinstance(username, str) and isinstance(password, str) and username and password):
        raise _senseless(name)
    return Credential(username, password)


def _senseless(name: str) -> DriverError:
    return DriverError("BadAnswer", f"TURN issuer {name}: its answer holds no credential", retryable=True)
