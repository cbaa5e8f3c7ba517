"""The traps of the simulated carrier's API: what is read may be old, who asks may be refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import world_twilio_region as w

from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_faults import Fault, FaultKind


@pytest.fixture
async def sim() -> AsyncIterator[TwilioSim]:
    async with w.carrier(concurrency_limit=3) as sim:
        yield sim


async def names(sim: TwilioSim) -> list[str]:
    _, body = await w.rest(sim, "GET", "/Applications")
    return [application["friendly_name"] for application in body["applications"]]


async def test_a_stale_read_shows_what_was_there_before_the_writes(sim: TwilioSim) -> None:
    await w.rest(sim, "POST", "/Applications", FriendlyName="first")
    sim.faults.arm(Fault(kind=FaultKind.STALE, method="GET", times=2))
    assert await names(sim) == ["first"]
    await w.rest(sim, "POST", "/Applications", FriendlyName="second")
    await w.rest(sim, "POST", "/Applications", FriendlyName="third")
    assert await names(sim) == ["first"]
    assert await names(sim) == ["first", "second", "third"]


async def test_stale_reads_end_when_they_are_healed_and_start_afresh(sim: TwilioSim) -> None:
    for name in ("first", "second"):
        sim.faults.arm(Fault(kind=FaultKind.STALE, method="GET"))
        before = await names(sim)
        await w.rest(sim, "POST", "/Applications", FriendlyName=name)
        assert await names(sim) == before
        sim.faults.heal()
        assert await names(sim) == [*before, name]


async def test_more_requests_at_a_time_than_the_account_may_are_refused_and_not_done(sim: TwilioSim) -> None:
    sim.faults.arm(Fault(kind=FaultKind.SLOW, delay_s=0.3))
    answers = await asyncio.gather(*(w.rest(sim, "POST", "/Applications", FriendlyName=str(n)) for n in range(5)))
    refused = [body["code"] for status, body in answers if status == 429]
    assert refused == [20429] * 2
    assert len(sim.state.accounts[w.ACCOUNT].applications) == 3


async def test_a_revoked_key_is_refused_at_once(sim: TwilioSim) -> None:
    assert (await w.rest(sim, "GET", "/Applications"))[0] == 200
    sim.state.accounts[w.ACCOUNT].api_keys.clear()
    status, body = await w.rest(sim, "GET", "/Applications")
    assert (status, body["code"]) == (401, 20003)


async def test_a_standard_key_may_not_see_the_account_itself(sim: TwilioSim) -> None:
    account = sim.state.accounts[w.ACCOUNT]
    assert (await w.rest(sim, "GET", ""))[1]["status"] == "active"
    account.standard_keys.add(w.KEY)
    assert (await w.rest(sim, "GET", ""))[0] == 401
    assert (await w.rest(sim, "GET", "/Applications"))[0] == 200


async def test_a_suspended_account_refuses_all_but_the_sight_of_itself(sim: TwilioSim) -> None:
    sim.state.accounts[w.ACCOUNT].status = "suspended"
    assert (await w.rest(sim, "GET", "/Applications"))[0] == 401
    assert (await w.rest(sim, "GET", ""))[1]["status"] == "suspended"


async def test_a_name_of_more_than_64_characters_is_refused(sim: TwilioSim) -> None:
    assert (await w.rest(sim, "POST", "/Applications", FriendlyName="n" * 64))[0] == 201
    assert (await w.rest(sim, "POST", "/Applications", FriendlyName="n" * 65))[0] == 400
