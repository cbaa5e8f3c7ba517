"""The tool webhook counts side effects, so that "once" can be proved."""

import aiohttp
import pytest

from holdfast_gameday.world.tools_webhook import ToolsWebhook


@pytest.fixture
async def tools():
    sim = ToolsWebhook()
    async with sim.serving("127.0.0.1", 0) as address, aiohttp.ClientSession(f"http://{address}") as session:
        sim.session = session
        yield sim


async def _book(tools, key, call="CA1", **more):
    body = {"call": call, "tool": "book", "arguments": {"wish": "two seats"}}
    headers = {"Idempotency-Key": key} if key else {}
    async with tools.session.post("/book", json=body, headers=headers, **more) as answer:
        return answer.status, await answer.json()


async def test_a_repeated_key_books_once_and_gives_the_same_number(tools):
    first = await _book(tools, "CA1/call_1")
    again = await _book(tools, "CA1/call_1")

    assert first == again == (200, {"result": "booked", "booking": "B1001"})
    assert tools.requests_by_key == {"CA1/call_1": 2}
    assert tools.executions_by_key == {"CA1/call_1": 1}


async def test_a_new_key_for_the_same_call_is_a_second_side_effect(tools):
    """What a bridge that repeats a tool after a hand-over would do; the count by call shows it."""
    await _book(tools, "CA1/call_1")
    await _book(tools, "CA1/call_2")
    await _book(tools, "CA2/call_1", call="CA2")

    assert tools.executions_by_call == {"CA1": 2, "CA2": 1}


async def test_the_side_effect_has_happened_before_a_slow_answer(tools):
    tools.delay_s = 60.0
    with pytest.raises(TimeoutError):
        await _book(tools, "CA1/call_1", timeout=aiohttp.ClientTimeout(total=0.1))

    await tools.wait_executions(1, timeout_s=1.0)
    assert tools.executions_by_call == {"CA1": 1}


async def test_failing_on_demand_does_nothing(tools):
    tools.status = 503
    assert (await _book(tools, "CA1/call_1"))[0] == 503
    assert tools.executions == []


async def test_a_request_without_key_is_refused(tools):
    assert (await _book(tools, ""))[0] == 400
