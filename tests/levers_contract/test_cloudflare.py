"""What only Cloudflare does: its envelope, its lock-out, its shared budget."""

from __future__ import annotations

import httpx
import pytest
from fleet_vendors import FakeCloudflare

from holdfast.levers.base import DriverError, OriginChange
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer


async def token() -> str:
    return "t0ken"


def driver(fake: FakeCloudflare, budget: RateBudget) -> CloudflareLoadBalancer:
    return CloudflareLoadBalancer(
        name="edge",
        zone="eu",
        api_url="https://api.cloudflare.com/client/v4",
        account_id="acc",
        pools={"fra": "pool-fra"},
        token=token,
        http=httpx.AsyncClient(transport=httpx.MockTransport(fake)),
        budget=budget,
    )


def fake() -> FakeCloudflare:
    return FakeCloudflare(pools={"pool-fra": {"enabled": True, "description": "holdfast:eu/fra our main pool"}})


def plenty() -> RateBudget:
    return RateBudget(requests=100, window_s=300, reserve=10, clock=lambda: 0.0)


async def test_the_users_own_words_in_the_description_are_kept() -> None:
    vendor = fake()
    await driver(vendor, plenty()).apply(OriginChange(region="fra", enabled=False, epoch=7))
    assert vendor.pools["pool-fra"]["description"] == "holdfast:eu/fra epoch=7 our main pool"


async def test_origins_are_never_written() -> None:
    """A PATCH replaces the whole origins array, and there is no ETag: what is not ours is left out."""
    vendor = fake()
    await driver(vendor, plenty()).apply(OriginChange(region="fra", enabled=False, epoch=7))
    assert [set(body) for method, _, body in vendor.seen if method == "PATCH"] == [{"enabled", "description"}]


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(401, "Unauthorized", False), (403, "Unauthorized", False), (400, "Refused", False), (503, "VendorError", True)],
)
async def test_each_refusal_has_a_stable_code(status: int, code: str, retryable: bool) -> None:
    vendor = fake()
    vendor.status = status
    with pytest.raises(DriverError) as refused:
        await driver(vendor, plenty()).read("fra")
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


async def test_after_a_429_nothing_is_sent_until_the_vendor_listens_again() -> None:
    """Every request during the lock-out may prolong it, and the lock-out is shared by everything of that user."""
    now = 0.0
    vendor = fake()
    vendor.status, vendor.headers = 429, {"retry-after": "40"}
    lever = driver(vendor, RateBudget(requests=100, window_s=300, reserve=10, clock=lambda: now))
    with pytest.raises(DriverError) as limited:
        await lever.read("fra")
    assert limited.value.retry_after_s == 40.0
    vendor.status = None
    with pytest.raises(DriverError):
        await lever.read("fra")
    assert len(vendor.seen) == 1
    now = 41.0
    assert (await lever.read("fra")).enabled is True


async def test_steady_reading_cannot_spend_the_reserve_for_failover() -> None:
    budget = RateBudget(requests=12, window_s=300, reserve=10, clock=lambda: 0.0)
    vendor = fake()
    lever = driver(vendor, budget)
    await lever.read("fra")
    await lever.read("fra")
    with pytest.raises(DriverError) as held:
        await lever.read("fra")
    assert held.value.code == "RateBudget"
    await lever.apply(OriginChange(region="fra", enabled=False, epoch=1))
    assert vendor.pools["pool-fra"]["enabled"] is False


async def test_no_error_carries_the_token() -> None:
    vendor = fake()
    for status in (400, 401, 429, 500):
        vendor.status = status
        with pytest.raises(DriverError) as refused:
            await driver(vendor, plenty()).read("fra")
        assert "t0ken" not in str(refused.value)
