"""Probes of the keys that this pod holds, when the operator asks for one: the cheapest call that proves key and model.

One row for each kind of provider says what is asked and what answer is expected. Nothing is said on a link that is
opened for a probe, and no audio is sent. When to probe is the operator's decision; a pod only refuses to do it more
often than the vendor has room for. The outcome is counted like a call's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from holdfast_bridge import provider_link
from holdfast_bridge.core import failures
from holdfast_bridge.core.directive import Trial
from holdfast_bridge.provider_link import OnLost, OnMessage, ProviderUnreachable
from holdfast_bridge.providing import address
from holdfast_bridge.settings import Attempt, Settings
from holdfast_bridge.tallies import ProviderResults

ANSWER_WITHIN_S = 2.0
SILENCE_S = 60.0
MAX_BODY_BYTES = 4_096

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How one kind of provider is asked. `awaits`: the event that a link begins with; empty: a plain request.

    `path` of a plain request stands in the place of the attempt's own. `slot_s`: never more often than this, because
    vendors count connections.
    """

    awaits: str = ""
    method: str = "GET"
    path: str = ""
    expected: frozenset[int] = frozenset({HTTPStatus.OK})
    slot_s: float = 5.0


PROBES: Mapping[str, Probe] = {
    "openai": Probe(awaits="session.created"),
}


class _Said(msgspec.Struct, frozen=True):
    type: str = ""
    error: dict[str, object] = {}


async def probe(
    attempt: Attempt, settings: Settings, row: Probe, *, within_s: float = ANSWER_WITHIN_S
) -> tuple[str, float]:
    """Empty when it is well, else the word for its failure; and how long the provider asks us to wait."""
    try:
        async with asyncio.timeout(within_s):
            if row.awaits:
                return await _open(attempt, settings, row), 0.0
            return await _request(attempt, settings, row)
    except ProviderUnreachable as error:
        return error.error_class, error.retry_after_s
    except TimeoutError:
        return "timeout", 0.0
    except (aiohttp.ClientError, OSError):
        return "connect", 0.0


async def _open(attempt: Attempt, settings: Settings, row: Probe) -> str:
    """The way of a call up to its first event, and no further."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def settle(word: str) -> None:
        if not outcome.done():
            outcome.set_result(word)

    on_message: OnMessage = lambda message: settle(_first(message, row))  # noqa: E731
    # Also a planned end is a failure here, where nothing had begun.
    on_lost: OnLost = lambda word, _retry_same: settle(word if failures.kind(word) else "server")  # noqa: E731
    url, headers = address(attempt, settings)
    link = await provider_link.dial(url, headers, on_message=on_message, on_lost=on_lost, timeout_s=ANSWER_WITHIN_S)
    try:
        return await outcome
    finally:
        link.close()


def _first(message: bytes, row: Probe) -> str:
    try:
        said = msgspec.json.decode(message, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "unreadable"
    if said.type == row.awaits:
        return ""
    named = failures.error_event(str(said.error.get("type") or ""), str(said.error.get("code") or ""), configured=False)
    return named[0] if named is not None and said.type == "error" else "unreadable"


async def _request(attempt: Attempt, settings: Settings, row: Probe) -> tuple[str, float]:
    url, headers = address(attempt, settings)
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else "http"
    asked = urlunsplit(parts._replace(scheme=scheme, path=row.path, query=""))
    async with (
        aiohttp.ClientSession() as http,
        http.request(row.method, asked, headers=headers, ssl=provider_link.tls(), allow_redirects=False) as answer,
    ):
        if answer.status in row.expected:
            return "", 0.0
        body = (await answer.content.read(MAX_BODY_BYTES)).decode(errors="replace")
        refused = failures.refused(answer.status, body=body, retry_after=answer.headers.get("Retry-After", ""))
        return refused.word, refused.retry_after_s


class Prober:
    """Carries out the trials of the directive in force, one after the other, each once."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        trials: Callable[[], tuple[Trial, ...]],
        results: ProviderResults,
        news: Callable[[], None],
        probes: Mapping[str, Probe] = PROBES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._trials = trials
        self._results = results
        self._news = news
        self._probes = probes
        self._clock = clock
        self._stirred = asyncio.Event()
        self._done: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}

    def look(self) -> None:
        """There may be a new trial."""
        self._stirred.set()

    async def run(self) -> None:
        while True:
            self._stirred.clear()
            for trial in self._trials():
                if self._done.get(trial.attempt) != trial.number:
                    self._done[trial.attempt] = trial.number
                    await self._try(trial)
            await self._stirred.wait()

    async def _try(self, trial: Trial) -> None:
        settings = self._settings()
        attempt = next((each for each in settings.agent.attempts if each.name == trial.attempt), None)
        row = self._probes.get(attempt.kind) if attempt is not None else None
        if attempt is None or row is None or not settings.usable(attempt):
            return
        if trial.silent and self._results.well_within(attempt.name, SILENCE_S):
            self._news()
            return
        now = self._clock()
        if now - self._asked_at.get(attempt.name, float("-inf")) < row.slot_s:
            return
        self._asked_at[attempt.name] = now
        word, retry_after_s = await probe(attempt, settings, row)
        log.info("provider probed", extra={"attempt": attempt.name, "error": word})
        self._results.add(attempt.name, not word, word, retry_after_s)
        self._news()
