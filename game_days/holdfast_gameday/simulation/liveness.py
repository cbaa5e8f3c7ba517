"""What has to happen, and how fast: lost regions are taken out, and once all is well again the fleet comes to rest.

Beside the two liveness invariants it keeps the times of every clean loss, from which the figures are made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.core import dwells
from holdfast.core.plans import View
from holdfast.core.values import Cause, RegionMemory
from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.invariants import Invariant

if TYPE_CHECKING:
    from holdfast_gameday.simulation.operators import Operator
    from holdfast_gameday.simulation.world import World

QUIET_BEFORE_S = 75.0
QUIET_AFTER_S = 30.0
EFFECTIVE_WITHIN_S = 20.0
REST_WITHIN_S = 60.0
GRAY_FORGOTTEN_S = 70.0
"""A region that answered badly is well again once the bad answers have left the last twelve probes."""
NO_WRITES_FOR_S = 300.0
SLACK = 1.05
LOOKS_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Loss:
    """One region lost with nothing else wrong; seconds since the fault, None: did not happen."""

    topology: str
    kind: str
    region: str
    leader_in_it: bool
    struck_at: float
    detected_s: float | None = None
    decided_s: float | None = None
    effective_s: float | None = None


class Liveness:
    """One seed's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._open: Loss | None = None
        self.losses: list[Loss] = []
        self.rest_after_s: float | None = None

    # L3.

    def struck(self, fault: Fault) -> None:
        leader = self._world.leader()
        if fault.kind not in (Kind.KILL, Kind.BLACKHOLE) or leader is None or not self._clean(fault, leader):
            return
        world, its_leader = self._world, leader.name == fault.target
        loss = Loss(world.topology.name, fault.kind.word, fault.target, its_leader, world.engine.now)
        self._open = loss
        self._world.sometimes["clean loss"] += 1
        self._world.engine.after(EFFECTIVE_WITHIN_S, lambda: self._due(loss))

    def seen_down(self, observer: str, region: str) -> None:
        if self._open and self._open.region == region != observer and self._open.detected_s is None:
            self._open = replace(self._open, detected_s=self._since())

    def stored(self, memory: dict[str, RegionMemory]) -> None:
        if self._open is None or self._open.decided_s is not None:
            return
        if Cause.LOST in memory.get(self._open.region, RegionMemory()).standing:
            self._open = replace(self._open, decided_s=self._since())

    def read_back(self, region: str) -> None:
        if self._open is None or self._open.region != region or self._open.effective_s is not None:
            return
        if not any(vendor.origins[region].enabled for vendor in self._world.vendors.values()):
            self._open = replace(self._open, effective_s=self._since())
            self.losses.append(self._open)

    def _since(self) -> float:
        return self._world.engine.now - self._open.struck_at if self._open else 0.0

    def _due(self, loss: Loss) -> None:
        if self._open is None or self._open.struck_at != loss.struck_at:
            return
        if self._open.effective_s is None:
            words = f"{loss.region} is lost since {EFFECTIVE_WITHIN_S:.0f} s and not out: {self._open}"
            self._world.judge.breach(Invariant.DETECTS, words)
        self._open = None

    def _clean(self, fault: Fault, leader: Operator) -> bool:
        """Whether nothing but this fault stands between it and its remedy."""
        world, now, zone = self._world, self._world.engine.now, self._world.zone
        near = [
            other
            for other in world.schedule.faults
            if other is not fault
            and other.at_s < now + QUIET_AFTER_S
            and max(other.until_s, other.at_s) > now - QUIET_BEFORE_S
        ]
        view = leader.view
        if near or view is None or len(zone.voters) - 1 < zone.majority or not self._settled(view):
            return False
        others = [name for name in view.able() if name != fault.target]
        budgets = all(budget.left > 20 for budget in view.budgets.values())
        return fault.target in view.able() and len(others) >= zone.guards.min_serving and budgets

    def _settled(self, view: View) -> bool:
        return all(
            vendor.origins[name].enabled is (name in view.serving())
            for vendor in self._world.vendors.values()
            for name in view.zone.members
        )

    # L1.

    def rest(self) -> None:
        """Run on until all is as it should be, and then see that nothing is written any more."""
        world, calm_from_s = self._world, self._world.schedule.calm_from_s
        world.engine.run(calm_from_s + REST_WITHIN_S / 2)
        patience_s = self._patience_s()
        while (missing := self._missing()) and world.engine.now < calm_from_s + patience_s:
            world.engine.run(world.engine.now + LOOKS_EVERY_S)
        self.rest_after_s = world.engine.now - calm_from_s
        if missing:
            world.judge.breach(Invariant.SETTLES, f"{patience_s:.0f} s after the last fault: {'; '.join(missing)}")
        at_rest_from, written = world.engine.now, world.judge.writes
        world.engine.run(max(at_rest_from + NO_WRITES_FOR_S, calm_from_s + world.schedule.calm_s))
        if world.judge.writes > written and not missing:
            words = f"{world.judge.writes - written} writes after all was as wanted"
            world.judge.breach(Invariant.SETTLES, words)

    def _patience_s(self) -> float:
        """A minute, and the dwells and ramps that bind at the end of the faults."""
        leader = self._world.leader()
        view = leader.view if leader else None
        if view is None:
            return REST_WITHIN_S
        waits = [0.0]
        for name, remembered in view.memory.items():
            waits += [dwells.dwell_s(name, cause, view) * SLACK for cause in remembered.standing]
            if remembered.step is not None:
                waits.append(1.0)
        waits += [dwells.grown_s(cordon, view) * SLACK for cordon in view.carriers.values() if cordon.stands]
        ramp_s = self._world.zone.dwell_s * SLACK + LOOKS_EVERY_S * len(self._world.zone.ramp)
        gray_s = GRAY_FORGOTTEN_S if any(view.tally(name).degraded for name in view.zone.members) else 0.0
        asking_s = max(self._world.local.asks_for_s(name) for name in view.zone.members)
        return REST_WITHIN_S + asking_s + max(waits) + (ramp_s if max(waits) else 0.0) + gray_s

    def _missing(self) -> list[str]:
        """What is not yet as it should be when nothing is wrong."""
        world = self._world
        leader = world.leader()
        if leader is None:
            return ["nobody leads"]
        memory = leader.remembered()
        missing = [
            f"{name} is out ({', '.join(cause.value for cause in known.standing)})"
            for name, known in memory.items()
            if known.standing
        ]
        missing += [f"carrier {name} is out" for name, known in leader.carriers().items() if known.stands]
        missing += [f"{name} is at step {known.step}" for name, known in memory.items() if known.step is not None]
        for lever in world.zone.levers:
            for name, origin in world.vendors[lever.name].origins.items():
                if not origin.enabled:
                    missing.append(f"{name} is off at {lever.name}")
                elif lever.weighted and origin.share != 100:
                    missing.append(f"{name} is at {origin.share} % at {lever.name}")
        return missing
