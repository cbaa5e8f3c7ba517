"""What this region's calls meet at the webhooks of their agents' tools. One event loop owns it.

A report brings running totals; what is new in them is folded by `core.tools`. Nothing is routed by it: an agent's
other regions would call the same webhook. It is shown as the agent's condition `ToolsWell`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from holdfast.core import reports, status, tools
from holdfast.core.evidence import History
from holdfast.core.reports import Outcome, Report
from holdfast.core.status import Condition
from holdfast.core.tools import ToolFailure
from holdfast.core.values import AgentRef
from holdfast.desired import Desired

log = logging.getLogger(__name__)

DROP_EVERY_S = 30.0


class FleetTools:
    """Verdicts by agent and tool."""

    def __init__(self, *, desired: Desired, clock: Callable[[], float]) -> None:
        self._desired = desired
        self._clock = clock
        self._reports: dict[AgentRef, dict[str, Report[ToolFailure]]] = {}
        self._seen: dict[AgentRef, dict[str, History]] = {}

    async def run(self) -> None:
        """Until cancelled. This pod became its region's active one: what it knew before is history."""
        self._reports.clear()
        self._seen.clear()
        while True:
            await asyncio.sleep(DROP_EVERY_S)
            self.drop_the_unused()

    def hear(self, agent: AgentRef, pod: str, report: Report[ToolFailure]) -> None:
        """One report of one pod."""
        pods = self._reports.setdefault(agent, {})
        known, pods[pod] = pods.get(pod), report
        for name in self._named(agent):
            for outcome in reports.news(known, report, name):
                self._fold(agent, name, outcome)

    def forget(self, agent: AgentRef, pod: str) -> None:
        """A pod fell silent; what it told before stays true."""
        self._reports.get(agent, {}).pop(pod, None)

    def condition(self, agent: AgentRef) -> Condition | None:
        """None of an agent without tools, and of one that is not followed."""
        named = self._named(agent)
        seen = self._seen.get(agent, {})
        unheard = History(since=self._clock())
        return status.tools_well({name: seen.get(name, unheard) for name in named}) if named else None

    def drop_the_unused(self) -> None:
        """What the end of an agent left behind, and the tools that an edit took away."""
        for table in (self._reports, self._seen):
            for agent in table.keys() - self._desired.agents.keys():
                table.pop(agent)
        for agent, seen in self._seen.items():
            for name in seen.keys() - set(self._named(agent)):
                del seen[name]

    def _named(self, agent: AgentRef) -> tuple[str, ...]:
        entry = self._desired.agents.get(agent)
        return tuple(tool.name for tool in entry.spec.tools) if entry else ()

    def _fold(self, agent: AgentRef, name: str, outcome: Outcome[ToolFailure]) -> None:
        seen, now = self._seen.setdefault(agent, {}), self._clock()
        before = seen.get(name) or History(since=now)
        after = seen[name] = tools.observe(before, outcome, now=now)
        if after.verdict is not before.verdict:
            said = {"agent": str(agent), "tool": name, "verdict": after.verdict.value, "detail": after.detail}
            log.info("verdict on a tool", extra=said)
