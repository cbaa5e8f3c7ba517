"""What only Telnyx does: limits told in headers by family of requests, keys, and what a number's connection says."""

from __future__ import annotations

import httpx
import pytest
from lever_telnyx import AMS, FRA, NUMBERS, applications, key, numbers, simulated

from holdfast.core.values import Budget
from holdfast.levers.base import DriverError, Pointer
from holdfast.levers.telnyx_api import TelnyxApi, TelnyxLimits
from holdfast_gameday.world.telnyx_faults import Fault

HEADERS = {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "3", "x-ratelimit-reset": "10"}


async def test_reading_leaves_the_reserve_for_writes_and_one_family_does_not_spend_anothers() -> None:
    now = 0.0
    limits = TelnyxLimits(clock=lambda: now)
    assert limits.left() is None, "nothing is known before the vendor has told"
    limits.heard("fqdn_connections", HEADERS)
    assert limits.left() == Budget(left=3, reserve=2)
    assert limits.spend("fqdn_connections", urgent=False)
    assert not limits.spend("fqdn_connections", urgent=False)
    assert limits.spend("fqdn_connections", urgent=True)
    assert limits.spend("phone_numbers", urgent=False)
    now = 10.0
    assert limits.spend("fqdn_connections", urgent=False), "the window is over"


async def test_after_a_429_its_family_is_silent_until_the_vendor_listens_again_and_others_are_not() -> None:
    now = 0.0
    async with simulated(limit=2) as (sim, _), httpx.AsyncClient() as http:
        limits = TelnyxLimits(clock=lambda: now)
        api = TelnyxApi(who="lever x", api_url=f"http://{sim.address}/v2", key=key, http=http, limits=limits)
        for _ in range(2):
            await api.get("/balance", urgent=True)
        sim.limits.lock_out(30.0)
        with pytest.raises(DriverError) as held:
            await api.get("/balance", urgent=True)
        assert held.value.code == "RateBudget", "the headers told that nothing is left, so nothing was sent"
        with pytest.raises(DriverError) as limited:
            await api.pages("/fqdns", params={})
        assert (limited.value.code, limited.value.retry_after_s) == ("RateLimited", 30.0)
        sent = len(sim.requests)
        with pytest.raises(DriverError):
            await api.pages("/fqdns", params={})
        assert len(sim.requests) == sent
        sim.limits.heal()
        now = 61.0
        assert await api.pages("/fqdns", params={}) == []


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "unknown"),
    [
        (Fault("revoked"), "Unauthorized", False, False),
        (Fault("error", status=403), "Unauthorized", False, False),
        (Fault("error", status=422), "Refused", False, False),
        (Fault("error", status=503), "VendorError", True, True),
        (Fault("down"), "Unreachable", True, True),
    ],
)
async def test_each_refusal_of_a_write_has_a_stable_code_and_no_key(
    fault: Fault, code: str, retryable: bool, unknown: bool
) -> None:
    async with simulated() as (sim, api):
        sim.faults.arm(fault)
        with pytest.raises(DriverError) as refused:
            await api.write("PATCH", "/fqdn_connections/1", {"tags": []})
        told = (refused.value.code, refused.value.retryable, refused.value.outcome_unknown)
        assert told == (code, retryable, unknown)
        assert "KEY-practice" not in str(refused.value)


async def test_a_write_whose_key_could_not_be_read_in_time_is_known_not_to_be_done() -> None:
    async def slow() -> str:
        raise TimeoutError

    async with simulated() as (sim, _), httpx.AsyncClient() as http:
        limits = TelnyxLimits(clock=lambda: 0.0)
        api = TelnyxApi(who="lever x", api_url=f"http://{sim.address}", key=slow, http=http, limits=limits)
        with pytest.raises(DriverError) as unread:
            await api.write("PATCH", "/fqdn_connections/1", {"tags": []})
        assert (unread.value.code, unread.value.outcome_unknown) == ("SecretUnread", False)
        assert sim.requests == []


