"""An Elastic SIP trunk: one standing entry per region, never none enabled, nothing of others touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict

import pytest
from lever_twilio import DISASTER, TwilioStage, entry, sip, standing_trunk, trunk_driver, twilio

from holdfast.levers.base import DriverError, OriginChange
from holdfast_gameday.world.twilio_faults import FaultKind
from holdfast_gameday.world.twilio_trunks import Trunk


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio() as stage:
        yield stage


@pytest.fixture
def trunk(stage: TwilioStage) -> Trunk:
    return standing_trunk(stage)


def off(region: str, epoch: int = 4) -> OriginChange:
    return OriginChange(region=region, enabled=False, epoch=epoch)


async def refused(call: object) -> DriverError:
    with pytest.raises(DriverError) as error:
        await call  # type: ignore[misc]
    return error.value


async def test_the_last_enabled_entry_is_never_switched_off(stage: TwilioStage, trunk: Trunk) -> None:
    """With none enabled every call fails with error 32010."""
    driver = trunk_driver(stage, trunk)
    await driver.apply(off("fra"))
    error = await refused(driver.apply(off("ams")))
    assert (error.code, error.retryable, error.outcome_unknown) == ("WouldEmpty", True, False)
    assert entry(trunk, "ams").enabled is True


async def test_an_enabled_entry_of_somebody_else_keeps_the_trunk_from_being_empty(
    stage: TwilioStage, trunk: Trunk
) -> None:
    next(e for e in trunk.origination_urls.values() if e.friendly_name == "legacy").enabled = True
    driver = trunk_driver(stage, trunk)
    await driver.apply(off("fra"))
    await driver.apply(off("ams"))
    assert [e.friendly_name for e in trunk.origination_urls.values() if e.enabled] == ["legacy"]


async def test_two_moves_at_once_do_not_empty_the_trunk_together(stage: TwilioStage, trunk: Trunk) -> None:
    driver = trunk_driver(stage, trunk)
    outcomes = await asyncio.gather(driver.apply(off("fra")), driver.apply(off("ams")), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), DriverError]
    assert any(e.enabled for e in trunk.origination_urls.values())


async def test_a_stale_list_does_not_make_an_entry_count_that_was_just_switched_off(
    stage: TwilioStage, trunk: Trunk
) -> None:
    driver = trunk_driver(stage, trunk)
    stage.arm(FaultKind.STALE, method="GET", path="OriginationUrls", times=2)
    await driver.apply(off("fra"))
    stage.clock.now = 9.0
    assert (await refused(driver.apply(off("ams")))).code == "WouldEmpty"
    assert entry(trunk, "ams").enabled is True


async def test_an_entry_that_others_switched_on_again_counts_once_the_list_is_surely_fresh(
    stage: TwilioStage, trunk: Trunk
) -> None:
    driver = trunk_driver(stage, trunk)
    await driver.apply(off("fra"))
    entry(trunk, "fra").enabled = True
    stage.clock.now = 10.5
    await driver.apply(off("ams"))
    assert entry(trunk, "ams").enabled is False


async def test_a_write_that_was_refused_does_not_count_as_switched_off(stage: TwilioStage, trunk: Trunk) -> None:
    driver = trunk_driver(stage, trunk)
    stage.arm(FaultKind.TOO_MANY, method="POST", times=1)
    assert (await refused(driver.apply(off("fra")))).code == "RateLimited"
    stage.clock.now = 1.5
    await driver.apply(off("ams"))
    assert entry(trunk, "ams").enabled is False


async def test_one_write_carries_the_switch_and_the_epoch_and_keeps_the_users_words(
    stage: TwilioStage, trunk: Trunk
) -> None:
    await trunk_driver(stage, trunk).apply(off("fra", epoch=7))
    (write,) = stage.sim.state.writes
    assert write.params == {"Enabled": "false", "FriendlyName": "holdfast:eu/fra epoch=7 our SBC"}
    assert (entry(trunk, "fra").sip_url, entry(trunk, "fra").priority) == (sip("fra"), 10)


async def test_words_that_no_longer_fit_beside_the_epoch_give_way(stage: TwilioStage, trunk: Trunk) -> None:
    """A FriendlyName has 64 characters, and a long one must not stop a move."""
    entry(trunk, "fra").friendly_name = "holdfast:eu/fra " + "the session border controller in Frankfurt"
    await trunk_driver(stage, trunk).apply(off("fra", epoch=12345))
    assert entry(trunk, "fra").friendly_name == "holdfast:eu/fra epoch=12345 the session border controller in"


async def test_a_mark_that_cannot_fit_is_told_before_anything_is_written(stage: TwilioStage, trunk: Trunk) -> None:
    zone = "z" * 60
    entry(trunk, "fra").friendly_name = f"holdfast:{zone}/fra"
    error = await refused(trunk_driver(stage, trunk, zone=zone).apply(off("fra")))
    assert (error.code, error.retryable) == ("NameTooLong", False)
    assert stage.writes() == 0


async def test_entries_of_others_stay_as_they_are(stage: TwilioStage, trunk: Trunk) -> None:
    theirs = next(e for e in trunk.origination_urls.values() if e.friendly_name == "legacy")
    before = asdict(theirs)
    driver = trunk_driver(stage, trunk)
    await driver.apply(off("fra"))
    await driver.apply(OriginChange("fra", enabled=True, epoch=5))
    assert asdict(theirs) == before


@pytest.mark.parametrize("by", ["words", "handle", "address"])
async def test_an_entry_is_found_by_words_handle_or_address(stage: TwilioStage, trunk: Trunk, by: str) -> None:
    found = entry(trunk, "fra")
    found.friendly_name = "holdfast:eu/fra epoch=3 Frankfurt"
    origin = {"words": "Frankfurt", "handle": found.sid, "address": sip("fra")}[by]
    await trunk_driver(stage, trunk, origins={"fra": origin}).apply(off("fra"))
    assert found.enabled is False


async def test_an_entry_whose_address_was_changed_is_found_by_its_mark_and_told(
    stage: TwilioStage, trunk: Trunk
) -> None:
    entry(trunk, "fra").sip_url = "sip:elsewhere.example.com"
    reading = await trunk_driver(stage, trunk).read("fra")
    assert reading.drift == ("SipUrl of fra is sip:elsewhere.example.com, meant is sip:fra.sbc.example.com",)


async def test_two_entries_marked_for_one_region_are_nobodys_to_choose(stage: TwilioStage, trunk: Trunk) -> None:
    stage.sim.state.add_origination_url(trunk, "holdfast:eu/fra second", sip("fra"))
    assert (await refused(trunk_driver(stage, trunk).apply(off("fra")))).code == "Ambiguous"


async def test_weights_share_calls_by_the_regions_weight_and_ramp(stage: TwilioStage, trunk: Trunk) -> None:
    driver = trunk_driver(stage, trunk, weights={"fra": 60, "ams": 40})
    for region in ("fra", "ams"):
        await driver.apply(OriginChange(region, enabled=True, epoch=4))
    assert (entry(trunk, "fra").weight, entry(trunk, "ams").weight) == (6000, 4000)
    ramp = OriginChange("fra", enabled=True, epoch=4, share=5)
    await driver.apply(ramp)
    assert entry(trunk, "fra").weight == 300
    assert await driver.read("fra") == driver.normalise(ramp)
    assert driver.normalise(ramp).share == 5


@pytest.mark.parametrize("weight", [1, 2, 50, 100, 655, 9000])
async def test_every_share_reads_back_as_it_was_meant(stage: TwilioStage, trunk: Trunk, weight: int) -> None:
    driver = trunk_driver(stage, trunk, weights={"fra": weight, "ams": 10}, disaster_url="")
    for share in (0, 1, 5, 25, 99, 100):
        change = OriginChange("fra", enabled=True, epoch=4, share=share)
        await driver.apply(change)
        assert 1 <= entry(trunk, "fra").weight <= 65535
        assert await driver.read("fra") == driver.normalise(change)


async def test_a_standby_region_that_is_needed_counts_as_much_as_the_greatest(stage: TwilioStage, trunk: Trunk) -> None:
    driver = trunk_driver(stage, trunk, weights={"fra": 60, "ams": 0})
    await driver.apply(OriginChange("ams", enabled=True, epoch=4))
    assert entry(trunk, "ams").weight == 6000


async def test_weights_across_priorities_are_told(stage: TwilioStage, trunk: Trunk) -> None:
    entry(trunk, "fra").priority = 20
    (told,) = (await trunk_driver(stage, trunk, weights={"fra": 50, "ams": 50}).read("fra")).drift
    assert told.startswith("Priority of fra is 20, other regions have ['10']")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("disaster_recovery_url", "", f"DisasterRecoveryUrl is not set, meant is {DISASTER}"),
        ("disaster_recovery_url", "https://x.test", f"DisasterRecoveryUrl is https://x.test, meant is {DISASTER}"),
        ("disaster_recovery_method", "GET", "DisasterRecoveryMethod is GET, meant is POST"),
    ],
)
async def test_a_wrong_disaster_url_is_told_and_put_right_once(
    stage: TwilioStage, trunk: Trunk, field: str, value: str, told: str
) -> None:
    setattr(trunk, field, value)
    driver = trunk_driver(stage, trunk)
    assert (await driver.read("fra")).drift == (told,)
    assert stage.writes() == 0
    assert await driver.ensure_disaster_url(DISASTER) is True
    assert await driver.ensure_disaster_url(DISASTER) is False
    assert (await driver.read("fra")).drift == ()
    assert stage.writes() == 1


async def test_a_disaster_url_that_cannot_be_read_does_not_hide_the_entry(stage: TwilioStage, trunk: Trunk) -> None:
    stage.arm(FaultKind.ERROR, path=f"/v1/Trunks/{trunk.sid}$", status=403)
    reading = await trunk_driver(stage, trunk).read("fra")
    assert reading.enabled is True
    assert "Unauthorized" in reading.drift[0]


async def test_the_disaster_url_of_a_trunk_that_bears_no_mark_is_left_alone(stage: TwilioStage, trunk: Trunk) -> None:
    for each in trunk.origination_urls.values():
        each.friendly_name = "theirs"
    assert (await refused(trunk_driver(stage, trunk).ensure_disaster_url("https://x"))).code == "NotOurs"
    assert trunk.disaster_recovery_url == DISASTER


async def test_without_a_wanted_disaster_url_the_trunk_is_not_even_read(stage: TwilioStage, trunk: Trunk) -> None:
    trunk.disaster_recovery_url = "https://the-users.example.com"
    assert (await trunk_driver(stage, trunk, disaster_url="").read("fra")).drift == ()
    assert len(stage.requests()) == 1
