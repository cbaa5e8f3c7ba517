"""TwiML applications: found by our mark, made once, whatever answers are lost, late or doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lever_twilio import TwilioStage, twilio

from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.twilio_application import TwilioApplications
from holdfast_gameday.world.twilio_faults import FaultKind

NAME = "holdfast eu/clinic/front-desk"
WANTED = Pointer(
    NAME,
    "https://eu.voice.example.com/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1",
    "https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1",
)


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio() as stage:
        yield stage


def driver(stage: TwilioStage) -> TwilioApplications:
    return TwilioApplications(name="twilio-eu", mark="holdfast eu/", api=stage.api(stage.ireland))


def made(stage: TwilioStage) -> list[str]:
    return [application.friendly_name for application in stage.ireland.applications.values()]


async def test_a_thousand_applications_are_one_request(stage: TwilioStage) -> None:
    for n in range(1000):
        stage.sim.state.add_application(stage.ireland, friendly_name=f"holdfast eu/clinic/agent-{n}")
    listed = await driver(stage).list()
    assert len(listed) == 1000
    assert len(stage.requests()) == 1


async def test_more_than_a_page_is_read_to_its_end(stage: TwilioStage) -> None:
    for n in range(1001):
        stage.sim.state.add_application(stage.ireland, friendly_name=f"holdfast eu/clinic/agent-{n}")
    assert len(await driver(stage).list()) == 1001
    assert len(stage.requests()) == 2


async def test_a_creation_whose_answer_was_lost_is_found_and_not_repeated(stage: TwilioStage) -> None:
    applications = driver(stage)
    stage.arm(FaultKind.COMMIT_THEN_TIMEOUT, method="POST", times=1)
    with pytest.raises(DriverError) as lost:
        await applications.apply(WANTED)
    assert lost.value.outcome_unknown
    await applications.apply(WANTED)
    assert made(stage) == [NAME]
    stage.ireland.applications.clear()
    await applications.apply(WANTED)
    assert made(stage) == [NAME]


async def test_a_lost_creation_that_a_stale_list_hides_is_looked_for_once_more(stage: TwilioStage) -> None:
    """There is no idempotency key at Twilio: what a stale list does not show would be made twice."""
    applications = driver(stage)
    stage.arm(FaultKind.COMMIT_THEN_TIMEOUT, method="POST", times=1)
    stage.arm(FaultKind.STALE, method="GET", path="Applications.json", times=2)
    with pytest.raises(DriverError):
        await applications.apply(WANTED)
    with pytest.raises(DriverError) as unsure:
        await applications.apply(WANTED)
    assert (unsure.value.code, unsure.value.retryable, unsure.value.retry_after_s) == ("CreationUnsure", True, 5.0)
    await applications.apply(WANTED)
    assert made(stage) == [NAME]


async def test_a_creation_that_truly_failed_is_made_after_the_second_look(stage: TwilioStage) -> None:
    applications = driver(stage)
    stage.arm(FaultKind.DROP, method="POST", times=1)
    for code in ("Unreachable", "CreationUnsure"):
        with pytest.raises(DriverError) as held:
            await applications.apply(WANTED)
        assert held.value.code == code
    await applications.apply(WANTED)
    assert made(stage) == [NAME]


async def test_what_we_made_is_known_although_a_stale_list_does_not_show_it(stage: TwilioStage) -> None:
    applications = driver(stage)
    stage.arm(FaultKind.STALE, method="GET", path="Applications.json", times=2)
    await applications.apply(WANTED)
    assert await applications.read(NAME) == WANTED
    await applications.apply(WANTED)
    assert made(stage) == [NAME]


async def test_what_we_made_and_somebody_deleted_is_made_again(stage: TwilioStage) -> None:
    applications = driver(stage)
    await applications.apply(WANTED)
    stage.ireland.applications.clear()
    assert await applications.read(NAME) is None
    await applications.apply(WANTED)
    assert made(stage) == [NAME]


@pytest.mark.parametrize("how", ["by us", "by somebody"])
async def test_what_was_deleted_is_not_asked_for_again_by_its_handle(stage: TwilioStage, how: str) -> None:
    applications = driver(stage)
    await applications.apply(WANTED)
    if how == "by us":
        assert await applications.remove(NAME) is True
    else:
        stage.ireland.applications.clear()
        assert await applications.read(NAME) is None
    before = len(stage.requests())
    assert await applications.read(NAME) is None
    assert len(stage.requests()) == before + 1


async def test_of_two_of_one_name_the_elder_is_used_and_the_other_left(stage: TwilioStage) -> None:
    younger, elder = (stage.sim.state.add_application(stage.ireland, friendly_name=NAME) for _ in range(2))
    elder.created_at -= 60
    await driver(stage).apply(WANTED)
    assert (elder.voice_url, younger.voice_url) == (WANTED.voice_url, "")
    assert (await driver(stage).list())[NAME] == WANTED


async def test_an_application_that_would_ask_by_get_is_seen_and_put_right(stage: TwilioStage) -> None:
    """The bridge answers posts alone: a method of others would be every call's error."""
    applications = driver(stage)
    await applications.apply(WANTED)
    (application,) = stage.ireland.applications.values()
    application.voice_method = "GET"
    seen = await applications.read(NAME)
    assert seen is not None
    assert seen.voice_url == f"GET {WANTED.voice_url}"
    await applications.apply(WANTED)
    assert application.voice_method == "POST"


async def test_removing_what_is_not_there_writes_nothing(stage: TwilioStage) -> None:
    assert await driver(stage).remove(NAME) is False
    assert stage.writes() == 0


async def test_a_name_of_another_zone_is_refused_unasked(stage: TwilioStage) -> None:
    with pytest.raises(DriverError) as refused:
        await driver(stage).remove("holdfast us/clinic/front-desk")
    assert refused.value.code == "NotOurs"
    assert stage.requests() == []


async def test_a_name_longer_than_twilio_takes_is_told_before_anything_is_sent(stage: TwilioStage) -> None:
    name = "holdfast eu/" + "n" * 53
    with pytest.raises(DriverError) as refused:
        await driver(stage).apply(Pointer(name, WANTED.voice_url, WANTED.fallback_url))
    assert (refused.value.code, refused.value.retryable) == ("NameTooLong", False)
    assert stage.requests() == []


async def test_another_regions_half_of_the_account_is_not_seen(stage: TwilioStage) -> None:
    stage.sim.state.add_application(stage.home, friendly_name=NAME, voice_url="https://us1.example.com")
    assert await driver(stage).read(NAME) is None
    await driver(stage).apply(WANTED)
    assert [a.voice_url for a in stage.home.applications.values()] == ["https://us1.example.com"]
