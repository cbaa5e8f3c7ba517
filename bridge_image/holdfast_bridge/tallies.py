"""Outcomes counted by name, for the report to the operator: running totals since the pod began.

Each kind of failure is counted by itself with the age of its last one, so that a report that is lost loses nothing,
and an operator that was not there learns what happened lately. What an outcome means is not known here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from holdfast_bridge.core import failures
from holdfast_bridge.core.breakers import Breakers, State
from holdfast_bridge.core.failures import Failure

MAX_ERROR_CHARS = 64
MAX_TALLIES = 64

Kind = TypeVar("Kind", bound=Enum)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Failed:
    count: int = 0
    at: float = 0.0
    retry_after_s: float = 0.0


@dataclass(slots=True)
class _Tally(Generic[Kind]):
    ok: int = 0
    well_at: float | None = None
    failed: dict[Kind, _Failed] = field(default_factory=dict)
    last_error: str = ""


class Tallies(Generic[Kind]):
    """`named`: what a name is called in the report. `on_news`: something that should go up at once."""

    def __init__(
        self,
        named: str,
        *,
        on_news: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._named = named
        self._tallies: dict[str, _Tally[Kind]] = {}
        self._on_news = on_news
        self._clock = clock

    def add(self, name: str, failure: Kind | None) -> None:
        """One outcome; None: a success."""
        if failure is None:
            self.well(name)
        else:
            self.failed(name, failure)

    def well(self, name: str) -> None:
        """One more success."""
        tally = self._tally(name)
        tally.ok += 1
        tally.well_at = self._clock()

    def failed(self, name: str, kind: Kind, *, error: str = "", retry_after_s: float = 0.0) -> None:
        """One more failure. `error`: a short word for people."""
        tally = self._tally(name)
        failed = tally.failed.setdefault(kind, _Failed())
        failed.count, failed.at, failed.retry_after_s = failed.count + 1, self._clock(), retry_after_s
        tally.last_error = error[:MAX_ERROR_CHARS]
        self._on_news()

    def proved(self, name: str) -> None:
        """It did what it is there for, which is no outcome of its own."""
        self._tally(name).well_at = self._clock()

    def well_within(self, name: str, seconds: float) -> bool:
        """Whether it was proved well as lately as that."""
        tally = self._tallies.get(name)
        return tally is not None and tally.well_at is not None and self._clock() - tally.well_at < seconds

    def report(self) -> list[dict[str, object]]:
        """One object a name, in the words of the poll."""
        now = self._clock()
        return [
            {
                self._named: name,
                "ok": tally.ok,
                "okAgo": None if tally.well_at is None else round(now - tally.well_at, 2),
                "failed": [
                    {
                        "kind": kind.value,
                        "count": failed.count,
                        "ago": round(now - failed.at, 2),
                        "retryAfter": failed.retry_after_s,
                    }
                    for kind, failed in tally.failed.items()
                ],
                "lastError": tally.last_error,
            }
            for name, tally in self._tallies.items()
        ]

    def _tally(self, name: str) -> _Tally[Kind]:
        """Names that an edit took away make room, the eldest first."""
        tally = self._tallies.get(name)
        if tally is None:
            while len(self._tallies) >= MAX_TALLIES:
                del self._tallies[next(iter(self._tallies))]
            tally = self._tallies[name] = _Tally()
        return tally


class ProviderResults:
    """What calls and probes met at each part of an attempt, from the words of links and codecs.

    It is counted for the report, and moves this pod's own breakers. `on_turn`: what is ill has changed, and with it
    perhaps an order.
    """

    def __init__(
        self,
        *,
        on_news: Callable[[], None] = lambda: None,
        on_turn: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tallies: Tallies[Failure] = Tallies("attempt", on_news=on_news, clock=clock)
        self._breakers = Breakers()
        self._on_turn = on_turn
        self._clock = clock
        self.well_within = self._tallies.well_within
        self.report = self._tallies.report

    def add(self, part: str, ok: bool, error: str, retry_after_s: float = 0.0) -> None:
        """A word that speaks against nobody counts nothing."""
        before = self._breakers.ill
        if ok:
            self._tallies.well(part)
            self._breakers.opened(part, now=self._clock())
        elif (kind := failures.kind(error)) is not None:
            self._tallies.failed(part, kind, error=error, retry_after_s=retry_after_s)
            self._breakers.failed(part, kind, now=self._clock(), retry_after_s=retry_after_s)
        self._turned(before)

    def spoke(self, part: str) -> None:
        """A reply came to its end, which is no outcome of its own."""
        before = self._breakers.ill
        self._tallies.proved(part)
        self._breakers.replied(part, now=self._clock())
        self._turned(before)

    def began(self, parts: Sequence[str]) -> None:
        """A call has begun with these parts."""
        self._breakers.tried(parts, now=self._clock())

    def forgive(self, parts: Sequence[str]) -> None:
        """The operator has found these well again."""
        before = self._breakers.ill
        self._breakers.forgive(parts, now=self._clock())
        self._turned(before)

    def passed_by(self, parts: Sequence[str], *, begins: bool) -> bool:
        """Whether an attempt of these parts is tried last; `begins`: by a call that begins."""
        return self._breakers.passed_by(parts, now=self._clock(), begins=begins)

    def open(self, part: str) -> bool:
        return self._breakers.state(part, now=self._clock()) is State.OPEN

    def _turned(self, before: frozenset[str]) -> None:
        after = self._breakers.ill
        if after != before:
            log.info("breakers moved", extra={"ill": sorted(after - before), "well": sorted(before - after)})
            self._on_turn()
