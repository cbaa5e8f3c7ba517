"""What the callers and the clusters saw, turned into the figures of a result. Pure; times are relative to the fault."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast_gameday.result import CallResult, Stay
from holdfast_gameday.world.callers import CallReport, Outcome
from holdfast_gameday.world.callers_ear import Gap


@dataclass(frozen=True, slots=True)
class FaultTime:
    """The moment of the fault on both clocks: callers measure with one, clusters with the other."""

    monotonic: float
    unix: float

    def of_caller(self, at: float) -> float:
        return at - self.monotonic

    def of_cluster(self, text: str) -> float | None:
        """An RFC 3339 time; None where there is none."""
        if not text:
            return None
        return dt.datetime.fromisoformat(text).timestamp() - self.unix


@dataclass(frozen=True, slots=True)
class Kind:
    agent: str
    bystander: bool = False
    placed_after_fault: bool = False


def call_result(
    report: CallReport, kind: Kind, *, fault: FaultTime, lost_host: str | None, region_of: Mapping[str, str], end: float
) -> CallResult:
    """One call. `lost_host`: the host of the region that died, None when nothing died. `end`: when the run ended."""
    stays = tuple(
        Stay(
            region=region_of.get(visit.host, visit.host),
            start=round(fault.of_caller(visit.opened_at), 3),
            end=round(end if visit.closed_at is None else fault.of_caller(visit.closed_at), 3),
        )
        for visit in report.visits
        if visit.opened_at is not None
    )
    before = report.host_at(fault.monotonic - 0.05)
    moved = lost_host is not None and before == lost_host
    if moved and lost_host is not None:
        heard = report.heard_elsewhere_at(since=fault.monotonic, lost_host=lost_host) is not None
    else:
        heard = any(segment.until > fault.monotonic for segment in report.segments)
    gap = max((gap.seconds for gap in report.gaps if gap.until >= fault.monotonic), default=None)
    handover = _handover(report, fault, lost_host) if moved and lost_host is not None else None
    return CallResult(
        number=report.index,
        agent=kind.agent,
        bystander=kind.bystander,
        placed_after_fault=kind.placed_after_fault,
        stays=stays,
        setup_seconds=None if report.first_audio_s is None else round(report.first_audio_s, 3),
        gap_ms=None if gap is None else round(gap * 1000),
        handover_ms=None if handover is None else round(handover.seconds * 1000),
        handover_start=None if handover is None else round(fault.of_caller(handover.since), 3),
        moved=moved,
        heard_after_fault=heard,
        fact_kept=report.fact_answered if any(turn.expect for turn in report.turns) else None,
        ended_cleanly=report.outcome is Outcome.AGENT_HUNG_UP,
        note="" if report.outcome is Outcome.AGENT_HUNG_UP else f"{report.outcome.value}: {report.detail}",
    )


def _handover(report: CallReport, fault: FaultTime, lost_host: str) -> Gap | None:
    """The silence that ended with the first speech from elsewhere; None when nothing was due just then."""
    again = report.heard_elsewhere_at(since=fault.monotonic, lost_host=lost_host)
    if again is None:
        return None
    found = (gap for gap in report.gaps if gap.until >= fault.monotonic and gap.since <= again)
    return next(found, None)


@dataclass(frozen=True, slots=True)
class CordonTimes:
    detected: float | None = None
    decided: float | None = None
    read_back: float | None = None
    reason: str = ""


def cordon_times(policy: Mapping[str, Any] | None, *, region: str, fault: FaultTime) -> CordonTimes:
    """From the policy's own record of its decisions, as the region that took them shows it."""
    for decision in (policy or {}).get("status", {}).get("lastDecisions", []):
        if decision.get("action") != "cordon" or decision.get("region") != region:
            continue
        decided = fault.of_cluster(decision.get("decided", ""))
        if decided is None or decided < 0:
            continue
        return CordonTimes(
            detected=fault.of_cluster(decision.get("detected", "")),
            decided=decided,
            read_back=fault.of_cluster(decision.get("readBack", "")),
            reason=decision.get("message", ""),
        )
    return CordonTimes()
