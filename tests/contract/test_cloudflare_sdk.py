"""The simulated Cloudflare as the vendor's own package sees it, each exchange held against the vendor's description.

What both agree on is what the levers rely on: a lever could be wrong in the same way as a simulator of the same hand.
"""

from __future__ import annotations

import cloudflare
import httpx
import pytest
from lever_cloudflare import HOST, TOKEN, balanced, rules, tunnelled
from world_cloudflare_spec import Checked

from holdfast.levers.base import OriginChange
from holdfast_gameday.world.cloudflare import Fault

pytestmark = pytest.mark.contract
OFF = OriginChange(region="fra", enabled=False, epoch=7)


def client_of(url: str, *, strict: bool = True) -> tuple[cloudflare.AsyncCloudflare, Checked]:
    """`strict`: the package refuses every answer that its own types do not fit."""
    checked = Checked()
    http = httpx.AsyncClient(verify=False, event_hooks={"response": [checked.later]})
    client = cloudflare.AsyncCloudflare(
        api_token=TOKEN, base_url=f"{url}/client/v4", max_retries=0, http_client=http,
        _strict_response_validation=strict,
    )  # fmt: skip
    return client, checked


@pytest.fixture
async def edge():
    async with balanced() as vendor:
        client, checked = client_of(vendor.url)
        async with client:
            vendor.sdk = client
            yield vendor
        assert checked.count > 0


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
async def tunnels(request):
    async with tunnelled() as vendor:
        client, checked = client_of(vendor.url, strict=request.param)
        async with client:
            vendor.sdk, vendor.strict = client.zero_trust.tunnels.cloudflared, request.param
            yield vendor
        assert checked.count > 0


async def test_pools_are_listed_read_and_changed(edge):
    account = edge.state.account
    listed = [pool.name async for pool in edge.sdk.load_balancers.pools.list(account_id=account)]
    assert listed == ["fra", "ams"]
    shed = await edge.sdk.load_balancers.pools.edit(
        edge.pools["fra"], account_id=account, load_shedding={"default_percent": 95, "default_policy": "random"}
    )
    assert shed.load_shedding.default_percent == 95
    pool = await edge.sdk.load_balancers.pools.get(edge.pools["fra"], account_id=account)
    assert (pool.enabled, pool.load_shedding.session_percent, len(pool.origins)) == (True, 0, 1)
    assert (await edge.driver.read("fra")).share == 5


async def test_the_package_sees_what_the_lever_wrote(edge):
    await edge.driver.apply(OFF)
    pool = await edge.sdk.load_balancers.pools.get(edge.pools["fra"], account_id=edge.state.account)
    assert (pool.enabled, pool.description) == (False, "holdfast:eu/fra epoch=7 our own words")
    assert pool.disabled_at is not None
    back = OriginChange(region="fra", enabled=True, epoch=7, share=25)
    await edge.driver.apply(back)
    pool = await edge.sdk.load_balancers.pools.get(edge.pools["fra"], account_id=edge.state.account)
    assert (pool.enabled, pool.load_shedding.default_percent) == (True, 75)


async def test_a_load_balancer_is_read_and_changed(edge):
    fra, ams = edge.pools.values()
    zone = edge.state.zones[0]
    changed = await edge.sdk.load_balancers.edit(
        edge.balancer, zone_id=zone, country_pools={"NL": [ams, fra]}, steering_policy="geo", fallback_pool=ams
    )
    assert changed.country_pools == {"NL": [ams, fra]}
    balancer = await edge.sdk.load_balancers.get(edge.balancer, zone_id=zone)
    found = (await edge.driver.read_balancer()).balancer
    assert (list(found.default_pools), found.steering) == (balancer.default_pools, balancer.steering_policy)
    assert {place: list(listed) for place, listed in found.country_pools.items()} == balancer.country_pools


async def test_the_package_names_each_refusal_by_its_own_class(edge):
    pools, account = edge.sdk.load_balancers.pools, edge.state.account
    with pytest.raises(cloudflare.NotFoundError):
        await pools.get("none", account_id=account)
    with pytest.raises(cloudflare.BadRequestError):
        await pools.edit(edge.pools["fra"], account_id=account, monitor="none")
    with pytest.raises(cloudflare.PermissionDeniedError):
        await pools.get(edge.pools["fra"], account_id="other")
    edge.sim.inject(Fault("lockout"))
    with pytest.raises(cloudflare.RateLimitError) as limited:
        await pools.get(edge.pools["fra"], account_id=account)
    assert 299 <= int(limited.value.response.headers["retry-after"]) <= 300
    edge.sim.heal()
    edge.sim.revoke("ours")
    with pytest.raises(cloudflare.AuthenticationError):
        await pools.get(edge.pools["fra"], account_id=account)


async def test_tunnels_are_listed_and_read(tunnels):
    account, fra = tunnels.world.account, tunnels.tunnels["fra"]
    listed = [tunnel.name async for tunnel in tunnels.sdk.list(account_id=account)]
    assert listed == ["fra", "ams"]
    tunnel = await tunnels.sdk.get(fra, account_id=account)
    assert (tunnel.status, tunnel.config_src) == ("healthy", "cloudflare")


async def test_connections_tell_versions_and_come_back_after_they_were_deleted(tunnels):
    account, fra = tunnels.world.account, tunnels.tunnels["fra"]
    (client,) = [each async for each in tunnels.sdk.connections.get(fra, account_id=account)]
    assert (client.config_version, [conn.is_pending_reconnect for conn in client.conns]) == (1, [False] * 4)
    await tunnels.sdk.connections.delete(fra, account_id=account)
    assert [each async for each in tunnels.sdk.connections.get(fra, account_id=account)] == []
    tunnels.now[0] += 3.0
    assert len([each async for each in tunnels.sdk.connections.get(fra, account_id=account)]) == 1


async def test_a_document_goes_through_the_package_and_the_lever_alike(tunnels):
    """The package's own type, as the description, asks the catch-all for a hostname; strictly it reads no document."""
    account, fra = tunnels.world.account, tunnels.tunnels["fra"]
    if tunnels.strict:
        with pytest.raises(cloudflare.APIResponseValidationError):
            await tunnels.sdk.configurations.get(fra, account_id=account)
        return
    await tunnels.driver.apply(OFF)
    read = await tunnels.sdk.configurations.get(fra, account_id=account)
    assert (read.version, read.source) == (2, "cloudflare")
    assert [(rule.hostname, rule.service) for rule in read.config.ingress[:2]] == [
        ("since-2.epoch-7.fra.eu.holdfast.invalid", "http_status:404"), (HOST, "http_status:503"),
    ]  # fmt: skip
    written = await tunnels.sdk.configurations.update(fra, account_id=account, config={"ingress": rules("fra")})
    assert written.version == 3
    assert (await tunnels.driver.read("fra")).enabled is True


async def test_a_new_secret_and_deleted_connections_fence_a_tunnel(tunnels):
    account, fra = tunnels.world.account, tunnels.tunnels["fra"]
    await tunnels.sdk.edit(fra, account_id=account, tunnel_secret="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    await tunnels.sdk.connections.delete(fra, account_id=account)
    tunnels.now[0] += 600.0
    assert (await tunnels.sdk.get(fra, account_id=account)).status == "down"
