"""Pods and their operator over real polls on loopback: what one pod's calls meet, all pods hear of at once."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from control_parts import until
from provider_parts import DESK, OPENAI_NAME, SHOP, ZONE_KEY, PollingPod, RegionDesk, desired, entry, polling

from holdfast.core import reasons
from holdfast.core.place import operator_token
from holdfast_bridge.tallies import ProviderResults


async def ask(url: str, version: int, failed: int, pod: str = "p-1") -> dict[str, Any]:
    """One poll by hand, so that a test sees the very answer."""
    body = {
        "agent": str(DESK), "pod": pod, "version": version, "ready": True, "began": 1,
        "providers": [
            {"attempt": "openai", "ok": 0, "failed": [{"kind": "5xx", "count": failed, "ago": 0.0}]}
        ] if failed else [],
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {operator_token(ZONE_KEY, DESK)}"}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/v1/poll", json=body, headers=headers) as answer:
        return await answer.json()


async def test_the_poll_that_brings_the_second_failure_is_answered_with_the_new_order() -> None:
    desk = RegionDesk()
    async with desk.serving() as url:
        first = await ask(url, 0, 0)
        assert (first["attempts"], first["reasons"]) == (["openai", "azure"], [])
        waiting = asyncio.create_task(ask(url, first["version"], 1))
        await until(lambda: desk.providers._pods[DESK]["p-1"].report.tallies != {})
        assert not waiting.done(), "one failure changes nothing"
        waiting.cancel()
        second = await ask(url, first["version"], 2)
        assert second["attempts"] == ["azure", "openai"]
        assert second["barred"] == []
        assert second["reasons"] == [{"code": reasons.ATTEMPT_ILL, "message": "openai is ill in fra and tried last"}]


async def test_what_one_pods_calls_meet_turns_the_order_of_every_pod_and_agent_that_uses_the_provider() -> None:
    desk = RegionDesk(desired(entry(DESK), entry(SHOP)))
    async with desk.serving() as url:
        pods = [PollingPod("p-1", url), PollingPod("p-2", url), PollingPod("s-1", url, SHOP)]
        async with polling(*pods):
            await until(lambda: all(pod.directives.version for pod in pods))
            failing = pods[0]
            failing.results.add("openai", False, "server")
            failing.results.add("openai", False, "closed_1011")
            # No clock of the operator's moves in this test: what happens, happens by the reports alone.
            await until(lambda: all(pod.order == ("azure", "openai") for pod in pods), within_s=30)
            assert desk.providers.ill() == {OPENAI_NAME}


async def test_failures_that_lie_with_a_key_or_a_spec_stay_with_their_agent() -> None:
    for word in ("auth", "quota", "rate", "config"):
        desk = RegionDesk(desired(entry(DESK), entry(SHOP)))
        async with desk.serving() as url:
            pods = [PollingPod("p-1", url), PollingPod("s-1", url, SHOP)]
            async with polling(*pods):
                await until(lambda pods=pods: all(pod.directives.version for pod in pods))
                pods[0].results.add("openai", False, word)
                pods[0].results.add("openai", False, word)
                await until(lambda pods=pods: pods[0].order == ("azure", "openai"), within_s=30)
                assert desk.order(SHOP) == ("openai", "azure")
                assert desk.providers.ailing() == {}


async def test_a_failure_that_no_report_could_carry_is_in_the_next_that_arrives() -> None:
    desk = RegionDesk()
    results = ProviderResults()
    unheard = PollingPod("p-1", "http://127.0.0.1:1", results=results)
    async with polling(unheard):
        results.add("openai", False, "server")
        results.add("openai", False, "server")
    desk.well()
    async with desk.serving() as url, polling(PollingPod("p-1", url, results=results)):
        await until(lambda: desk.order() == ("azure", "openai"), within_s=30)
