"""The long poll: proven, numbered, answered at once on news and held otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fleet_range import no_probe

from holdfast import bridges, telemetry
from holdfast.core.capacity import PodLoad
from holdfast.core.latency import Times
from holdfast.core.place import operator_token
from holdfast.core.values import AgentRef
from holdfast.desired import Desired
from holdfast.fleet_carriers import CarrierReports
from holdfast.fleet_latency import FleetLatency
from holdfast.fleet_providers import FleetProviders
from holdfast.fleet_tools import FleetTools

AGENT = AgentRef("clinic", "front-desk")
TOKEN = operator_token(b"zone-key", AGENT)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A poll server with a directive that tests may change."""

    def __init__(self) -> None:
        self.directive: dict[str, Any] = {"buddy": "ams", "lost": []}
        self.desired = Desired()
        self.clock = Clock()
        self.providers = FleetProviders(
            region="fra", desired=self.desired, probe=no_probe, clock=self.clock, on_change=self.ring
        )
        self.latency = FleetLatency(desired=self.desired, clock=self.clock)
        self.bridges = bridges.Bridges(
            desired=self.desired,
            compose=lambda _: self.directive,
            providers=self.providers,
            tools=FleetTools(desired=self.desired, clock=self.clock),
            carriers=CarrierReports(desired=self.desired, failed=lambda _carrier, _why: None),
            latency=self.latency,
            keys=self.keys,
            clock=self.clock,
            metrics=telemetry.Metrics(),
        )

    def ring(self) -> None:
        self.bridges.bell.ring()

    async def keys(self, _: AgentRef) -> tuple[bytes, ...]:
        return (b"new-key", b"zone-key")


@pytest.fixture
async def desk() -> AsyncIterator[tuple[Desk, TestClient[Any, Any]]]:
    desk = Desk()
    async with TestClient(TestServer(bridges.poll_app(desk.bridges))) as client:
        yield desk, client


def said(version: int = 0, **more: Any) -> dict[str, Any]:
    return {"pod": "p-1", "podUid": "u", "agent": "clinic/front-desk", "region": "fra", "version": version} | more


