"""What a move costs where there is much to move: real operators on real API servers, simulated vendors, no kubelets.

Three clusters, each with its own API server and each region's operator as a process. A region is lost as a whole: its
entry refuses, its API server and its operator are killed.

What is counted as a write: every request by which a surviving operator changes anything in its cluster (statuses,
Events, Deployments, the ConfigMap of its decisions), from the API server's own audit log, and every change that a
vendor took, from the vendor's own record. Leases are not counted: the heartbeat and the vote renew them each second in
calm as well, and what is decided is stored by those very renewals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import apiserver
import pytest
import scale_audit
import scale_fleet
import scale_objects
import scale_world
from scale_fleet import Fleet

from holdfast import fleet_accounts, fleet_pointing, kube
from holdfast.core.values import AgentRef
from holdfast.levers import twilio_api
from holdfast_gameday.world.twilio_faults import Fault, FaultKind
from holdfast_gameday.world.twilio_state import Write as TwilioWrite

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not apiserver.available(), reason="no kube-apiserver, etcd and kubectl: run `make tools`"),
]

AGENTS = int(os.environ.get("HOLDFAST_SCALE_AGENTS", "120"))
"""A thousand are what `make scale` asks for: placing them alone takes the machine two minutes."""
WRITES_MAX = 10
NUMBERS = [scale_objects.number(index) for index in range(200)]
# As many at a time as the operator that moves may send, and a probe of each member.
CARRIER_LIMIT = twilio_api.CONCURRENT + 2
CARRIER_TAKES_S = 0.05
DEPLOYMENTS = kube.Resource("apps/v1", "deployments")


@contextlib.asynccontextmanager
async def ground(
    folder: Path, lever: str, agents: Sequence[dict[str, Any]], *, members: Sequence[str], witnesses: Sequence[str] = ()
) -> AsyncIterator[Fleet]:
    """The clusters with the policy and the agents in them, and the vendors. No operator runs yet."""
    with scale_fleet.clusters(folder, [*members, *witnesses]) as apis:
        async with (
            scale_world.world(folder, members, carrier_limit=CARRIER_LIMIT) as world,
            scale_fleet.fleet(folder, world, apis) as fleet,
        ):
            world.add_account(NUMBERS)
            edge = scale_objects.edge_lever(world.ports["cloudflare"])
            levers = {"numbers": scale_objects.NUMBER_LEVER, "edge": edge}
            policy = scale_objects.policy(
                members, levers[lever], twilio_port=world.ports["twilio"], numbers=NUMBERS, witnesses=witnesses
            )
            for region in apis:
                await fleet.create(region, kube.POLICIES, [policy])
            for region in members:
                await fleet.create(region, kube.AGENTS, agents)
            yield fleet


async def placed(fleet: Fleet, region: str, count: int) -> None:
    """Until every agent has its Deployment in this region's cluster."""
    async with asyncio.timeout(400):
        while await fleet.counted(region, DEPLOYMENTS) < count:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.5)


async def led(fleet: Fleet, *, by: str, all_up: bool = True) -> None:
    """Until this region leads the zone and, unless that is not asked for, all observers see each of its regions up."""
    async with asyncio.timeout(90):
        while True:
            (policy,) = await fleet.listed(by, kube.POLICIES)
            regions = await fleet.listed(by, kube.REGIONS)
            up = [seen_up(each) for each in regions if each["metadata"]["name"] in fleet.members]
            if policy.get("status", {}).get("leader") == by and (not all_up or all(up)):
                return
            await asyncio.sleep(0.2)


def seen_up(region: dict[str, Any]) -> bool:
    said = {each["type"]: each["message"] for each in region.get("status", {}).get("conditions", [])}
    return said.get("Reachable", "").startswith("2 of 2 observers")


