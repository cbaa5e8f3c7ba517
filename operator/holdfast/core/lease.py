"""One zone's vote: who leads is whoever holds a majority of Leases, one in each cluster of the zone.

The machine is told what happened and answers with what to send; every command is then answered, within a deadline,
by exactly one of Acked, Refused or Failed. It never waits, sends nothing itself and reads no clock: `now` is
CLOCK_BOOTTIME, and so is `sent_at`, taken before a request left.

    Follower ── a majority of votes is free ──► Candidate ── a majority acknowledged ──► Leader
        ▲                                         │                                        │
        └──── lost the first vote, or too few ────┴──── 3.3 s since the last majority ─────┘

Why two can never lead: a vote is taken only 5 s after its Lease was last seen to change, and two majorities
share a vote; whoever held it before sent its last renewal earlier than that, and ended 3.3 s after sending. Only a
release frees a vote earlier. A Lease that lost its epoch, or is not there, may be one just deleted: it is waited for.

Why no epoch is used twice: a vote is taken by compare-and-set from the very Lease that was read, with an epoch above
all ever found. Should all Leases be lost, nothing is written below the highest at the vendors (`floor`).

How far clocks may drift: durations alone are measured, each on one clock. Over d, the part by which a leader's
clock is slow and a follower's fast, leading takes 3.3/(1 - d) s and waiting 5/(1 + d) s: they meet at d = 20 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from holdfast.core.values import Fence

DURATION_S = 5.0
ASK_EVERY_S = 1.0
LEADERSHIP_S = 3.3
EPOCH_LIMIT = 500_000_000_000_000  # no row of nines lies just below it: what a hand types can be counted on from
ALWAYS, NEVER = float("-inf"), float("inf")


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A Lease as read. `stamp` changes with every write (its resourceVersion); all empty: it does not exist.

    `epoch` None: what is stored there is unreadable, and such a vote is not taken.
    """

    holder: str = ""
    stamp: str = ""
    epoch: int | None = 0
    memory: str = ""


# What happened.


@dataclass(frozen=True, slots=True)
class Acked:
    """A command succeeded; `lease` is the Lease as it is after it."""

    cluster: str
    sent_at: float
    lease: LeaseView


@dataclass(frozen=True, slots=True)
class Refused:
    """The Lease was not the one named; `lease` is what it is now, None if that could not be read."""

    cluster: str
    lease: LeaseView | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or none that can be trusted: the command may or may not have taken effect."""

    cluster: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; sent several times a second, or at `wakes_at`."""


@dataclass(frozen=True, slots=True)
class RenewNow:
    """Renew every vote out of turn, to store a memory or to prove the fence before a write."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Give up for good: the pod is no longer its region's active one, or ends."""


Event = Acked | Refused | Failed | Tick | RenewNow | Withdraw


# What to send.


@dataclass(frozen=True, slots=True)
class Read:
    cluster: str


@dataclass(frozen=True, slots=True)
class TryAcquire:
    """Write ourselves and the epoch over exactly the Lease with this stamp; its memory stays as it is."""

    cluster: str
    stamp: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Renew:
    """Write the Lease anew, with the memory that is to be stored."""

    cluster: str
    stamp: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Release:
    """Empty the holder; epoch and memory stay."""

    cluster: str
    stamp: str


Command = Read | TryAcquire | Renew | Release


@dataclass(frozen=True, slots=True)
class Follower:
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """`tried`: the votes already asked for in this attempt."""

    epoch: int
    tried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Leader:
    epoch: int


Phase = Follower | Candidate | Leader


@dataclass(frozen=True, slots=True)
class Vote:
    """One cluster's Lease as we know it.

    `unchanged_since`: when we first saw it as it is. `epoch_seen`: the highest that was ever seen there. `acked_at`:
    when the last write was sent that made or kept it ours in this epoch. `under_way`: the command without an answer.
    """

    lease: LeaseView | None = None
    unchanged_since: float = 0.0
    epoch_seen: int = 0
    reachable: bool = False
    under_way: Command | None = None
    asked_at: float = ALWAYS
    acked_at: float | None = None

    @property
    def due_at(self) -> float:
        """When the next command may leave."""
        return NEVER if self.under_way else self.asked_at + ASK_EVERY_S

    def free_at(self, me: str) -> float:
        """From when on nobody else holds it; a holder that no longer renews is nobody."""
        if self.lease is None or self.lease.epoch is None or not self.reachable:
            return NEVER
        released = self.lease.stamp and self.lease.holder in ("", me) and self.lease.epoch == self.epoch_seen
        return ALWAYS if released else self.unchanged_since + DURATION_S

    def seen(self, lease: LeaseView, now: float) -> Vote:
        """After an answer that shows the Lease."""
        if lease.epoch is not None and lease.epoch >= EPOCH_LIMIT:
            lease = replace(lease, epoch=None)
        since = self.unchanged_since if self.lease == lease else now
        epoch_seen = max(self.epoch_seen, lease.epoch or 0)
        return Vote(lease, since, epoch_seen, reachable=True, asked_at=self.asked_at, acked_at=self.acked_at)


