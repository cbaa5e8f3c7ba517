"""What an operator has read at the levers, and how long it leaves one alone that failed. A double of the shell's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.core.memory import FLOOR_MAX
from holdfast.core.values import Budget, OriginState
from holdfast_gameday.simulation.vendors import Answer

# These three are the shell's; a test compares them.
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0
LOCK_OUT_S = 300.0
BUDGET_WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Reading:
    enabled: bool | None
    share: int | None
    at: float


@dataclass(slots=True)
class Book:
    """One operator's, in one life, on its own clock."""

    clock: Callable[[], float]
    budget: int
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    _again_at: dict[str, float] = field(default_factory=dict)
    _delay_s: dict[str, float] = field(default_factory=dict)
    _epoch: int = 0
    _differed_s: dict[str, float] = field(default_factory=dict)
    _spent: dict[str, deque[float]] = field(default_factory=dict)
    _unseen: dict[tuple[str, str], bool] = field(default_factory=dict)

    def states(self) -> tuple[OriginState, ...]:
        now = self.clock()
        return tuple(
            OriginState(
                lever, region, reading.enabled, now - reading.at, reading.share,
                contradicts=(lever, region) in self._unseen,
            )
            for (lever, region), reading in self.readings.items()
        )

    def epoch_seen(self) -> int:
        """The highest epoch read in our marks: what was once there can only grow."""
        return self._epoch

    def forget(self) -> None:
        for key, reading in self.readings.items():
            self.readings[key] = Reading(None, None, reading.at)

    def wrote(self, lever: str, region: str, *, enabled: bool) -> None:
        """From here to the read-back the state at the vendor is not known, whatever happens to us."""
        self._unseen[lever, region] = enabled
        self.unknown(lever, region)

    def unknown(self, lever: str, region: str) -> None:
        self.readings[lever, region] = Reading(None, None, self.clock())

    def answered(self, lever: str, region: str, answer: Answer) -> None:
        """A reading came in, or an error that makes the origin unknown and the lever one to leave alone."""
        if answer.origin is not None:
            origin = answer.origin
            self.readings[lever, region] = Reading(origin.enabled, origin.share, self.clock())
            if self._unseen.get((lever, region)) is origin.enabled:
                del self._unseen[lever, region]
            if self._epoch < origin.epoch <= FLOOR_MAX:
                self._epoch = origin.epoch
            self._again_at.pop(lever, None)
            self._delay_s.pop(lever, None)
            return
        self._leave_alone(lever, LAST_RETRY_S if not answer.retryable else 0.0, answer.retry_after_s or 0.0)
        self.unknown(lever, region)

    def differs(self, lever: str, region: str) -> None:
        """A read-back says other than what was written: whatever is done next, it is done later, and it is a read."""
        self._delay_s[lever] = self._differed_s.get(lever, 0.0)
        self._leave_alone(lever, 0.0, 0.0)
        self._differed_s[lever] = self._delay_s[lever]
        self.unknown(lever, region)

    def _leave_alone(self, lever: str, least_s: float, asked_s: float) -> None:
        """Twice as long each time, or as long as the vendor wants."""
        before = self._delay_s.get(lever)
        delay_s = max(FIRST_RETRY_S if not before else min(before * 2, LAST_RETRY_S), least_s)
        self._delay_s[lever] = delay_s
        self._again_at[lever] = self.clock() + max(delay_s, asked_s)

    def may_ask(self, lever: str) -> bool:
        return self.clock() >= self._again_at.get(lever, float("-inf"))

    def asked(self, lever: str) -> None:
        self._spent.setdefault(lever, deque()).append(self.clock())

    def agrees(self, lever: str) -> None:
        """A read-back says what was written."""
        self._differed_s.pop(lever, None)

    def affords_looking(self, lever: str) -> bool:
        """Looking for its own sake leaves enough for what must be written."""
        budget = self.left(lever)
        return budget.left > 2 * budget.reserve

    def left(self, lever: str) -> Budget:
        """What the vendor still takes from us, a third of it kept for failover."""
        spent = self._spent.setdefault(lever, deque())
        while spent and spent[0] <= self.clock() - BUDGET_WINDOW_S:
            spent.popleft()
        return Budget(self.budget - len(spent), self.budget // 3)
