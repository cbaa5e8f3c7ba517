"""One operator's part in the election: the production vote machine, and a double of the shell that drives it.

As in the shell every command gets exactly one outcome, within its deadline; what comes later finds nobody waiting.
In calm the messages take no time, which is one of the schedules a real network could choose.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

from holdfast.core import lease
from holdfast.core.values import Fence
from holdfast_gameday.simulation.engine import Engine, Resume, Wait
from holdfast_gameday.simulation.network import Network
from holdfast_gameday.simulation.stores import Cluster

# These four are the shell's; a test compares them.
CALL_DEADLINE_S = 0.6
STORE_DEADLINE_S = 1.5
CONFIRM_DEADLINE_S = 1.2
RETRY_S = (0.1, 0.5)

# How often the machine is told of the time: the shell does it every 0.1 s, and in calm less often changes nothing.
HURRIED_S = 0.3
LEADER_RENEWS_S = 3.0
FOLLOWER_READS_S = 1.5  # times the number of Leases there are to read


class Host(Protocol):
    """The process that takes part."""

    name: str

    def clock(self) -> float:
        """CLOCK_BOOTTIME of this process."""
        ...

    def awake(self) -> bool:
        """Whether it runs at all now."""
        ...

    def when_awake(self, what: Callable[[], None]) -> None:
        """Now, or as soon as it runs again; never, if this life of it has ended."""
        ...

    def memory_text(self) -> str:
        """What a renewal stores; empty: nothing to say."""
        ...

    def led(self) -> None:
        """Leadership turned."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """What a message travels over, and who is at the other end."""

    engine: Engine
    network: Network
    clusters: Mapping[str, Cluster]
    calm: Callable[[], bool]
    duplicated: Callable[[str, str], bool]

    def direct(self, operator: str, cluster: Cluster) -> bool:
        """Whether nothing at all is wrong between the two, nor has been lately."""
        if not self.calm() or self.duplicated(operator, cluster.name) or not cluster.answers(write=True):
            return False
        return operator == cluster.name or self.network.clear(("op", operator), ("api", cluster.name))


@dataclass(slots=True)
class _Waiting:
    """Somebody waits until something is true of the vote."""

    true: Callable[[], bool]
    resume: Resume
    over: bool = False


class Vote:
    """One life of one operator in one election."""

    def __init__(
        self, *, zone: str, voters: tuple[str, ...], me: str, host: Host, line: Line, dice: random.Random
    ) -> None:
        self._host = host
        self._line = line
        self._dice = dice
        self.state = lease.Election(zone, me, voters)
        self.floor: Callable[[], int] = lambda: 0
        self._wanted = 0
        self._stored: dict[str, int] = {}
        self._waiting: list[_Waiting] = []
        self._was_leading = False

    def fence(self) -> Fence | None:
        floor = self.floor()
        state = self.state if self.state.floor == floor else replace(self.state, floor=floor)
        return state.fence(self._host.clock())

    def last_ack_age_s(self) -> float:
        acked_at = self.state.majority_acked_at()
        return float("inf") if acked_at is None else self._host.clock() - acked_at

    def memories(self) -> tuple[tuple[str, float], ...]:
        return self.state.memories(self._host.clock())

    def tick(self) -> float:
        """Time has passed. What the machine itself says would change nothing is not told to it.

        Answers for how long, in seconds, that stays so; 0: it was told.
        """
        early_s = lease.wakes_at(self.state) - self._host.clock()
        if early_s <= 0.0 or self.state.floor != self.floor():
            self.feed(lease.Tick())
            return 0.0
        if self._waiting:
            self._look_who_waits()
        return early_s

    def feed(self, event: lease.Event) -> None:
        state = self.state if self.state.floor == self.floor() else replace(self.state, floor=self.floor())
        retry_s = self._dice.uniform(*RETRY_S)
        self.state, commands = lease.step(state, event, now=self._host.clock(), retry_s=retry_s)
        for command in commands:
            self._send(command)
        leading = isinstance(self.state.phase, lease.Leader)
        if leading is not self._was_leading:
            self._was_leading = leading
            if not leading:
                self._stored.clear()
            self._host.led()
        if self._waiting:
            self._look_who_waits()

    def confirm(self) -> Wait:
        """Renew now; answers whether a majority acknowledged a renewal sent after this."""

        def start(resume: Resume) -> None:
            asked_at = self._host.clock()

            def confirmed() -> bool:
                acked_at = self.state.majority_acked_at()
                return acked_at is not None and acked_at >= asked_at

            self._wait(_Waiting(confirmed, resume), CONFIRM_DEADLINE_S)
            self.feed(lease.RenewNow())

        return start

    def store(self) -> Wait:
        """Renew now; answers whether a majority stored what is remembered from here on."""

        def start(resume: Resume) -> None:
            self._wanted += 1
            wanted = self._wanted

            def stored() -> bool:
                return sum(number >= wanted for number in self._stored.values()) >= self.state.majority

            self._wait(_Waiting(stored, resume), STORE_DEADLINE_S)
            self.feed(lease.RenewNow())

        return start

    def _wait(self, waiting: _Waiting, deadline_s: float) -> None:
        self._waiting.append(waiting)
        self._line.engine.after(deadline_s, lambda: self._end(waiting, answer=False))

    def _look_who_waits(self) -> None:
        for waiting in [each for each in self._waiting if not each.over]:
            fence = self.fence()
            if fence is None or waiting.true():
                self._end(waiting, answer=fence is not None)

    def _end(self, waiting: _Waiting, *, answer: bool) -> None:
        if not waiting.over:
            waiting.over = True
            self._waiting.remove(waiting)
            self._line.engine.after(0.0, lambda: waiting.resume(answer))

    # Messages.

    def _send(self, command: lease.Command) -> None:
        here, there = ("op", self._host.name), ("api", command.cluster)
        cluster = self._line.clusters[command.cluster]
        flight = _Flight(self, command, self._host.clock(), self._wanted, self._host.memory_text())
        if self._line.direct(self._host.name, cluster):
            self._line.engine.after(0.0, lambda: flight.told(flight.perform(cluster)))
            return
        network, engine = self._line.network, self._line.engine
        if not network.passes(here, there):
            engine.after(CALL_DEADLINE_S, flight.failed)
            return
        engine.after(network.delay_s(), lambda: self._arrive(flight, cluster))

    def _arrive(self, flight: _Flight, cluster: Cluster) -> None:
        network, engine = self._line.network, self._line.engine
        here, there = ("op", self._host.name), ("api", cluster.name)
        back_s = network.delay_s()
        if cluster.down:
            engine.after(back_s, flight.failed)
            return
        if not cluster.answers(write=not isinstance(flight.command, lease.Read)):
            engine.after(CALL_DEADLINE_S, flight.failed)
            return
        outcome = flight.perform(cluster)
        if self._line.duplicated(self._host.name, cluster.name):
            flight.perform(cluster)
            back_s = self._dice.uniform(0.3, 0.9)
        if not network.passes(there, here) or back_s > CALL_DEADLINE_S:
            engine.after(CALL_DEADLINE_S, flight.failed)
            return
        engine.after(back_s, lambda: flight.told(outcome))

    def outcome(self, flight: _Flight, event: lease.Event) -> None:
        """A command's one outcome has come in."""
        if isinstance(flight.command, lease.Renew) and isinstance(event, lease.Acked):
            self._stored[flight.command.cluster] = flight.wanted
        self._host.when_awake(lambda: self.feed(event))

    def engine_now(self) -> float:
        return self._line.engine.now