@dataclass(frozen=True, slots=True)
class Election:
    """The whole state. `voters` is in the one order in which everybody takes votes.

    `floor`: the highest epoch in our marks at the vendors, as far as they were read; below it nothing can be written.
    """

    zone: str
    me: str
    voters: tuple[str, ...]
    votes: Mapping[str, Vote] = field(default_factory=dict)
    phase: Phase = Follower()
    floor: int = 0

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def vote(self, cluster: str) -> Vote:
        return self.votes.get(cluster) or Vote()

    def fence(self, now: float) -> Fence | None:
        """The right to write, at this very moment. Ask again right before each write."""
        if isinstance(self.phase, Leader) and now < self.valid_until() and self.phase.epoch >= self.floor:
            return Fence(self.zone, self.phase.epoch, self.me)
        return None

    def valid_until(self) -> float:
        """When a leadership ends unless it is renewed."""
        acked_at = self.majority_acked_at()
        return ALWAYS if acked_at is None else acked_at + LEADERSHIP_S

    def majority_acked_at(self) -> float | None:
        """When the request was sent with which the present majority was last complete."""
        acked = sorted([vote.acked_at for vote in self.votes.values() if vote.acked_at is not None], reverse=True)
        return acked[self.majority - 1] if len(acked) >= self.majority else None

    def epoch_seen(self) -> int:
        """The highest epoch known, whoever leads or led."""
        return max((self.floor, *(vote.epoch_seen for vote in self.votes.values())))

    def memories(self, now: float) -> tuple[tuple[str, float], ...]:
        """What every known Lease remembers, each with the seconds since we saw it change."""
        votes = map(self.vote, self.voters)
        return tuple((vote.lease.memory, now - vote.unchanged_since) for vote in votes if vote.lease)


Step = tuple[Election, tuple[Command, ...]]


def step(state: Election, event: Event, *, now: float, retry_s: float) -> Step:
    """`retry_s` is drawn at random by the caller (0.1 to 0.5); it is used when an attempt was in vain."""
    if isinstance(event, Tick) and now < wakes_at(state):
        return state, ()
    state, commands = _advance(_learn(state, event, now), now=now, retry_at=now + retry_s)
    if not commands:
        return state, ()
    asked = {sent.cluster: replace(state.vote(sent.cluster), under_way=sent, asked_at=now) for sent in commands}
    return replace(state, votes={**state.votes, **asked}), commands


def wakes_at(state: Election) -> float:
    """A Tick before it changes nothing: one timer, set anew after each step, can stand for all ticks."""
    due_at = min([state.vote(cluster).due_at for cluster in state.voters])
    match state.phase:
        case Follower() as phase:
            return min(due_at, _stands_at(state, phase))
        case Candidate():
            return NEVER  # an answer is under way
        case Leader(epoch):
            return min(due_at, state.valid_until()) if epoch >= state.epoch_seen() else ALWAYS
        case _ as never:
            assert_never(never)


def _learn(state: Election, event: Event, now: float) -> Election:
    """Take in what happened; what follows from it is decided by the phase."""
    match event:
        case Tick():
            return state
        case RenewNow():
            # Also where a command is under way: it left before.
            return replace(state, votes={name: replace(vote, asked_at=ALWAYS) for name, vote in state.votes.items()})
        case Withdraw():
            return replace(state, phase=Follower(retry_at=NEVER))
        case Acked() | Refused() | Failed():
            vote = _answered(state, state.vote(event.cluster), event, now)
            return replace(state, votes={**state.votes, event.cluster: vote})
        case _ as never:
            assert_never(never)


def _answered(state: Election, vote: Vote, answer: Acked | Refused | Failed, now: float) -> Vote:
    match answer:
        case Acked(_, sent_at, lease) if isinstance(vote.under_way, TryAcquire | Renew) and _ours(state, lease):
            return replace(vote.seen(lease, now), acked_at=sent_at)
        case Acked(_, _, lease):
            # A read proves nothing to others: only a write makes them wait.
            return vote.seen(lease, now)
        case Failed():
            # A failed renewal merely does not extend: a vote once ours stays ours until it is seen otherwise.
            return replace(vote, under_way=None, reachable=False)
        case Refused(_, LeaseView() as lease) if vote.lease and vote.lease.stamp == lease.stamp:
            # It is the very Lease that was named, so nobody was faster: this server refuses whatever it is sent.
            return replace(vote, under_way=None, reachable=False)
        case Refused(_, LeaseView() as lease) if _ours(state, lease) and vote.acked_at is not None:
            # Still ours: an answer of ours was lost, or somebody edited a label. Renew at once, from the new stamp.
            return replace(vote.seen(lease, now), asked_at=ALWAYS)
        case Refused(_, LeaseView() as lease):
            return replace(vote.seen(lease, now), acked_at=None)
        case Refused():
            return replace(vote, under_way=None)
        case _ as never:
            assert_never(never)


