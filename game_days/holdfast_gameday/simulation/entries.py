"""The public entries of the regions, and the eyes of an operator on them.

An operator probes as the shell does: every five seconds with jitter, again after 0.4 s to confirm, and once more while
an answer is awaited for over 0.6 s. Results are folded by the production `evidence.observe`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.core import evidence
from holdfast.core.values import Probe, Verdict
from holdfast_gameday.simulation.engine import Engine
from holdfast_gameday.simulation.network import Network

UNANSWERED_S = 0.6
JITTER = 0.1
ANSWER_S = 0.04
WELL = evidence.Result(Verdict.UP)
REFUSED = evidence.Result(Verdict.DOWN, "connection refused")
SILENT = evidence.Result(Verdict.DOWN, "no answer in 1.5 s")


@dataclass(slots=True)
class Entry:
    """One region's front door. Counters, because faults overlap."""

    region: str
    closed: int = 0
    mute: int = 0
    gray: float = 0.0
    overloaded_until: float = 0.0

    def well(self, now: float) -> bool:
        return not (self.closed or self.mute or self.gray or self.overloaded_until > now)

    def answers(self, now: float) -> bool:
        """Whether a call that reaches it would be taken."""
        return not (self.closed or self.mute or self.overloaded_until > now)


@dataclass(slots=True)
class Sight:
    """What is special about an observer's own eyes: a share of slow probes, no way out."""

    slow: float = 0.0
    blind: int = 0


@dataclass(slots=True)
class _Watch:
    history: evidence.History
    due: float = 0.0
    in_flight: list[float] = field(default_factory=list)
    armed: int = 0
    asleep: bool = False
    formed_cut_off: bool = False


