"""The operator's Cloudflare lever against the simulated API over a real socket, and the edge behind both."""

import httpx
import pytest
from world_vendors import check_cloudflare

from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast_gameday.world.cloudflare import CloudflareApi, Fault, Token
from holdfast_gameday.world.cloudflare_state import CloudflareState
from holdfast_gameday.world.edge import Edge

pytestmark = pytest.mark.contract
OFF = OriginChange(region="fra", enabled=False, epoch=7)


async def _token() -> str:
    return "secret"


@pytest.fixture
async def vendor():
    state = CloudflareState()
    state.pools = {
        name: state.add_pool(name, f"172.30.0.{last}", description=f"holdfast:eu/{name}")
        for name, last in (("fra", 11), ("ams", 12))
    }
    state.add_load_balancer("eu.voice.example.com", list(state.pools.values()))
    state.sim = CloudflareApi(state, tokens={"secret": Token("token-ams", user="fleet")})
    async with state.sim.serving("127.0.0.1", 0) as address:
        state.url = f"http://{address}"
        yield state


@pytest.fixture
async def lever(vendor):
    checked = []

    async def check(answer: httpx.Response) -> None:
        await answer.aread()
        template = "/accounts/{account_id}/load_balancers/pools/{pool_id}"
        check_cloudflare(answer.request.method, template, answer.status_code, answer.json())
        checked.append(answer.status_code)

    async with httpx.AsyncClient(event_hooks={"response": [check]}) as http:
        yield CloudflareLoadBalancer(
            name="edge", zone="eu", api_url=vendor.url, account_id=vendor.account, pools=vendor.pools, token=_token,
            http=http, budget=RateBudget(requests=1000, window_s=300, reserve=10, clock=lambda: 0.0),
        )  # fmt: skip
    assert checked


async def test_a_cordon_is_written_read_back_and_obeyed_by_the_edge(vendor, lever):
    edge = Edge(vendor, origin_tls=None)
    assert edge.route("eu.voice.example.com").origins[0].pool == "fra"

    await lever.apply(OFF)

    assert await lever.read("fra") == lever.normalise(OFF) == OriginReading(region="fra", enabled=False, epoch=7)
    assert [origin.pool for origin in edge.route("eu.voice.example.com").origins] == ["ams"]
    assert [(write.name, write.writer.token_id, write.after["enabled"]) for write in vendor.writes] == [
        ("fra", "token-ams", False)
    ]


async def test_a_write_without_an_answer_is_an_unknown_outcome_and_the_read_back_tells(vendor, lever):
    vendor.sim.inject(Fault("commit", seconds=0.01, times=1))
    with pytest.raises(DriverError) as lost:
        await lever.apply(OFF)

    assert lost.value.outcome_unknown
    assert (await lever.read("fra")).enabled is False


async def test_a_locked_out_user_is_told_how_long(vendor, lever):
    vendor.sim.inject(Fault("lockout"))
    with pytest.raises(DriverError) as refused:
        await lever.read("fra")

    assert refused.value.code == "RateLimited"
    assert refused.value.retry_after_s == pytest.approx(300, abs=1)
