"""The account of one call: its newest record for the journal, numbered and dated. It decides nothing of the call.

Times in a record are seconds since 1970; `now` is the call's own clock, which began with the call.
"""

from __future__ import annotations

from holdfast_bridge.core.attempts import Attempts
from holdfast_bridge.core.conversation import Conversation
from holdfast_bridge.core.journal import CallRecord, bounded
from holdfast_bridge.core.plan import CallPlan


class Account:
    """`resumed`: what another bridge wrote of this call."""

    def __init__(
        self, plan: CallPlan, conversation: Conversation, attempts: Attempts, resumed: CallRecord | None
    ) -> None:
        self.disclosure_heard = resumed.disclosure_heard if resumed else False
        self._plan = plan
        self._conversation = conversation
        self._attempts = attempts
        self._started_at = resumed.started_at if resumed else plan.wall_s
        self._seq = resumed.seq if resumed else 0
        self._clock = 0.0
        self.record = self._written(plan.wall_s)

    def start(self, now: float) -> float:
        """The call's clock begins. Returns when the call has lasted as long as it may."""
        self._clock = now
        return now + max(0.0, self._started_at + self._plan.max_call_s - self._plan.wall_s)

    def write(self, now: float) -> CallRecord:
        self.record = self._written(self._plan.wall_s + now - self._clock)
        return self.record

    def close(self, *, ended: bool) -> None:
        """This bridge's part is over; `ended`: so is the call."""
        self.record = self._written(self.record.updated_at, ended=ended)

    def _written(self, updated_at: float, *, ended: bool = False) -> CallRecord:
        self._seq += 1
        record = CallRecord(
            call=self._plan.call,
            agent=self._plan.agent,
            epoch=self._plan.epoch,
            seq=self._seq,
            state="ended" if ended else "live",
            region=self._plan.region,
            pod=self._plan.pod,
            started_at=self._started_at,
            taken_at=self._plan.wall_s,
            disclosure_heard=self.disclosure_heard,
            items=self._conversation.items,
            tools=self._conversation.tools,
            updated_at=updated_at,
            attempt=self._plan.names[self._attempts.current] if self._plan.names and self._attempts.ready else "",
        )
        return bounded(record)