def _ours(state: Election, lease: LeaseView) -> bool:
    return not isinstance(state.phase, Follower) and (lease.holder, lease.epoch) == (state.me, state.phase.epoch)


def _advance(state: Election, *, now: float, retry_at: float) -> Step:
    match state.phase:
        case Follower() as phase:
            return _follow(state, phase, now=now, retry_at=retry_at)
        case Candidate() as phase:
            return _stand(state, phase, now=now, retry_at=retry_at)
        case Leader() as phase:
            return _lead(state, phase, now=now, retry_at=retry_at)
        case _ as never:
            assert_never(never)


def _follow(state: Election, phase: Follower, *, now: float, retry_at: float) -> Step:
    """Watch every Lease; give back what still bears our name; stand when a majority is free."""
    if now >= _stands_at(state, phase):
        return _stand_anew(state, now=now, retry_at=retry_at)
    commands: list[Command] = []
    for cluster in state.voters:
        vote = state.vote(cluster)
        if vote.lease and vote.lease.holder == state.me and vote.reachable and not vote.under_way:
            commands.append(Release(cluster, vote.lease.stamp))
        elif now >= vote.due_at:
            commands.append(Read(cluster))
    return state, tuple(commands)


def _stand_anew(state: Election, *, now: float, retry_at: float) -> Step:
    votes = {cluster: replace(vote, acked_at=None) for cluster, vote in state.votes.items()}
    phase = Candidate(1 + state.epoch_seen())
    return _stand(replace(state, votes=votes, phase=phase), phase, now=now, retry_at=retry_at)


def _stand(state: Election, phase: Candidate, *, now: float, retry_at: float) -> Step:
    """Take one vote after the other, until a majority is ours or can no longer be."""
    if now < state.valid_until():
        leader = Leader(phase.epoch)
        return _lead(replace(state, phase=leader), leader, now=now, retry_at=retry_at)
    if any(isinstance(state.vote(cluster).under_way, TryAcquire) for cluster in phase.tried):
        return state, ()
    held = [cluster for cluster in state.voters if state.vote(cluster).acked_at is not None]
    lost = [cluster for cluster in phase.tried if state.vote(cluster).reachable and cluster not in held]
    left = [
        TryAcquire(cluster, lease.stamp, phase.epoch)
        for cluster in state.voters
        if cluster not in phase.tried and (lease := _takable(state, cluster, now, epoch_max=phase.epoch - 1))
    ]
    if (lost and not held) or not left or len(held) + len(left) < state.majority:
        return _give_up(state, now=now, retry_at=retry_at)
    if state.vote(left[0].cluster).under_way:
        return state, ()
    tried = replace(phase, tried=phase.tried | {left[0].cluster})
    return replace(state, phase=tried), (left[0],)


def _lead(state: Election, phase: Leader, *, now: float, retry_at: float) -> Step:
    """Renew what is held, take what is free, watch the rest; stop when the last majority is too old."""
    if now >= state.valid_until():
        return _give_up(state, now=now, retry_at=retry_at)
    if phase.epoch < state.epoch_seen():
        # Another stood above us in vain, or led in a past that the Leases forgot: stand above it, giving nothing back.
        return _stand_anew(state, now=now, retry_at=retry_at)
    commands: list[Command] = []
    for cluster in state.voters:
        vote = state.vote(cluster)
        if now < vote.due_at:
            continue
        if vote.acked_at is not None and vote.lease is not None:
            commands.append(Renew(cluster, vote.lease.stamp, phase.epoch))
        elif lease := _takable(state, cluster, now, epoch_max=phase.epoch):
            commands.append(TryAcquire(cluster, lease.stamp, phase.epoch))
        else:
            commands.append(Read(cluster))
    return state, tuple(commands)


def _give_up(state: Election, *, now: float, retry_at: float) -> Step:
    phase = Follower(retry_at)
    return _follow(replace(state, phase=phase), phase, now=now, retry_at=retry_at)


def _stands_at(state: Election, phase: Follower) -> float:
    """When a majority of votes is free, and we are not to wait."""
    free_at = sorted([state.vote(cluster).free_at(state.me) for cluster in state.voters])
    return max(phase.retry_at, free_at[state.majority - 1])


def _takable(state: Election, cluster: str, now: float, *, epoch_max: int) -> LeaseView | None:
    """The Lease, if it is free and no epoch is lowered by taking it."""
    vote = state.vote(cluster)
    lease = vote.lease if now >= vote.free_at(state.me) else None
    return lease if lease and lease.epoch is not None and lease.epoch <= epoch_max else None
