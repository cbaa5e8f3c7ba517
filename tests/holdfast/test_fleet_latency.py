"""A stage that is slow for live calls is shown as a brown-out, told once, and changes no order of attempts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from control_parts import until
from provider_parts import DESK, PollingPod, RegionDesk, desired, entry, polling

from holdfast.core import latency, reasons
from holdfast.core.agents import Budgets
from holdfast.core.latency import Times

FIRST = entry().spec.attempts[0].name


def desk(budgets: Budgets = Budgets(first_audio_ms=800)) -> RegionDesk:  # noqa: B008 - a frozen value
    plain = entry()
    return RegionDesk(desired(replace(plain, spec=replace(plain.spec, latency=budgets))))


def shown(of: RegionDesk) -> tuple[bool | None, str]:
    condition = of.latency.condition(DESK)
    assert condition is not None
    return condition.status, condition.reason.code


def hear(of: RegionDesk, count: int, over: int, pod: str = "p-1") -> None:
    of.latency.hear(DESK, pod, {FIRST: Times(count, over, 1234, 800)})
    of.latency.look()


async def test_a_slow_attempt_is_a_brown_out_and_its_end_is_told_over_real_polls():
    of = desk()
    before = of.order()
    assert shown(of) == (None, reasons.LATENCY_UNHEARD)
    async with of.serving() as url:
        pod = PollingPod("p-1", url)
        async with polling(pod):
            await until(lambda: len(of.bridges.calls_by_pod()) == 1)
            for _ in range(25):
                pod.windows.add(FIRST, 0.9, now=0.0)
            pod.poller.news()
            await until(lambda: of.latency.look() or shown(of) == (False, reasons.BROWN_OUT), within_s=30)
            for _ in range(400):
                pod.windows.add(FIRST, 0.3, now=0.0)
            pod.poller.news()
            await until(lambda: of.latency.look() or shown(of) == (True, reasons.IN_TIME), within_s=30)
    assert of.events == [(DESK, reasons.BROWN_OUT, True), (DESK, reasons.IN_TIME, False)]
    assert of.order() == before


def test_a_brown_out_names_the_part_its_time_and_its_budget_and_is_told_once():
    of = desk()
    for count in (40, 50, 60):
        hear(of, count, 10)
    condition = of.latency.condition(DESK)
    assert condition is not None
    assert condition.reason.message == f"{FIRST} took 1234 ms (p95) of 800 ms"
    assert of.events == [(DESK, reasons.BROWN_OUT, True)]


def test_a_brown_out_empties_no_order_and_bars_nothing():
    of = desk()
    before = of.providers.order(DESK)
    hear(of, 100, 100)
    assert shown(of) == (False, reasons.BROWN_OUT)
    assert of.providers.order(DESK) == before
    assert of.providers.ailing() == {}


def test_pods_add_up_and_one_that_fell_silent_does_not():
    of = desk()
    hear(of, 15, 2, "p-1")
    assert shown(of) == (None, reasons.LATENCY_UNHEARD)
    hear(of, 15, 2, "p-2")
    assert shown(of) == (False, reasons.BROWN_OUT)
    of.latency.forget(DESK, "p-2")
    of.clock.now += latency.LAPSES_S + 1
    hear(of, 15, 2, "p-1")
    assert shown(of) == (None, reasons.LATENCY_UNHEARD)


def test_an_agent_without_budgets_has_no_such_condition_nor_has_one_that_is_not_followed():
    of = desk(Budgets())
    hear(of, 100, 100)
    assert of.latency.condition(DESK) is None
    of.desired.drop_agent(DESK)
    assert of.latency.condition(DESK) is None
    assert of.events == []


@pytest.mark.parametrize("edited", [True, False])
def test_what_an_edit_or_the_end_of_an_agent_left_behind_is_dropped(edited: bool):
    of, kept = desk(), desk().desired.agents[DESK]
    hear(of, 100, 100)
    if edited:
        of.desired.put_agent(desk(Budgets()).desired.agents[DESK])
    else:
        of.desired.drop_agent(DESK)
    of.latency.drop_the_unused()
    of.desired.put_agent(kept)
    assert shown(of) == (None, reasons.LATENCY_UNHEARD)
