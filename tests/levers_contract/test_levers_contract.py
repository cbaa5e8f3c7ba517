"""One suite for every lever driver: what the shell relies on, whoever the vendor is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import httpx
import pytest
from fleet_vendors import FakeCloudflare

from holdfast.levers.base import DriverError, OriginChange, OriginReading, RoutingDriver
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast.levers.memory import MemoryLever, Origins


class Vendor(Protocol):
    driver: RoutingDriver

    def lose_next_write(self) -> None: ...
    def unmark(self, region: str) -> None: ...
    def go_down(self) -> None: ...
    def enabled(self, region: str) -> bool: ...


@dataclass
class MemoryVendor:
    driver: MemoryLever
    origins: Origins

    def lose_next_write(self) -> None:
        self.origins.lose_next_answer = True

    def unmark(self, region: str) -> None:
        self.origins.unmarked.add(region)

    def go_down(self) -> None:
        self.origins.down = True

    def enabled(self, region: str) -> bool:
        return self.origins.readings[region].enabled


@dataclass
class CloudflareVendor:
    driver: CloudflareLoadBalancer
    fake: FakeCloudflare

    def lose_next_write(self) -> None:
        self.fake.lose_next_write = True

    def unmark(self, region: str) -> None:
        self.fake.pools[f"pool-{region}"]["description"] = "somebody else's"

    def go_down(self) -> None:
        self.fake.down = True

    def enabled(self, region: str) -> bool:
        return bool(self.fake.pools[f"pool-{region}"]["enabled"])


async def token() -> str:
    return "t0ken"


def cloudflare(fake: FakeCloudflare, http: httpx.AsyncClient) -> CloudflareLoadBalancer:
    return CloudflareLoadBalancer(
        name="edge",
        zone="eu",
        api_url="https://api.cloudflare.com",
        account_id="acc",
        pools={"fra": "pool-fra", "ams": "pool-ams", "gone": "pool-gone"},
        token=token,
        http=http,
        budget=RateBudget(requests=1000, window_s=300, reserve=100, clock=lambda: 0.0),
    )


def pools() -> dict[str, dict[str, object]]:
    return {f"pool-{r}": {"enabled": True, "description": f"holdfast:eu/{r}"} for r in ("fra", "ams")}


@pytest.fixture(params=["memory", "cloudflare"])
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[Vendor]:
    if request.param == "memory":
        origins = Origins(readings={r: OriginReading(region=r, enabled=True) for r in ("fra", "ams")})
        yield MemoryVendor(MemoryLever("edge", origins), origins)
        return
    fake = FakeCloudflare(pools=pools())
    async with httpx.AsyncClient(transport=httpx.MockTransport(fake)) as http:
        yield CloudflareVendor(cloudflare(fake, http), fake)


async def test_what_was_written_reads_back_as_normalised(vendor: Vendor) -> None:
    change = OriginChange(region="fra", enabled=False, epoch=4)
    await vendor.driver.apply(change)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(change)


async def test_a_write_touches_one_region_only(vendor: Vendor) -> None:
    await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert vendor.enabled("ams") is True


async def test_a_lower_epoch_than_the_one_at_the_vendor_is_refused(vendor: Vendor) -> None:
    """A leader that was replaced while it slept must not undo its successor's work."""
    await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=5))
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply(OriginChange(region="fra", enabled=True, epoch=4))
    assert refused.value.code == "Fenced"
    assert vendor.enabled("fra") is False


async def test_a_write_whose_answer_is_lost_is_unknown_and_a_read_tells(vendor: Vendor) -> None:
    vendor.lose_next_write()
    with pytest.raises(DriverError) as lost:
        await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert lost.value.outcome_unknown
    assert (await vendor.driver.read("fra")).enabled is False


async def test_what_lacks_our_mark_is_never_touched(vendor: Vendor) -> None:
    vendor.unmark("fra")
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply(OriginChange(region="fra", enabled=False, epoch=4))
    assert refused.value.code == "NotOurs"
    assert vendor.enabled("fra") is True


async def test_an_unknown_origin_is_named_and_not_retried(vendor: Vendor) -> None:
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("gone")
    assert refused.value.code == "NoOrigin"
    assert refused.value.retryable is False


async def test_a_vendor_that_is_down_may_be_asked_again(vendor: Vendor) -> None:
    vendor.go_down()
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("fra")
    assert refused.value.retryable is True
