"""Cloudflare as a vendor of the contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fleet_vendors import FakeCloudflare
from lever_vendor import CannotHappen

from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer


@dataclass
class LoadBalancerVendor:
    driver: CloudflareLoadBalancer
    fake: FakeCloudflare

    def lose_next_write(self) -> None:
        self.fake.lose_next_write = True

    def break_next_write(self) -> None:
        raise CannotHappen("a change is one write")

    def lock_out(self, for_s: float) -> None:
        self.fake.status, self.fake.headers = 429, {"retry-after": str(int(for_s))}

    def revoke(self) -> None:
        self.fake.status = 403

    def go_down(self) -> None:
        self.fake.down = True

    def requests(self) -> int:
        return len(self.fake.seen)

    def writes(self) -> int:
        return sum(method != "GET" for method, _, _ in self.fake.seen)

    def unmark(self, region: str) -> None:
        self.fake.pools[f"pool-{region}"]["description"] = "somebody else's"

    def meddle(self, region: str) -> None:
        raise CannotHappen("a pool is on or off and nothing else")

    def enabled(self, region: str) -> bool:
        return bool(self.fake.pools[f"pool-{region}"]["enabled"])


async def _token() -> str:
    return "t0ken"


@asynccontextmanager
async def load_balancer() -> AsyncIterator[LoadBalancerVendor]:
    pools: dict[str, dict[str, object]] = {
        f"pool-{r}": {"enabled": True, "description": f"holdfast:eu/{r}"} for r in ("fra", "ams")
    }
    fake = FakeCloudflare(pools=pools)
    async with httpx.AsyncClient(transport=httpx.MockTransport(fake)) as http:
        driver = CloudflareLoadBalancer(
            name="edge",
            zone="eu",
            api_url="https://api.cloudflare.com",
            account_id="acc",
            pools={"fra": "pool-fra", "ams": "pool-ams", "gone": "pool-gone"},
            token=_token,
            http=http,
            budget=RateBudget(requests=1000, window_s=300, reserve=100, clock=lambda: 0.0),
        )
        yield LoadBalancerVendor(driver, fake)
