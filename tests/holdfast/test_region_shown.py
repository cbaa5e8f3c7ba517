"""What people see of a lost region in the cluster of one that survives: why, since when, and who says so."""

from __future__ import annotations

from typing import Any

from fleet_range import Range, fleet_range, until

API = "/apis/holdfast.dev/v1alpha1"


def shown(ground: Range, cluster: str, path: str) -> dict[str, dict[str, Any]]:
    """The conditions of an object, by type."""
    status = ground.servers[cluster].objects[f"{API}/{path}"].get("status", {})
    return {each["type"]: each for each in status.get("conditions", [])}


def joined(ground: Range, cluster: str, region: str) -> bool:
    """Whether this cluster's operator remembers that a quorum saw the region well."""
    loops = ground.fleets[f"{cluster}-0"].zone_loops().values()
    return any(loop.view is not None and loop.view.joined(region) for loop in loops)


async def test_a_surviving_region_says_why_the_lost_one_is_cordoned_and_who_saw_it() -> None:
    async with fleet_range() as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(lambda: joined(ground, "ams", "fra"))
        await ground.kill("fra")
        await until(lambda: shown(ground, "ams", "regions/fra")["RouteInSync"]["reason"] == "ReadBack", seconds=15)
        await until(lambda: shown(ground, "ams", "regions/fra")["Ready"]["status"] == "False")
        now = shown(ground, "ams", "regions/fra")
        assert now["Ready"]["reason"] == "RegionCordoned"
        assert now["Reachable"]["reason"] == "RegionLost"
        for condition in (now["Ready"], now["Reachable"]):
            assert "ams" in condition["message"]
            assert "iad" in condition["message"]
        await until(lambda: {("ams", "fra", "RegionLost"), ("ams", "eu", "RegionLost")} <= set(ground.events))


async def test_a_region_that_follows_tells_of_the_leaders_move_in_its_own_cluster() -> None:
    """Whoever looks into any cluster of the zone finds the news there."""
    async with fleet_range() as ground:
        ground.start("fra")
        await until(lambda: ground.leader() == "fra")
        ground.start("ams")
        ground.start("iad")
        await until(lambda: joined(ground, "ams", "fra"))
        ground.dead.add("fra")
        await until(lambda: not ground.enabled()["fra"], seconds=15)
        assert ground.leader() == "fra", "only the entry of fra is gone, its operator still leads"
        await until(lambda: {("ams", "fra", "RegionLost"), ("ams", "eu", "RegionLost")} <= set(ground.events))
        await until(lambda: shown(ground, "ams", "regions/fra")["Ready"]["reason"] == "RegionCordoned")
        assert "ams" in shown(ground, "ams", "regions/fra")["Ready"]["message"]


async def test_a_policy_says_what_the_next_loss_would_do_while_all_is_well() -> None:
    async with fleet_range() as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(lambda: joined(ground, "ams", "fra") and joined(ground, "ams", "ams"))
        words = (
            "without fra the others have room for none of its calls. "
            "More bridge pods are ready in the other regions. 1 more would not be survived."
        )
        told = ("ams", "failoverpolicies/eu")
        await until(lambda: shown(ground, *told).get("ReadyForLoss", {}).get("message") == words)
        now = shown(ground, *told)["ReadyForLoss"]
        assert (now["status"], now["reason"]) == ("False", "NotEnoughPods"), "no pod runs anywhere"
