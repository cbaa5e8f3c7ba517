"""From what pods tell of their parts' times to verdicts: which stage takes longer than its budget. Pure.

A part is one of an agent's provider list: `ATTEMPT/ROLE` for a stage, `ATTEMPT` for the time to the first audio. Pods
count how many of their last samples were over the budget, so what they tell can be added up: a share of more than a
twentieth is a p95 over the budget.

    verdict      is taken when, of `ENOUGH` samples of the last two minutes at least,
    DEGRADED     more than a twentieth is over the budget, and at least `SLOW_MIN`: a brown-out
    UP           at most a fiftieth is
    as before    the share lies between the two, or the samples are too few
    UNKNOWN      there were not enough of them for `LAPSES_S`

A brown-out is no outage: nothing is routed by it, and an order of attempts never changes because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.core.agents import AgentSpec, Budgets
from holdfast.core.values import Verdict

ENOUGH = 20
SLOW_MIN = 3
SLOW_ONE_IN = 20
WELL_ONE_IN = 50
LAPSES_S = 600.0
NO_BUDGETS = Budgets()


@dataclass(frozen=True, slots=True)
class Times:
    """What one pod, or all of them, counted of one part. `budget_ms` None: that pod knows of none."""

    count: int
    over: int = 0
    p95_ms: int = 0
    budget_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """`p95_ms`: at the time of the verdict, the worst of any pod. `heard_at`: when there were enough samples last."""

    verdict: Verdict = Verdict.UNKNOWN
    p95_ms: int = 0
    heard_at: float = float("-inf")


UNHEARD = Standing()


def budgets_ms(spec: AgentSpec) -> dict[str, int]:
    """Those of an agent's parts that have one."""
    told = spec.latency
    if told == NO_BUDGETS:
        return {}
    by_role = {"": told.first_audio_ms, "hearing": told.stt_ms, "thinking": told.llm_ms, "speaking": told.tts_ms}
    parts = [part for attempt in spec.attempts for part in (attempt, *attempt.stages)]
    return {part.name: budget for part in parts if (budget := by_role[part.role]) is not None}


def together(told: Iterable[Mapping[str, Times]], part: str, budget_ms: int) -> Times:
    """All pods' samples of a part. A pod that goes by another budget has not read the newest spec, and is left out."""
    known = [each for pod in told if (each := pod.get(part)) is not None and each.budget_ms == budget_ms]
    return Times(
        count=sum(each.count for each in known),
        over=sum(each.over for each in known),
        p95_ms=max((each.p95_ms for each in known), default=0),
        budget_ms=budget_ms,
    )


def judge(before: Standing, times: Times, *, now: float) -> Standing:
    """What the samples of the last two minutes make of a part's standing."""
    if times.count < ENOUGH:
        return UNHEARD if now - before.heard_at > LAPSES_S else before
    if times.over >= SLOW_MIN and times.over * SLOW_ONE_IN > times.count:
        verdict = Verdict.DEGRADED
    elif times.over * WELL_ONE_IN <= times.count:
        verdict = Verdict.UP
    else:
        return replace(before, heard_at=now)
    if verdict is before.verdict:
        return replace(before, heard_at=now)
    return Standing(verdict, times.p95_ms, now)
