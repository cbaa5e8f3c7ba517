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

TICK_S = 0.1
START_S = 100.0


@dataclass
class Register:
    """One cluster's Lease, at first held by nobody, and all that it ever was. `down` until then: requests are lost.

    `read_only`: writes get no answer and take no effect. `refuses`: they are answered as if somebody had been faster.
    """

    lease: lease.LeaseView = field(default_factory=lambda: lease.LeaseView(stamp="0"))
    writes: int = 0
    down_until: float = 0.0
    read_only: bool = False
    refuses: bool = False
    history: list[tuple[float, lease.LeaseView]] = field(default_factory=list)

    def put(self, changed: lease.LeaseView, now: float) -> None:
        """Written by whomever: the version moves on, also after a restore (as etcd's own advice for it has it)."""
        self.writes += 1
        self.lease = replace(changed, stamp=str(self.writes))
        self.history.append((now, self.lease))

    def do(self, command: lease.Command, me: str, memory: str, now: float) -> bool:
        if isinstance(command, lease.Read):
            return True
        if self.refuses or self.lease.stamp != command.stamp:
            return False
        match command:
            case lease.Release():
                self.put(replace(self.lease, holder=""), now)
            case lease.TryAcquire(_, _, epoch):
                self.put(replace(self.lease, holder=me, epoch=epoch), now)
            case lease.Renew(_, _, epoch):
                self.put(replace(self.lease, holder=me, epoch=epoch, memory=memory), now)
        return True

    def delete(self, now: float) -> None:
        self.lease = lease.LeaseView()
        self.history.append((now, self.lease))

    def restore(self, at: float, now: float) -> None:
        """What stood here at that time stands here again."""
        self.put(next((old for when, old in reversed(self.history) if when <= at), lease.LeaseView()), now)


@dataclass
class Fleet:
    """`frozen[me]`: a candidate that hangs until then; what reaches it meanwhile waits. `rate`, `offset`: their clocks.

    `cut`: (who, cluster) whose requests are lost. `deaf`: whose answers are; the request takes effect.
    `marks`: leaders leave their epoch at a vendor at once, and everybody reads it there. `timer`: nobody ticks before
    `wakes_at`. What leaders remember are texts, of which the greater is the newer.
    """

    seed: int
    clusters: tuple[str, ...] = ("fra", "ams", "iad")
    candidates: tuple[str, ...] = ("fra", "ams")
    delay_s: tuple[float, float] = (0.005, 0.08)
    loss: float = 0.0
    marks: bool = False
    timer: bool = False
    deadline_s: float = 0.6
    now: float = START_S
    cut: set[tuple[str, str]] = field(default_factory=set)
    deaf: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.registers = {name: Register() for name in self.clusters}
        self.nodes = {me: lease.Election("eu", me, self.clusters) for me in self.candidates}
        self.memory = dict.fromkeys(self.candidates, "")
        self.rate = dict.fromkeys(self.candidates, 1.0)
        self.offset = dict.fromkeys(self.candidates, 0.0)
        self.frozen: dict[str, float] = {}
        self.committed = ""
        self.leading: list[tuple[float, str, int]] = []
        self.sent: list[tuple[float, str, lease.Command]] = []
        self.ticks = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._alarm = dict.fromkeys(self.candidates, float("inf"))
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

    def run_until(self, true: Callable[[], object], within_s: float) -> float:
        """How long it took until it was true."""
        began = self.now
        while not true():
            assert self.now < began + within_s, f"seed {self.seed}: not within {within_s} s"
            self.run(TICK_S / 2)
        return self.now - began

    def heal(self) -> None:
        """No fault goes on; what is on its way stays on its way."""
        self.cut, self.deaf, self.frozen, self.loss = set(), set(), {}, 0.0
        for register in self.registers.values():
            register.down_until, register.read_only, register.refuses = 0.0, False, False

    def rewind(self, cluster: str, *, to: float) -> None:
        """Restored from a backup of that time; what a majority remembered need not be remembered any more."""
        self.registers[cluster].restore(to, self.now)
        self.committed = ""

    def store(self, me: str, text: str) -> None:
        """What the next renewals carry."""
        self.memory[me] = text
        self.tell(me, lease.RenewNow())

    def local(self, me: str) -> float:
        """The time on this candidate's own clock."""
        return START_S + self.offset[me] + (self.now - START_S) * self.rate[me]

    def fences(self) -> list[Fence]:
        """Every right to write at this very moment, also of one that hangs: it might wake up."""
        return [fence for me, node in self.nodes.items() if (fence := node.fence(self.local(me)))]

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
        floor = max((epoch for _, _, epoch in self.leading), default=0) if self.marks else 0
        node, now = replace(self.nodes[me], floor=floor), self.local(me)
        self.nodes[me], commands = lease.step(node, event, now=now, retry_s=self.random.uniform(0.1, 0.5))
        if isinstance(self.nodes[me].phase, lease.Leader) and not isinstance(node.phase, lease.Leader):
            self._recall(me)
        for command in commands:
            self._send(me, command)
        self._wind(me)

    def _recall(self, me: str) -> None:
        """A new leader goes on from the newest that it finds, and that is no older than what a majority ever held."""
        self.memory[me] = max(text for text, _ in self.nodes[me].memories(self.local(me)))
        assert self.memory[me] >= self.committed, (self.seed, self.now, me, self.memory[me], self.committed)

    def _commit(self) -> None:
        held = sorted((register.lease.memory for register in self.registers.values()), reverse=True)
        self.committed = max(self.committed, held[len(held) // 2])

    def _wind(self, me: str) -> None:
        """Set the one timer anew."""
        if self.timer:
            since_s = (lease.wakes_at(self.nodes[me]) - self.local(me)) / self.rate[me]
            if (due := self.now + max(since_s, 0.0) + 1e-6) < self._alarm[me]:
                self._alarm[me] = due
                self._at(due, lambda: self._ring(me, due))

    def _ring(self, me: str, due: float) -> None:
        if self._alarm[me] == due:
            self._alarm[me] = float("inf")
            self.ticks += 1
            self.tell(me, lease.Tick())

    def _tick(self, me: str) -> None:
        if not self.timer:
            self._at(self.now + TICK_S, lambda: self._tick(me))
        if self.now >= self.frozen.get(me, 0.0):
            self.ticks += 1
            self.tell(me, lease.Tick())

    def _send(self, me: str, command: lease.Command) -> None:
        self.sent.append((self.now, me, command))
        sent_at, there, back = self.local(me), self.random.uniform(*self.delay_s), self.random.uniform(*self.delay_s)
        lost_there, lost_back = self.random.random() < self.loss, self.random.random() < self.loss
        memory, answered = self.memory[me], list[bool]()

        def answer(event: lease.Event) -> None:
            if not answered:
                answered.append(True)
                self.tell(me, event)

        def arrive() -> None:
            register, link = self.registers[command.cluster], (me, command.cluster)
            if self.now < register.down_until or link in self.cut or lost_there:
                return
            if register.read_only and not isinstance(command, lease.Read):
                return
            done = register.do(command, me, memory, self.now)
            self._commit()
            event = (
                lease.Acked(command.cluster, sent_at, register.lease)
                if done
                else lease.Refused(command.cluster, register.lease)
            )
            if not lost_back and link not in self.deaf:
                self._at(self.now + back, lambda: answer(event))

        self._at(self.now + there, arrive)
        self._at(self.now + self.deadline_s, lambda: answer(lease.Failed(command.cluster)))
