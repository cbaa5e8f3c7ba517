"""What a move at Twilio does to calls: the next one goes elsewhere, those in progress stay where they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import world_twilio_region as w
from lever_twilio import TwilioStage, entry, number_driver, sip, standing_trunk, trunk_driver, twilio

from holdfast.levers.base import DriverError, OriginChange, Pointer
from holdfast.levers.twilio_application import TwilioApplications
from holdfast_gameday.world.twilio_call import CarrierCall
from holdfast_gameday.world.twilio_faults import FaultKind

NAME = "holdfast eu/clinic/front-desk"


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio() as stage:
        yield stage


@pytest.fixture
async def fra() -> AsyncIterator[w.Region]:
    async with w.Region("fra.test").serving() as region:
        region.answers["/voice"] = region.connect()
        yield region


@pytest.fixture
async def ams() -> AsyncIterator[w.Region]:
    async with w.Region("ams.test").serving() as region:
        region.answers["/voice"] = region.connect()
        yield region


def dial(stage: TwilioStage) -> CarrierCall:
    return stage.sim.place("+491555000001", to=w.NUMBER, phone=w.Handset())


def taken_by(call: CarrierCall) -> str:
    return next(event.detail for event in call.events if event.kind == "sip")


async def test_moving_an_application_moves_all_its_numbers_and_no_call_in_progress(
    stage: TwilioStage, fra: w.Region, ams: w.Region
) -> None:
    driver = TwilioApplications(name="twilio-eu", mark="holdfast eu/", api=stage.api(stage.home))
    await driver.apply(Pointer(NAME, fra.url("/voice"), ams.url("/voice")))
    (application,) = stage.home.applications.values()
    stage.sim.state.add_number(stage.home, w.NUMBER, voice_application_sid=application.sid)
    before = dial(stage)
    await fra.socket()
    written = stage.writes()
    await driver.apply(Pointer(NAME, ams.url("/voice"), fra.url("/voice")))
    assert stage.writes() == written + 1
    after = dial(stage)
    await ams.socket()
    assert (before.host, after.host) == ("fra.test", "ams.test")
    assert before.ending is None


async def test_moving_a_number_moves_the_next_call_and_no_call_in_progress(
    stage: TwilioStage, fra: w.Region, ams: w.Region
) -> None:
    stage.sim.state.add_number(stage.home, w.NUMBER)
    stage.sim.state.voice_regions[w.NUMBER] = "ie1"
    driver = number_driver(stage, numbers=[w.NUMBER])
    await driver.apply(Pointer(w.NUMBER, fra.url("/voice"), ams.url("/voice")))
    before = dial(stage)
    await fra.socket()
    await driver.apply(Pointer(w.NUMBER, ams.url("/voice"), fra.url("/voice")))
    after = dial(stage)
    await ams.socket()
    assert (before.host, after.host) == ("fra.test", "ams.test")


async def test_switching_an_entry_off_moves_the_next_call_and_no_call_in_progress(stage: TwilioStage) -> None:
    trunk = standing_trunk(stage)
    entry(trunk, "ams").priority = 20
    stage.sim.state.add_number(stage.ireland, w.NUMBER, trunk_sid=trunk.sid)
    stage.sim.state.voice_regions[w.NUMBER] = "ie1"
    driver = trunk_driver(stage, trunk)
    before = dial(stage)
    await driver.apply(OriginChange("fra", enabled=False, epoch=1))
    after = dial(stage)
    assert (taken_by(before), taken_by(after)) == (sip("fra"), sip("ams"))
    assert before.ending is None


async def test_the_calls_of_a_moved_trunk_never_meet_a_trunk_with_none_enabled(stage: TwilioStage) -> None:
    """The target first, then the source, region by region and back: each call is taken by somebody."""
    trunk = standing_trunk(stage)
    stage.sim.state.add_number(stage.ireland, w.NUMBER, trunk_sid=trunk.sid)
    stage.sim.state.voice_regions[w.NUMBER] = "ie1"
    driver = trunk_driver(stage, trunk)
    for epoch, (source, target) in enumerate((("fra", "ams"), ("ams", "fra"), ("fra", "ams"))):
        for region, enabled in ((target, True), (source, False)):
            await driver.apply(OriginChange(region, enabled=enabled, epoch=epoch))
            assert taken_by(dial(stage))
        assert taken_by(dial(stage)) == sip(target)


async def test_a_move_of_two_hundred_numbers_resumes_after_a_crash_and_writes_each_once(stage: TwilioStage) -> None:
    numbers = [f"+49301{n:06d}" for n in range(200)]
    for number in numbers:
        stage.sim.state.add_number(stage.ireland, number)
    wanted = {number: Pointer(number, "https://ams.test/voice", "https://fra.test/voice") for number in numbers}

    async def move(limit: int) -> None:
        """As the shell does: what is listed to be right is left, the rest is applied, a few at a time."""
        driver = number_driver(stage, numbers=numbers, halves={"ie1": stage.api(stage.ireland)}, routes=None)
        listed = await driver.list()
        left = [pointer for number, pointer in wanted.items() if listed[number] != pointer][:limit]
        for start in range(0, len(left), 10):
            await asyncio.gather(*(driver.apply(pointer) for pointer in left[start : start + 10]))

    await move(limit=70)
    await move(limit=200)
    assert {r.phone_number: r.voice_url for r in stage.ireland.numbers.values()} == dict.fromkeys(
        numbers, "https://ams.test/voice"
    )
    assert stage.writes() == 200


async def test_a_number_whose_write_is_stale_to_read_is_not_written_for_ever(stage: TwilioStage) -> None:
    """A stale read shows the old address: the caller asks again later, and each asking costs one write at most."""
    stage.sim.state.add_number(stage.home, w.NUMBER)
    driver = number_driver(stage, numbers=[w.NUMBER])
    pointer = Pointer(w.NUMBER, "https://ams.test/voice", "https://fra.test/voice")
    stage.arm(FaultKind.STALE, method="GET", path="IncomingPhoneNumbers", times=2)
    await driver.apply(pointer)
    assert await driver.read(w.NUMBER) != pointer
    assert await driver.read(w.NUMBER) == pointer
    assert stage.writes() == 1


async def test_a_commit_without_an_answer_moves_the_calls_all_the_same(stage: TwilioStage) -> None:
    trunk = standing_trunk(stage)
    driver = trunk_driver(stage, trunk)
    stage.arm(FaultKind.COMMIT_THEN_TIMEOUT, method="POST", times=1)
    with pytest.raises(DriverError) as lost:
        await driver.apply(OriginChange("fra", enabled=False, epoch=1))
    assert lost.value.outcome_unknown
    assert (await driver.read("fra")).enabled is False
    await driver.apply(OriginChange("fra", enabled=False, epoch=1))
    assert stage.writes() == 1