async def poll(client: TestClient[Any, Any], body: Any, token: str = TOKEN) -> tuple[int, Any]:
    async with client.post("/v1/poll", json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.status, await answer.json()


async def test_a_pod_that_knows_nothing_is_answered_at_once(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    _, client = desk
    status, answer = await poll(client, said())
    assert status == 200
    assert answer["buddy"] == "ams"
    assert answer["version"] > 0


async def test_a_pod_that_is_up_to_date_is_held_until_there_is_news(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    _, first = await poll(client, said())
    waiting = asyncio.create_task(poll(client, said(first["version"])))
    done, _ = await asyncio.wait((waiting,), timeout=0.1)
    assert not done
    behind.directive = {"buddy": None, "lost": ["ams"]}
    behind.bridges.bell.ring()
    _, second = await waiting
    assert second["lost"] == ["ams"]
    assert second["version"] > first["version"]


async def test_a_ring_without_news_wakes_nobody(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    _, first = await poll(client, said())
    waiting = asyncio.create_task(poll(client, said(first["version"])))
    await asyncio.wait((waiting,), timeout=0.05)
    behind.bridges.bell.ring()
    done, _ = await asyncio.wait((waiting,), timeout=0.1)
    assert not done
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_another_agents_token_is_refused(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    other = operator_token(b"zone-key", AgentRef("clinic", "other"))
    assert (await poll(client, said(), token=other))[0] == 401
    assert behind.bridges.active_calls() == 0


@pytest.mark.parametrize("body", [
    [], {}, {"agent": "x", "pod": "p"}, {"agent": "a/b"}, {"agent": "a/b", "pod": "p", "latencies": [{"count": 1}]},
    {"agent": "a/b", "pod": "p", "latencies": [{"part": "c", "count": "many"}]},
])  # fmt: skip
async def test_a_malformed_poll_is_refused(desk: tuple[Desk, TestClient[Any, Any]], body: Any) -> None:
    _, client = desk
    assert (await poll(client, body))[0] == 400


async def test_what_a_pod_mounts_is_known_and_never_shown(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    await poll(client, said(holds="a-proof"))
    assert behind.desired.all_hold(AGENT, "a-proof")
    assert not behind.desired.all_hold(AGENT, "another")
    assert "a-proof" not in repr(behind.desired)
    await poll(client, said(holds=None) | {"pod": "p-2"})
    assert not behind.desired.all_hold(AGENT, "a-proof"), "a pod that shows nothing proves nothing"


async def test_what_a_pod_reports_is_known_until_it_falls_silent(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    key = "Secret clinic/openai key api-key"
    calls = [{"call": "CA1"}, {"call": "CA2"}]
    await poll(client, said(ready=True, calls=calls, missingKeys=[key], problems=["not tried: a"]))
    # Our own probes hold a call at the canary now and then: counted, they would make a status flicker for ever.
    probes = said(agent="holdfast-system/canary", ready=True, calls=[{"call": "CA9", "epoch": 1}])
    canary = operator_token(b"zone-key", AgentRef("holdfast-system", "canary"))
    assert (await poll(client, probes, token=canary))[0] == 200
    assert (behind.bridges.active_calls(), behind.bridges.ready_pods()) == (2, 1)
    assert behind.desired.missing_keys(AGENT) == (key,)
    assert behind.desired.problems(AGENT) == ("not tried: a",)
    behind.clock.now += 26
    behind.bridges.forget_the_silent()
    assert (behind.bridges.active_calls(), behind.bridges.ready_pods()) == (0, 0)
    assert behind.desired.missing_keys(AGENT) == ()


async def test_the_calls_and_the_readiness_of_each_pod_are_known_until_it_falls_silent(
    desk: tuple[Desk, TestClient[Any, Any]],
) -> None:
    behind, client = desk
    await poll(client, said(ready=True, calls=[{"call": "CA1"}, {"call": "CA2"}]))
    await poll(client, said(pod="p-2", ready=False, draining=True, loopLagMs=49))
    await poll(client, said(pod="p-3", ready=True, loopLagMs=50))
    assert dict(behind.desired.load_of(AGENT).pods) == {
        "p-1": PodLoad(2, ready=True, heard_at=100.0, since=100.0),
        "p-2": PodLoad(0, ready=False, draining=True, heard_at=100.0, since=100.0),
        "p-3": PodLoad(0, ready=True, late=True, heard_at=100.0, since=100.0),
    }
    behind.clock.now += 26
    behind.bridges.forget_the_silent()
    assert dict(behind.desired.load_of(AGENT).pods) == {}


async def test_a_pod_is_told_how_many_others_could_take_its_calls(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    _, client = desk
    _, alone = await poll(client, said(ready=True))
    assert alone["siblings"] == 0
    _, second = await poll(client, said(pod="p-2", ready=True))
    assert second["siblings"] == 1
    _, booting = await poll(client, said(pod="p-3", ready=False))
    assert booting["siblings"] == 2
    _, again = await poll(client, said(alone["version"], ready=True))
    assert again["siblings"] == 1, "a pod that is not ready takes no calls"


async def test_a_draining_pod_is_nobodys_sibling_and_those_held_hear_of_it(
    desk: tuple[Desk, TestClient[Any, Any]],
) -> None:
    _, client = desk
    await poll(client, said(pod="p-2", ready=True))
    _, first = await poll(client, said(ready=True))
    waiting = asyncio.create_task(poll(client, said(first["version"], ready=True)))
    done, _ = await asyncio.wait((waiting,), timeout=0.1)
    assert not done
    _, leaving = await poll(client, said(pod="p-2", ready=True, draining=True))
    assert leaving["siblings"] == 1
    _, news = await waiting
    assert news["siblings"] == 0


async def test_a_pod_that_fell_silent_is_nobodys_sibling(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    await poll(client, said(pod="p-2", ready=True))
    behind.clock.now += 26
    _, answer = await poll(client, said(ready=True))
    behind.bridges.forget_the_silent()
    _, later = await poll(client, said(answer["version"], ready=True))
    assert (answer["siblings"], later["siblings"]) == (1, 0)


async def test_how_long_things_took_is_read_within_bounds(desk: tuple[Desk, TestClient[Any, Any]]) -> None:
    behind, client = desk
    told = [
        {"part": "c", "count": 9, "over": 2, "p95Ms": 700, "budgetMs": 800}, {"part": "c/hearing", "count": -3},
        *({"part": f"p{number}"} for number in range(100)),
    ]  # fmt: skip
    assert (await poll(client, said(latencies=told)))[0] == 200
    known = behind.latency._told[AGENT]["p-1"]
    assert known["c"] == Times(9, 2, 700, 800)
    assert known["c/hearing"] == Times(0)
    assert len(known) == bridges.MAX_TALLIES