async def rerouted(fleet: Fleet, *, to: str) -> float:
    """Callers call one after another until one is answered in this region; when the first of those rang, wall clock.

    None waits for the one before, for a call to a region that is gone may last.
    """
    answered: list[float] = []

    async def call() -> None:
        rang_at = time.time()
        if await fleet.world.call("clinic/a-0000") == to:
            answered.append(rang_at)

    async with asyncio.timeout(60), asyncio.TaskGroup() as calls:
        while not answered:
            calls.create_task(call())
            await asyncio.sleep(0.05)
    return min(answered)


def counted(fleet: Fleet, *survivors: str, since: float, until: float) -> int:
    """All writes of the survivors and at the vendors between two moments, printed by kind."""
    written = fleet.writes(*survivors, since=since, until=until)
    vendors = [each for each in fleet.world.writes() if since <= each.at < until]
    print(f"within {until - since:.1f} s: {len(vendors)} at vendors, {scale_audit.told(written) or 'none'} in clusters")
    return len(written) + len(vendors)


async def test_a_lost_region_of_many_agents_costs_at_most_ten_writes_before_calls_go_elsewhere(tmp_path):
    """A move must not cost more the more agents there are: what calls wait for is one write at the edge."""
    numbered = [scale_objects.agent(f"a-{index:04}", "clinic", [NUMBERS[index]]) for index in range(100)]
    others = [scale_objects.agent(f"a-{index:04}", "dental") for index in range(100, AGENTS)]
    async with ground(tmp_path, "edge", [*numbered, *others], members=("fra", "ams"), witnesses=("iad",)) as fleet:
        ams = await fleet.start("ams")
        await fleet.start("iad")
        fleet.poll(ams, [AgentRef("clinic", f"a-{index:04}") for index in range(20)])
        await placed(fleet, "ams", AGENTS)
        await fleet.calm("ams", "iad")
        await fleet.start("fra")
        await led(fleet, by="ams")
        await fleet.calm("ams", "iad")
        assert await fleet.world.call("clinic/a-0000") == "fra"

        lost_at = await fleet.lose("fra")
        rerouted_at = await rerouted(fleet, to="ams")
        await fleet.calm("ams", "iad")

        assert counted(fleet, "ams", "iad", since=lost_at, until=rerouted_at) <= WRITES_MAX
        counted(fleet, "ams", "iad", since=rerouted_at, until=time.time())
        # The fallback of every number named ams before, and does now.
        assert [each.name for each in fleet.world.writes() if each.at >= lost_at] == ["fra"]


async def test_the_fallbacks_at_the_carrier_are_repaired_after_the_move_and_paced(tmp_path):
    """The first region is lost with the leader in it, so that every fallback must name another region than before."""
    agents = [scale_objects.agent(f"a-{index:04}", "clinic", [NUMBERS[index]]) for index in range(60)]
    async with ground(tmp_path, "edge", agents, members=("fra", "ams", "par")) as fleet:
        await fleet.start("fra")
        await led(fleet, by="fra", all_up=False)
        for region in ("ams", "par"):
            await fleet.start(region)
            await placed(fleet, region, len(agents))
        await led(fleet, by="fra")
        await apiserver.until(lambda: fleet.world.fallbacks_in("ams") == len(agents), within_s=60)
        await fleet.calm("fra", "ams", "par")
        assert await fleet.world.call("clinic/a-0000") == "fra"

        lost_at = await fleet.lose("fra")
        rerouted_at = await rerouted(fleet, to="ams")
        await apiserver.until(lambda: fleet.world.fallbacks_in("par") == len(agents), within_s=60)

        assert counted(fleet, "ams", "par", since=lost_at, until=rerouted_at) <= WRITES_MAX
        counted(fleet, "ams", "par", since=rerouted_at, until=time.time())
        repairs = [each for each in fleet.world.twilio.state.writes if each.at >= lost_at]
        assert sorted(Counter(each.resource for each in repairs).values()) == [1] * len(agents)
        assert min(each.at for each in repairs) > rerouted_at
        # A round begins when the one before is over and half a second has passed.
        assert most_within(fleet_pointing.LOOK_S, [each.at for each in repairs]) <= 2 * fleet_pointing.REPAIRS_A_ROUND
        rounds = len(agents) / fleet_pointing.REPAIRS_A_ROUND
        assert repairs[-1].at - repairs[0].at > (rounds - 2) * fleet_pointing.LOOK_S


