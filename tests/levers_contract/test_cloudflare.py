"""What only Cloudflare does: its envelope, its lock-out, its shared budget, and how its pools are ramped."""

from __future__ import annotations

import httpx
import pytest
from lever_cloudflare import TOKEN, balanced, plenty, token

from holdfast.levers.base import DriverError, OriginChange
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_api import CloudflareApi
from holdfast_gameday.world.cloudflare import Fault

OFF = OriginChange(region="fra", enabled=False, epoch=7)


def on(share: int, epoch: int = 7) -> OriginChange:
    return OriginChange(region="fra", enabled=True, epoch=epoch, share=share)


@pytest.fixture
async def vendor():
    async with balanced() as stage:
        yield stage


@pytest.fixture
async def plain():
    async with balanced(weighted=False) as stage:
        yield stage


async def test_the_users_own_words_in_the_description_are_kept(vendor):
    await vendor.driver.apply(OFF)
    assert vendor.pool("fra")["description"] == "holdfast:eu/fra epoch=7 our own words"


async def test_only_what_is_ours_is_written(vendor):
    """A PATCH replaces the whole origins array, and there is no ETag: what is not ours is left out."""
    before = vendor.pool("fra")["origins"]
    await vendor.driver.apply(OFF)
    await vendor.driver.apply(on(25))
    assert [set(write.after) for write in vendor.state.writes] == [
        {"enabled", "description"}, {"enabled", "load_shedding"},
    ]  # fmt: skip
    assert vendor.pool("fra")["origins"] == before


async def test_a_share_is_what_the_pool_does_not_shed(vendor):
    await vendor.driver.apply(on(5))
    assert vendor.pool("fra")["load_shedding"]["default_percent"] == 95
    assert await vendor.driver.read("fra") == vendor.driver.normalise(on(5))
    await vendor.driver.apply(on(100))
    assert vendor.pool("fra")["load_shedding"]["default_percent"] == 0
    assert (await vendor.driver.read("fra")).share == 100


async def test_a_region_comes_back_at_its_share_in_one_write(vendor):
    """Were it switched on first and ramped after, it would have the whole load in between."""
    await vendor.driver.apply(OFF)
    written = vendor.writes()
    await vendor.driver.apply(on(5))
    assert vendor.writes() == written + 1
    assert vendor.pool("fra")["enabled"] is True
    assert vendor.pool("fra")["load_shedding"]["default_percent"] == 95


async def test_what_sessions_shed_is_the_users(vendor):
    vendor.change("fra", load_shedding={"session_percent": 30, "default_percent": 10})
    await vendor.driver.apply(on(25))
    assert vendor.pool("fra")["load_shedding"] == {
        "default_percent": 75, "default_policy": "random", "session_percent": 30, "session_policy": "hash",
    }  # fmt: skip


async def test_a_share_that_is_so_already_writes_nothing(vendor):
    await vendor.driver.apply(on(25))
    written = vendor.writes()
    await vendor.driver.apply(on(25))
    assert vendor.writes() == written


async def test_a_share_by_addresses_is_drift_and_the_next_write_puts_it_right(vendor):
    await vendor.driver.apply(on(25))
    vendor.change("fra", load_shedding={"default_percent": 75, "default_policy": "hash"})
    (told,) = (await vendor.driver.read("fra")).drift
    assert "load_shedding.default_policy" in told
    await vendor.driver.apply(on(25))
    assert await vendor.driver.read("fra") == vendor.driver.normalise(on(25))


async def test_a_pool_that_is_off_is_given_nothing_whatever_it_would_shed(vendor):
    vendor.change("fra", load_shedding={"default_percent": 40})
    await vendor.driver.apply(OFF)
    reading = await vendor.driver.read("fra")
    assert (reading.enabled, reading.share, reading.drift) == (False, 0, ())


async def test_a_pool_whose_origins_are_off_is_told_though_it_is_on(vendor):
    origin = vendor.pool("fra")["origins"][0]
    vendor.change("fra", origins=[{**origin, "weight": 0}])
    reading = await vendor.driver.read("fra")
    assert reading.enabled
    assert "origins holds none" in reading.drift[0]