class Eyes:
    """One operator's probes. `on_turn` is told when a verdict turns, `on_doubt` when it turns whether one counts."""

    def __init__(
        self,
        *,
        observer: str,
        probe: Probe,
        engine: Engine,
        network: Network,
        entries: dict[str, Entry],
        dice: random.Random,
        clock: Callable[[], float],
        on_turn: Callable[[str, evidence.History], None],
        on_doubt: Callable[[], None],
        awake: Callable[[], bool],
        calm: Callable[[], bool],
    ) -> None:
        self._me = ("op", observer)
        self._probe = probe
        self._engine = engine
        self._network = network
        self._entries = entries
        self._dice = dice
        self._clock = clock
        self._on_turn = on_turn
        self._on_doubt = on_doubt
        self._awake = awake
        self._calm = calm
        self.sight = Sight()
        self._watches = {name: _Watch(evidence.History(since=clock())) for name in entries}
        for name in self._watches:
            self._arm(name, dice.uniform(0.0, probe.interval_s))

    def histories(self) -> dict[str, evidence.History]:
        return {name: watch.history for name, watch in self._watches.items()}

    def cut_off(self) -> bool:
        """Whether nothing outside the fleet answers either."""
        return self.sight.blind > 0 or self._network.silenced(self._me[1])

    def formed_cut_off(self) -> bool:
        """Whether a verdict still stands that was formed while nothing answered at all."""
        return any(watch.formed_cut_off for watch in self._watches.values())

    def stir(self, region: str) -> None:
        """Something else looks wrong with this region: probe now."""
        if region in self._watches:
            self._watches[region].due = self._engine.now
            self._watches[region].asleep = False
            self._arm(region, 0.0)

    def rouse(self) -> None:
        """Something broke or healed somewhere. Until now nothing could have changed what a sleeping watch saw."""
        now = self._engine.now
        for region, watch in self._watches.items():
            if watch.asleep:
                watch.asleep = False
                while watch.due <= now:
                    watch.due += self._probe.interval_s * self._dice.uniform(1 - JITTER, 1 + JITTER)
                self._arm(region, watch.due - now)

    def stop(self) -> None:
        """The process is gone; whatever is still in flight finds nobody."""
        self._watches = {}

    def _arm(self, region: str, in_s: float) -> None:
        watch = self._watches[region]
        watch.armed += 1
        number = watch.armed
        self._engine.after(in_s, lambda: self._turn(region, number))

    def _turn(self, region: str, number: int) -> None:
        watch = self._watches.get(region)
        if watch is None or watch.armed != number:
            return
        now = self._engine.now
        if not self._awake():
            self._arm(region, 0.5)
            return
        if self._launch_at(watch) <= now + 1e-9:
            self._launch(region, watch)
        if region in self._watches and watch.armed == number:
            watch.asleep = self._dull(region, watch)
            if watch.asleep:
                return
            self._arm(region, max(self._launch_at(watch) - now, 0.01))

    def _dull(self, region: str, watch: _Watch) -> bool:
        """Whether the next probes will tell what the last twelve told, until something changes."""
        history, here = watch.history, ("entry", region)
        if watch.in_flight or any(history.recent) or not self._calm():
            return False
        saw_well = history.verdict is history.streak is Verdict.UP and not watch.formed_cut_off
        unhindered = self._network.clear(self._me, here) and not (self.sight.slow or self.sight.blind)
        return saw_well and unhindered and self._entries[region].well(self._engine.now)

    def _launch_at(self, watch: _Watch) -> float:
        """As the shell has it: in turn, or as an overlapping confirmation of one that hangs."""
        if len(watch.in_flight) > self._probe.confirmations:
            return self._engine.now + self._probe.timeout_s
        if not watch.in_flight:
            return watch.due
        hanging = max(watch.in_flight[0] + UNANSWERED_S, watch.in_flight[-1] + self._probe.confirm_every_s)
        return min(watch.due, hanging)

    def _launch(self, region: str, watch: _Watch) -> None:
        now = self._engine.now
        watch.due = now + self._probe.interval_s * self._dice.uniform(1 - JITTER, 1 + JITTER)
        result, takes_s = self._ask(region)
        if takes_s <= ANSWER_S and not watch.in_flight:
            self._fold(region, watch, result, cut_off=self.cut_off())
            return
        watch.in_flight.append(now)
        cut_off = self.cut_off()
        self._engine.after(takes_s, lambda: self._answered(region, now, result, cut_off=cut_off))

    def _answered(self, region: str, launched: float, result: evidence.Result, *, cut_off: bool) -> None:
        watch = self._watches.get(region)
        if watch is None:
            return
        if not self._awake():
            self._engine.after(0.5, lambda: self._answered(region, launched, result, cut_off=cut_off))
            return
        watch.in_flight.remove(launched)
        self._fold(region, watch, result, cut_off=cut_off)
        if region in self._watches:
            self._arm(region, max(self._launch_at(watch) - self._engine.now, 0.0))

    def _fold(self, region: str, watch: _Watch, result: evidence.Result, *, cut_off: bool) -> None:
        before, doubted = watch.history, self.formed_cut_off()
        watch.history, confirm_at = evidence.observe(before, result, now=self._clock(), probe=self._probe)
        if confirm_at is not None:
            watch.due = min(watch.due, self._engine.now + self._probe.confirm_every_s)
        if cut_off or watch.history.streak is watch.history.verdict:
            watch.formed_cut_off = cut_off
        if watch.history.verdict is not before.verdict:
            self._on_turn(region, watch.history)
        elif self.formed_cut_off() is not doubted:
            self._on_doubt()

    def _ask(self, region: str) -> tuple[evidence.Result, float]:
        """What one probe would find at this moment, and after how long."""
        entry, here = self._entries[region], ("entry", region)
        reached = self._network.passes(self._me, here) and self._network.passes(here, self._me)
        if self.sight.blind or not reached or entry.mute or entry.overloaded_until > self._engine.now:
            return SILENT, self._probe.timeout_s
        if entry.closed:
            return REFUSED, ANSWER_S
        if entry.gray and self._dice.random() < entry.gray:
            return SILENT, self._probe.timeout_s
        if self.sight.slow and self._dice.random() < self.sight.slow:
            return SILENT, self._probe.timeout_s
        return WELL, ANSWER_S
