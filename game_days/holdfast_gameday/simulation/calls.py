"""The calls of the zone as amounts per region: who is live where, who waits to be taken again, who was turned away.

Whole behaviour in five lines: new calls go where the levers lead; a region whose sockets close loses its calls, which
come again elsewhere by the carrier's `next`; a cordon touches no live call; a region takes only so many set-ups a
second, and falls silent when more are forced on it; what has no room is shed, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core import admission
from holdfast.core.values import Load

if TYPE_CHECKING:
    from holdfast_gameday.simulation.world import World

EVERY_S = 5.0
MEAN_CALL_S = 180.0
COLLAPSES_AFTER_S = 1.0
"""Set-ups that wait longer than the carrier's time to connect are asked for again, and then there are even more."""
COLLAPSE_S = 20.0


class Calls:
    """Amounts are real numbers: what counts is where they are, not who they are."""

    def __init__(self, world: World, *, paced: bool = True) -> None:
        self._world = world
        self._paced = paced
        members = world.zone.members
        self._per_pod = world.topology.calls_per_pod
        self.pods = dict.fromkeys(members, world.topology.pods)
        weights = {region.name: region.weight for region in world.zone.regions}
        total = sum(weights.values())
        self.live = {name: world.topology.calls * weights[name] / total for name in members}
        self.waiting = 0.0
        self.started = sum(self.live.values())
        self.finished = self.shed = self.carried = 0.0
        self.collapses = 0
        self._then = world.engine.now
        self._carried: dict[str, float] = {}

    def load(self, region: str) -> Load:
        active = int(self.live[region] + 0.5)
        room = max(self.pods[region] * self._per_pod - active, 0)
        return Load(self.pods[region], active, room)

    def total(self) -> float:
        return sum(self.live.values()) + self.waiting + self.finished + self.shed

    def advance(self) -> None:
        """Up to now: calls end, are lost with their region, are taken again, and new ones come."""
        passed_s = self._world.engine.now - self._then
        if passed_s <= 0:
            return
        self._then = self._world.engine.now
        for name in self.live:
            ended = self.live[name] * min(passed_s / MEAN_CALL_S, 1.0)
            self.live[name] -= ended
            self.finished += ended
        self._lose()
        coming = self._world.topology.calls * passed_s / MEAN_CALL_S
        self.started += coming
        takers = self._world.routes()
        if not takers:
            self.shed += coming
            return
        self._take(takers, coming, passed_s)

    def _lose(self) -> None:
        """Calls of a dead region are not over: the carrier asks where they go on."""
        for name, count in self.live.items():
            entry = self._world.entries[name]
            if count and (entry.closed or entry.mute):
                self.waiting += count
                self.live[name] = 0.0

    def _take(self, takers: dict[str, int], coming: float, passed_s: float) -> None:
        """Those who wait come back at the pace of `admission`, or all at once; new ones as they come."""
        total = sum(takers.values())
        loads = {name: self.load(name) for name in takers}
        rates = admission.rates(loads, takers)
        waiting = self.waiting
        for name, weight in takers.items():
            rate, wanted = rates.get(name, 0.0), waiting * weight / total
            if not self._paced and wanted > rate * COLLAPSES_AFTER_S:
                self._collapse(name)
                continue
            room = max(self.pods[name] * self._per_pod - self.live[name], 0.0)
            taken = min(self._wave(name, wanted, rate, passed_s) if self._paced else wanted, room)
            self.waiting -= taken
            self.carried += taken
            fresh = min(coming * weight / total, room - taken)
            self.live[name] += taken + fresh
            self.shed += coming * weight / total - fresh

    def _wave(self, name: str, wanted: float, rate: float, passed_s: float) -> float:
        """How many may come in this time; the last fraction of a call comes with the last wave."""
        count = int(wanted + 0.999)
        if not count:
            return 0.0
        wave = admission.wave(
            count, room=self.load(name).room, rate=rate, elapsed_s=passed_s, carried=self._carried.get(name, 0.0)
        )
        self._carried[name] = wave.carried
        return min(float(wave.admitted), wanted)

    def _collapse(self, name: str) -> None:
        """More set-ups than it can answer: it answers nobody, probes included."""
        self._world.entries[name].overloaded_until = self._world.engine.now + COLLAPSE_S
        self.collapses += 1
        self._world.sometimes["collapse"] += 1
        self._world.something_changed()
