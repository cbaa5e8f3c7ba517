"""One suite for every lever that points numbers or applications at an address, whoever the vendor is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lever_stages import POINTING_VENDORS
from lever_vendor import CannotHappen, PointingVendor

from holdfast.levers.base import DriverError, Pointer

FRA = "https://fra.voice.example.com/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1"
AMS = "https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1"


@pytest.fixture(params=sorted(POINTING_VENDORS))
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[PointingVendor]:
    try:
        async with POINTING_VENDORS[request.param]() as stage:
            yield stage
    except CannotHappen as why:
        pytest.skip(str(why))


def arranged(fault, *args) -> None:
    try:
        fault(*args)
    except CannotHappen as why:
        pytest.skip(str(why))


async def test_what_was_pointed_reads_back_the_same(vendor):
    pointer = Pointer(vendor.names[0], FRA, AMS)
    await vendor.driver.apply(pointer)
    assert await vendor.driver.read(pointer.name) == pointer
    assert vendor.address(pointer.name) == (FRA, AMS)


async def test_a_move_is_one_write(vendor):
    name = vendor.names[0]
    await vendor.driver.apply(Pointer(name, FRA, AMS))
    written = vendor.writes()
    await vendor.driver.apply(Pointer(name, AMS, FRA))
    assert vendor.writes() == written + 1
    assert vendor.address(name) == (AMS, FRA)


async def test_what_is_so_already_is_not_written_again(vendor):
    pointer = Pointer(vendor.names[0], FRA, AMS)
    await vendor.driver.apply(pointer)
    written = vendor.writes()
    await vendor.driver.apply(pointer)
    assert vendor.writes() == written


async def test_all_of_ours_are_listed_and_nothing_of_others(vendor):
    pointers = [Pointer(name, FRA, AMS) for name in vendor.names]
    for pointer in pointers:
        await vendor.driver.apply(pointer)
    assert await vendor.driver.list() == {pointer.name: pointer for pointer in pointers}


async def test_what_somebody_else_wrote_is_seen_and_put_back(vendor):
    pointer = Pointer(vendor.names[0], FRA, AMS)
    await vendor.driver.apply(pointer)
    vendor.meddle(pointer.name)
    assert await vendor.driver.read(pointer.name) != pointer
    await vendor.driver.apply(pointer)
    assert await vendor.driver.read(pointer.name) == pointer


async def test_what_is_not_ours_is_never_touched(vendor):
    before = vendor.foreign()
    for name in vendor.names:
        await vendor.driver.apply(Pointer(name, FRA, AMS))
        await vendor.driver.remove(name)
    assert vendor.foreign() == before


async def test_a_write_whose_answer_is_lost_is_unknown_and_a_read_tells(vendor):
    pointer = Pointer(vendor.names[0], FRA, AMS)
    arranged(vendor.lose_next_write)
    with pytest.raises(DriverError) as lost:
        await vendor.driver.apply(pointer)
    assert lost.value.outcome_unknown
    assert await vendor.driver.read(pointer.name) == pointer


async def test_a_change_of_which_a_part_was_done_is_finished_by_the_next(vendor):
    pointer = Pointer(vendor.names[0], FRA, AMS)
    arranged(vendor.break_next_write)
    with pytest.raises(DriverError):
        await vendor.driver.apply(pointer)
    await vendor.driver.apply(pointer)
    assert await vendor.driver.read(pointer.name) == pointer


async def test_after_too_many_requests_nothing_is_sent_until_the_vendor_listens_again(vendor):
    arranged(vendor.lock_out, 40.0)
    with pytest.raises(DriverError) as limited:
        await vendor.driver.read(vendor.names[0])
    assert limited.value.code == "RateLimited"
    assert limited.value.retry_after_s
    sent = vendor.requests()
    with pytest.raises(DriverError) as held:
        await vendor.driver.read(vendor.names[0])
    assert held.value.retryable
    assert vendor.requests() == sent


async def test_a_revoked_key_is_our_fault_and_said_so(vendor):
    arranged(vendor.revoke)
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply(Pointer(vendor.names[0], FRA, AMS))
    assert (refused.value.code, refused.value.retryable) == ("Unauthorized", False)
    assert not refused.value.outcome_unknown


async def test_a_vendor_that_is_down_may_be_asked_again(vendor):
    vendor.go_down()
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read(vendor.names[0])
    assert refused.value.retryable is True
