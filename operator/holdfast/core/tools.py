"""What live calls met at the webhooks of an agent's tools: outcomes to a verdict, by the rules of `evidence`.

Nobody probes a tool: asking it may have effects. So a verdict stands until calls bring others.

    outcome                                                   counts as
    a good answer, or one that faults what was asked           UP
    5xx, timeout, unreachable, an answer that is too long      DOWN
    429                                                        DEGRADED
    any other refusal: its address or our credentials          UNKNOWN, with the word
    an address that tools may not reach, a missing secret      UNKNOWN, with the word; it was not asked
"""

from __future__ import annotations

from enum import Enum

from holdfast.core import evidence
from holdfast.core.evidence import History, Result
from holdfast.core.reports import Outcome
from holdfast.core.values import Probe, Verdict

TWICE = Probe(confirmations=1)


class ToolFailure(Enum):
    """How a webhook failed: the words of a pod's report."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TOO_LONG = "too-long"
    RATE_LIMITED = "429"
    REFUSED = "refused"
    FORBIDDEN = "forbidden-address"
    UNSIGNED = "unsigned"


_NOT_ITS_FAULT = frozenset({ToolFailure.REFUSED, ToolFailure.FORBIDDEN, ToolFailure.UNSIGNED})


def observe(history: History, outcome: Outcome[ToolFailure], *, now: float) -> History:
    """Fold in what one call met."""
    return evidence.observe(history, _result(outcome.failure), now=now, probe=TWICE)[0]


def _result(failure: ToolFailure | None) -> Result:
    if failure is None:
        return Result(Verdict.UP)
    if failure in _NOT_ITS_FAULT:
        return Result(Verdict.UNKNOWN, failure.value)
    return Result(Verdict.DEGRADED if failure is ToolFailure.RATE_LIMITED else Verdict.DOWN, failure.value)
