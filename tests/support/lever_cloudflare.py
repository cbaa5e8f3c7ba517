"""Cloudflare's levers as vendors of the contract suite: the drivers against the simulated API over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from lever_vendor import CannotHappen

from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast_gameday.world.cloudflare import CloudflareApi, Fault, Token
from holdfast_gameday.world.cloudflare_state import CloudflareState, Writer

TOKEN = "t0ken"
SOMEBODY = Writer("dashboard", "192.0.2.9")
HOST = "eu.voice.example.com"


async def token() -> str:
    return TOKEN


def plenty() -> RateBudget:
    return RateBudget(requests=1000, window_s=300, reserve=100, clock=lambda: 0.0)


class ApiFaults:
    """The faults of an API that both levers are reached by."""

    sim: CloudflareApi

    def __init__(self, sim: CloudflareApi) -> None:
        self.sim = sim

    def lose_next_write(self) -> None:
        self.sim.inject(Fault("commit", seconds=0.0, times=1))

    def break_next_write(self) -> None:
        raise CannotHappen("a change is one write")

    def lock_out(self, for_s: float) -> None:
        """The vendor's own lasts five minutes, whatever is asked for."""
        self.sim.inject(Fault("lockout"))

    def revoke(self) -> None:
        self.sim.revoke("ours")

    def go_down(self) -> None:
        self.sim.inject(Fault("down"))

    def requests(self) -> int:
        return sum(self.sim.requests.values())

    def writes(self) -> int:
        return sum(self.sim.write_requests.values())


@dataclass
class LoadBalancerVendor(ApiFaults):
    driver: CloudflareLoadBalancer
    sim: CloudflareApi
    state: CloudflareState
    pools: dict[str, str]
    balancer: str

    def change(self, region: str, **body: object) -> None:
        """As somebody at the dashboard would."""
        self.state.write("pool", self.pools[region], body, method="PATCH", writer=SOMEBODY)

    def change_balancer(self, **body: object) -> None:
        self.state.write("load_balancer", self.balancer, body, method="PATCH", writer=SOMEBODY)

    def pool(self, region: str) -> dict[str, object]:
        return self.state.get("pool", self.pools[region])

    def unmark(self, region: str) -> None:
        self.change(region, description="somebody else's")

    def meddle(self, region: str) -> None:
        self.change(region, load_shedding={"default_percent": 40, "default_policy": "hash"})

    def enabled(self, region: str) -> bool:
        return bool(self.pool(region)["enabled"])


@asynccontextmanager
async def balanced(
    *,
    weighted: bool = True,
    budget: RateBudget | None = None,
    regions: tuple[str, ...] = ("fra", "ams"),
    named: bool = True,
) -> AsyncIterator[LoadBalancerVendor]:
    """An edge with a monitored pool for each region; no pool is behind the name of `gone`."""
    state = CloudflareState()
    monitor = state.add_monitor("third net")
    pools = {
        name: state.add_pool(
            name, f"172.30.0.{11 + n}", description=f"holdfast:eu/{name} our own words", monitor=monitor
        )
        for n, name in enumerate(regions)
    }
    balancer = state.add_load_balancer(HOST, list(pools.values()), description="holdfast:eu the front door")
    sim = CloudflareApi(state, tokens={TOKEN: Token("ours", user="fleet")})
    async with sim.serving("127.0.0.1", 0) as address, httpx.AsyncClient() as http:
        driver = CloudflareLoadBalancer(
            name="edge",
            zone="eu",
            api_url=f"http://{address}",
            account_id=state.account,
            pools={**pools, "gone": "pool-gone"},
            token=token,
            http=http,
            budget=budget or plenty(),
            weighted=weighted,
            zone_id=state.zones[0] if named else "",
            load_balancer_id=balancer if named else "",
        )
        yield LoadBalancerVendor(driver, sim, state, pools, balancer)


@asynccontextmanager
async def load_balancer() -> AsyncIterator[LoadBalancerVendor]:
    async with balanced() as vendor:
        yield vendor


@asynccontextmanager
async def plain_load_balancer() -> AsyncIterator[LoadBalancerVendor]:
    async with balanced(weighted=False) as vendor:
        yield vendor
