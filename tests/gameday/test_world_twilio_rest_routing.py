"""Where the simulated carrier sends a call: trunk, application or the number's own addresses, Region by Region."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import world_twilio_region as w

from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy, Ending
from holdfast_gameday.world.twilio_state import Account
from holdfast_gameday.world.twilio_trunks import OriginationUrl, Trunk

HANGUP = "<Response><Hangup/></Response>"


class Sbcs:
    """Session border controllers by address: those that take calls."""

    def __init__(self) -> None:
        self.dead: set[str] = set()

    def __call__(self, sip_url: str) -> bool:
        return sip_url not in self.dead


@pytest.fixture
def sbcs() -> Sbcs:
    return Sbcs()


@pytest.fixture
async def sim(sbcs: Sbcs) -> AsyncIterator[TwilioSim]:
    async with w.carrier(takes_sip=sbcs) as sim:
        yield sim


@pytest.fixture
async def fra() -> AsyncIterator[w.Region]:
    async with w.Region("fra.test").serving() as region:
        yield region


@pytest.fixture
def account(sim: TwilioSim) -> Account:
    return sim.state.accounts[w.ACCOUNT]


@pytest.fixture
def trunk(sim: TwilioSim, account: Account) -> Trunk:
    trunk = sim.state.add_trunk(account)
    for region in ("fra", "ams"):
        sim.state.add_origination_url(trunk, region, f"sip:{region}.example.com")
    sim.state.add_number(account, w.NUMBER, trunk_sid=trunk.sid)
    return trunk


def dial(sim: TwilioSim) -> CarrierCall:
    return sim.place("+491555000001", to=w.NUMBER, phone=w.Handset())


async def ended(call: CarrierCall) -> Ending:
    async with asyncio.timeout(30):
        await call.over.wait()
    assert call.ending is not None
    return call.ending


def taken_by(call: CarrierCall) -> str:
    return next(event.detail for event in call.events if event.kind == "sip")


def entry(trunk: Trunk, region: str) -> OriginationUrl:
    return next(each for each in trunk.origination_urls.values() if each.friendly_name == region)


async def test_a_trunk_overrides_the_addresses_of_the_number(sim: TwilioSim, account: Account, trunk: Trunk) -> None:
    (number,) = account.numbers.values()
    number.voice_url = "http://fra.test/voice"
    call = dial(sim)
    assert taken_by(call).startswith("sip:")
    call.complete(Ending(EndedBy.CALLER))
    assert (await ended(call)).by is EndedBy.CALLER


async def test_the_lowest_priority_takes_the_calls_and_an_entry_that_is_off_none(sim: TwilioSim, trunk: Trunk) -> None:
    entry(trunk, "ams").priority = 20
    assert {taken_by(dial(sim)) for _ in range(20)} == {"sip:fra.example.com"}
    entry(trunk, "fra").enabled = False
    assert {taken_by(dial(sim)) for _ in range(20)} == {"sip:ams.example.com"}


async def test_equal_priorities_share_calls_by_weight(sim: TwilioSim, trunk: Trunk) -> None:
    entry(trunk, "fra").weight, entry(trunk, "ams").weight = 900, 100
    shares = Counter(taken_by(dial(sim)) for _ in range(200))
    assert 160 <= shares["sip:fra.example.com"] <= 196


async def test_an_entry_that_does_not_take_the_call_is_a_warning_and_the_next_is_tried(
    sim: TwilioSim, sbcs: Sbcs, trunk: Trunk
) -> None:
    sbcs.dead.add("sip:fra.example.com")
    entry(trunk, "ams").priority = 20
    call = dial(sim)
    assert taken_by(call) == "sip:ams.example.com"
    assert [error.code for error in call.errors] == [32011]


async def test_a_trunk_with_none_enabled_fails_every_call(sim: TwilioSim, trunk: Trunk) -> None:
    for each in trunk.origination_urls.values():
        each.enabled = False
    call = dial(sim)
    assert await ended(call) == Ending(EndedBy.TRUNK, "32010")
    assert call.resource.status == "failed"


@pytest.mark.parametrize("how", ["none enabled", "none answers"])
async def test_the_disaster_url_answers_when_the_trunk_cannot(
    sim: TwilioSim, sbcs: Sbcs, trunk: Trunk, fra: w.Region, how: str
) -> None:
    fra.answers["/disaster"] = HANGUP
    trunk.disaster_recovery_url = fra.url("/disaster")
    for each in trunk.origination_urls.values():
        each.enabled = how == "none answers"
        sbcs.dead.add(each.sip_url)
    call = dial(sim)
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert [error.code for error in call.errors] == ([32010] if how == "none enabled" else [32011, 32011])
    assert len(fra.requests) == 1


async def test_without_trunk_and_application_the_numbers_own_addresses_are_asked(
    sim: TwilioSim, account: Account, fra: w.Region
) -> None:
    fra.answers["/fallback"] = HANGUP
    sim.state.add_number(account, w.NUMBER, voice_url=fra.url("/voice"), voice_fallback_url=fra.url("/fallback"))
    assert (await ended(dial(sim))).by is EndedBy.HANGUP_VERB
    assert [request.path for request in fra.requests] == ["/voice", "/fallback"]


async def test_a_call_follows_the_record_of_the_region_it_is_routed_to(
    sim: TwilioSim, account: Account, fra: w.Region
) -> None:
    fra.answers["/us1"] = fra.answers["/ie1"] = HANGUP
    ireland = sim.state.add_account(w.ACCOUNT, auth_token="irish", region="ie1")
    number = sim.state.add_number(account, w.NUMBER, voice_url=fra.url("/us1"))
    ireland.numbers[number.sid].voice_url = fra.url("/ie1")
    await ended(dial(sim))
    sim.state.voice_regions[w.NUMBER] = "ie1"
    call = dial(sim)
    await ended(call)
    assert [request.path for request in fra.requests] == ["/us1", "/ie1"]
    assert list(ireland.calls) == [call.sid]


async def test_a_number_routed_to_a_region_without_a_half_cannot_be_called(sim: TwilioSim, account: Account) -> None:
    sim.state.add_number(account, w.NUMBER)
    sim.state.voice_regions[w.NUMBER] = "au1"
    with pytest.raises(LookupError, match="no half"):
        dial(sim)
