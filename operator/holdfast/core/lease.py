"""One zone's vote: who leads is whoever holds a majority of Leases, one in each cluster of the zone.

The machine is told what happened and answers with what to send. It never waits, sends nothing itself and
reads no clock: `now` is CLOCK_BOOTTIME, and so is `sent_at`, taken before a request left.

    Follower ── a majority of votes is free ──► Candidate ── a majority acknowledged ──► Leader
        ▲                                         │                                        │
        └──── lost the first vote, or too few ────┴──── 3.3 s since the last majority ─────┘
              (what was won is released; the next try comes after `retry_s`)

Why two can never lead: a vote is taken only 5 s after its Lease was last seen to change, and two majorities
share a vote; whoever held that vote before sent its last renewal earlier than that, and its own leadership
ended 3.3 s after sending. Why no epoch is used twice: a vote is only taken by compare-and-set from the very
Lease that was read, and only with an epoch above the one found there. Should all Leases be lost, the highest epoch
found at the vendors (`floor`) takes their place: who leads below it stands again above it.

The caller answers every command with exactly one of Acked, Refused or Failed, within a deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from holdfast.core.values import Fence

DURATION_S = 5.0
ASK_EVERY_S = 1.0
LEADERSHIP_S = 3.3


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A Lease as read. `stamp` changes with every write (its resourceVersion); all empty: not created yet.

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
    """The Lease had changed since it was read; `lease` is what it is now, None if that could not be read."""

    cluster: str
    lease: LeaseView | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or none that can be trusted: the command may or may not have taken effect."""

    cluster: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; sent several times a second."""


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


# Where we are.


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
    valid_until: float


Phase = Follower | Candidate | Leader


@dataclass(frozen=True, slots=True)
class Vote:
    """One cluster's Lease as we know it.

    `unchanged_since`: when we first saw its present stamp. `acked_at`: when the last write was sent that
    made or kept it ours in this epoch. `under_way`: the command that has no answer yet.
    """

    lease: LeaseView | None = None
    unchanged_since: float = 0.0
    reachable: bool = False
    under_way: Command | None = None
    asked_at: float = float("-inf")
    acked_at: float | None = None


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
    renew_all_since: float = float("-inf")
    floor: int = 0

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def vote(self, cluster: str) -> Vote:
        return self.votes.get(cluster, Vote())

    def with_vote(self, cluster: str, vote: Vote) -> Election:
        return replace(self, votes={**self.votes, cluster: vote})

    def fence(self, now: float) -> Fence | None:
        """The right to write, at this very moment. Ask again right before each write."""
        if isinstance(self.phase, Leader) and now < self.phase.valid_until and self.phase.epoch >= self.floor:
            return Fence(self.zone, self.phase.epoch, self.me)
        return None

    def majority_acked_at(self) -> float | None:
        """When the request was sent with which the present majority was last complete."""
        acked = sorted((vote.acked_at for vote in self.votes.values() if vote.acked_at is not None), reverse=True)
        return acked[self.majority - 1] if len(acked) >= self.majority else None

    def memories(self, now: float) -> tuple[tuple[str, float], ...]:
        """What every known Lease remembers, each with the seconds since we saw it change."""
        votes = (self.vote(cluster) for cluster in self.voters)
        return tuple((vote.lease.memory, now - vote.unchanged_since) for vote in votes if vote.lease)


def step(state: Election, event: Event, *, now: float, retry_s: float) -> tuple[Election, tuple[Command, ...]]:
    """`retry_s` is drawn at random by the caller (0.1 to 0.5); it is used when an attempt was in vain."""
    state, commands = _advance(_learn(state, event, now), now=now, retry_at=now + retry_s)
    for command in commands:
        asked = replace(state.vote(command.cluster), under_way=command, asked_at=now)
        state = state.with_vote(command.cluster, asked)
    return state, commands


def _learn(state: Election, event: Event, now: float) -> Election:
    """Take in what happened; what follows from it is decided by the phase."""
    match event:
        case Tick():
            return state
        case RenewNow():
            return replace(state, renew_all_since=now)
        case Withdraw():
            return replace(state, phase=Follower(retry_at=float("inf")))
        case Failed(cluster):
            # A failed renewal merely does not extend: a vote once ours stays ours until it is seen otherwise.
            return state.with_vote(cluster, replace(state.vote(cluster), under_way=None, reachable=False))
        case Acked(cluster, sent_at, lease):
            before = state.vote(cluster)
            vote = _seen(before, lease, now)
            # A read proves nothing to others: only a write makes them wait.
            if isinstance(before.under_way, TryAcquire | Renew) and _ours(state, lease):
                vote = replace(vote, acked_at=sent_at)
            return state.with_vote(cluster, vote)
        case Refused(cluster, lease) if lease is not None:
            vote = _seen(state.vote(cluster), lease, now)
            # Still ours: an answer of ours was lost, or somebody edited a label. Renew at once, from the new stamp.
            kept = _ours(state, lease) and vote.acked_at is not None
            vote = replace(vote, asked_at=float("-inf")) if kept else replace(vote, acked_at=None)
            return state.with_vote(cluster, vote)
        case Refused(cluster):
            return state.with_vote(cluster, replace(state.vote(cluster), under_way=None))
        case _ as never:
            assert_never(never)


def _seen(vote: Vote, lease: LeaseView, now: float) -> Vote:
    changed = vote.lease is None or vote.lease.stamp != lease.stamp
    since = now if changed else vote.unchanged_since
    return replace(vote, lease=lease, unchanged_since=since, reachable=True, under_way=None)


def _ours(state: Election, lease: LeaseView) -> bool:
    return not isinstance(state.phase, Follower) and (lease.holder, lease.epoch) == (state.me, state.phase.epoch)


def _advance(state: Election, *, now: float, retry_at: float) -> tuple[Election, tuple[Command, ...]]:
    match state.phase:
        case Follower() as phase:
            return _follow(state, phase, now=now, retry_at=retry_at)
        case Candidate() as phase:
            return _stand(state, phase, now=now, retry_at=retry_at)
        case Leader() as phase:
            return _lead(state, phase, now=now, retry_at=retry_at)
        case _ as never:
            assert_never(never)


def _follow(
    state: Election, phase: Follower, *, now: float, retry_at: float
) -> tuple[Election, tuple[Command, ...]]:
    """Watch every Lease; give back what still bears our name; stand when a majority is free."""
    free = [cluster for cluster in state.voters if _free(state, cluster, now)]
    if now >= phase.retry_at and len(free) >= state.majority:
        epochs = [vote.lease.epoch or 0 for vote in state.votes.values() if vote.lease]
        votes = {cluster: replace(vote, acked_at=None) for cluster, vote in state.votes.items()}
        candidate = Candidate(1 + max((*epochs, state.floor)))
        return _stand(replace(state, votes=votes, phase=candidate), candidate, now=now, retry_at=retry_at)
    commands: list[Command] = []
    for cluster in state.voters:
        vote = state.vote(cluster)
        if vote.under_way:
            continue
        if vote.reachable and vote.lease and vote.lease.holder == state.me:
            commands.append(Release(cluster, vote.lease.stamp))
        elif now >= vote.asked_at + ASK_EVERY_S:
            commands.append(Read(cluster))
    return state, tuple(commands)


def _stand(
    state: Election, phase: Candidate, *, now: float, retry_at: float
) -> tuple[Election, tuple[Command, ...]]:
    """Take one vote after the other, until a majority is ours or can no longer be."""
    acked_at = state.majority_acked_at()
    if acked_at is not None and now < acked_at + LEADERSHIP_S:
        leader = Leader(phase.epoch, acked_at + LEADERSHIP_S)
        return _lead(replace(state, phase=leader), leader, now=now, retry_at=retry_at)
    if any(isinstance(state.vote(cluster).under_way, TryAcquire) for cluster in phase.tried):
        return state, ()
    held = [cluster for cluster in state.voters if state.vote(cluster).acked_at is not None]
    lost = [cluster for cluster in phase.tried if state.vote(cluster).reachable and cluster not in held]
    left = [cluster for cluster in state.voters if cluster not in phase.tried and _takable(state, cluster, now)]
    lost_the_first = bool(lost) and not held
    if lost_the_first or not left or len(held) + len(left) < state.majority:
        return _give_up(state, now=now, retry_at=retry_at)
    cluster = left[0]
    vote = state.vote(cluster)
    if vote.under_way or vote.lease is None:
        return state, ()
    tried = replace(phase, tried=phase.tried | {cluster})
    return replace(state, phase=tried), (TryAcquire(cluster, vote.lease.stamp, phase.epoch),)


def _lead(
    state: Election, phase: Leader, *, now: float, retry_at: float
) -> tuple[Election, tuple[Command, ...]]:
    """Renew what is held, take what is free, watch the rest; stop when the last majority, or the epoch, is too old."""
    acked_at = state.majority_acked_at()
    if acked_at is None or now >= acked_at + LEADERSHIP_S or phase.epoch < state.floor:
        return _give_up(state, now=now, retry_at=retry_at)
    commands: list[Command] = []
    for cluster in state.voters:
        vote = state.vote(cluster)
        held = vote.acked_at is not None
        hurried = held and vote.asked_at < state.renew_all_since
        if vote.under_way or not (hurried or now >= vote.asked_at + ASK_EVERY_S):
            continue
        if held and vote.lease:
            commands.append(Renew(cluster, vote.lease.stamp, phase.epoch))
        elif vote.lease and _takable(state, cluster, now):
            commands.append(TryAcquire(cluster, vote.lease.stamp, phase.epoch))
        else:
            commands.append(Read(cluster))
    return replace(state, phase=Leader(phase.epoch, acked_at + LEADERSHIP_S)), tuple(commands)


def _give_up(state: Election, *, now: float, retry_at: float) -> tuple[Election, tuple[Command, ...]]:
    follower = Follower(retry_at)
    return _follow(replace(state, phase=follower), follower, now=now, retry_at=retry_at)


def _free(state: Election, cluster: str, now: float) -> bool:
    """Nobody else holds it; a holder that no longer renews is nobody."""
    vote = state.vote(cluster)
    if vote.lease is None or vote.lease.epoch is None or not vote.reachable:
        return False
    return vote.lease.holder in ("", state.me) or now - vote.unchanged_since >= DURATION_S


def _takable(state: Election, cluster: str, now: float) -> bool:
    """Free, and no epoch is lowered by taking it."""
    vote = state.vote(cluster)
    if isinstance(state.phase, Follower) or vote.lease is None or vote.lease.epoch is None:
        return False
    limit = state.phase.epoch + isinstance(state.phase, Leader)
    return _free(state, cluster, now) and vote.lease.epoch < limit
