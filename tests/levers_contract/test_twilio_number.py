"""Numbers that carry their own addresses: the record that the calls follow, and nobody else's arrangement."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lever_twilio import NOT_NAMED, NUMBERS, TwilioStage, number_driver, twilio

from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.twilio_number import TwilioNumbers
from holdfast_gameday.world.twilio_faults import FaultKind

FRA, AMS = "https://fra.voice.example.com/voice#ct=1000", "https://ams.voice.example.com/fallback#ct=1000"
FIRST = NUMBERS[0]


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio() as stage:
        for number in (*NUMBERS, NOT_NAMED):
            stage.sim.state.add_number(stage.home, number)
        yield stage


def urls(stage: TwilioStage, region: str, number: str = FIRST) -> tuple[str, str]:
    half = stage.sim.state.halves[stage.home.sid, region]
    (record,) = (record for record in half.numbers.values() if record.phone_number == number)
    return record.voice_url, record.voice_fallback_url


async def refused(call: object) -> DriverError:
    with pytest.raises(DriverError) as error:
        await call  # type: ignore[misc]
    return error.value


async def test_the_record_of_the_region_that_the_calls_go_to_is_written(stage: TwilioStage) -> None:
    stage.sim.state.voice_regions[FIRST] = "ie1"
    await number_driver(stage).apply(Pointer(FIRST, FRA, AMS))
    assert urls(stage, "ie1") == (FRA, AMS)
    assert urls(stage, "us1") == ("", "")


async def test_the_route_itself_is_never_written(stage: TwilioStage) -> None:
    await number_driver(stage).apply(Pointer(FIRST, FRA, AMS))
    assert all("/v2/PhoneNumbers" not in path for path in stage.requests("POST"))
    assert stage.sim.state.voice_region(FIRST) == "us1"


async def test_a_number_routed_to_a_region_without_a_key_is_told(stage: TwilioStage) -> None:
    stage.sim.state.voice_regions[FIRST] = "au1"
    error = await refused(number_driver(stage).apply(Pointer(FIRST, FRA, AMS)))
    assert (error.code, error.retryable) == ("RoutedElsewhere", False)
    assert "VoiceRegion=au1" in str(error)
    assert stage.writes() == 0


async def test_a_route_that_was_changed_is_followed_within_five_minutes(stage: TwilioStage) -> None:
    driver = number_driver(stage)
    await driver.apply(Pointer(FIRST, FRA, AMS))
    stage.sim.state.voice_regions[FIRST] = "ie1"
    stage.clock.now = 299.0
    assert await driver.read(FIRST) == Pointer(FIRST, FRA, AMS)
    stage.clock.now = 300.0
    assert await driver.read(FIRST) == Pointer(FIRST, "", "")


async def test_a_move_does_not_wait_for_routes_that_do_not_answer(stage: TwilioStage) -> None:
    driver = number_driver(stage)
    await driver.read(FIRST)
    stage.arm(FaultKind.ERROR, path="/v2/PhoneNumbers")
    stage.clock.now = 4000.0
    await driver.apply(Pointer(FIRST, FRA, AMS))
    assert await driver.read(FIRST) == Pointer(FIRST, FRA, AMS)


async def test_without_anybody_to_ask_the_only_half_is_written(stage: TwilioStage) -> None:
    driver = number_driver(stage, halves={"ie1": stage.api(stage.ireland)}, routes=None)
    await driver.apply(Pointer(FIRST, FRA, AMS))
    assert urls(stage, "ie1") == (FRA, AMS)
    assert all("/v2/" not in path for path in stage.requests())


def test_several_halves_and_nobody_to_ask_is_a_mistake_of_configuration() -> None:
    with pytest.raises(ValueError, match="routes"):
        TwilioNumbers(name="n", numbers=(), halves={}, clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("field", "word", "sid"),
    [("trunk_sid", "TrunkSid", "TK" + "7" * 32), ("voice_application_sid", "VoiceApplicationSid", "AP" + "7" * 32)],
)
async def test_a_number_that_follows_something_else_is_refused_by_field_and_value(
    stage: TwilioStage, field: str, word: str, sid: str
) -> None:
    """Both override the addresses, and setting one deletes the other: neither is ours to clear."""
    (record,) = (r for r in stage.home.numbers.values() if r.phone_number == FIRST)
    setattr(record, field, sid)
    driver = number_driver(stage)
    for call in (driver.read(FIRST), driver.apply(Pointer(FIRST, FRA, AMS))):
        error = await refused(call)
        assert (error.code, error.retryable) == ("RoutedElsewhere", False)
        assert f"{word}={sid}" in str(error)
    assert FIRST not in await driver.list()
    assert stage.writes() == 0


async def test_a_number_that_the_account_has_not_is_none_and_cannot_be_written(stage: TwilioStage) -> None:
    driver = number_driver(stage)
    assert await driver.read("+4930999999") is None
    assert (await refused(driver.apply(Pointer("+4930999999", FRA, AMS)))).code == "NoOrigin"


async def test_a_number_that_the_policy_does_not_name_is_refused_unasked(stage: TwilioStage) -> None:
    driver = number_driver(stage)
    for call in (driver.read(NOT_NAMED), driver.apply(Pointer(NOT_NAMED, FRA, AMS)), driver.remove(NOT_NAMED)):
        assert (await refused(call)).code == "NotOurs"
    assert stage.requests() == []


async def test_removing_leaves_the_number_as_it_answers(stage: TwilioStage) -> None:
    driver = number_driver(stage)
    await driver.apply(Pointer(FIRST, FRA, AMS))
    assert await driver.remove(FIRST) is False
    assert urls(stage, "us1") == (FRA, AMS)


async def test_a_number_that_another_one_contains_is_not_mistaken_for_it(stage: TwilioStage) -> None:
    """The filter of the list finds parts of numbers too."""
    longer = FIRST + "0"
    stage.sim.state.add_number(stage.home, longer, voice_url="https://theirs")
    driver = number_driver(stage)
    await driver.apply(Pointer(FIRST, FRA, AMS))
    assert urls(stage, "us1", longer) == ("https://theirs", "")


async def test_two_hundred_numbers_are_listed_in_a_request_per_region(stage: TwilioStage) -> None:
    many = [f"+49301{n:06d}" for n in range(200)]
    for number in many:
        stage.sim.state.add_number(stage.ireland, number)
    driver = number_driver(stage, numbers=many, halves={"ie1": stage.api(stage.ireland)}, routes=None)
    assert sorted(await driver.list()) == many
    assert len(stage.requests()) == 1


async def test_of_several_regions_each_number_is_listed_with_the_record_its_calls_follow(stage: TwilioStage) -> None:
    stage.sim.state.voice_regions[FIRST] = "ie1"
    driver = number_driver(stage, numbers=NUMBERS)
    wanted = {number: Pointer(number, FRA, AMS) for number in NUMBERS}
    for pointer in wanted.values():
        await driver.apply(pointer)
    assert await driver.list() == wanted
    assert [urls(stage, "ie1", number)[0] for number in NUMBERS] == [FRA, ""]


async def test_a_number_routed_to_a_region_without_a_key_is_not_listed(stage: TwilioStage) -> None:
    stage.sim.state.voice_regions[FIRST] = "au1"
    assert list(await number_driver(stage, numbers=NUMBERS).list()) == [NUMBERS[1]]


async def test_nothing_but_the_addresses_is_written(stage: TwilioStage) -> None:
    await number_driver(stage).apply(Pointer(FIRST, FRA, AMS))
    (write,) = stage.sim.state.writes
    assert set(write.params) == {"VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod"}
