"""`python -m holdfast_gameday.bench_decide`: what it costs to decide everything for a whole fleet at one moment.

Timed is one cold call: `failover.decide` for every policy, as if one operator led them all, then `providers.orders`
of every agent in every region. The policies differ in weights, guards, ramps, witnesses, levers and history, the
agents in policy, weights and attempts. In the first call one region has just failed, seen by every observer, and one
provider is ill in one other region; in the call beside it nothing is wrong.

Not timed: building the views, as gathering them is the shell's business. They are built anew for each call, so that
nothing a view has counted survives; the garbage collector has run before and stays on. `wall` is the figure, `cpu`
what the call itself used of it on a machine that also does other things. Memory is traced in calls of its own.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.core import failover, providers
from holdfast.core.means import Lever
from holdfast.core.plans import Plan, View
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.values import (
    AgentRef,
    Cause,
    Cordon,
    Fence,
    Guards,
    Load,
    Observation,
    OriginState,
    Region,
    RegionMemory,
    Verdict,
    Zone,
    ZoneRegion,
)

CALLS = 21
TRACED_CALLS = 5
LIMIT_MS = 50.0
LIMIT_TIMES = 10.0
FLAT_BYTES = 4_096
"""What the interpreter's own caches may move between equal calls; one region's memory in every zone would be more."""

FAILED = "region-00"
TROUBLED = "region-01"
ILL = "provider-0"
PROVIDERS = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How large a fleet is; each policy names all regions."""

    agents: int
    regions: int
    policies: int


SMALL = Size(agents=5_000, regions=10, policies=50)
LARGE = Size(agents=20_000, regions=20, policies=200)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one call is about."""

    views: tuple[View, ...]
    agents: Mapping[AgentRef, Attempts]
    sick_in: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Decided:
    """What one call answers."""

    plans: tuple[Plan, ...]
    orders: Mapping[str, Mapping[AgentRef, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one kind of call at one size. `peak`: the most bytes that a call held; `kept`: those left behind."""

    name: str
    size: Size
    wall_ms: tuple[float, ...]
    cpu_ms: float
    peak: int
    kept: int

    @property
    def median_ms(self) -> float:
        return statistics.median(self.wall_ms)


def decide(fleet: Fleet) -> Decided:
    """The call whose cost is in question."""
    plans = tuple([failover.decide(view, 0.0) for view in fleet.views])
    return Decided(plans, providers.orders(fleet.agents, fleet.sick_in))


def fleet(size: Size, agents: Mapping[AgentRef, Attempts], *, trouble: bool) -> Fleet:
    names = _names(size)
    sick_in = {name: frozenset({ILL}) if trouble and name == TROUBLED else frozenset[str]() for name in names}
    return Fleet(tuple([_view(size, index, trouble=trouble) for index in range(size.policies)]), agents, sick_in)


def agents(size: Size) -> dict[AgentRef, Attempts]:
    """Two to four attempts each; some weigh them, some keep one to half of the regions, some must comply."""
    return {
        AgentRef(f"tenant-{index % size.policies}", f"agent-{index}"): _attempts(index, _names(size))
        for index in range(size.agents)
    }


def measure(name: str, size: Size, *, trouble: bool, calls: int = CALLS) -> Cost:
    known = agents(size)
    wall_ms, cpu_ms = [], []
    for _ in range(calls):
        asked = fleet(size, known, trouble=trouble)
        gc.collect()
        wall, cpu = time.perf_counter(), time.thread_time()
        answer = decide(asked)
        cpu_ms.append((time.thread_time() - cpu) * 1000)
        wall_ms.append((time.perf_counter() - wall) * 1000)
        del asked, answer
    peak, kept = _traced(size, known, trouble=trouble)
    return Cost(name, size, tuple(wall_ms), statistics.median(cpu_ms), peak, kept)


def breaches(small: Cost, large: Cost) -> list[str]:
    """The figures that are not met, in words."""
    found = []
    if small.median_ms > LIMIT_MS:
        found.append(f"{small.median_ms:.1f} ms at {small.size.agents} agents, allowed are {LIMIT_MS:.0f} ms")
    if large.median_ms > LIMIT_TIMES * small.median_ms:
        times = large.median_ms / small.median_ms
        found.append(f"{times:.1f} times as long at {large.size.agents} agents, allowed are {LIMIT_TIMES:.0f} times")
    grown = [cost for cost in (small, large) if cost.kept > FLAT_BYTES]
    found += [f"{cost.kept} bytes kept by calls at {cost.size.agents} agents" for cost in grown]
    return found