class Pace:
    """Tells one vote of the time, in one series of ticks."""

    def __init__(self, vote: Vote, host: Host, engine: Engine, calm: Callable[[], bool]) -> None:
        self._vote = vote
        self._host = host
        self._engine = engine
        self._calm = calm
        self._series = 0

    def begin(self) -> None:
        """Tick now; a series under way ends."""
        self._series += 1
        self._tick(self._series)

    def _tick(self, series: int) -> None:
        if series == self._series:
            self._host.when_awake(lambda: self._told(series))

    def _told(self, series: int) -> None:
        early_s = self._vote.tick()
        self._engine.after(self._rest_s(early_s), lambda: self._tick(series))

    def _rest_s(self, early_s: float) -> float:
        if not self._calm():
            return HURRIED_S
        state = self._vote.state
        rest_s = LEADER_RENEWS_S if isinstance(state.phase, lease.Leader) else FOLLOWER_READS_S * len(state.voters)
        # A tick that came too early is made up for in time, or a leader would let its leadership run out.
        return min(rest_s, max(early_s, 0.05)) if early_s else rest_s


@dataclass(frozen=True, slots=True)
class _Flight:
    """One command under way, with what it carries."""

    vote: Vote
    command: lease.Command
    sent_at: float
    wanted: int
    memory: str

    def perform(self, cluster: Cluster) -> lease.Event:
        """What the server does, and would say."""
        now, me, before = self.vote.engine_now(), self.vote.state.me, cluster.lease
        match self.command:
            case lease.Read():
                return lease.Acked(cluster.name, self.sent_at, before)
            case lease.TryAcquire(_, stamp, epoch):
                done = cluster.write(stamp, replace(before, holder=me, epoch=epoch), now)
            case lease.Renew(_, stamp, epoch):
                memory = self.memory or before.memory
                done = cluster.write(stamp, replace(before, holder=me, epoch=epoch, memory=memory), now)
            case lease.Release(_, stamp):
                done = cluster.write(stamp, replace(before, holder=""), now)
            case _ as never:
                assert_never(never)
        if done:
            return lease.Acked(cluster.name, self.sent_at, cluster.lease)
        return lease.Refused(cluster.name, cluster.lease)

    def told(self, event: lease.Event) -> None:
        self.vote.outcome(self, event)

    def failed(self) -> None:
        self.vote.outcome(self, lease.Failed(self.command.cluster))
