"""Logs as JSON lines and the metrics of a bridge pod.

No call id, number, transcript or secret is a label or a field here; who calls these functions passes names of a small,
fixed vocabulary.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping

from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
LABEL_CHARS = 64
WORDS_MAX = 100
SECONDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0)
"""Bounds of the histograms of a turn; those that design and people promise are among them."""


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, the constant message, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _no_bytes_of_strangers(record: logging.LogRecord) -> bool:
    """aiohttp logs what it could not read of a request, which may be somebody's key. It has answered with 400."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def log_to_stderr(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(_no_bytes_of_strangers)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("aiohttp.access", "aiofastnet", "picows"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class Metrics:
    """Everything a pod counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Gauge("holdfast_bridge_calls", "Calls carried now.", registry=self.registry)
        self._ready = Gauge("holdfast_bridge_ready", "1 when new calls are wanted here.", registry=self.registry)
        self._waiting = Gauge(
            "holdfast_bridge_journal_waiting", "Records not yet kept at the buddy or in Redis.", registry=self.registry
        )
        self._buddy = Gauge("holdfast_bridge_buddy_up", "1 while the link to the buddy is up.", registry=self.registry)
        self._refusals = Counter(
            "holdfast_bridge_refusals", "Sockets and requests refused.", ["reason"], registry=self.registry
        )
        self._answers = Counter(
            "holdfast_bridge_answers", "Webhooks answered.", ["asked", "answer"], registry=self.registry
        )
        self._words: set[str] = set()
        self._providers = Counter(
            "holdfast_bridge_provider_results", "Outcomes by attempt.", ["attempt", "result"], registry=self.registry
        )
        self._tools = Counter(
            "holdfast_bridge_tool_results", "Answers of tools' webhooks.", ["tool", "result"], registry=self.registry
        )
        self._carrier = Counter(
            "holdfast_bridge_carrier_results", "Answers of the carrier's API.", ["result"], registry=self.registry
        )
        self._breakers = Gauge(
            "holdfast_bridge_breaker_open", "1 while calls pass by a part of an attempt.", ["part"],
            registry=self.registry,
        )  # fmt: skip
        self._loop_lag = Gauge(
            "holdfast_bridge_loop_lag_seconds", "How late the event loop ran, p99 of 5 s.", registry=self.registry
        )
        self._handovers = Counter(
            "holdfast_bridge_handovers", "Calls pushed elsewhere.", ["cause", "result"], registry=self.registry
        )
        self._stages = self._histogram("stage", "From a stage's question to the first of its answer.", "stage", "kind")
        self._first_audio = self._histogram("first_audio", "From the end of a turn to the first sound.", "kind")
        self._silences = self._histogram("silence", "Silences over half a second, while speech was owed.", "kind")
        self._switches = self._histogram(
            "switch", "From a provider's loss until the next was ready, or lost, too.", "kind", "what", "outcome"
        )

    def _histogram(self, name: str, words: str, *labels: str) -> Histogram:
        return Histogram(f"holdfast_bridge_{name}_seconds", words, labels, buckets=SECONDS, registry=self.registry)

    def refused(self, reason: str) -> None:
        self._refusals.labels(reason=reason[:LABEL_CHARS]).inc()

    def answered(self, asked: str, answer: str) -> None:
        self._answers.labels(asked=asked, answer=answer).inc()

    def provider(self, attempt: str, *, ok: bool, error: str) -> None:
        self._providers.labels(attempt=attempt, result="ok" if ok else self._word(error)).inc()

    def _word(self, error: str) -> str:
        """Some words for errors are the vendors' own: one that says a new one each time gets no label for each."""
        word = error[:LABEL_CHARS] or "error"
        if len(self._words) < WORDS_MAX:
            self._words.add(word)
        return word if word in self._words else "other"

    def tool(self, tool: str, result: str) -> None:
        self._tools.labels(tool=tool, result=result).inc()

    def carrier(self, result: str) -> None:
        self._carrier.labels(result=result).inc()

    def handed_over(self, cause: str, *, ok: bool) -> None:
        self._handovers.labels(cause=cause, result="ok" if ok else "failed").inc()

    def stage_took(self, stage: str, kind: str, seconds: float) -> None:
        """`kind`: of the part that was asked."""
        self._stages.labels(stage=stage, kind=kind).observe(seconds)

    def first_audio(self, kind: str, seconds: float) -> None:
        self._first_audio.labels(kind=kind).observe(seconds)

    def silence(self, kind: str, seconds: float) -> None:
        self._silences.labels(kind=kind).observe(seconds)

    def switched(self, kind: str, what: str, outcome: str, seconds: float) -> None:
        """`kind`: of the attempt that was left, or (ready) of the one that took over."""
        self._switches.labels(kind=kind, what=what, outcome=outcome).observe(seconds)

    def breakers(self, open_by_part: Mapping[str, bool]) -> None:
        """All parts that there are now: one that an edit took away is not shown any more."""
        self._breakers.clear()
        for part, is_open in open_by_part.items():
            self._breakers.labels(part=part).set(is_open)

    def exposition(self, *, calls: int, ready: bool, waiting: int, buddy_up: bool, loop_lag_s: float = 0.0) -> bytes:
        self._calls.set(calls)
        self._ready.set(ready)
        self._waiting.set(waiting)
        self._buddy.set(buddy_up)
        self._loop_lag.set(loop_lag_s)
        return generate_latest(self.registry)
