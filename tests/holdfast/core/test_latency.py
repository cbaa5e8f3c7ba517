"""When a stage is called too slow: over its budget in more than a twentieth of enough turns, and not by a hair."""

from __future__ import annotations

import pytest

from holdfast.core import latency
from holdfast.core.agents import AgentSpec, Attempt, Budgets, Persona
from holdfast.core.latency import Standing, Times
from holdfast.core.values import Verdict

STAGES = tuple(Attempt(f"c/{role}", "x") for role in ("hearing", "thinking", "speaking"))
SLOW = Standing(Verdict.DEGRADED, 900, 0.0)
WELL = Standing(Verdict.UP, 100, 0.0)


def spec(budgets: Budgets) -> AgentSpec:
    attempts = (Attempt("o", "openai"), Attempt("c", "cascade", stages=STAGES))
    return AgentSpec(zone="eu", persona=Persona("", ""), attempts=attempts, latency=budgets)


def judged(count: int, over: int, before: Standing = latency.UNHEARD, now: float = 5.0) -> Verdict:
    return latency.judge(before, Times(count, over, 700), now=now).verdict


def test_every_part_goes_by_the_budget_of_its_role():
    assert latency.budgets_ms(spec(Budgets(200, 150, 100, 1400))) == {
        "o": 1400, "c": 1400, "c/hearing": 200, "c/thinking": 150, "c/speaking": 100,
    }  # fmt: skip
    assert latency.budgets_ms(spec(Budgets(llm_ms=150))) == {"c/thinking": 150}
    assert latency.budgets_ms(spec(Budgets())) == {}


def test_pods_add_up_but_for_those_that_go_by_another_budget():
    told = [
        {"c": Times(30, 1, 700, 800)}, {"c": Times(10, 4, 900, 800)}, {"c": Times(99, 99, 999, 500)},
        {"c": Times(99, 0, 1, None)}, {},
    ]  # fmt: skip
    assert latency.together(told, "c", 800) == Times(40, 5, 900, 800)
    assert latency.together([], "c", 800) == Times(0, 0, 0, 800)


@pytest.mark.parametrize(("count", "over", "verdict"), [
    (19, 19, Verdict.UNKNOWN), (20, 2, Verdict.UNKNOWN), (20, 3, Verdict.DEGRADED), (100, 5, Verdict.UNKNOWN),
    (100, 6, Verdict.DEGRADED), (20, 0, Verdict.UP), (100, 2, Verdict.UP), (100, 3, Verdict.UNKNOWN),
])  # fmt: skip
def test_a_part_is_slow_or_well_by_its_share_of_enough_samples(count: int, over: int, verdict: Verdict):
    assert judged(count, over) is verdict


@pytest.mark.parametrize(("before", "over"), [(SLOW, 3), (SLOW, 5), (WELL, 3), (WELL, 5)])
def test_between_the_two_shares_a_verdict_stands(before: Standing, over: int):
    assert judged(100, over, before) is before.verdict


def test_a_brown_out_ends_at_a_fiftieth():
    assert judged(100, 2, SLOW) is Verdict.UP


def test_the_figure_is_that_of_the_verdict_and_does_not_change_while_it_stands():
    slow = latency.judge(WELL, Times(100, 20, 700), now=5.0)
    assert slow == Standing(Verdict.DEGRADED, 700, 5.0)
    assert latency.judge(slow, Times(100, 30, 800), now=9.0) == Standing(Verdict.DEGRADED, 700, 9.0)
    assert latency.judge(slow, Times(100, 4, 800), now=9.0) == Standing(Verdict.DEGRADED, 700, 9.0)


def test_a_verdict_lapses_when_nobody_calls_any_more():
    assert judged(3, 0, SLOW, now=latency.LAPSES_S) is Verdict.DEGRADED
    assert judged(3, 0, SLOW, now=latency.LAPSES_S + 1) is Verdict.UNKNOWN
