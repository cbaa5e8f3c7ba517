"""Fetches TwiML the way Twilio does: signed form posts, and connection overrides in the URL's fragment.

It gives back a document or the reason why there is none; which URL comes next is the call's business.

    fragment  meaning                       default   bounds
    ct        connect time-out, ms          5000      100 … 10000
    rt        read time-out, ms             15000     100 … 15000
    tt        total time, retries included  15000     … 15000
    rc        retries                       1         0 … 5
    rp        what is retried               ct        4xx 5xx ct rt all
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit

import aiohttp

from holdfast_gameday.world import twilio_signature
from holdfast_gameday.world.twilio_net import Network, UnknownHostError

HTTP_RETRIEVAL_FAILURE = 11200
HTTP_CONNECTION_FAILURE = 11205
HTTP_BAD_HOST = 11210
CERTIFICATE_INVALID = 11237
INVALID_URL = 11100

DOCUMENT_OCTETS_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Overrides:
    connect_ms: int = 5000
    read_ms: int = 15000
    total_ms: int = 15000
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})


@dataclass(frozen=True, slots=True)
class Document:
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class FetchFailure:
    code: int
    url: str
    detail: str
    retry_class: str = ""


def split_overrides(url: str) -> tuple[str, Overrides]:
    """The URL that is requested and signed, and what its fragment asks for."""
    bare, fragment = urldefrag(url)
    asked = dict(parse_qsl(fragment))
    defaults = Overrides()
    policy = frozenset(part for part in asked.get("rp", "ct").split(",") if part)
    return bare, Overrides(
        connect_ms=_bounded(asked.get("ct"), defaults.connect_ms, 100, 10000),
        read_ms=_bounded(asked.get("rt"), defaults.read_ms, 100, 15000),
        total_ms=_bounded(asked.get("tt"), defaults.total_ms, 100, 15000),
        retries=_bounded(asked.get("rc"), defaults.retries, 0, 5),
        retry_on=policy,
    )


def _bounded(value: str | None, default: int, low: int, high: int) -> int:
    if value is None or not value.isdigit():
        return default
    return min(high, max(low, int(value)))


class Fetcher:
    def __init__(self, network: Network, session: aiohttp.ClientSession) -> None:
        self._network = network
        self._session = session

    async def fetch(
        self, url: str, params: Mapping[str, str], *, token: str, method: str = "POST"
    ) -> Document | FetchFailure:
        bare, overrides = split_overrides(url)
        parts = urlsplit(bare)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return FetchFailure(INVALID_URL, bare, "not an http or https URL")
        deadline = time.monotonic() + overrides.total_ms / 1000
        answer: Document | FetchFailure = FetchFailure(HTTP_CONNECTION_FAILURE, bare, "no attempt was made")
        for _attempt in range(overrides.retries + 1):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            answer = await self._attempt(bare, params, token=token, method=method, overrides=overrides, left_s=left_s)
            if isinstance(answer, Document) or not _retried(answer, overrides):
                break
        return answer

    async def _attempt(
        self, bare: str, params: Mapping[str, str], *, token: str, method: str, overrides: Overrides, left_s: float
    ) -> Document | FetchFailure:
        url, body = bare, dict(params)
        if method == "GET":
            url, body = bare + ("&" if "?" in bare else "?") + urlencode(params), {}
        headers = {
            twilio_signature.HEADER: twilio_signature.sign(url, body, token),
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._network.record(parts.hostname or "", port, kind="twilio-webhook", path=parts.path)
        timeout = aiohttp.ClientTimeout(
            total=left_s, sock_connect=overrides.connect_ms / 1000, sock_read=overrides.read_ms / 1000
        )
        try:
            async with self._session.request(
                method, url, data=body or None, headers=headers, timeout=timeout, max_redirects=3
            ) as response:
                content = await response.content.read(DOCUMENT_OCTETS_MAX)
                if response.status >= 400:
                    return FetchFailure(
                        HTTP_RETRIEVAL_FAILURE, bare, f"status {response.status}", f"{response.status // 100}xx"
                    )
                return Document(bare, content.decode(errors="replace"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _failure(bare, error)


def _retried(failure: FetchFailure, overrides: Overrides) -> bool:
    return failure.retry_class in overrides.retry_on or ("all" in overrides.retry_on and failure.retry_class != "")


def _failure(url: str, error: Exception) -> FetchFailure:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return FetchFailure(HTTP_CONNECTION_FAILURE, url, "connect timed out", "ct")
    if isinstance(error, aiohttp.ServerTimeoutError | asyncio.TimeoutError):
        return FetchFailure(HTTP_RETRIEVAL_FAILURE, url, "read timed out", "rt")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return FetchFailure(CERTIFICATE_INVALID, url, "TLS failed", "")
    if isinstance(error, aiohttp.ClientConnectorDNSError | UnknownHostError):
        return FetchFailure(HTTP_BAD_HOST, url, "unknown host", "")
    if isinstance(error, aiohttp.ClientConnectorError):
        return FetchFailure(HTTP_CONNECTION_FAILURE, url, f"connect failed: {error.os_error.strerror}", "ct")
    return FetchFailure(HTTP_RETRIEVAL_FAILURE, url, f"connection lost: {type(error).__name__}", "")
