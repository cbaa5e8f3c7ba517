"""One suite for every lever whose regions are on or off: what the shell relies on, whoever the vendor is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lever_stages import ORIGIN_VENDORS, cases
from lever_vendor import CannotHappen, OriginVendor

from holdfast.levers.base import DriverError, OriginChange


@pytest.fixture(params=cases(ORIGIN_VENDORS))
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[OriginVendor]:
    try:
        async with ORIGIN_VENDORS[request.param]() as stage:
            yield stage
    except CannotHappen as why:
        pytest.skip(str(why))


def arranged(fault, *args) -> None:
    try:
        fault(*args)
    except CannotHappen as why:
        pytest.skip(str(why))


async def test_what_was_written_reads_back_as_normalised(vendor):
    change = OriginChange(region="fra", enabled=False, epoch=4)
    await vendor.driver.apply(change)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(change)
    assert vendor.enabled("fra") is False


async def test_a_region_comes_back_as_it_went(vendor):
    await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    back = OriginChange(region="fra", enabled=True, epoch=4)
    await vendor.driver.apply(back)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(back)
    assert vendor.enabled("fra") is True


async def test_what_is_so_already_is_not_written_again(vendor):
    """A no-op writes nothing: the caller compares what `read` says with what `normalise` says, and need not ask."""
    change = OriginChange(region="fra", enabled=False, epoch=4)
    await vendor.driver.apply(change)
    written = vendor.writes()
    await vendor.driver.apply(change)
    assert vendor.writes() == written


async def test_a_write_touches_one_region_only(vendor):
    await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert vendor.enabled("ams") is True


async def test_a_lower_epoch_than_the_one_at_the_vendor_is_refused(vendor):
    """A leader that was replaced while it slept must not undo its successor's work."""
    await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=5))
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply(OriginChange(region="fra", enabled=True, epoch=4))
    assert refused.value.code == "Fenced"
    assert vendor.enabled("fra") is False


async def test_a_write_whose_answer_is_lost_is_unknown_and_a_read_tells(vendor):
    arranged(vendor.lose_next_write)
    with pytest.raises(DriverError) as lost:
        await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert lost.value.outcome_unknown
    assert (await vendor.driver.read("fra")).enabled is False


async def test_a_change_of_which_a_part_was_done_is_finished_by_the_next(vendor):
    arranged(vendor.break_next_write)
    change = OriginChange(region="fra", enabled=False, epoch=4)
    with pytest.raises(DriverError):
        await vendor.driver.apply(change)
    assert vendor.enabled("ams") is True
    await vendor.driver.apply(change)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(change)


async def test_what_lacks_our_mark_is_never_touched(vendor):
    vendor.unmark("fra")
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert refused.value.code == "NotOurs"
    assert vendor.enabled("fra") is True


async def test_what_others_changed_is_told_in_words(vendor):
    assert (await vendor.driver.read("fra")).drift == ()
    arranged(vendor.meddle, "fra")
    assert (await vendor.driver.read("fra")).drift != ()


async def test_after_too_many_requests_nothing_is_sent_until_the_vendor_listens_again(vendor):
    arranged(vendor.lock_out, 40.0)
    with pytest.raises(DriverError) as limited:
        await vendor.driver.read("fra")
    assert limited.value.code == "RateLimited"
    assert limited.value.retry_after_s
    sent = vendor.requests()
    with pytest.raises(DriverError) as held:
        await vendor.driver.read("fra")
    assert held.value.retryable
    assert vendor.requests() == sent


async def test_a_revoked_key_is_our_fault_and_said_so(vendor):
    arranged(vendor.revoke)
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert (refused.value.code, refused.value.retryable) == ("Unauthorized", False)
    assert not refused.value.outcome_unknown
    assert vendor.enabled("fra") is True


async def test_an_unknown_origin_is_named_and_not_retried(vendor):
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("gone")
    assert refused.value.code == "NoOrigin"
    assert refused.value.retryable is False


async def test_a_vendor_that_is_down_may_be_asked_again(vendor):
    vendor.go_down()
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("fra")
    assert refused.value.retryable is True
