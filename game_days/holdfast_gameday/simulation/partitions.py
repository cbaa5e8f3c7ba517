"""Plays one cut through the production core and notes what each side did, from the cut to the rest after it.

Nothing is judged here beyond what the simulator's own judge says; how it is told is `partitions_page`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count

from holdfast.core import status
from holdfast.core.plans import CarrierMove
from holdfast.core.values import Cause, Guards, Reason
from holdfast_gameday.invariants import Violation
from holdfast_gameday.simulation import topology
from holdfast_gameday.simulation.cuts import AT_S, FOR_S, FRA, LEVER, Cut
from holdfast_gameday.simulation.schedule import Schedule
from holdfast_gameday.simulation.topology import Topology
from holdfast_gameday.simulation.world import World

DWELL_S = 60.0
LOOK_EVERY_S = 0.1
REST_WITHIN_S = 300.0
CALM_S = 30.0


@dataclass(frozen=True, slots=True)
class Out:
    """A region taken out, and the leader's word why. `off_after_s` None: still on at the lever when the cut ends."""

    region: str
    cause: Cause
    why: str
    off_after_s: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """What an operator would do when the cut ends, and is refused. Of those who follow a leader nothing is told."""

    operator: str
    region: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Calls:
    """`live`: in flight when the cut begins, of which `severed` lose their region and `carried` are taken up elsewhere.

    `routed`: in percent, where new calls end up when the cut ends. `deaf`: the regions that the lever still offers and
    that do not answer, so that the carrier's own fallback takes those calls on. `given_up`: those that are out and
    answer callers all the same.
    """

    live: int
    severed: int
    carried: int
    routed: dict[str, int]
    deaf: tuple[str, ...]
    given_up: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Healed:
    """After the cut: who leads, since when, and after how long each region was on again, and had its whole weight."""

    leads: str
    led_after_s: float
    back_after_s: dict[str, float] = field(default_factory=dict)
    whole_after_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened. `led_after_s`: when the one who leads as the cut ends began to; None: it led before.

    `votes` are those within its reach. `condition` is what the zone's status says of the vote. `holders_max` counts
    those who might write at one moment, `on_min` the regions that are on at the lever.
    """

    cut: Cut
    leads: str
    led_after_s: float | None
    votes: int
    condition: Reason
    out: tuple[Out, ...]
    held: tuple[Held, ...]
    calls: Calls
    healed: Healed
    holders_max: int
    on_min: int
    violations: tuple[Violation, ...]


def fleet(shape: str) -> Topology:
    """Any one region has room for all calls, so that nothing is turned away for want of it."""
    return topology.build(shape, dwell_s=DWELL_S, guards=Guards(), fullness=0.3)


@cache
def seed_of(shape: str) -> int:
    """The first seed with which fra leads when the cut begins; which one it is matters to nobody."""
    for seed in count(1):
        world = World(Schedule(seed, fleet(shape), ()))
        world.engine.run(AT_S - 1.0)
        leader = world.leader()
        if leader is not None and leader.name == FRA:
            return seed
    raise AssertionError("unreachable")


@cache
def play(shape: str, cut: Cut) -> Seen:
    """One cut, from well before it to well after."""
    world = World(Schedule(seed_of(shape), fleet(shape), cut.faults, calm_from_s=AT_S + FOR_S))
    watch = _Watch(world)
    watch.until(AT_S - 0.5)
    live, carried = dict(world.calls.live), world.calls.carried
    watch.until(AT_S + 0.5)
    severed = sum(calls for name, calls in live.items() if not world.entries[name].answers(world.engine.now))
    watch.until(AT_S + FOR_S - 0.5)
    leads, out, held = _leader(world), tuple(_out(world, watch)), tuple(_held(world))
    meanwhile = (leads, watch.led_after_s(AT_S), _votes(world, leads), _condition(world, leads))
    calls = Calls(
        round(sum(live.values())), round(severed), round(world.calls.carried - carried), _routed(world),
        *_misled(world, tuple(each.region for each in out)),
    )  # fmt: skip
    watch.until_rest()
    healed = Healed(_leader(world), watch.led_after_s(AT_S + FOR_S) or 0.0, watch.back, watch.whole)
    return Seen(
        cut, *meanwhile, out, held, calls, healed,
        holders_max=watch.holders_max, on_min=watch.on_min, violations=tuple(world.judge.violations),
    )  # fmt: skip


class _Watch:
    """Looks at the world ten times a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._led: list[tuple[float, str]] = []
        self.off: dict[str, float] = {}
        self.back: dict[str, float] = {}
        self.whole: dict[str, float] = {}
        self.last_leader = ""
        self.holders_max = 0
        self.on_min = len(world.zone.members)

    def until(self, when: float) -> None:
        engine = self._world.engine
        while engine.now < when - LOOK_EVERY_S / 2:
            engine.run(min(engine.now + LOOK_EVERY_S, when))
            self._look()

    def until_rest(self) -> None:
        """Every region has its whole weight again and somebody leads, for a while."""
        engine = self._world.engine
        self.until(AT_S + FOR_S)
        calm_since, end = engine.now, engine.now + REST_WITHIN_S
        while engine.now < end and engine.now - calm_since < CALM_S:
            self.until(engine.now + LOOK_EVERY_S)
            if not (_leader(self._world) and self._all_whole()):
                calm_since = engine.now

    def led_after_s(self, since_s: float) -> float | None:
        """How long after that time the present leader began, nobody else having led since; None: it led before."""
        name = self._led[-1][1]
        before = [began for began, leader in self._led if leader not in ("", name)]
        after = max(before, default=float("-inf"))
        began = min(began for began, leader in self._led if leader == name and began > after)
        return began - since_s if name and began > since_s else None

    def _look(self) -> None:
        world, now, leads = self._world, self._world.engine.now, _leader(self._world)
        if not self._led or self._led[-1][1] != leads:
            self._led.append((now, leads))
        self.last_leader = leads or self.last_leader
        self.holders_max = max(self.holders_max, sum(each.leads() for each in world.operators.values()))
        origins = world.vendors[LEVER].origins
        self.on_min = min(self.on_min, sum(origin.enabled for origin in origins.values()))
        for name, origin in origins.items():
            if not origin.enabled:
                self.off.setdefault(name, now - AT_S)
                self.back.pop(name, None)
                self.whole.pop(name, None)
            elif name in self.off:
                self.back.setdefault(name, now - AT_S - FOR_S)
                if origin.share == 100:
                    self.whole.setdefault(name, now - AT_S - FOR_S)

    def _all_whole(self) -> bool:
        world = self._world
        remembered = world.operators[self.last_leader].remembered()
        kept_out = any(known.standing or known.step is not None for known in remembered.values())
        return not kept_out and all(o.enabled and o.share == 100 for o in world.vendors[LEVER].origins.values())


