"""One zone's loop alone, with a real vote: what a plan does when one of several levers fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core_builders import DOWN, all_say, regions, zone
from fleet_apiserver import FakeApiServer
from fleet_range import NS, until

from holdfast import clock, peers, telemetry
from holdfast.core.values import Verdict
from holdfast.desired import Desired
from holdfast.fleet import VoteShell
from holdfast.fleet_register import Register
from holdfast.fleet_told import Told
from holdfast.levers.base import OriginReading
from holdfast.levers.memory import MemoryLever, Origins
from holdfast.loop import Senses, ZoneLoop

LEVERS = ("edge", "second")
VOTERS = ("fra", "ams", "iad")
EU = zone(VOTERS, (), LEVERS)


class Alone:
    """The operator of ams and two levers. What the observers say, and what the vendors do, is the test's."""

    def __init__(self, epoch: int = 0) -> None:
        self.servers = {name: FakeApiServer(name) for name in VOTERS}
        for server in self.servers.values():
            server.give_back("holdfast-fleet-eu")
        self.levers = {
            name: Origins({r: OriginReading(r, enabled=True, epoch=epoch) for r in EU.members}) for name in LEVERS
        }
        self.verdicts: dict[str, Verdict] = {}
        self.explain: Callable[[], object] = lambda: None
        desired = Desired()
        desired.put_zone(EU)
        for region in regions(EU).values():
            desired.put_region(region)
        drivers = {name: MemoryLever(name, origins) for name, origins in self.levers.items()}
        self.loop = ZoneLoop(
            zone="eu",
            region="ams",
            desired=desired,
            senses=Senses(
                own=lambda: all_say(EU, self.verdicts),
                peers=peers.Peers(clients={}, namespace=NS, clock=clock.now, on_missed=lambda _: None),
                told=Told,
            ),
            levers=lambda _zone, _regions: drivers,
            clock=clock.now,
            wall=lambda: "2026-01-01T00:00:00Z",
            metrics=telemetry.Metrics(),
            on_entry=lambda _zone, _entry: None,
            on_plan=lambda _view, _plan: self.explain(),
            on_news=lambda _zone, _region, _reason: None,
            on_view=lambda: None,
        )
        self.vote = VoteShell(
            name="eu",
            me="ams-0",
            region="ams",
            voters=VOTERS,
            registers=[
                Register(server.client(), namespace=NS, name="holdfast-fleet-eu") for server in self.servers.values()
            ],
            annotations=self.loop.annotations,
            on_change=self.loop.stir,
            clock=clock.now,
            dice=random.Random(1),
            floor=self.loop.book.epoch_seen,
        )
        self.loop.attach(self.vote)

    def written(self, lever: str) -> list[tuple[str, bool, int]]:
        """Region, on or off, and epoch of every write that this lever took."""
        return [(change.region, change.enabled, change.epoch) for change in self.levers[lever].history]

    def known(self) -> bool:
        """Whether every lever was read."""
        return len(self.loop.book.states()) == 6 and all(state.enabled for state in self.loop.book.states())


@asynccontextmanager
async def leading(*, epoch: int = 0) -> AsyncIterator[Alone]:
    """`epoch`: what the marks at the vendors carry from before."""
    alone = Alone(epoch)
    tasks = [asyncio.create_task(alone.vote.run()), asyncio.create_task(alone.loop.run())]
    try:
        yield alone
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_lever_in_back_off_does_not_hold_up_the_next() -> None:
    async with leading() as alone:
        await until(alone.known)
        alone.levers["edge"].unmarked = {"iad"}
        await until(lambda: not alone.loop.book.may_ask("edge"), seconds=8)
        alone.verdicts = {"fra": DOWN}
        await until(lambda: [w[:2] for w in alone.written("second")] == [("fra", False)], seconds=3)
        assert not alone.loop.book.may_ask("edge"), "the back-off of ten seconds was over, so nothing was shown"
        assert alone.written("edge") == []


async def test_a_fleet_whose_leases_were_wiped_goes_on_above_the_epoch_at_its_vendors() -> None:
    async with leading(epoch=7) as alone:
        alone.verdicts = {"fra": DOWN}
        await until(lambda: alone.written("edge") and alone.written("second"), seconds=6)
        assert (alone.written("edge"), alone.written("second")) == ([("fra", False, 8)], [("fra", False, 8)])
        assert alone.loop.book.troubles() == {}


async def test_a_mark_that_nobody_of_ours_wrote_does_not_carry_the_epoch_away() -> None:
    async with leading(epoch=10**15) as alone:
        await until(alone.known)
        assert alone.vote.epoch() == 1
        assert alone.loop.book.epoch_seen() == 0


async def test_an_explanation_that_fails_stops_no_decision() -> None:
    async with leading() as alone:

        def fail() -> None:
            raise ValueError("the ring is full of sand")

        alone.explain = fail
        await until(alone.known)
        alone.verdicts = {"fra": DOWN}
        await until(lambda: alone.written("edge") and alone.written("second"), seconds=3)


async def test_a_lever_that_answers_out_of_a_stale_copy_is_not_written_to_again_and_again() -> None:
    """Found by the simulator: four writes a second until the copy was fresh."""
    async with leading() as alone:
        await until(alone.known)
        alone.levers["edge"].stale = dict(alone.levers["edge"].readings)
        alone.verdicts = {"fra": DOWN}
        await until(lambda: len(alone.written("edge")) == 3, seconds=8)
        began = clock.now()
        await until(lambda: len(alone.written("edge")) == 4, seconds=8)
        assert clock.now() - began >= 1.5, "the fourth write waits for two seconds"

        alone.levers["edge"].stale = {}
        await until(lambda: alone.loop.view and alone.loop.view.enabled("edge", "fra") is False, seconds=12)
