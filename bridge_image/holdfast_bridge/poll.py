"""The long poll with the operator: directives come down, what this pod sees goes up.

The last directive stays in force for as long as the operator is silent, except that an order to drain lapses by itself.
It knows nothing of what a directive is for; who reads it applies it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import msgspec

from holdfast_bridge import http_out
from holdfast_bridge.core import directive
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.settings import Settings

PATH = "/v1/poll"
ANSWER_WITHIN_S = 15.0
BETWEEN_S = 0.2
BETWEEN_REPORTS_S = 1.0
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)
MAX_ANSWER = 256 * 1024

log = logging.getLogger(__name__)


class Directives:
    """The directive in force, cut to the zone that agent.json lists."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._told: Directive | None = None
        self._drain_until = 0.0

    def __call__(self) -> Directive:
        agent = self._settings().agent
        return directive.within_zone(self._told or directive.initial(agent), agent)

    @property
    def version(self) -> int:
        return 0 if self._told is None else self._told.version

    def drain_ordered(self) -> bool:
        return self._clock() < self._drain_until

    def apply(self, told: Directive) -> None:
        self._drain_until = 0.0 if told.drain is None else self._clock() + told.drain.until_seconds
        changed = told != self._told
        self._told = told
        if changed:
            log.info(
                "directive in force",
                extra={
                    "version": told.version,
                    "buddy": told.buddy,
                    "lost": told.lost,
                    "reasons": [cause.code for cause in told.reasons],
                },
            )
            self._on_change()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What goes up: read at the moment a poll is sent."""

    records: Callable[[], list[CallRecord]]
    providers: Callable[[], list[dict[str, object]]]
    tools: Callable[[], list[dict[str, object]]]
    carriers: Callable[[], list[dict[str, object]]]
    latencies: Callable[[], list[dict[str, object]]]
    ready: Callable[[], bool]
    draining: Callable[[], bool]
    buddy_up: Callable[[], bool]
    holds: Callable[[], str]
    problems: Callable[[], tuple[str, ...]]
    """What of the mounted files is not followed, a sentence each."""
    loop_lag_s: Callable[[], float]
    """How late the event loop runs, which is when a pod is full whatever it was told."""


class Poller:
    def __init__(self, *, settings: Callable[[], Settings], directives: Directives, seen: Seen) -> None:
        self._settings = settings
        self._directives = directives
        self._seen = seen
        self._deadline: asyncio.Timeout | None = None
        self._sent_at = 0.0
        self._cut_at = float("inf")
        self._began = int(time.time() * 1000)

    def news(self, *, at_once: bool = False) -> None:
        """Something the operator should hear within a second: the poll that waits is cut short and sent anew.

        At once: within `BETWEEN_S` of the last report, which bounds what a burst of failures costs the operator.
        """
        if self._deadline is None or self._deadline.expired():
            return
        wait_s = BETWEEN_S if at_once else BETWEEN_REPORTS_S
        cut_at = max(asyncio.get_running_loop().time(), self._sent_at + wait_s)
        if cut_at < self._cut_at:
            self._cut_at = cut_at
            self._deadline.reschedule(cut_at)

    def report(self) -> dict[str, object]:
        settings = self._settings()
        return {
            "pod": settings.pod,
            "podUid": settings.pod_uid,
            "began": self._began,
            "agent": settings.agent.id,
            "region": settings.agent.region,
            "version": self._directives.version,
            "ready": self._seen.ready(),
            "draining": self._seen.draining(),
            "calls": [
                {"call": r.call, "epoch": r.epoch, "startedAt": r.started_at, "lastHeardAt": r.updated_at}
                for r in self._seen.records()
            ],
            "providers": self._seen.providers(),
            "tools": self._seen.tools(),
            "carriers": self._seen.carriers(),
            "latencies": self._seen.latencies(),
            "missingKeys": list(settings.missing_keys),
            "buddyLink": "up" if self._seen.buddy_up() else "down",
            "holds": self._seen.holds(),
            "problems": list(self._seen.problems()),
            "loopLagMs": round(self._seen.loop_lag_s() * 1000),
        }

    async def run(self) -> None:
        failures = 0
        async with aiohttp.ClientSession() as http:
            while True:
                url = self._settings().agent.operator_url
                if not url:
                    await asyncio.sleep(BACK_OFF_S[-1])
                    continue
                began = time.monotonic()
                try:
                    told = await self._once(http, url.rstrip("/") + PATH)
                except (aiohttp.ClientError, OSError) as error:
                    if failures == 0:
                        log.warning("operator not reached", extra={"error": type(error).__name__})
                    await asyncio.sleep(_jittered(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]))
                    failures += 1
                    continue
                failures = 0
                if told is not None:
                    self._directives.apply(told)
                await asyncio.sleep(max(0.0, BETWEEN_S - (time.monotonic() - began)))

    async def _once(self, http: aiohttp.ClientSession, url: str) -> Directive | None:
        """One poll; None when news cut it short, so that they go up with the next one."""
        self._cut_at = float("inf")
        self._sent_at = asyncio.get_running_loop().time()
        body = msgspec.json.encode(self.report())
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S) as self._deadline:
                return await self._ask(http, url, body)
        except TimeoutError:
            if self._cut_at < float("inf"):
                return None
            raise
        finally:
            self._deadline = None

    async def _ask(self, http: aiohttp.ClientSession, url: str, body: bytes) -> Directive:
        headers = {
            "Authorization": f"Bearer {self._settings().fleet.operator_token}",
            "Content-Type": "application/json",
        }
        async with http.post(url, data=body, headers=headers, allow_redirects=False) as response:
            response.raise_for_status()
            data = await http_out.whole(response, MAX_ANSWER)
        told = directive.decode(data)
        if told is None:
            raise aiohttp.ClientPayloadError("the operator's answer is no directive")
        return told


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  jitter, not a secret
