"""Whether a region asks to be taken out, from what its pods say over the poll and peers in their heartbeats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import core_builders
import pytest
from aiohttp.test_utils import TestClient, TestServer
from provider_parts import DESK, OPENAI_NAME, SHOP, ZONE_KEY, RegionDesk, attempt, desired, entry, tally, zone

from holdfast import bridges, heart
from holdfast.core import reasons
from holdfast.core.place import operator_token
from holdfast.core.values import AgentRef, Cause, Tier, Verdict
from holdfast.fleet_withdrawals import OwnRegion

CANARY = AgentRef("holdfast-system", "canary")


class Scene:
    """One region with two agents; time passes a second at a time."""

    def __init__(self, desk: RegionDesk, client: TestClient[Any, Any]) -> None:
        self.desk = desk
        self.client = client
        self.heard: dict[str, tuple[heart.Heartbeat, float]] = {}
        self.views: list[Any] | None = []
        self.own = OwnRegion(
            region="fra",
            desired=desk.desired,
            bridges=desk.bridges,
            providers=desk.providers,
            heard=lambda: self.heard,
            views=lambda: self.views,
            clock=desk.clock,
        )

    async def poll(self, agent: AgentRef, pod: str, *, ready: bool = True, calls: int = 0) -> None:
        body = {
            "agent": str(agent), "pod": pod, "version": 0, "ready": ready, "began": 1,
            "calls": [{"call": f"CA{number}"} for number in range(calls)],
        }  # fmt: skip
        token = operator_token(ZONE_KEY, agent)
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.post("/v1/poll", json=body, headers=headers) as answer:
            assert answer.status == 200

    async def all_poll(self, *, ready: bool = True, calls: int = 0) -> None:
        for agent in self.desk.desired.agents:
            for pod in ("p-1", "p-2"):
                await self.poll(agent, pod, ready=ready, calls=calls)

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.desk.clock.now += 1.0
            self.own.tick()

    @property
    def asks(self) -> str:
        return self.own.asks.reason.code if self.own.asks else ""


@pytest.fixture
async def at() -> AsyncIterator[Scene]:
    desk = RegionDesk(desired(entry(DESK), entry(SHOP)))
    async with TestClient(TestServer(bridges.poll_app(desk.bridges))) as client:
        scene = Scene(desk, client)
        scene.own.tick()
        yield scene


async def test_a_region_whose_pods_all_fall_ill_asks_after_ten_seconds(at: Scene) -> None:
    await at.all_poll()
    at.seconds(1)
    await at.all_poll(ready=False)
    at.seconds(10)
    assert at.asks == ""
    at.seconds(1)
    assert at.asks == reasons.PODS_NOT_READY
    await at.all_poll()
    at.seconds(30)
    assert at.asks == reasons.PODS_NOT_READY
    at.seconds(1)
    assert at.asks == ""


async def test_pods_that_never_came_up_yet_are_waited_for(at: Scene) -> None:
    """Two minutes for the first images to arrive: a new agent takes no region out of service."""
    await at.poll(CANARY, "c-1")
    at.seconds(119)
    assert at.asks == ""
    at.seconds(12)
    assert at.asks == reasons.PODS_NOT_READY


async def test_pods_that_are_all_silent_may_be_cut_off_from_us_and_carry_calls_all_the_same(at: Scene) -> None:
    """The canary's pods come the same way: only while one of them is heard, the silence of the others tells."""
    await at.all_poll()
    at.seconds(1)
    at.desk.clock.now += 30.0
    at.desk.bridges.forget_the_silent()
    at.seconds(60)
    assert at.asks == ""
    await at.poll(CANARY, "c-1")
    at.seconds(11)
    assert at.asks == reasons.PODS_NOT_READY


async def test_a_region_full_of_calls_is_not_ill(at: Scene) -> None:
    await at.all_poll()
    at.seconds(1)
    await at.all_poll(ready=False, calls=45)
    at.seconds(60)
    assert at.asks == ""


