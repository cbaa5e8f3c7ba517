"""How long the parts of this region's calls take, beside the budgets of their agents. One event loop owns it.

Pods tell windows of their last samples; they are added up and judged by `core.latency`. Nothing is routed by it: a
stage that is slow still answers. It is shown as the agent's condition `StagesInTime`, with an Event when one turns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from holdfast.core import latency, status
from holdfast.core.latency import Standing, Times
from holdfast.core.status import Condition
from holdfast.core.values import AgentRef, Reason, Verdict
from holdfast.desired import Desired

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
ALL_EVERY = 15

Told = Mapping[str, Times]
Tell = Callable[[AgentRef, Reason, bool], None]
"""An agent, the news of it, and whether they are bad."""


class FleetLatency:
    """Verdicts by agent and part. `tell`: hears of a brown-out, and of its end."""

    def __init__(self, *, desired: Desired, clock: Callable[[], float], tell: Tell = lambda *_: None) -> None:
        self._desired = desired
        self._clock = clock
        self._tell = tell
        self._told: dict[AgentRef, dict[str, Told]] = {}
        self._standings: dict[AgentRef, dict[str, Standing]] = {}
        self._stirred: set[AgentRef] = set()

    async def run(self) -> None:
        """Until cancelled. This pod became its region's active one: what it knew before is history."""
        for table in (self._told, self._standings, self._stirred):
            table.clear()
        looks = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            looks += 1
            if looks % ALL_EVERY == 0:
                self.drop_the_unused()
                self._stirred |= self._standings.keys()
            self.look()

    def hear(self, agent: AgentRef, pod: str, told: Told) -> None:
        """One report of one pod; it replaces the one before."""
        self._told.setdefault(agent, {})[pod] = told
        self._stirred.add(agent)

    def forget(self, agent: AgentRef, pod: str) -> None:
        """A pod fell silent: what it told is no longer lately."""
        self._told.get(agent, {}).pop(pod, None)

    def look(self) -> None:
        """Judge those of whom anything was heard since the last look."""
        stirred, self._stirred = self._stirred, set()
        for agent in stirred:
            if budgets := self._budgets(agent):
                self._judge(agent, budgets)

    def condition(self, agent: AgentRef) -> Condition | None:
        """None of an agent without budgets, and of one that is not followed."""
        budgets = self._budgets(agent)
        seen = self._standings.get(agent, {})
        known = {part: (seen.get(part, latency.UNHEARD), budget) for part, budget in budgets.items()}
        return status.stages_in_time(known) if known else None

    def drop_the_unused(self) -> None:
        """What the end of an agent left behind, and the parts that an edit took away."""
        for table in (self._told, self._standings):
            for agent in table.keys() - self._desired.agents.keys():
                table.pop(agent)
        for agent, seen in self._standings.items():
            for part in seen.keys() - self._budgets(agent).keys():
                del seen[part]

    def _budgets(self, agent: AgentRef) -> dict[str, int]:
        entry = self._desired.agents.get(agent)
        return latency.budgets_ms(entry.spec) if entry else {}

    def _judge(self, agent: AgentRef, budgets: Mapping[str, int]) -> None:
        told, now = self._told.get(agent, {}).values(), self._clock()
        seen = self._standings.setdefault(agent, {})
        slow = _slow(seen)
        for part, budget_ms in budgets.items():
            before = seen.get(part, latency.UNHEARD)
            seen[part] = latency.judge(before, latency.together(told, part, budget_ms), now=now)
        if _slow(seen) != slow and (shown := self.condition(agent)) is not None:
            said = {"agent": str(agent), "slow": sorted(_slow(seen)), "reason": shown.reason.code}
            log.info("verdict on the time of stages", extra=said)
            self._tell(agent, shown.reason, shown.status is False)


def _slow(seen: Mapping[str, Standing]) -> frozenset[str]:
    return frozenset(part for part, each in seen.items() if each.verdict is Verdict.DEGRADED)
