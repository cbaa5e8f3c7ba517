"""The operator's Cloudflare levers against the simulated API over a real socket, and the edge behind both.

Every request of the levers and every answer is held against the vendor's description.
"""

from __future__ import annotations

import pytest
from core_builders import region, zone
from lever_cloudflare import HOST, balanced

from holdfast.core import edge as core_edge
from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast_gameday.world.cloudflare import Fault
from holdfast_gameday.world.edge import Edge
from holdfast_gameday.world.edge_route import Place

pytestmark = pytest.mark.contract
OFF = OriginChange(region="fra", enabled=False, epoch=7)
REGIONS = {name: region(name) for name in ("fra", "ams")}


class Door:
    """The edge, asked where a call would go; chance runs evenly through the percents."""

    def __init__(self, state):
        self.percent, self.country = 0, ""
        self._edge = Edge(
            state, origin_tls=None, draw=lambda: self.percent / 100, place=lambda _: Place(country=self.country)
        )

    def pools(self):
        return [origin.pool for origin in self._edge.route(HOST).origins]

    def of_a_hundred(self):
        firsts = []
        for self.percent in range(100):
            firsts.append(next(iter(self.pools()), "nobody"))
        self.percent = 0
        return {pool: firsts.count(pool) for pool in sorted(set(firsts))}


@pytest.fixture
async def vendor():
    async with balanced() as stage:
        stage.door = Door(stage.state)
        yield stage


async def looked_after(vendor):
    found = await vendor.driver.read_balancer()
    wanted = core_edge.wanted(zone(("fra", "ams"), ()), REGIONS, vendor.pools, found, steering="geo")
    await vendor.driver.apply_balancer(wanted, found=found.balancer, epoch=7)


async def test_a_cordon_is_written_read_back_and_obeyed_by_the_edge(vendor):
    assert vendor.door.pools()[0] == "fra"

    await vendor.driver.apply(OFF)

    reading = OriginReading(region="fra", enabled=False, epoch=7, share=0)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(OFF) == reading
    assert vendor.door.pools() == ["ams"]
    assert [(write.name, write.writer.token_id, write.after["enabled"]) for write in vendor.state.writes] == [
        ("fra", "ours", False)
    ]


async def test_a_ramp_gives_the_first_region_its_share_of_the_calls_and_the_rest_to_the_next(vendor):
    for share in (5, 25, 50, 100):
        await vendor.driver.apply(OriginChange(region="fra", enabled=True, epoch=7, share=share))
        rest = {"ams": 100 - share} if share < 100 else {}
        assert vendor.door.of_a_hundred() == {**rest, "fra": share}


async def test_a_country_with_a_list_of_its_own_fails_over_without_a_write_to_the_list(vendor):
    """What the balancer lacked beforehand is what would be lost in the incident."""
    vendor.change_balancer(
        country_pools={"DE": [vendor.pools["fra"]]}, steering_policy="geo", fallback_pool=vendor.pools["fra"]
    )
    vendor.door.country = "DE"
    await vendor.driver.apply(OFF)
    assert vendor.door.pools() == []
    await looked_after(vendor)
    assert vendor.door.pools() == ["ams"]
    written = vendor.writes()
    await vendor.driver.apply(OriginChange(region="fra", enabled=True, epoch=7))
    await vendor.driver.apply(OFF)
    assert vendor.writes() == written + 2
    assert vendor.door.pools() == ["ams"]


async def test_a_write_without_an_answer_is_an_unknown_outcome_and_the_read_back_tells(vendor):
    vendor.sim.inject(Fault("commit", seconds=0.01, times=1))
    with pytest.raises(DriverError) as lost:
        await vendor.driver.apply(OFF)

    assert lost.value.outcome_unknown
    assert (await vendor.driver.read("fra")).enabled is False


async def test_a_read_out_of_a_stale_copy_does_not_undo_what_was_written(vendor):
    """The old state is read, so the same is written once more; the pool says what was meant throughout."""
    vendor.now[0] += 10.0
    await vendor.driver.apply(OFF)
    vendor.sim.inject(Fault("stale", seconds=5.0, times=2))
    assert (await vendor.driver.read("fra")).enabled is True
    await vendor.driver.apply(OFF)
    assert await vendor.driver.read("fra") == vendor.driver.normalise(OFF)


async def test_a_locked_out_user_is_told_how_long(vendor):
    vendor.sim.inject(Fault("lockout"))
    with pytest.raises(DriverError) as refused:
        await vendor.driver.read("fra")

    assert refused.value.code == "RateLimited"
    assert refused.value.retry_after_s == pytest.approx(300, abs=1)
