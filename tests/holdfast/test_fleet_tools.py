"""What live calls meet at tools' webhooks reaches the agent's condition within a second or so, over real polls."""

from __future__ import annotations

from dataclasses import replace

import pytest
from control_parts import until
from provider_parts import DESK, PollingPod, RegionDesk, desired, entry, polling

from holdfast.core import reasons
from holdfast.core.agents import Tool
from holdfast.core.reports import Failed, Report, Tally
from holdfast.core.tools import ToolFailure
from holdfast_bridge import tools


def tool(name: str) -> Tool:
    return Tool(name, "", {}, "https://tools.example.com/t", timeout_ms=1000, side_effects=False)


def with_tools(*names: str) -> RegionDesk:
    plain = entry()
    return RegionDesk(desired(replace(plain, spec=replace(plain.spec, tools=tuple(map(tool, names))))))


def told(desk: RegionDesk) -> tuple[bool | None, str]:
    condition = desk.tools.condition(DESK)
    assert condition is not None
    return condition.status, condition.reason.code


def failed(count: int, began: int = 1) -> Report[ToolFailure]:
    return Report(began, {"lookup": Tally(failed={ToolFailure.ERROR: Failed(count)})})


async def test_a_tool_that_fails_live_calls_is_told_and_so_is_its_return():
    desk = with_tools("lookup")
    assert told(desk) == (None, reasons.TOOL_UNHEARD)
    async with desk.serving() as url:
        pod = PollingPod("p-1", url)
        async with polling(pod):
            await until(lambda: len(desk.bridges.calls_by_pod()) == 1)
            for _ in range(2):
                pod.tools.failed("lookup", tools.ToolFailure.TIMEOUT)
            await until(lambda: told(desk) == (False, reasons.TOOL_ILL), within_s=30)
            for _ in range(2):
                pod.tools.well("lookup")
                pod.poller.news()
                seen = pod.tools.report()[0]["ok"]
                await until(lambda seen=seen: _heard(desk) == seen, within_s=30)
            assert told(desk) == (True, reasons.TOOLS_ANSWER)


def _heard(desk: RegionDesk) -> int:
    (report,) = desk.tools._reports[DESK].values()
    return report.tallies["lookup"].ok


def test_pods_add_up():
    desk = with_tools("lookup")
    for pod in ("p-1", "p-2"):
        desk.tools.hear(DESK, pod, Report(1))
        desk.tools.hear(DESK, pod, failed(1))
    assert told(desk) == (False, reasons.TOOL_ILL)


def test_an_agent_without_tools_has_no_such_condition_nor_has_one_that_is_not_followed():
    desk = RegionDesk()
    assert desk.tools.condition(DESK) is None
    desk.desired.drop_agent(DESK)
    assert desk.tools.condition(DESK) is None


def test_a_tool_that_the_spec_does_not_name_is_not_kept():
    desk = with_tools("book")
    for count in (0, 2):
        desk.tools.hear(DESK, "p-1", failed(count))
    assert told(desk) == (None, reasons.TOOL_UNHEARD)


def test_a_pod_that_fell_silent_takes_nothing_back():
    desk = with_tools("lookup")
    for count in (0, 2):
        desk.tools.hear(DESK, "p-1", failed(count))
    desk.tools.forget(DESK, "p-1")
    assert told(desk) == (False, reasons.TOOL_ILL)


@pytest.mark.parametrize("edited", [True, False])
def test_what_an_edit_or_the_end_of_an_agent_left_behind_is_dropped(edited: bool):
    desk = with_tools("lookup")
    for count in (0, 2):
        desk.tools.hear(DESK, "p-1", failed(count))
    if edited:
        desk.desired.put_agent(with_tools("book").desired.agents[DESK])
    else:
        desk.desired.drop_agent(DESK)
    desk.tools.drop_the_unused()
    desk.desired.put_agent(with_tools("lookup").desired.agents[DESK])
    assert told(desk) == (None, reasons.TOOL_UNHEARD)