async def test_one_agent_in_trouble_is_no_reason_to_leave(at: Scene) -> None:
    await at.all_poll()
    at.seconds(1)
    for pod in ("p-1", "p-2"):
        await at.poll(SHOP, pod, ready=False)
    at.seconds(60)
    assert at.asks == ""
    assert at.own.why_not is not None
    assert at.own.why_not.code == reasons.ONLY_SOME_AGENTS


def out_of_providers(at: Scene) -> None:
    for _ in (1, 2):
        at.desk.providers.begin()
        at.desk.hear(openai=tally(), azure=tally())
        at.desk.hear(openai=tally(error=2), azure=tally(timeout=2))


def says(*names: str, verdict: Verdict = Verdict.DOWN) -> heart.Heartbeat:
    seen = {name: heart.Seen(verdict, 5.0) for name in names}
    return heart.Heartbeat(seq=1, region="ams", others={Tier.PROVIDER: seen})


async def test_a_region_without_a_provider_that_works_asks_while_others_find_them_well(at: Scene) -> None:
    await at.all_poll()
    at.heard = {"ams": (says(), 0.5)}
    out_of_providers(at)
    at.seconds(11)
    assert at.asks == reasons.NO_WORKING_ATTEMPT
    assert at.own.asks is not None
    assert OPENAI_NAME in at.own.asks.ill


async def test_what_another_region_of_the_zone_sees_too_is_never_a_reason_to_leave(at: Scene) -> None:
    await at.all_poll()
    at.heard = {"ams": (says(*at.desk.providers.ill()), 0.5)}
    out_of_providers(at)
    at.heard = {"ams": (says(*at.desk.providers.ill()), 0.5)}
    at.seconds(60)
    assert at.asks == ""
    assert at.own.why_not is not None
    assert at.own.why_not.code == reasons.SEEN_ELSEWHERE


async def test_keys_and_quotas_are_never_a_reason_to_leave(at: Scene) -> None:
    await at.all_poll()
    for agent in (DESK, SHOP):
        at.desk.hear(agent, openai=tally(), azure=tally())
        at.desk.hear(agent, openai=tally(auth=5, rate_limited=5), azure=tally(quota=5, config=5))
    at.seconds(60)
    assert (at.asks, at.own.why_not) == ("", None)


async def test_a_region_outside_the_zone_is_not_elsewhere(at: Scene) -> None:
    await at.all_poll()
    out_of_providers(at)
    at.heard = {"iad": (says(*at.desk.providers.ill()), 0.5)}
    at.seconds(11)
    assert at.asks == reasons.NO_WORKING_ATTEMPT


async def test_an_operator_that_takes_over_goes_on_asking_for_what_it_asked_before(at: Scene) -> None:
    """Else the zone's leader would hear the region again, hear no wish, and lift the cordon."""
    at.own.begin()
    at.views = None
    at.seconds(1)
    assert (at.own.settled, at.asks) == (False, "")
    of = core_builders.zone()
    out = core_builders.joined(of, fra=core_builders.cordoned(Cause.WITHDRAWN, reason="fra asks: no pods"))
    at.views = [core_builders.view(of, memory=out)]
    at.seconds(1)
    assert (at.own.settled, at.asks) == (True, reasons.PODS_NOT_READY)
    await at.poll(CANARY, "c-1")
    at.seconds(60)
    assert at.asks == reasons.PODS_NOT_READY, "its pods are still not there"
    await at.all_poll()
    at.seconds(31)
    assert at.asks == ""


async def test_agents_of_zones_that_are_not_here_do_not_count(at: Scene) -> None:
    elsewhere = replace(zone(), name="us", regions=zone().regions[1:])
    at.desk.desired.put_zone(elsewhere)
    at.desk.desired.put_agent(replace(entry(AgentRef("shop", "far"), attempt("x", "wss://x")), zone="us"))
    await at.poll(DESK, "p-1")
    await at.poll(DESK, "p-2")
    await at.poll(SHOP, "p-1")
    await at.poll(SHOP, "p-2")
    at.seconds(200)
    assert (at.asks, at.own.why_not) == ("", None)
