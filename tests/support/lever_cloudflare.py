"""Cloudflare's levers as vendors of the contract suite: the drivers against the simulated API over real sockets.

Every request of theirs and every answer is held against the vendor's description.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from lever_vendor import CannotHappen
from world_cloudflare_spec import Checked

from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast.levers.cloudflare_tunnel import CloudflareTunnel
from holdfast_gameday.world.cloudflare import CloudflareApi, Fault, Token
from holdfast_gameday.world.cloudflare_state import CloudflareState, Writer
from holdfast_gameday.world.cloudflare_tunnel_state import Tunnels

TOKEN = "t0ken"
SOMEBODY = Writer("dashboard", "192.0.2.9")
HOST = "eu.voice.example.com"


async def token() -> str:
    return TOKEN


def plenty() -> RateBudget:
    return RateBudget(requests=1000, window_s=300, reserve=100, clock=lambda: 0.0)


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=False, event_hooks={"response": [Checked().later]})


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
    url: str
    now: list[float]

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
    now = [1000.0]
    state = CloudflareState(monotonic=lambda: now[0])
    monitor = state.add_monitor("third net")
    pools = {
        name: state.add_pool(
            name, f"172.30.0.{11 + n}", description=f"holdfast:eu/{name} our own words", monitor=monitor
        )
        for n, name in enumerate(regions)
    }
    balancer = state.add_load_balancer(HOST, list(pools.values()), description="holdfast:eu the front door")
    sim = CloudflareApi(state, tokens={TOKEN: Token("ours", user="fleet")})
    async with sim.serving("127.0.0.1", 0) as address, client() as http:
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
        yield LoadBalancerVendor(driver, sim, state, pools, balancer, f"http://{address}", now)


@asynccontextmanager
async def load_balancer() -> AsyncIterator[LoadBalancerVendor]:
    async with balanced() as vendor:
        yield vendor


@asynccontextmanager
async def plain_load_balancer() -> AsyncIterator[LoadBalancerVendor]:
    async with balanced(weighted=False) as vendor:
        yield vendor


def rules(region: str) -> list[dict[str, object]]:
    """A document as its owner wrote it, with a rule that is older than Holdfast's knowledge of the format."""
    return [
        {"hostname": "shop.example.com", "service": "http://shop:80", "originRequest": {"noTLSVerify": True}, "x": 1.0},
        {"hostname": HOST, "service": "http://bridge:8080", "path": ""},
        {"hostname": f"{region}.voice.example.com", "service": "http://bridge:8080"},
        {"hostname": f"{region}.eu.holdfast.invalid", "service": "http_status:404"},
        {"service": "http_status:404"},
    ]


@dataclass
class TunnelVendor(ApiFaults):
    driver: CloudflareTunnel
    sim: CloudflareApi
    world: Tunnels
    tunnels: dict[str, str]
    connectors: dict[str, str]
    """The first cloudflared of each region."""
    now: list[float]
    another: Callable[[dict[str, str]], CloudflareTunnel]
    """One more driver, as the next leader has it, over these tunnels."""
    url: str

    def document(self, region: str) -> dict[str, object]:
        return self.world.configuration(self.tunnels[region])["config"]

    def rewrite(self, region: str, ingress: list[dict[str, object]], **more: object) -> None:
        """As somebody else with a token would."""
        config = {**self.document(region), **more, "ingress": ingress}
        self.world.configure(self.tunnels[region], {"config": config}, by="dashboard")

    def status(self, region: str, host: str = HOST) -> str | None:
        return self.world.service(self.tunnels[region], host, "/a/clinic/front-desk/voice")

    def unmark(self, region: str) -> None:
        kept = [r for r in self.document(region)["ingress"] if "holdfast.invalid" not in str(r.get("hostname"))]
        self.rewrite(region, kept)

    def meddle(self, region: str) -> None:
        """Our host's rule is gone, so that its calls meet the catch-all."""
        self.rewrite(region, [r for r in self.document(region)["ingress"] if r.get("hostname") != HOST])

    def enabled(self, region: str) -> bool:
        service = self.status(region)
        return service is not None and not service.startswith("http_status:")


@asynccontextmanager
async def tunnelled(*, pickup_s: float = 0.0, shared: bool = False) -> AsyncIterator[TunnelVendor]:
    """A tunnel with one connector for each region, or one tunnel for both; the virtual clock is `now`."""
    now = [1000.0]
    state = CloudflareState(monotonic=lambda: now[0])
    world = Tunnels(account=state.account, monotonic=lambda: now[0], pickup_s=pickup_s)
    tunnels = {name: world.add(name, rules(name)) for name in ("fra", "ams")}
    if shared:
        tunnels["ams"] = tunnels["fra"]
    connectors = {name: world.run(tunnel) for name, tunnel in tunnels.items()}
    sim = CloudflareApi(state, tokens={TOKEN: Token("ours", user="fleet")}, tunnels=world)
    async with sim.serving("127.0.0.1", 0) as address, client() as http:

        def another(tunnels: dict[str, str]) -> CloudflareTunnel:
            return CloudflareTunnel(
                name="tunnel",
                zone="eu",
                api_url=f"http://{address}",
                account_id=state.account,
                host=HOST,
                tunnels=tunnels,
                token=token,
                http=http,
                budget=plenty(),
                random_bytes=lambda count: b"k" * count,
            )

        driver = another({**tunnels, "gone": "7b0c3b9e-0000-4000-8000-000000000000"})
        yield TunnelVendor(driver, sim, world, tunnels, connectors, now, another, f"http://{address}")


@asynccontextmanager
async def tunnel() -> AsyncIterator[TunnelVendor]:
    async with tunnelled() as vendor:
        yield vendor
