"""What only a SIP connection does: three places in order, addresses of others, one object for all regions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lever_telnyx import SipConnectionVendor, sip_connection

from holdfast.levers.base import DriverError, OriginChange
from holdfast_gameday.world.telnyx_faults import Fault


@pytest.fixture
async def trunk() -> AsyncIterator[SipConnectionVendor]:
    async with sip_connection("fra", "ams", "waw") as vendor:
        yield vendor


def off(region: str, epoch: int = 4) -> OriginChange:
    return OriginChange(region=region, enabled=False, epoch=epoch)


def on(region: str, epoch: int = 4) -> OriginChange:
    return OriginChange(region=region, enabled=True, epoch=epoch)


async def test_a_region_that_comes_back_takes_its_place_in_the_policys_order(trunk: SipConnectionVendor) -> None:
    fra, ams, waw = trunk.fqdns.values()
    await trunk.driver.apply(off("fra"))
    assert trunk.places == [ams, waw, None]
    await trunk.driver.apply(off("ams"))
    assert trunk.places == [waw, None, None]
    await trunk.driver.apply(on("fra"))
    assert trunk.places == [fra, waw, None]


async def test_the_last_region_is_never_taken_out(trunk: SipConnectionVendor) -> None:
    await trunk.driver.apply(off("fra"))
    await trunk.driver.apply(off("ams"))
    before, written = trunk.held, trunk.writes()
    with pytest.raises(DriverError) as refused:
        await trunk.driver.apply(off("waw"))
    assert (refused.value.code, refused.value.retryable) == ("WouldEmpty", False)
    assert (trunk.held, trunk.writes()) == (before, written)


async def test_what_else_is_set_on_the_connection_stays(trunk: SipConnectionVendor) -> None:
    """`inbound` and `tags` are replaced whole by a PATCH, so what is not ours is sent back as it was."""
    await trunk.driver.apply(off("fra", epoch=7))
    assert trunk.held["inbound"]["timeout_1xx_secs"] == 2
    assert trunk.held["tags"] == ["holdfast:eu/fra/7", "holdfast:eu/ams", "holdfast:eu/waw", "billing:voice"]


async def test_an_address_of_somebody_else_is_kept_as_the_last_resort(trunk: SipConnectionVendor) -> None:
    fra, ams, waw = trunk.fqdns.values()
    backup = trunk.sim.state.add("fqdn", fqdn="pbx.example.com", connection_id=trunk.connection)
    inbound = {**trunk.held["inbound"], "default_tertiary_fqdn_id": backup}
    trunk.sim.state.write("fqdn_connection", trunk.connection, {"inbound": inbound}, source="portal")
    await trunk.driver.apply(off("fra"))
    assert trunk.places == [ams, backup, None]
    await trunk.driver.apply(on("fra"))
    assert trunk.places == [fra, ams, backup]
    with pytest.raises(DriverError) as refused:
        await trunk.driver.apply(on("waw"))
    assert refused.value.code == "NoPlace"
    assert waw not in trunk.places


async def test_a_leader_who_was_replaced_may_not_write_for_another_region_either(trunk: SipConnectionVendor) -> None:
    """The connection is one object: an old leader's write would undo the new one's, whichever region it means."""
    await trunk.driver.apply(off("fra", epoch=9))
    with pytest.raises(DriverError) as refused:
        await trunk.driver.apply(off("ams", epoch=8))
    assert refused.value.code == "Fenced"
    assert trunk.enabled("ams")


async def test_another_order_is_told_and_put_right_by_the_next_write(trunk: SipConnectionVendor) -> None:
    fra, ams, waw = trunk.fqdns.values()
    swapped = {"default_primary_fqdn_id": ams, "default_secondary_fqdn_id": fra, "default_tertiary_fqdn_id": waw}
    inbound = {**trunk.held["inbound"], **swapped}
    trunk.sim.state.write("fqdn_connection", trunk.connection, {"inbound": inbound}, source="portal")
    (told,) = (await trunk.driver.read("fra")).drift
    assert told == f"inbound names the FQDNs {ams}, {fra}, {waw}; meant are {fra}, {ams}, {waw} in this order"
    await trunk.driver.apply(on("fra"))
    assert trunk.places == [fra, ams, waw]


async def test_a_connection_that_is_switched_off_is_told_and_left_to_its_owner(trunk: SipConnectionVendor) -> None:
    await trunk.driver.apply(on("fra"))
    trunk.sim.state.write("fqdn_connection", trunk.connection, {"active": False}, source="portal")
    assert "active is false" in (await trunk.driver.read("fra")).drift[0]
    written = trunk.writes()
    await trunk.driver.apply(on("fra"))
    assert trunk.writes() == written
    assert trunk.held["active"] is False


async def test_an_fqdn_of_another_connection_is_never_named(trunk: SipConnectionVendor) -> None:
    await trunk.driver.apply(off("fra"))
    trunk.sim.state.write("fqdn", trunk.fqdns["fra"], {"connection_id": "99"}, source="portal")
    with pytest.raises(DriverError) as refused:
        await trunk.driver.apply(on("fra"))
    assert refused.value.code == "NoOrigin"
    assert not trunk.enabled("fra")


async def test_a_copy_from_before_our_last_write_is_never_written_back(trunk: SipConnectionVendor) -> None:
    """All regions share the connection: an old copy would bring back the region that was taken out a moment ago."""
    now = trunk.sim.state.monotonic() + 10.0
    trunk.sim.state.monotonic = lambda: now
    await trunk.driver.apply(off("fra"))
    now += 1.0
    trunk.sim.faults.arm(Fault("stale", times=1, seconds=5.0))
    with pytest.raises(DriverError) as stale:
        await trunk.driver.apply(off("ams"))
    assert (stale.value.code, stale.value.retryable) == ("StaleRead", True)
    assert not trunk.enabled("fra")
    await trunk.driver.apply(off("ams"))
    assert not trunk.enabled("fra")
    assert trunk.places[0] == trunk.fqdns["waw"]
