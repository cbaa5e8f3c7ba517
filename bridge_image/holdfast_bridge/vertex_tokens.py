"""Access tokens for attempts on Vertex AI: one each, fetched early and kept, so that no call waits for one.

What is asked of whom is planned in `providers.google_token`; here are the requests, with deadlines, without redirects
and without a proxy. An attempt is on Vertex when its options say so; its key file then holds the credentials. No token
is in a log or an error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from holdfast_bridge import http_out
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providers import google_token as gt
from holdfast_bridge.settings import Settings

ASKED_WITHIN_S = 5.0
LOOK_EVERY_S = 2.0
"""Credentials may be replaced at any time; and no source is asked more often than this."""
MAX_ANSWER_BYTES = 64 * 1024

log = logging.getLogger(__name__)


def on_vertex(attempt: Attempt) -> bool:
    return attempt.kind == "gemini" and bool(attempt.options.get("vertex"))


@dataclass(slots=True)
class _Kept:
    """What is known for one attempt. `problem`: why there is no newer token, as it was logged."""

    credentials: str = field(repr=False)
    source: gt.Source | gt.Refusal
    token: gt.Token | None = None
    ask_at: float = 0.0
    failures: int = 0
    problem: str = ""


def read_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(gt.MAX_TOKEN + 1)


class VertexTokens:
    """`clock`: seconds, by which tokens end. `read`: a mounted file."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[str], bytes] = read_file,
        asked_within_s: float = ASKED_WITHIN_S,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._read = read
        self._asked_within_s = asked_within_s
        self._kept: dict[str, _Kept] = {}

    def token(self, attempt: str) -> str:
        """Fit to open a link with; empty while there is none."""
        kept = self._kept.get(attempt)
        if kept is None or kept.token is None or not gt.usable(kept.token, self._clock()):
            return ""
        return kept.token.value

    def secret(self, attempt: Attempt, settings: Settings) -> str:
        """What the attempt is dialled with: its key, or on Vertex a token. ProviderUnreachable while there is none."""
        if not on_vertex(attempt):
            return settings.provider_keys.get(attempt.name, "")
        if token := self.token(attempt.name):
            return token
        kept = self._kept.get(attempt.name)
        word = "auth" if kept is not None and isinstance(kept.source, gt.Refusal) else kept.problem if kept else ""
        raise ProviderUnreachable(word or "timeout", retry_same=False)

    async def run(self, http: aiohttp.ClientSession) -> None:
        while True:
            await self.look(http)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, http: aiohttp.ClientSession) -> None:
        """Fetch what is due, all at once."""
        self._take_up()
        now = self._clock()
        due = [(name, kept) for name, kept in self._kept.items() if kept.ask_at <= now]
        async with asyncio.TaskGroup() as group:
            for name, kept in due:
                group.create_task(self._fetch(http, name, kept))

    def _take_up(self) -> None:
        """The attempts as they are now; a token of credentials that were replaced is not used any more."""
        settings = self._settings()
        wanted = {
            attempt.name: credentials
            for attempt in settings.agent.attempts
            if on_vertex(attempt) and (credentials := settings.provider_keys.get(attempt.name))
        }
        self._kept = {
            name: kept
            if (kept := self._kept.get(name)) is not None and kept.credentials == credentials
            else _Kept(credentials, gt.source_of(credentials.encode()))
            for name, credentials in wanted.items()
        }

    async def _fetch(self, http: aiohttp.ClientSession, name: str, kept: _Kept) -> None:
        if isinstance(kept.source, gt.Refusal):
            self._failed(name, kept, kept.source.value)
            return
        try:
            async with asyncio.timeout(self._asked_within_s):
                found = await self._ask(http, kept.source)
        except TimeoutError:
            found = gt.Failed("timeout")
        except (aiohttp.ClientError, OSError):
            found = gt.Failed("connect")
        if isinstance(found, gt.Failed):
            self._failed(name, kept, found.word)
            return
        kept.token, kept.ask_at, kept.failures = found, gt.ask_at(found, self._clock()), 0
        if kept.problem:
            log.info("a token for Vertex AI again", extra={"attempt": name})
        kept.problem = ""

    def _failed(self, name: str, kept: _Kept, word: str) -> None:
        kept.failures += 1
        kept.ask_at = gt.retry_at(self._clock(), kept.failures)
        if word != kept.problem:
            kept.problem = word
            log.warning("no token for Vertex AI", extra={"attempt": name, "error": word})

    async def _ask(self, http: aiohttp.ClientSession, source: gt.Source) -> gt.Token | gt.Failed:
        file = b""
        if isinstance(source, gt.ExternalAccount):
            try:
                # The kubelet renews it, so that it is read each time.
                file = await asyncio.to_thread(self._read, source.path)
            except (OSError, ValueError):
                return gt.Failed("auth")
        step: gt.Ask | gt.Token | gt.Failed = gt.first(source, file=file)
        while isinstance(step, gt.Ask):
            async with http.request(
                step.method, step.url, headers=step.headers, data=step.body or None, allow_redirects=False
            ) as answer:
                body = await http_out.whole(answer, MAX_ANSWER_BYTES + 1)
            step = gt.follow(source, step, status=answer.status, body=body, now=self._clock())
        return step
