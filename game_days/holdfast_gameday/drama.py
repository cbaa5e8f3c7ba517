"""The game day itself: calls are placed, a region dies, calls go on, new ones come, all say goodbye.

It watches and notes; it judges nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from holdfast_gameday import faults
from holdfast_gameday.installation import Installation
from holdfast_gameday.lab import names
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.lab.range_of_clusters import Lab
from holdfast_gameday.measure import CordonTimes, FaultTime, Kind, cordon_times
from holdfast_gameday.practice import NUMBERS, PracticeRange
from holdfast_gameday.result import Claim, Moment
from holdfast_gameday.scenario import Scenario
from holdfast_gameday.view import CallCell, RegionRow, Snapshot, View
from holdfast_gameday.world.callers import Call, Outcome
from holdfast_gameday.world.callers_script import remember_a_code

CORDON_PATIENCE_S = 20.0
"""So long after the fault the cordon is waited for; then it counts as not seen."""
GOODBYE_PATIENCE_S = 45.0
NEW_CALL_AFTER_S = 0.5
STAGGER_S = 0.15
"""Between two dials: callers do not ring in one instant."""
TRIES_A_CALL = 10
"""So many calls are placed for each that is to land in one region: with three regions a third of them does."""


@dataclass(slots=True)
class Seen:
    """What the drama leaves to be judged."""

    fault: FaultTime = field(default_factory=lambda: FaultTime(monotonic=time.monotonic(), unix=time.time()))
    cordon: CordonTimes = field(default_factory=CordonTimes)
    calls: list[tuple[Call, Kind]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    dead: str = ""
    """The region that is dead at the end."""


class Drama:
    """Played once."""

    def __init__(
        self,
        scenario: Scenario,
        installation: Installation,
        world: PracticeRange,
        lab: Lab,
        view: View,
        operators_off: bool,
    ) -> None:
        self._scenario = scenario
        self._installation = installation
        self._world = world
        self._lab = lab
        self._view = view
        self._operators_off = operators_off
        self._seen = Seen()
        self._dead: set[str] = set()
        self._cordoned: set[str] = set()
        self._leader = "" if operators_off else scenario.leader or ""
        self._happened = False

    async def play(self) -> Seen:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            try:
                await self._acts()
            finally:
                watching.cancel()
        return self._seen

    async def _acts(self) -> None:
        scenario = self._scenario
        await self._place_calls()
        self._note("every call is in small talk", who="callers")
        await asyncio.sleep(scenario.steady_seconds)
        await self._strike()
        await self._aftermath()
        await self._say_goodbye()
        if self._operators_off:
            await self._lose_each_other_region()

    async def _place_calls(self) -> None:
        """The agent's calls, until as many as wanted are on the region that will die; then the bystanders'."""
        scenario = self._scenario
        floor = scenario.calls.at_least
        here = Kind(agent=scenario.agent)
        for _ in range(scenario.calls.count):
            self._place(scenario.policy, here)
            await asyncio.sleep(STAGGER_S)
        if scenario.bystanders is not None:
            aside = Kind(agent=scenario.bystanders.agent, bystander=True)
            for _ in range(scenario.bystanders.count):
                self._place(scenario.bystanders.policy, aside)
                await asyncio.sleep(STAGGER_S)
        async with asyncio.timeout(60):
            for call, _ in self._seen.calls:
                await call.settled.wait()
        lost = [call for call, _ in self._seen.calls if call.over.is_set()]
        if lost:
            raise LabError(f"{len(lost)} calls ended before the fault: {lost[0].report().detail}")
        if floor is None:
            return
        host = names.REGIONS[floor.region].host
        tries = 0
        while (there := sum(call.host == host for call, kind in self._seen.calls if not kind.bystander)) < floor.count:
            if tries == TRIES_A_CALL * floor.count:
                raise LabError(
                    f"{there} of {floor.count} calls landed in {floor.region}, whatever was placed: it is cordoned or "
                    f"answers nobody; see `kubectl holdfast explain {floor.region}` and its bridges' logs"
                )
            tries += 1
            await self._replace_one(host, here)

    async def _replace_one(self, host: str, kind: Kind) -> None:
        """Weights are shares, not promises: a call that landed elsewhere is hung up and another one placed."""
        spare = next(pair for pair in self._seen.calls if pair[0].host != host and not pair[1].bystander)
        self._seen.calls.remove(spare)
        spare[0].hang_up()
        call = self._place(self._scenario.policy, kind)
        async with asyncio.timeout(30):
            await call.settled.wait()

    def _place(self, zone: str, kind: Kind) -> Call:
        # The last four figures tell the calls' facts apart.
        code = f"{4000 + len(self._world.callers.calls) * 7}"
        call = self._world.callers.place(NUMBERS[zone], remember_a_code(code))
        self._seen.calls.append((call, kind))
        return call

    async def _strike(self) -> None:
        fault = self._scenario.fault
        strike = self._lab.kill if fault.kind is faults.Kind.KILL else self._lab.blackhole
        self._seen.fault = FaultTime(monotonic=time.monotonic(), unix=time.time())
        self._happened = True
        self._mark_dead(fault.region)
        self._note(f"{fault.region}: {fault.kind.word}", who="game day")
        await strike(fault.region)

    def _mark_dead(self, region: str) -> None:
        self._dead.add(region)
        self._seen.dead = region

    async def _aftermath(self) -> None:
        """New calls come at once and again after the cordon; callers go on talking meanwhile."""
        scenario, later = self._scenario, Kind(agent=self._scenario.agent, placed_after_fault=True)
        await self._until(NEW_CALL_AFTER_S)
        if scenario.new_calls.count:
            self._place(scenario.policy, later)
        if not self._operators_off:
            await self._await_cordon()
        for _ in range(scenario.new_calls.count - 1):
            self._place(scenario.policy, later)
            await asyncio.sleep(STAGGER_S)
        await self._until(scenario.observe_seconds)

    async def _await_cordon(self) -> None:
        lost = self._scenario.fault.region
        members = self._installation.layout.members(self._scenario.policy)
        survivors = [name for name in members if name not in self._dead]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, CORDON_PATIENCE_S - self._clock())):
                while True:
                    for name in survivors:
                        policy = await self._installation.regions[name].read("fop", self._scenario.policy)
                        times = cordon_times(policy, region=lost, fault=self._seen.fault)
                        if times.read_back is not None:
                            self._cordon_seen(times, by=name)
                            return
                    await asyncio.sleep(0.3)

    def _cordon_seen(self, times: CordonTimes, *, by: str) -> None:
        self._seen.cordon = times
        self._leader = by
        self._cordoned.add(self._scenario.fault.region)
        who = f"operator {by}"
        for at, what in (
            (times.detected, f"{self._scenario.fault.region} seen down"),
            (times.decided, f"cordon {self._scenario.fault.region}: {times.reason}"),
            (times.read_back, "every lever read back"),
        ):
            if at is not None:
                self._add(Moment(at=round(at, 3), who=who, what=what))

    async def _say_goodbye(self) -> None:
        self._note("callers ask for the fact and say goodbye", who="callers")
        for call, _ in self._seen.calls:
            call.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_PATIENCE_S):
                for call, _ in self._seen.calls:
                    await call.over.wait()
        for call, _ in self._seen.calls:
            if not call.over.is_set():
                call.hang_up()
        self._note("every call is over", who="callers")

    async def _lose_each_other_region(self) -> None:
        """With no operator anywhere: each region of the zone in turn is dead, and new calls are still answered."""
        zone = self._scenario.policy
        previous = self._scenario.fault.region
        for name in [name for name in self._installation.layout.members(zone) if name != previous]:
            await self._lab.heal(previous)
            self._dead.discard(previous)
            await self._bridges_ready(previous)
            self._note(f"{previous} is back", who="game day")
            await self._lab.kill(name)
            self._mark_dead(name)
            self._note(f"{name}: kill", who="game day")
            previous = name
            placed = [
                self._place(zone, Kind(agent=self._scenario.agent, placed_after_fault=True))
                for _ in range(max(1, self._scenario.new_calls.count))
            ]
            for call in placed:
                call.finish()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_PATIENCE_S):
                    for call in placed:
                        await call.over.wait()
            good = sum(call.outcome is Outcome.AGENT_HUNG_UP for call in placed)
            self._seen.claims.append(
                Claim(
                    name=f"new calls are carried while {name} is dead",
                    wanted=f"{len(placed)} of {len(placed)}",
                    seen=f"{good} of {len(placed)}",
                    held=good == len(placed),
                )
            )

    async def _bridges_ready(self, region: str) -> None:
        """Asked at the entry itself: just after a region's return its API server still shows what was before."""
        async with asyncio.timeout(90):
            while not await self._world.answers(region, self._scenario.agent):
                await asyncio.sleep(0.3)

    # What is shown

    async def _watch(self) -> None:
        while True:
            self._view.show(self._snapshot())
            await asyncio.sleep(0.25)

    def _snapshot(self) -> Snapshot:
        now = time.monotonic()
        hosts = {region.host: region.name for region in names.REGIONS.values()}
        live = [call for call, _ in self._seen.calls if not call.over.is_set()]
        rows = tuple(
            RegionRow(
                name,
                self._state(name),
                sum(call.host == region.host for call in live),
                leads=self._scenario.policy if name == self._leader and name not in self._dead else "",
            )
            for name, region in names.REGIONS.items()
        )
        cells = tuple(
            CallCell(
                number=call.index,
                region=hosts.get(call.host or "", "–") if not call.over.is_set() else "end",
                speaking=not call.over.is_set() and call.agent_speaks(now),
                lost=call.outcome is Outcome.LOST,
            )
            for call, _ in self._seen.calls
        )
        return Snapshot(clock=self._clock(), regions=rows, calls=cells)

    def _state(self, region: str) -> str:
        if region in self._dead:
            return "dead, cordoned" if region in self._cordoned else "dead"
        return "serving"

    def _clock(self) -> float:
        return time.monotonic() - self._seen.fault.monotonic if self._happened else 0.0

    async def _until(self, since_fault_s: float) -> None:
        await asyncio.sleep(max(0.0, since_fault_s - self._clock()))

    def _note(self, what: str, *, who: str) -> None:
        self._add(Moment(at=round(self._clock(), 3), who=who, what=what))

    def _add(self, moment: Moment) -> None:
        self._seen.moments.append(moment)
        self._view.moment(moment)
