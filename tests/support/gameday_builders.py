"""Results of a game day for tests: a run that went well, to be changed where a test needs it."""

from __future__ import annotations

from holdfast_gameday.result import CallResult, GameDayResult, Moment, Outcome, Residency, Stay, verdict
from holdfast_gameday.scenario import Expectations


def moved_call(number: int, *, gap_ms: float = 900.0, fact_kept: bool = True, ended_cleanly: bool = True) -> CallResult:
    return CallResult(
        number=number,
        agent="clinic/front-desk",
        stays=(Stay(region="fra", start=-8.0, end=0.0), Stay(region="ams", start=0.4, end=22.0)),
        setup_seconds=0.3,
        gap_ms=gap_ms,
        handover_ms=gap_ms / 2,
        handover_start=0.1,
        moved=True,
        heard_after_fault=True,
        fact_kept=fact_kept,
        ended_cleanly=ended_cleanly,
    )


def still_call(number: int, *, region: str = "ams", bystander: bool = False) -> CallResult:
    return CallResult(
        number=number,
        agent="dental/reception" if bystander else "clinic/front-desk",
        bystander=bystander,
        stays=(Stay(region=region, start=-8.0, end=22.0),),
        setup_seconds=0.3,
        gap_ms=300.0,
        moved=False,
        heard_after_fault=True,
        fact_kept=True,
        ended_cleanly=True,
    )


def new_call(number: int, *, setup_seconds: float | None = 0.8) -> CallResult:
    return CallResult(
        number=number,
        agent="clinic/front-desk",
        placed_after_fault=True,
        stays=(Stay(region="ams", start=9.0, end=20.0),),
        setup_seconds=setup_seconds,
        gap_ms=None,
        moved=False,
        heard_after_fault=True,
        fact_kept=None,
        ended_cleanly=True,
    )


def residency(**changes: object) -> Residency:
    facts = {"held": True, "connections": 412, "lever_writes": ("edge: pool fra off",)}
    return Residency.model_validate(facts | changes)


def result(calls: tuple[CallResult, ...], *, read_back_seconds: float | None = 6.5) -> GameDayResult:
    claims, outcome = verdict(
        Expectations(),
        calls=calls,
        read_back_seconds=read_back_seconds,
        operators_off=False,
        residency=residency(),
    )
    return GameDayResult(
        scenario="region-loss",
        title="A region is lost while calls are live",
        zone="eu",
        fault="kill",
        fault_region="fra",
        operators_off=False,
        started="2026-11-21T08:00:00Z",
        backend="local",
        calls=calls,
        moments=(
            Moment(at=0.0, what="fra killed", who="game day"),
            Moment(at=1.2, what="fra seen down by ams and iad", who="operator ams"),
            Moment(at=6.5, what="pool fra off, read back", who="operator ams"),
        ),
        detected_seconds=1.2,
        decided_seconds=6.1,
        read_back_seconds=read_back_seconds,
        first_new_call_seconds=7.4,
        residency=residency(),
        claims=claims,
        phases={"lab up": 14.2, "helm install": 31.0},
        outcome=outcome,
    )


def good_run() -> GameDayResult:
    calls = (
        *(moved_call(number, gap_ms=700.0 + 90 * number) for number in range(1, 8)),
        *(still_call(number) for number in range(8, 13)),
        *(still_call(number, region="iad", bystander=True) for number in (13, 14)),
        *(new_call(number) for number in (15, 16, 17)),
    )
    built = result(calls)
    assert built.outcome is Outcome.PASSED
    return built