def table(costs: list[Cost]) -> str:
    head = "call            agents  regions  zones   min ms  median ms   max ms   cpu ms  µs/zone  peak kB  kept B\n"
    return head + "\n".join(
        f"{cost.name:<14}{cost.size.agents:>8}{cost.size.regions:>9}{cost.size.policies:>7}{min(cost.wall_ms):>9.1f}"
        f"{cost.median_ms:>11.1f}{max(cost.wall_ms):>9.1f}{cost.cpu_ms:>9.1f}"
        f"{cost.median_ms * 1000 / cost.size.policies:>9.0f}{cost.peak / 1000:>9.0f}{cost.kept:>8}"
        for cost in costs
    )


def _traced(size: Size, known: Mapping[AgentRef, Attempts], *, trouble: bool) -> tuple[int, int]:
    """The highest peak of a call, and how much more is held after the last call than after the first.

    The collector empties the interpreter's free lists, which would else look like growth.
    """
    peaks, held = [], []
    tracemalloc.start()
    try:
        for _ in range(TRACED_CALLS):
            asked = fleet(size, known, trouble=trouble)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            answer = decide(asked)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            del asked, answer
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return max(peaks), held[-1] - held[0]


def _names(size: Size) -> tuple[str, ...]:
    return tuple([f"region-{index:02}" for index in range(size.regions)])


def _attempts(index: int, regions: tuple[str, ...]) -> Attempts:
    half = frozenset(regions[index % 2 :: 2]) if index % 7 == 0 else frozenset[str]()
    lines = tuple([
        AttemptLine(
            name=f"attempt-{place}", provider=f"provider-{(index + place) % PROVIDERS}",
            key=f"tenant-{index % 50}/key-{place}", host=f"{(index + place) % PROVIDERS}.example.com",
            weight=(index + place) % 5 * 10 if index % 4 == 0 else 0, regions=half if place == 1 else frozenset(),
            declares=frozenset({"gdpr"}),
        )
        for place in range(2 + index % 3)
    ])  # fmt: skip
    return Attempts(lines, compliance=frozenset({"gdpr"} if index % 5 == 0 else ()))


def _zone(size: Size, index: int) -> Zone:
    """Every policy differs from the next; a region of weight 0 is its standby."""
    standby = index % size.regions
    return Zone(
        name=f"policy-{index}", uid=f"uid-{index}", generation=1, residency="eu", host=f"{index}.voice.example.com",
        regions=tuple([
            ZoneRegion(name, 0 if place == standby and place else 10 + (index + place) % 9)
            for place, name in enumerate(_names(size))
        ]),
        witnesses=("witness",) if index % 2 else (), dwell_s=300.0 + index % 4 * 60,
        ramp=((5, 25, 50, 100), (10, 100))[index % 2], guards=Guards(1 + index % 3, 1 + index % 2, 10 + index % 3 * 10),
        levers=tuple([Lever(f"lever-{each}", "fake", "", "", "", weighted=each == 1) for each in range(1 + index % 2)]),
    )  # fmt: skip


def _view(size: Size, index: int, *, trouble: bool) -> View:
    zone = _zone(size, index)
    verdicts = {FAILED: Verdict.DOWN} if trouble else {}
    pools = {lever.name: f"pool-{index}" for lever in zone.levers}
    observations = [
        Observation(observer, target, verdicts.get(target, Verdict.UP), 0.5, 1.0 if target in verdicts else 900.0)
        for target in zone.members
        for observer in zone.observers_of(target)
    ]
    origins = [
        OriginState(lever.name, name, enabled=True, share=100 if lever.weighted else None)
        for lever in zone.levers
        for name in zone.members
    ]
    return View(
        zone=zone, fence=Fence(zone.name, 7, "pod-1"), last_ack_age_s=0.1,
        regions={name: Region(name, f"{name}.example.com", "eu", name, pools) for name in zone.members},
        observations=tuple(observations), origins=tuple(origins),
        memory={name: _remembered(index + place) for place, name in enumerate(zone.members)},
        loads={name: Load(4, 20 + (index + place) % 10, 200) for place, name in enumerate(zone.members)},
        heard_ago_s=dict.fromkeys(zone.voters, 0.5),
    )  # fmt: skip


def _remembered(turn: int) -> RegionMemory:
    """Every fourth region was lost once, long ago."""
    if turn % 4:
        return RegionMemory()
    return RegionMemory({Cause.LOST: Cordon(stands=False, changed_ago_s=5_000.0, flaps=1, reason="seen well again")})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench_decide", description="the cost of deciding for a whole fleet")
    parser.add_argument("--check", action="store_true", help="exit 1 when a figure is not met")
    parser.add_argument("--calls", type=int, default=CALLS, help="timed calls of each kind")
    options = parser.parse_args(argv)
    costs = [
        measure("region failed" if trouble else "no change", size, trouble=trouble, calls=options.calls)
        for trouble in (True, False)
        for size in (SMALL, LARGE)
    ]
    print(table(costs))
    found = breaches(costs[0], costs[1])
    print("\n".join([f"not met: {each}" for each in found]) or "all figures are met")
    return 1 if found and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
