"""What a call is told at its start, and how its state is written down for the journal. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_bridge.core.conversation import Conversation
from holdfast_bridge.core.journal import CallRecord, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """All that a call is told at its start; nothing of it changes while it lasts."""

    call: str
    agent: str
    epoch: int
    region: str
    pod: str
    wall_s: float
    """The time of day at the start, in seconds since 1970."""
    max_call_s: float = 3600.0
    greeting: str = ""
    disclosure: str = ""
    language: str = "en"
    barge_in: bool = True
    speaks: bool = True
    """False for a loop-back, which has no words of its own."""
    attempts: int = 1
    tools: frozenset[str] = frozenset()
    repeatable: frozenset[str] = frozenset()
    """Those tools that have no side effects."""

    def account(
        self,
        conversation: Conversation,
        *,
        seq: int,
        started_at: float,
        disclosure_heard: bool,
        updated_at: float,
        ended: bool = False,
    ) -> CallRecord:
        record = CallRecord(
            call=self.call,
            agent=self.agent,
            epoch=self.epoch,
            seq=seq,
            state="ended" if ended else "live",
            region=self.region,
            pod=self.pod,
            started_at=started_at,
            taken_at=self.wall_s,
            disclosure_heard=disclosure_heard,
            items=conversation.items,
            tools=conversation.tools,
            updated_at=updated_at,
        )
        return bounded(record)
