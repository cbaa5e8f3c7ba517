"""Metrics and structured logs. Constant messages with fields; never a secret, a number dialled or a word said.

One registry per operator, handed in, so that several operators can live in one test process.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DECISION_BUCKETS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 30.0)
WRITE_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Metrics:
    """Every series this operator exposes."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.active = self._gauge("holdfast_active", "1 when this pod holds its region's lease")
        self.leader = self._gauge("holdfast_leader", "1 when this pod leads the zone", "zone")
        self.epoch = self._gauge("holdfast_epoch", "Epoch of the zone as this pod knows it", "zone")
        self.lease_age = self._gauge("holdfast_lease_age_seconds", "Since the last majority acknowledgement", "zone")
        self.serving = self._gauge("holdfast_region_serving", "1 when the region is meant to serve", "zone", "region")
        self.verdict = self._gauge(
            "holdfast_region_verdict", "Own verdict on a region's entry: 1 up, 0 down, -1 unknown", "region"
        )
        self.self_doubt = self._gauge("holdfast_self_doubt", "1 when this observer trusts none of its own verdicts")
        self.peer_age = self._gauge("holdfast_peer_heartbeat_age_seconds", "Since the peer's heartbeat moved", "peer")
        self.refused = self._gauge("holdfast_refused_actions", "Actions guards refuse at present", "zone", "reason")
        self.active_calls = self._gauge("holdfast_active_calls", "Calls which this region's bridges hold")
        self.decisions = Histogram(
            "holdfast_decision_seconds",
            "From first evidence to the lever read back",
            ("zone", "kind"),
            buckets=DECISION_BUCKETS,
            registry=self.registry,
        )
        self.lever_writes = Histogram(
            "holdfast_lever_write_seconds",
            "One write at a lever",
            ("lever", "result"),
            buckets=WRITE_BUCKETS,
            registry=self.registry,
        )
        self.probes = Counter(
            "holdfast_probes_total", "Synthetic calls", ("region", "result"), registry=self.registry
        )
        self.failures = Counter(
            "holdfast_task_failures_total", "Rounds of a task that ended in an error", ("task",), registry=self.registry
        )
        self.polls = Counter("holdfast_polls_total", "Polls of bridge pods", ("result",), registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)


_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Render; what cannot be rendered as JSON is rendered as text rather than lost."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _PLAIN and not _foreign(key)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _foreign(key: str) -> bool:
    """kopf hangs whole objects on its records; a log line is no place for a spec."""
    return key.startswith(("k8s_", "settings"))


def configure_logging(level: int = logging.INFO) -> None:
    """JSON lines on standard error, in UTC, for everything in this process."""
    formatter = JsonLines()
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # kopf says of every watched event that its handler succeeded; what a handler did is logged where it is done.
    # aioice tells of each allocation, and every probe of a relay makes four.
    for name in ("httpx", "httpcore", "aiohttp.access", "aioice", "kopf.objects"):
        logging.getLogger(name).setLevel(logging.WARNING)