def _leader(world: World) -> str:
    leader = world.leader()
    return leader.name if leader else ""


def _votes(world: World, operator: str) -> int:
    """How many votes an operator can write."""
    here = ("op", operator)
    return sum(
        cluster.answers(write=True) and world.network.both_ways(here, ("api", name))
        for name, cluster in world.clusters.items()
    )


def _condition(world: World, leads: str) -> Reason:
    return status.quorum(world.zone, leader=leads or None).reason


def _out(world: World, watch: _Watch) -> Iterator[Out]:
    remembered = world.operators[watch.last_leader].remembered()
    for name in world.zone.members:
        known = remembered.get(name)
        if known is not None and known.standing:
            still_on = world.vendors[LEVER].origins[name].enabled
            yield Out(name, known.standing[0], known.reason, None if still_on else watch.off[name])


def _held(world: World) -> Iterator[Held]:
    for name, operator in world.operators.items():
        alone = _votes(world, name) < world.zone.majority
        if not operator.awake() or not (operator.leads() or alone):
            continue
        for refusal in operator.plan.refusals:
            action = refusal.action
            yield Held(name, action.carrier if isinstance(action, CarrierMove) else action.region, refusal.reason)


def _routed(world: World) -> dict[str, int]:
    weights = world.routes()
    total = sum(weights.values())
    return {name: round(100 * weight / total) for name, weight in weights.items() if weight}


def _misled(world: World, out: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The regions that are on and do not answer, and those that are out and do."""
    origins, now = world.vendors[LEVER].origins, world.engine.now
    answering = [name for name in world.zone.members if world.entries[name].answers(now)]
    deaf = tuple(name for name in world.zone.members if origins[name].enabled and name not in answering)
    return deaf, tuple(name for name in out if name in answering)