def most_within(seconds: float, moments: Sequence[float]) -> int:
    """The greatest number of them in any stretch of time as long as this."""
    return max(sum(start <= each < start + seconds for each in moments) for start in moments)


@contextlib.asynccontextmanager
async def numbers_in_fra(folder: Path) -> AsyncIterator[Fleet]:
    """A zone without an edge, whose 200 numbers all name fra; ams has two pods of its operator. The carrier is slow."""
    agents = [scale_objects.agent(f"a-{at:04}", "clinic", NUMBERS[at : at + 10]) for at in range(0, len(NUMBERS), 10)]
    async with ground(folder, "numbers", agents, members=("fra", "ams"), witnesses=("iad",)) as fleet:
        await fleet.start("fra")
        await led(fleet, by="fra", all_up=False)
        for region in ("ams", "iad"):
            await fleet.start(region)
        await placed(fleet, "ams", len(agents))
        await led(fleet, by="fra")
        await apiserver.until(lambda: fleet.world.numbers_in("fra") == len(NUMBERS), within_s=60)
        await fleet.start("ams", pod=1)
        await fleet.calm("fra", "ams", "iad")
        fleet.world.twilio.faults.arm(Fault(kind=FaultKind.SLOW, delay_s=CARRIER_TAKES_S))
        yield fleet


async def test_two_hundred_numbers_are_moved_within_the_budget_of_their_account(tmp_path):
    """Without an edge each number is a write of its own; the carrier is never asked more than it was agreed."""
    async with numbers_in_fra(tmp_path) as fleet:
        lost_at = await fleet.lose("fra")
        await apiserver.until(lambda: fleet.world.numbers_in("ams") == len(NUMBERS), within_s=60)

        moves = moves_since(fleet, lost_at)
        print(f"the first after {moves[0].at - lost_at:.1f} s, all within {moves[-1].at - moves[0].at:.1f} s")
        counted(fleet, "ams", "iad", since=lost_at, until=moves[-1].at)
        assert sorted(Counter(each.resource for each in moves).values()) == [1] * len(NUMBERS)
        # More at a time would have been answered 429.
        assert "RateLimited" not in fleet.log()
        asked = sum(each.at >= lost_at for each in fleet.world.twilio_log.entries)
        print(f"{asked} requests to the carrier")
        assert asked <= fleet_accounts.TWILIO_REQUESTS - fleet_accounts.TWILIO_RESERVE


async def test_a_move_of_numbers_goes_on_where_a_crashed_operator_left_it(tmp_path):
    """What the dead leader wrote is not written again, and what it did not write is."""
    async with numbers_in_fra(tmp_path) as fleet:
        lost_at = await fleet.lose("fra")
        await apiserver.until(lambda: fleet.world.numbers_in("ams") >= 60, within_s=60)
        fleet.operators["ams-0"].kill()
        crashed_at = time.time()
        await apiserver.until(lambda: fleet.world.numbers_in("ams") == len(NUMBERS), within_s=60)

        moves = moves_since(fleet, lost_at)
        by_the_first = sum(each.at < crashed_at for each in moves)
        print(f"{by_the_first} moved before the crash, the rest by {moves[-1].at - crashed_at:.1f} s after it")
        assert 60 <= by_the_first < len(NUMBERS)
        # Once each, but for one at most that was under way in the crash.
        assert len({each.resource for each in moves}) == len(NUMBERS)
        assert len(moves) <= len(NUMBERS) + 1


def moves_since(fleet: Fleet, moment: float) -> list[TwilioWrite]:
    """The writes to numbers, in order."""
    found = [each for each in fleet.world.twilio.state.writes if each.at >= moment]
    return [each for each in found if each.resource.startswith("IncomingPhoneNumbers/")]
