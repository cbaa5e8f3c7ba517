"""One Kamailio, asked by JSONRPC over HTTP: what its dispatcher holds, and a destination on or off.

Kamailio's words stay here: method names, that a group is a number and never a string, and that every refusal is an HTTP
500 with a sentence. The interface itself asks for no credentials, so it belongs behind mutual TLS or on an address of
the cluster's own; a header for whoever stands in front of it is sent when there is one.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from holdfast.levers import kamailio_list
from holdfast.levers.base import DriverError

RETRY_AFTER_429_S = 5.0
ANSWER_BYTES_MAX = 8 * 1024 * 1024
WORDS_MAX = 200
NO_SUCH_KEY = "Key name doesn't exist"
REFUSES_US = frozenset({401, 403})

# The value of an Authorization header, read anew for every request so that a rotated Secret holds at once.
Authorization = Callable[[], Awaitable[str]]


async def no_authorization() -> str:
    """For an interface that asks for none."""
    return ""


def authorization(secret: Mapping[str, bytes]) -> str:
    """The header for a Secret with `token`, or with `username` and `password`; empty when it has neither."""
    if token := secret.get("token", b"").strip():
        return f"Bearer {token.decode(errors='replace')}"
    if name := secret.get("username", b"").strip():
        pair = name + b":" + secret.get("password", b"").rstrip(b"\r\n")
        return f"Basic {base64.b64encode(pair).decode()}"
    return ""


@dataclass(frozen=True, slots=True)
class Look:
    """What one proxy says: the destinations of the group, and the highest epoch that wrote there, by region."""

    destinations: tuple[kamailio_list.Destination, ...]
    epochs: Mapping[str, int]


class Proxy:
    """The dispatcher of one Kamailio. Deadlines are the caller's: they span several requests.

    `fence_table`: an htable of the proxy in which each region's epoch is kept; empty: there is none, and none is read.
    """

    def __init__(
        self,
        *,
        lever: str,
        url: str,
        group: int,
        http: httpx.AsyncClient,
        authorization: Authorization = no_authorization,
        fence_table: str = "",
    ) -> None:
        # Whatever stands before an @ would be logged with every request; credentials come from a Secret.
        self._url = httpx.URL(url).copy_with(userinfo=b"")
        self._who = f"lever {lever}: proxy {self._url.host}:{self._url.port or self._url.scheme}"
        self._group = group
        self._http = http
        self._authorization = authorization
        self._fence_table = fence_table

    @property
    def who(self) -> str:
        """How messages name it: the lever and the address, never what the URL may carry as credentials."""
        return self._who

    @property
    def fences(self) -> bool:
        """Whether it keeps epochs."""
        return bool(self._fence_table)

    async def look(self, keys: Mapping[str, str]) -> Look:
        """Everything the group holds, and the epochs found under `keys` (by region)."""
        result = await self._call("dispatcher.list", (), writes=False)
        try:
            found = kamailio_list.destinations(result, self._group)
        except ValueError as e:
            raise DriverError("Malformed", f"{self._who}: dispatcher.list: {e}", retryable=True) from e
        epochs = {region: await self._epoch(key) for region, key in keys.items()} if self._fence_table else {}
        return Look(found, epochs)

    async def put(self, uri: str, *, enabled: bool) -> None:
        """`d` takes no new calls and is pinged no more; `ap` takes them, and is watched by the pinger again."""
        await self._call("dispatcher.set_state", ("ap" if enabled else "d", self._group, uri), writes=True)

    async def store_epoch(self, key: str, epoch: int) -> None:
        """Leave the epoch of the writer at the proxy. Nothing where there is no table for it."""
        if self._fence_table:
            await self._call("htable.sets", (self._fence_table, key, str(epoch)), writes=True)

    async def _epoch(self, key: str) -> int:
        try:
            result = await self._call("htable.get", (self._fence_table, key), writes=False)
        except DriverError as e:
            if NO_SUCH_KEY in str(e):
                return 0
            raise
        item = result.get("item") if isinstance(result, dict) else None
        value = str(item.get("value", "")) if isinstance(item, dict) else ""
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else 0

    async def _call(self, method: str, params: Sequence[str | int], *, writes: bool) -> Any:
        body = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        # A connection of its own for each request: a kept one is found dead only after a restart of the proxy, and a
        # write on it has an unknown outcome for no reason.
        headers = {"Connection": "close"}
        if credential := await self._authorization():
            if not (credential.isascii() and credential.isprintable()):
                raise DriverError("Unauthorized", f"{self._who}: the Secret holds no header's text", retryable=False)
            headers["Authorization"] = credential
        try:
            answer = await self._http.post(self._url, json=body, headers=headers)
        except httpx.ConnectError as e:
            raise DriverError("Unreachable", f"{self._who}: no connection", retryable=True) from e
        except httpx.HTTPError as e:
            raise DriverError(
                "Unreachable", f"{self._who}: {type(e).__name__}", retryable=True, outcome_unknown=writes
            ) from e
        return self._result(answer, method, writes=writes)

    def _result(self, answer: httpx.Response, method: str, *, writes: bool) -> Any:
        status = answer.status_code
        if status in REFUSES_US:
            raise DriverError("Unauthorized", f"{self._who}: {status}", retryable=False)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise DriverError("RateLimited", f"{self._who}: 429", retryable=True, retry_after_s=RETRY_AFTER_429_S)
        envelope = _envelope(answer)
        if answer.is_success and "result" in envelope:
            return envelope["result"]
        error = envelope.get("error")
        if isinstance(error, dict):
            words = str(error.get("message", ""))[:WORDS_MAX]
            raise DriverError("Refused", f"{self._who}: {method}: {words}", retryable=False)
        if answer.is_server_error:
            raise DriverError("VendorError", f"{self._who}: {status}", retryable=True, outcome_unknown=writes)
        raise DriverError(
            "Malformed",
            f"{self._who}: {status} without a JSONRPC answer; is this the address that Kamailio's xhttp serves?",
            retryable=answer.is_success,
            outcome_unknown=writes and answer.is_success,
        )


def _envelope(answer: httpx.Response) -> Mapping[str, Any]:
    if len(answer.content) > ANSWER_BYTES_MAX:
        return {}
    try:
        parsed = answer.json()
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
