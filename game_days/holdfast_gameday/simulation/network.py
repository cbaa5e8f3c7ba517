"""Who reaches whom: one-way blocks between places, loss, and the delay of a message.

A place is a kind and a name: ("op", "fra") is the operator of fra, ("api", "fra") its API server, ("entry", "fra") its
public entry and ("vendor", "edge") the vendor of a lever. Nothing here knows what is said.
"""

from __future__ import annotations

import random
from collections import Counter

Place = tuple[str, str]

DELAY_S = (0.004, 0.060)


class Network:
    """Blocks are counted, so that faults which overlap may end in any order."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._blocked: Counter[tuple[Place, Place]] = Counter()
        self._silent: Counter[str] = Counter()
        self._loss: dict[str, float] = {}

    def block(self, source: Place, target: Place, by: int = 1) -> None:
        """One direction only; `by` -1 takes one block away."""
        self._blocked[source, target] += by

    def silence(self, name: str, by: int = 1) -> None:
        """Nothing gets in or out of this cluster; what is inside it still talks to itself."""
        self._silent[name] += by

    def silenced(self, name: str) -> bool:
        return self._silent[name] > 0

    def lose(self, name: str, share: float) -> None:
        """0: no more."""
        self._loss.pop(name, None)
        if share:
            self._loss[name] = share

    def open(self, source: Place, target: Place) -> bool:
        """Whether a message would get through, were none lost by chance."""
        if source[1] != target[1] and (self._silent[source[1]] or self._silent[target[1]]):
            return False
        return not self._blocked[source, target]

    def passes(self, source: Place, target: Place) -> bool:
        if not self.open(source, target):
            return False
        return source[1] == target[1] or not self._loss or not self._lost(source[1], target[1])

    def both_ways(self, one: Place, other: Place) -> bool:
        return self.open(one, other) and self.open(other, one)

    def clear(self, one: Place, other: Place) -> bool:
        """Open in both directions, and nothing is lost on the way."""
        return self.both_ways(one, other) and not (self._loss and self.loss_between(one[1], other[1]))

    def loss_between(self, one: str, other: str) -> float:
        return max(self._loss.get(one, 0.0), self._loss.get(other, 0.0))

    def delay_s(self) -> float:
        return self._dice.uniform(*DELAY_S)

    def _lost(self, one: str, other: str) -> bool:
        share = self.loss_between(one, other)
        return share > 0.0 and self._dice.random() < share