async def test_without_weights_shedding_is_neither_read_nor_written_but_told(plain):
    plain.change("fra", load_shedding={"default_percent": 40})
    reading = await plain.driver.read("fra")
    assert reading.share is None
    assert "load_shedding.default_percent is 40" in reading.drift[0]
    await plain.driver.apply(on(5))
    assert plain.pool("fra")["load_shedding"]["default_percent"] == 40


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(401, "Unauthorized", False), (403, "Unauthorized", False), (400, "Refused", False), (503, "VendorError", True)],
)
async def test_each_refusal_has_a_stable_code(vendor, status, code, retryable):
    vendor.sim.inject(Fault("error", status=status))
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("fra")
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


def api_of(answer) -> CloudflareApi:
    """The API behind something that answers for it."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return CloudflareApi(lever="edge", api_url="https://api.cloudflare.com", token=token, http=http, budget=plenty())


@pytest.mark.parametrize("body", ["<html>", "[]", '{"success": true, "result": []}'])
async def test_an_answer_that_is_not_the_apis_says_nothing_of_a_write(body):
    """A proxy on the way may answer 200 with a page of its own."""
    with pytest.raises(DriverError) as odd:
        await api_of(lambda _: httpx.Response(200, text=body)).one("PATCH", "/accounts/a", body={}, urgent=True)
    assert (odd.value.code, odd.value.retryable, odd.value.outcome_unknown) == ("Malformed", True, True)


async def test_a_list_that_is_none_is_told():
    with pytest.raises(DriverError) as odd:
        await api_of(lambda _: httpx.Response(200, json={"success": True, "result": {}})).many("/x", urgent=False)
    assert (odd.value.code, odd.value.outcome_unknown) == ("Malformed", False)


@pytest.mark.parametrize(("method", "unknown"), [("GET", False), ("PATCH", True), ("PUT", True), ("DELETE", True)])
async def test_a_deadline_that_passes_leaves_a_write_unknown_and_a_read_merely_unread(method, unknown):
    def silent(_: httpx.Request) -> httpx.Response:
        raise TimeoutError

    with pytest.raises(DriverError) as late:
        await api_of(silent).ask(method, "/x", urgent=True)
    assert (late.value.code, late.value.retryable, late.value.outcome_unknown) == ("Timeout", True, unknown)


async def test_after_a_429_nothing_is_sent_until_the_vendor_listens_again():
    """Every request during the lock-out may prolong it, and the lock-out is shared by everything of that user."""
    now = [0.0]
    async with balanced(budget=RateBudget(requests=100, window_s=300, reserve=10, clock=lambda: now[0])) as vendor:
        vendor.sim.inject(Fault("lockout"))
        with pytest.raises(DriverError) as limited:
            await vendor.driver.read("fra")
        assert limited.value.retry_after_s == pytest.approx(300.0, abs=1.0)
        vendor.sim.heal()
        with pytest.raises(DriverError):
            await vendor.driver.read("fra")
        assert vendor.requests() == 1
        now[0] = 301.0
        assert (await vendor.driver.read("fra")).enabled is True


async def test_steady_reading_cannot_spend_the_reserve_for_failover():
    async with balanced(budget=RateBudget(requests=12, window_s=300, reserve=10, clock=lambda: 0.0)) as vendor:
        await vendor.driver.read("fra")
        await vendor.driver.read("fra")
        with pytest.raises(DriverError) as held:
            await vendor.driver.read("fra")
        assert held.value.code == "RateBudget"
        await vendor.driver.apply(OFF)
        assert vendor.enabled("fra") is False


async def test_no_error_carries_the_token(vendor):
    for status in (400, 401, 500):
        vendor.sim.inject(Fault("error", status=status, times=1))
        with pytest.raises(DriverError) as refused:
            await vendor.driver.read("fra")
        assert TOKEN not in str(refused.value)


async def test_a_region_without_a_pool_is_told_before_anything_is_asked(vendor):
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("par")
    assert (refused.value.code, refused.value.retryable) == ("NoOrigin", False)
    assert "spec.origins" in str(refused.value)
    assert vendor.requests() == 0


async def test_the_budget_that_is_told_shrinks_with_every_request(vendor):
    before = vendor.driver.budget()
    await vendor.driver.apply(OFF)
    assert (before.left - vendor.driver.budget().left, before.reserve) == (2, 100)
    assert vendor.driver.name == "edge"


async def test_an_epoch_that_no_operator_wrote_fences_nobody(vendor):
    vendor.change("fra", description=f"holdfast:eu/fra epoch={'9' * 40}")
    await vendor.driver.apply(OFF)
    assert (await vendor.driver.read("fra")).epoch == 7
