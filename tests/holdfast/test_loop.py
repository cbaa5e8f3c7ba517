"""The fleet end to end, with fakes at its edges only: three operators, three clusters, one lever."""

from __future__ import annotations

from collections.abc import Awaitable

from fleet_range import NS, fleet_range, until

from holdfast import clock

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NS}/leases"


async def test_a_killed_region_is_cordoned_once_even_when_it_led() -> None:
    async with fleet_range() as ground:
        ground.start("fra")
        await until(lambda: ground.leader() == "fra")
        ground.start("ams")
        ground.start("iad")
        await until(
            lambda: all(
                loop.view and loop.view.tally("fra").well and loop.view.tally("ams").well
                for name, fleet in ground.fleets.items()
                if not name.startswith("iad")
                for loop in fleet.zone_loops().values()
            )
        )
        assert ground.origins.history == []
        await ground.kill("fra")
        await until(lambda: ground.enabled() == {"fra": False, "ams": True}, seconds=60)
        await until(lambda: ground.fleets["ams-0"].zone_loops()["eu"].ledger.entries[0].read_back)
        (entry,) = ground.fleets["ams-0"].zone_loops()["eu"].ledger.entries
        assert (entry.region, entry.leader, entry.lever) == ("fra", "ams", "edge")
        assert entry.detected <= entry.decided <= entry.read_back
        assert [(c.region, c.enabled) for c in ground.origins.history] == [("fra", False)]
        policy = ground.servers["ams"].objects["/apis/holdfast.dev/v1alpha1/failoverpolicies/eu"]
        await until(lambda: (policy_now := _policy(ground)) and policy_now.get("cordoned") == ["fra"])
        assert policy["metadata"]["uid"] == "u-eu"
        await until(lambda: ("ams", "fra", "RegionLost") in ground.events)


def _policy(ground: object) -> dict[str, object]:
    status: dict[str, object] = (
        ground.servers["ams"].objects["/apis/holdfast.dev/v1alpha1/failoverpolicies/eu"].get("status", {})  # type: ignore[attr-defined]
    )
    return status


async def test_a_region_that_comes_back_is_restored_after_its_dwell() -> None:
    async with fleet_range() as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(ground.leader)
        await until(lambda: _all_well(ground))
        await ground.kill("fra")
        await until(lambda: not ground.enabled()["fra"], seconds=15)
        ground.dead.clear()
        ground.servers["fra"].mode = "up"
        ground.start("fra", pod="1")
        took_s = await until(lambda: ground.enabled()["fra"], seconds=20)
        assert took_s >= 1.5
        assert [(c.region, c.enabled) for c in ground.origins.history] == [("fra", False), ("fra", True)]


async def test_a_vendor_that_is_down_is_asked_again_and_shown() -> None:
    async with fleet_range() as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(ground.leader)
        await until(lambda: _all_well(ground))
        ground.origins.down = True
        await ground.kill("fra")
        await until(lambda: ground.leader() == "ams", seconds=15)
        book = ground.fleets["ams-0"].zone_loops()["eu"].book
        await until(lambda: "edge" in book.troubles())
        assert book.troubles()["edge"].code == "Unreachable"
        ground.origins.down = False
        await until(lambda: not ground.enabled()["fra"], seconds=15)


async def test_an_unreachable_api_server_alone_moves_nothing() -> None:
    """Unknown is not ill: the entry still answers."""
    async with fleet_range() as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(lambda: _all_well(ground))
        ground.servers["fra"].mode = "down"
        await until(lambda: ground.leader() == "ams", seconds=15)
        await until(lambda: ground.fleets["ams-0"].peers.age_s("fra") > 4)
        assert ground.origins.history == []


async def test_the_second_pod_of_a_region_takes_over_and_only_one_is_active() -> None:
    async with fleet_range() as ground:
        first = ground.start("fra", pod="0")
        await until(first.active)
        second = ground.start("fra", pod="1")
        pods = ground.servers["fra"].objects
        label = f"/api/v1/namespaces/{NS}/pods/operator-0"
        await until(lambda: pods[label]["metadata"].get("labels", {}).get("holdfast.dev/active") == "true")
        assert not second.active()
        took_s = await seconds_of(ground.stop("fra-0"))
        assert took_s < 10
        assert ground.servers["fra"].objects[f"{LEASE}/holdfast-region"]["spec"]["holderIdentity"] == ""
        assert pods[label]["metadata"]["labels"]["holdfast.dev/active"] == "false", "no poll goes to who is leaving"
        assert await until(second.active, seconds=8) <= 2
        second_label = f"/api/v1/namespaces/{NS}/pods/operator-1"
        await until(lambda: pods[second_label]["metadata"].get("labels", {}).get("holdfast.dev/active") == "true")
        assert pods[label]["metadata"]["labels"]["holdfast.dev/active"] == "false"


async def seconds_of(work: Awaitable[object]) -> float:
    """How long it takes."""
    began = clock.now()
    await work
    return clock.now() - began


def _all_well(ground: object) -> bool:
    loops = [loop for fleet in ground.fleets.values() for loop in fleet.zone_loops().values()]  # type: ignore[attr-defined]
    return len(loops) == 2 and all(
        loop.view and loop.view.tally("fra").well and loop.view.tally("ams").well for loop in loops
    )
