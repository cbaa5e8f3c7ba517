"""Defects of what counts as seen."""

from __future__ import annotations

from holdfast_gameday.mutants.defect import Defect

DEFECTS = (
    Defect(
        name="stale-evidence-accepted",
        harm="what an observer said a quarter of an hour ago takes a region out that is well by now",
        module="evidence",
        text="HEARD_WITHIN_S = 3.0",
        becomes="HEARD_WITHIN_S = 1000.0",
    ),
    Defect(
        name="half-is-a-quorum",
        harm="one of two observers takes a region out, however wrong it is",
        module="evidence",
        text="return self.observers // 2 + 1",
        becomes="return max(self.observers // 2, 1)",
    ),
    Defect(
        name="majority-of-those-heard",
        harm="whoever is still heard outvotes the silent ones, down to a single voice",
        module="evidence",
        text="return heard + len(self.silent)",
        becomes="return heard",
    ),
    Defect(
        name="doubting-observers-counted",
        harm="observers that reach nothing at all have regions cordoned that everybody else reaches",
        module="evidence",
        text="groups[None if seen.self_doubt else seen.verdict].append(seen)",
        becomes="groups[seen.verdict].append(seen)",
    ),
    Defect(
        name="unknown-taken-for-down",
        harm="our own wrong key, or an API server out of reach, takes a region out that answers every call",
        module="evidence",
        text="down=tuple(groups[Verdict.DOWN]),",
        becomes="down=(*groups[Verdict.DOWN], *groups[Verdict.UNKNOWN]),",
    ),
    Defect(
        name="own-testimony-counted",
        harm="a region that is cut off from its callers still votes that it is well",
        module="values",
        text="return tuple([voter for voter in self.voters if voter != target])",
        becomes="return self.voters",
    ),
    Defect(
        name="witnesses-not-asked",
        harm="two regions see only each other: one of them cut off has the other cordoned",
        module="values",
        text="return self.members + self.witnesses",
        becomes="return self.members",
    ),
    Defect(
        name="one-voice-is-enough",
        harm="a single observer, lying or half cut off, takes regions out of service",
        module="guards",
        text="    stale_evidence,\n    observer_doubts,\n    not_confirmed,\n",
        becomes="",
    ),
    Defect(
        name="withdrawal-for-a-shared-fault",
        harm="a provider's outage empties region after region, and the calls meet it again wherever they go",
        module="guards",
        text="    seen_elsewhere,\n",
        becomes="",
    ),
    Defect(
        name="withdrawal-for-some-agents",
        harm="one tenant's wrong key takes all the others' calls out of a region",
        module="guards",
        text="    only_some_agents,\n",
        becomes="",
    ),
    Defect(
        name="well-for-a-moment-is-well",
        harm="a region that flaps comes back between two failures and loses its calls again",
        module="evidence",
        text="return sorted((observation.held_s for observation in self.up), reverse=True)[self.needed - 1]",
        becomes="return 1e9",
    ),
)