async def test_a_refusal_repeats_the_vendors_words_and_names_the_field() -> None:
    async with simulated() as (sim, api):
        made = sim.state.add("call_control_application", application_name="a", webhook_event_url="https://a")
        with pytest.raises(DriverError) as refused:
            await api.write("PATCH", f"/call_control_applications/{made}", {"application_name": "a"})
        assert str(refused.value) == "lever telnyx: 422 10004 Missing required parameter /webhook_event_url"


async def test_more_than_one_page_is_read_to_the_end() -> None:
    async with simulated() as (sim, api):
        for number in range(251):
            sim.state.add("fqdn", fqdn=f"sip{number}.example.com", connection_id="1")
        assert len(await api.pages("/fqdns", params={})) == 251
        assert len(sim.requests) == 2


async def test_other_settings_of_an_application_stay_and_its_patience_is_kept() -> None:
    async with applications("callControl")() as vendor:
        await vendor.driver.apply(Pointer(vendor.names[0], FRA, AMS))
        (held,) = [one for one in vendor.sim.state.listed("call_control_application") if one["id"] != vendor.theirs]
        assert held["webhook_timeout_secs"] == 3
        body = {"application_name": held["application_name"], "webhook_event_url": FRA, "tags": ["billing"]}
        vendor.sim.state.write("call_control_application", held["id"], body, source="portal")
        await vendor.driver.apply(Pointer(vendor.names[0], AMS, FRA))
        assert vendor.sim.state.get("call_control_application", held["id"])["tags"] == ["billing"]
        body |= {"webhook_event_url": AMS, "webhook_timeout_secs": 30}
        vendor.sim.state.write("call_control_application", held["id"], body, source="portal")
        await vendor.driver.apply(Pointer(vendor.names[0], AMS, FRA))
        assert vendor.sim.state.get("call_control_application", held["id"])["webhook_timeout_secs"] == 3


async def test_of_two_applications_of_one_name_the_older_is_used() -> None:
    """A creation whose answer was lost may have been repeated by somebody; the name is found, whichever is read."""
    async with applications("texml")() as vendor:
        name = vendor.names[0]
        older = vendor.sim.state.add("texml_application", friendly_name=name, voice_url=AMS)
        vendor.sim.state.add("texml_application", friendly_name=name, voice_url=AMS)
        await vendor.driver.apply(Pointer(name, FRA, AMS))
        assert vendor.sim.state.get("texml_application", older)["voice_url"] == FRA


async def test_an_application_is_removed_only_by_our_name() -> None:
    async with applications("callControl")() as vendor:
        await vendor.driver.apply(Pointer(vendor.names[0], FRA, AMS))
        assert await vendor.driver.remove(vendor.names[0])
        assert not await vendor.driver.remove(vendor.names[0])
        with pytest.raises(DriverError) as refused:
            await vendor.driver.remove("their own holdfast eu/")
        assert refused.value.code == "NotOurs"


async def test_a_number_without_our_tag_is_never_moved() -> None:
    async with numbers() as vendor:
        with pytest.raises(DriverError) as refused:
            await vendor.driver.apply(Pointer("+49301234519", FRA, AMS))
        assert refused.value.code == "NotOurs"
        assert await vendor.driver.read("+49301234519") is None


async def test_a_number_is_moved_only_to_an_application_that_says_so_already() -> None:
    """The application is shared by other numbers: a move of one number must not change it."""
    async with numbers() as vendor:
        before = vendor.sim.state.listed("call_control_application")
        with pytest.raises(DriverError) as refused:
            await vendor.driver.apply(Pointer(NUMBERS[0], "https://waw.voice.example.com/voice", AMS))
        assert refused.value.code == "NoApplication"
        assert vendor.sim.state.listed("call_control_application") == before
        with pytest.raises(DriverError) as absent:
            await vendor.driver.apply(Pointer("+4989000000", FRA, AMS))
        assert absent.value.code == "NoOrigin"


async def test_a_number_on_a_connection_that_is_not_ours_is_seen_there() -> None:
    async with numbers() as vendor:
        vendor.meddle(NUMBERS[0])
        assert await vendor.driver.read(NUMBERS[0]) == Pointer(NUMBERS[0], f"connection:{vendor.elsewhere}", "")
        assert not await vendor.driver.remove(NUMBERS[0])
