"""The load balancer above the pools: read as values, put right in one write, left alone when it is not ours."""

from __future__ import annotations

import pytest
from core_builders import region, zone
from lever_cloudflare import balanced

from holdfast.core import edge
from holdfast.levers.base import DriverError

REGIONS = {name: region(name) for name in ("fra", "ams", "par")}
ZONE = zone(("fra", "ams", "par"), ())


@pytest.fixture
async def vendor():
    async with balanced(regions=("fra", "ams", "par")) as stage:
        yield stage


async def looked_after(vendor, epoch: int = 4) -> None:
    """As the zone's leader does it."""
    found = await vendor.driver.read_balancer()
    wanted = edge.wanted(ZONE, REGIONS, vendor.pools, found)
    await vendor.driver.apply_balancer(wanted, found=found.balancer, epoch=epoch)


def held(vendor) -> dict[str, object]:
    return vendor.state.get("load_balancer", vendor.balancer)


def problems(vendor, found) -> list[str]:
    return [problem.code for problem in edge.problems(ZONE, REGIONS, vendor.pools, found)]


async def test_a_balancer_that_is_right_is_read_and_not_written(vendor):
    found = await vendor.driver.read_balancer()
    assert problems(vendor, found) == []
    assert found.missing == ("pool-gone",)
    await looked_after(vendor)
    assert vendor.writes() == 0
    assert vendor.state.writes == []


async def test_everything_that_is_wrong_is_put_right_by_one_write(vendor):
    fra, ams, par = vendor.pools.values()
    foreign = vendor.state.add_pool("shop", "192.0.2.80")
    vendor.change_balancer(
        default_pools=[par, fra, foreign], fallback_pool=foreign, country_pools={"NL": [ams, foreign]},
        region_pools={"WEU": [par]}, steering_policy="geo",
    )  # fmt: skip
    await looked_after(vendor)

    assert vendor.writes() == 1
    assert problems(vendor, await vendor.driver.read_balancer()) == []
    assert held(vendor)["default_pools"] == [fra, ams, par]
    assert held(vendor)["country_pools"] == {"NL": [ams, fra, par]}
    assert held(vendor)["region_pools"] == {"WEU": [par, fra, ams]}
    assert held(vendor)["description"] == "holdfast:eu epoch=4 the front door"


async def test_only_what_differs_is_sent(vendor):
    vendor.change_balancer(steering_policy="geo", session_affinity="cookie")
    await looked_after(vendor)
    assert set(vendor.state.writes[-1].after) == {"steering_policy", "description"}
    assert held(vendor)["session_affinity"] == "cookie"


async def test_a_pool_without_a_monitor_and_what_else_is_not_ours_is_told(vendor):
    vendor.change("ams", monitor=None)
    vendor.change_balancer(proxied=False, session_affinity="cookie", rules=[{"name": "x"}, {"disabled": True}])
    found = await vendor.driver.read_balancer()
    assert found.unmonitored == (vendor.pools["ams"],)
    assert problems(vendor, found) == [edge.NOT_PROXIED, edge.RULES, edge.AFFINITY, edge.NO_MONITOR]


async def test_a_balancer_without_our_mark_is_never_touched(vendor):
    vendor.change_balancer(description="holdfast:us the other zone's", steering_policy="geo")
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read_balancer()
    assert refused.value.code == "NotOurs"
    assert '"holdfast:eu"' in str(refused.value)
    assert vendor.writes() == 0


async def test_a_replaced_leader_does_not_write_it(vendor):
    vendor.change_balancer(description="holdfast:eu epoch=9", steering_policy="geo")
    with pytest.raises(DriverError) as refused:
        await looked_after(vendor, epoch=8)
    assert refused.value.code == "Fenced"
    assert held(vendor)["steering_policy"] == "geo"


async def test_a_list_that_changed_since_it_was_read_is_not_overwritten(vendor):
    found = await vendor.driver.read_balancer()
    wanted = edge.wanted(ZONE, REGIONS, vendor.pools, found, steering="geo")
    vendor.change_balancer(country_pools={"DE": list(vendor.pools.values())})
    with pytest.raises(DriverError) as refused:
        await vendor.driver.apply_balancer(wanted, found=found.balancer, epoch=4)
    assert (refused.value.code, refused.value.retryable) == ("Changed", True)
    assert "DE" in held(vendor)["country_pools"]


async def test_an_empty_list_is_never_written(vendor):
    found = await vendor.driver.read_balancer()
    for empty in (
        edge.Balancer((), vendor.pools["fra"]),
        edge.Balancer((vendor.pools["fra"],), ""),
        edge.Balancer((vendor.pools["fra"],), vendor.pools["fra"], country_pools={"DE": ()}),
    ):
        with pytest.raises(DriverError) as refused:
            await vendor.driver.apply_balancer(empty, found=found.balancer, epoch=4)
        assert refused.value.code == "EmptyRoute"
    assert vendor.writes() == 0


async def test_a_policy_that_names_no_balancer_has_none_looked_after():
    async with balanced(named=False) as vendor:
        with pytest.raises(DriverError) as refused:
            await vendor.driver.read_balancer()
    assert refused.value.code == "NotConfigured"
