"""What a call is told at its start. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast_bridge.core.silence import Manners


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
    manners: Manners = field(default_factory=Manners)
    attempts: int = 1
    names: tuple[str, ...] = ()
    """Those of the attempts, for the journal."""
    tools: frozenset[str] = frozenset()
    repeatable: frozenset[str] = frozenset()
    """Those tools that have no side effects."""
