"""What stands by at the edge is looked after by the leader: told where it is wrong, mended where that is enforced."""

from __future__ import annotations

from dataclasses import replace

from core_builders import region, view, zone
from lever_cloudflare import LoadBalancerVendor, balanced

from holdfast import telemetry
from holdfast.core.plans import View
from holdfast.core.values import Region, Zone
from holdfast.desired import Desired
from holdfast.fleet_upkeep import EVERY_S, Upkeep

EDGE = replace(zone().levers[0], settings={"zoneId": "z", "loadBalancerId": "b"})


class Desk:
    """A zone that we lead, whose edge is the simulated one."""

    def __init__(self, vendor: LoadBalancerVendor, *, enforce: bool = True, steering: str = "off") -> None:
        self.vendor = vendor
        settings = {**EDGE.settings, "steering": steering}
        self.zone: Zone = replace(zone(), levers=(replace(EDGE, enforce=enforce, settings=settings),))
        self.now, self.leads, self.may = 0.0, True, True
        self.regions: dict[str, Region] = {
            name: replace(region(name), origins={"edge": vendor.pools[name]}) for name in ("fra", "ams")
        }
        desired = Desired()
        desired.put_zone(self.zone)
        for each in self.regions.values():
            desired.put_region(each)
        self.upkeep = Upkeep(
            zone="eu",
            desired=desired,
            levers=lambda _zone, _regions: {"edge": vendor.driver},
            view=self.view,
            may_write=self.may_write,
            clock=lambda: self.now,
            metrics=telemetry.Metrics(),
        )

    def view(self) -> View | None:
        return view(self.zone, regions=self.regions) if self.leads else None

    async def may_write(self) -> bool:
        return self.may

    async def look(self) -> None:
        self.now += EVERY_S
        await self.upkeep.round()


async def test_a_list_that_would_be_empty_after_a_loss_is_completed():
    async with balanced() as vendor:
        desk, (fra, ams) = Desk(vendor), vendor.pools.values()
        vendor.change_balancer(country_pools={"DE": [fra]})
        await desk.look()
        assert vendor.state.get("load_balancer", vendor.balancer)["country_pools"] == {"DE": [fra, ams]}
        assert desk.upkeep.found() == {}


async def test_a_policy_may_have_the_balancer_go_by_its_lists_for_parts_of_the_world():
    async with balanced() as vendor:
        desk, (fra, ams) = Desk(vendor, steering="geo"), vendor.pools.values()
        vendor.change_balancer(steering_policy="geo", country_pools={"NL": [ams, fra]}, region_pools={"WEU": [ams]})
        await desk.look()
        said = vendor.state.get("load_balancer", vendor.balancer)
        assert (said["steering_policy"], said["country_pools"]) == ("geo", {"NL": [ams, fra]})
        assert said["region_pools"] == {"WEU": [ams, fra]}
        assert desk.upkeep.found() == {}


async def test_steering_that_the_policy_does_not_ask_for_is_taken_back():
    async with balanced() as vendor:
        desk = Desk(vendor)
        vendor.change_balancer(steering_policy="geo")
        await desk.look()
        assert vendor.state.get("load_balancer", vendor.balancer)["steering_policy"] == "off"


async def test_where_the_policy_only_reports_it_is_told_and_left():
    async with balanced() as vendor:
        desk, (fra, _) = Desk(vendor, enforce=False), vendor.pools.values()
        vendor.change_balancer(country_pools={"DE": [fra]})
        await desk.look()
        assert vendor.state.get("load_balancer", vendor.balancer)["country_pools"] == {"DE": [fra]}
        assert [words.split(":")[0] for words in desk.upkeep.found()["edge"]] == [
            "EdgeEmptyWithoutARegion", "EdgeIncompleteList",
        ]  # fmt: skip


async def test_what_is_right_is_looked_at_twice_a_minute_and_never_written():
    async with balanced() as vendor:
        desk = Desk(vendor)
        await desk.look()
        asked = vendor.requests()
        desk.now += EVERY_S - 1.0
        await desk.upkeep.round()
        assert (vendor.requests(), vendor.writes()) == (asked, 0)
        desk.now += 1.0
        await desk.upkeep.round()
        assert (vendor.requests() > asked, vendor.writes()) == (True, 0)


async def test_who_may_not_write_now_tells_and_waits():
    async with balanced() as vendor:
        desk, (fra, _) = Desk(vendor), vendor.pools.values()
        vendor.change_balancer(country_pools={"DE": [fra]})
        desk.may = False
        await desk.look()
        assert (vendor.writes(), list(desk.upkeep.found())) == (0, ["edge"])
        desk.may = True
        await desk.look()
        assert (vendor.writes(), desk.upkeep.found()) == (1, {})


async def test_who_does_not_lead_looks_at_nothing_and_tells_nothing():
    async with balanced() as vendor:
        desk = Desk(vendor)
        desk.leads = False
        await desk.look()
        assert (vendor.requests(), desk.upkeep.found()) == (0, {})


async def test_an_edge_that_does_not_answer_is_told():
    async with balanced() as vendor:
        desk = Desk(vendor)
        vendor.go_down()
        await desk.look()
        assert desk.upkeep.found()["edge"][0].startswith("Unreachable: ")
