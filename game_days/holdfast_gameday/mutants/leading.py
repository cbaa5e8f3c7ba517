"""Defects of who may write, and of what a new leader still knows."""

from __future__ import annotations

from holdfast_gameday.mutants.defect import Defect

DEFECTS = (
    Defect(
        name="fence-without-end",
        harm="a leader that was stopped for a minute writes when it wakes, under a right that another has by then",
        module="lease",
        text="if isinstance(self.phase, Leader) and now < self.valid_until() and self.phase.epoch >= self.floor:",
        becomes="if isinstance(self.phase, Leader):",
    ),
    Defect(
        name="lease-used-after-two-thirds",
        harm="an old leader still writes when the votes are free for a new one",
        module="lease",
        text="LEADERSHIP_S = 3.3",
        becomes="LEADERSHIP_S = 8.0",
    ),
    Defect(
        name="validity-from-the-answer",
        harm="an answer that lay in a stopped process for a minute makes it leader anew when it wakes",
        module="lease",
        text="return replace(vote.seen(lease, now), acked_at=sent_at)",
        becomes="return replace(vote.seen(lease, now), acked_at=now)",
    ),
    Defect(
        name="read-taken-for-a-renewal",
        harm="a leader that can only read goes on leading, while the others see no renewal and take over",
        module="lease",
        text="if isinstance(vote.under_way, TryAcquire | Renew) and _ours(state, lease):",
        becomes="if _ours(state, lease):",
    ),
    Defect(
        name="vote-taken-without-waiting",
        harm="votes are taken from a leader who still counts on them",
        module="lease",
        text="return ALWAYS if released else self.unchanged_since + DURATION_S",
        becomes="return ALWAYS",
    ),
    Defect(
        name="deleted-lease-taken-for-released",
        harm="a Lease deleted by hand frees the vote of a leader who still leads",
        module="lease",
        text='self.lease.holder in ("", me) and self.lease.epoch == self.epoch_seen',
        becomes='self.lease.holder in ("", me)',
    ),
    Defect(
        name="missing-lease-taken-at-once",
        harm="an operator that starts just after somebody deleted all Leases leads beside the one who still does",
        module="lease",
        text="released = self.lease.stamp and ",
        becomes="released = ",
    ),
    Defect(
        name="half-of-the-votes-leads",
        harm="each half of a split fleet has a leader of its own",
        module="lease",
        text="return len(self.voters) // 2 + 1",
        becomes="return len(self.voters) // 2",
    ),
    Defect(
        name="epoch-not-raised",
        harm="a takeover stands under the old epoch, so no vote can be taken and nobody ever leads again",
        module="lease",
        text="phase = Candidate(1 + state.epoch_seen())",
        becomes="phase = Candidate(state.epoch_seen())",
    ),
    Defect(
        name="memory-stored-after-the-write",
        harm="a leader that dies in between leaves a region out of which nobody knows why or since when",
        module="failover",
        text="steps = (_store(after, choice, fence), *steps)",
        becomes="steps = (*steps, _store(after, choice, fence))",
    ),
    Defect(
        name="memory-never-stored",
        harm="the next leader knows nothing of what is out, and brings it back without a dwell",
        module="failover",
        text="steps = (_store(after, choice, fence), *steps)",
        becomes="steps = (*steps,)",
    ),
    Defect(
        name="memory-without-ages",
        harm="a takeover counts every cordon as old, so that a region comes back the moment the leader changes",
        module="memory",
        text='changed_ago_s=_age_in(entry["since"], age_s),',
        becomes="changed_ago_s=AGE_MAX_S,",
    ),
    Defect(
        name="garbled-memory-taken-for-empty",
        harm="one unreadable Lease may have been the newest, and its cordons are forgotten without a word",
        module="memory",
        text="RecursionError, OverflowError):\n        return None",
        becomes="RecursionError, OverflowError):\n        return Record()",
    ),
    Defect(
        name="rewound-memory-trusted",
        harm="after a restored backup a region comes back on a dwell that ended in a past that no longer holds",
        module="guards",
        text="    rewound_history,\n    unknown_history,",
        becomes="    unknown_history,",
    ),
)
