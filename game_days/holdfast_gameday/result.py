"""What a game day found, as one value: the JSON that the table, the page and the exit status are made from.

Times are seconds relative to the fault (negative = before it). Nothing is judged here but in `verdict`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from holdfast_gameday.invariants import Invariant
from holdfast_gameday.scenario import Expectations


class Outcome(StrEnum):
    PASSED = "PASSED"
    FAILED = "FAILED"
    INCONCLUSIVE = "INCONCLUSIVE"
    ABORTED = "ABORTED"
    REFUSED = "REFUSED"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Stay(_Part):
    """One stretch of a call in one region."""

    region: str
    start: float
    end: float


class CallResult(_Part):
    number: int
    agent: str
    bystander: bool = False
    placed_after_fault: bool = False
    stays: tuple[Stay, ...]
    setup_seconds: float | None
    gap_ms: float | None = Field(description="longest silence after the fault while speech was due; None = never heard")
    handover_ms: float | None = Field(default=None, description="of that, the silence in which the call changed region")
    handover_start: float | None = None
    moved: bool
    heard_after_fault: bool
    fact_kept: bool | None = Field(description="None = not asked")
    ended_cleanly: bool
    note: str = ""

    @property
    def survived(self) -> bool:
        return self.heard_after_fault and self.fact_kept is not False and self.ended_cleanly


class Moment(_Part):
    at: float
    what: str
    who: str = ""


class Residency(_Part):
    held: bool
    connections: int = Field(description="connections of the run that were checked")
    breaches: tuple[str, ...] = ()
    foreign_keys: tuple[str, ...] = Field(default=(), description="call keys found in a store outside the zone")
    lever_writes: tuple[str, ...] = ()


class Claim(_Part):
    """One thing that had to hold, beside what was seen."""

    name: str
    wanted: str
    seen: str
    held: bool
    invariant: str = Field(default="", description="the short name of what it claims, as the simulator checks it too")


class GameDayResult(_Part):
    scenario: str
    title: str
    zone: str
    fault: str
    fault_region: str
    operators_off: bool
    started: str = Field(description="RFC 3339")
    backend: str
    calls: tuple[CallResult, ...]
    moments: tuple[Moment, ...]
    detected_seconds: float | None = None
    decided_seconds: float | None = None
    read_back_seconds: float | None = None
    first_new_call_seconds: float | None = None
    residency: Residency
    claims: tuple[Claim, ...]
    phases: dict[str, float] = Field(description="seconds of each phase of the run")
    outcome: Outcome

    @property
    def held_calls(self) -> tuple[CallResult, ...]:
        """The calls that were live in the zone when the fault struck."""
        return tuple(call for call in self.calls if not call.bystander and not call.placed_after_fault)

    @property
    def moved_calls(self) -> tuple[CallResult, ...]:
        return tuple(call for call in self.held_calls if call.moved)


def percentile(values: list[float], share: float) -> float | None:
    """Nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]


def verdict(
    expect: Expectations,
    *,
    calls: tuple[CallResult, ...],
    read_back_seconds: float | None,
    operators_off: bool,
    residency: Residency,
    extra: tuple[Claim, ...] = (),
) -> tuple[tuple[Claim, ...], Outcome]:
    """Every expectation beside what was seen. A run in which no call had to move proves nothing and is INCONCLUSIVE."""
    moved = [call for call in calls if call.moved and not call.bystander and not call.placed_after_fault]
    claims = [_none_lost(expect, calls), _short_gap(expect, moved)]
    if not operators_off:
        claims.append(_read_back(expect, read_back_seconds))
    later = [call.setup_seconds for call in calls if call.placed_after_fault]
    if later:
        claims.append(_answered(expect, later))
    claims.append(_residency(residency))
    claims.extend(extra)
    if not moved:
        return tuple(claims), Outcome.INCONCLUSIVE
    return tuple(claims), Outcome.PASSED if all(claim.held for claim in claims) else Outcome.FAILED


def _none_lost(expect: Expectations, calls: tuple[CallResult, ...]) -> Claim:
    dropped = sum(not call.survived for call in calls)
    return Claim(
        name="no call is lost",
        wanted=f"{expect.dropped} dropped",
        seen=f"{dropped} dropped of {len(calls)}",
        held=dropped <= expect.dropped,
        invariant=Invariant.CALLS_KEPT.code,
    )


def _short_gap(expect: Expectations, moved: list[CallResult]) -> Claim:
    gap = percentile([call.gap_ms for call in moved if call.gap_ms is not None], 0.95)
    return Claim(
        name="the gap is short",
        wanted=f"p95 ≤ {expect.gap_p95_ms} ms",
        seen="no call moved" if gap is None else f"p95 {gap:.0f} ms",
        held=gap is not None and gap <= expect.gap_p95_ms,
    )


def _read_back(expect: Expectations, seconds: float | None) -> Claim:
    return Claim(
        name="the region is cordoned and read back",
        wanted=f"≤ {expect.read_back_seconds:g} s after the fault",
        seen="not seen" if seconds is None else f"{seconds:.1f} s",
        held=seconds is not None and seconds <= expect.read_back_seconds,
        invariant=Invariant.DETECTS.code,
    )


def _answered(expect: Expectations, setups: list[float | None]) -> Claim:
    answered = [seconds for seconds in setups if seconds is not None]
    all_answered = len(answered) == len(setups)
    return Claim(
        name="new calls are answered",
        wanted=f"≤ {expect.new_call_setup_seconds:g} s each",
        seen=f"slowest {max(answered):.1f} s" if all_answered else f"{len(setups) - len(answered)} not answered",
        held=all_answered and max(answered) <= expect.new_call_setup_seconds,
    )


def _residency(residency: Residency) -> Claim:
    breaches = len(residency.breaches) + len(residency.foreign_keys)
    return Claim(
        name="nothing left the zone",
        wanted="no breach",
        seen=f"{breaches} breaches in {residency.connections} connections",
        held=residency.held,
        invariant=Invariant.RESIDENCY.code,
    )
