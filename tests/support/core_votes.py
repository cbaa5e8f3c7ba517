"""A toy fleet: compare-and-set registers for Leases, and candidates driven by the production vote machine.

Everything happens on one heap of (time, number, event) and one random.Random(seed): a seed is a replay.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from holdfast.core import lease
from holdfast.core.values import Fence

DEADLINE_S = 0.6
TICK_S = 0.1


@dataclass
class Register:
    """One cluster's Lease. `down` until then: requests are lost."""

    lease: lease.LeaseView = field(default_factory=lease.LeaseView)
    writes: int = 0
    down_until: float = 0.0

    def write(self, seen: str, changed: lease.LeaseView) -> bool:
        if self.lease.stamp != seen:
            return False
        self.writes += 1
        self.lease = replace(changed, stamp=str(self.writes))
        return True

    def do(self, command: lease.Command, me: str) -> bool:
        match command:
            case lease.Read():
                return True
            case lease.Release(_, stamp):
                return self.write(stamp, replace(self.lease, holder=""))
            case lease.TryAcquire(_, stamp, epoch) | lease.Renew(_, stamp, epoch):
                return self.write(stamp, replace(self.lease, holder=me, epoch=epoch))


@dataclass
class Fleet:
    """`frozen[me]`: a candidate that hangs until then; what reaches it meanwhile waits."""

    seed: int
    clusters: tuple[str, ...] = ("fra", "ams", "iad")
    candidates: tuple[str, ...] = ("fra", "ams")
    delay_s: tuple[float, float] = (0.005, 0.08)
    loss: float = 0.0
    now: float = 100.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.registers = {name: Register() for name in self.clusters}
        self.nodes = {me: lease.Election("eu", me, self.clusters) for me in self.candidates}
        self.frozen: dict[str, float] = {}
        self.cut: set[tuple[str, str]] = set()
        self.leading: list[tuple[float, str, int]] = []
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        for me in self.candidates:
            self._at(self.now + self.random.random() * TICK_S, lambda me=me: self._tick(me))

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, what))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, what = heapq.heappop(self._heap)
            what()
            self.check()
        self.now = end

    def fences(self) -> list[Fence]:
        """Every right to write at this very moment, also of one that hangs: it might wake up."""
        return [fence for node in self.nodes.values() if (fence := node.fence(self.now))]

    def check(self) -> None:
        fences = self.fences()
        assert len(fences) <= 1, (self.seed, self.now, fences)
        for fence in fences:
            if not self.leading or self.leading[-1][1:] != (fence.holder, fence.epoch):
                assert all(fence.epoch > epoch for _, _, epoch in self.leading), (self.seed, self.leading, fence)
                self.leading.append((self.now, fence.holder, fence.epoch))

    def tell(self, me: str, event: lease.Event) -> None:
        if self.now < self.frozen.get(me, 0.0):
            self._at(self.frozen[me], lambda: self.tell(me, event))
            return
        retry_s = self.random.uniform(0.1, 0.5)
        self.nodes[me], commands = lease.step(self.nodes[me], event, now=self.now, retry_s=retry_s)
        for command in commands:
            self._send(me, command)

    def _tick(self, me: str) -> None:
        self._at(self.now + TICK_S, lambda: self._tick(me))
        if self.now >= self.frozen.get(me, 0.0):
            self.tell(me, lease.Tick())

    def _send(self, me: str, command: lease.Command) -> None:
        sent_at, there, back = self.now, self.random.uniform(*self.delay_s), self.random.uniform(*self.delay_s)
        lost_there, lost_back = self.random.random() < self.loss, self.random.random() < self.loss
        answered: list[bool] = []

        def answer(event: lease.Event) -> None:
            if not answered:
                answered.append(True)
                self.tell(me, event)

        def arrive() -> None:
            register = self.registers[command.cluster]
            if self.now < register.down_until or (me, command.cluster) in self.cut or lost_there:
                return
            done = register.do(command, me)
            event = (
                lease.Acked(command.cluster, sent_at, register.lease)
                if done
                else lease.Refused(command.cluster, register.lease)
            )
            if not lost_back:
                self._at(self.now + back, lambda: answer(event))

        self._at(self.now + there, arrive)
        self._at(sent_at + DEADLINE_S, lambda: answer(lease.Failed(command.cluster)))
