"""From raw probe results to verdicts, and from verdicts to what a quorum of observers holds true.

A verdict changes only by a streak of equal results: a single failure merely starts confirmations.
This module does not know what was probed, nor what a verdict leads to.

                   result, and how many in a row turn the verdict into it
    UP             2
    DOWN           1 + confirmations
    UNKNOWN        1 + confirmations       (an API server out of reach, our own 401, 403 or 429)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.core.values import Observation, Probe, Verdict, Zone

SUCCESSES_TO_RECOVER = 2
HEARD_WITHIN_S = 3.0
REFERENCES_TO_DOUBT = 3


@dataclass(frozen=True, slots=True)
class History:
    """What one observer has seen of one target. `since` is on the observer's own clock."""

    since: float
    verdict: Verdict = Verdict.UNKNOWN
    streak: Verdict = Verdict.UNKNOWN
    length: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one probe."""

    verdict: Verdict
    detail: str = ""


def observe(history: History, result: Result, *, now: float, probe: Probe) -> tuple[History, float | None]:
    """Fold one result in. The second value is when to probe again, out of turn, to confirm; None: in turn."""
    length = history.length + 1 if result.verdict is history.streak else 1
    turned = length >= _needed(result.verdict, probe)
    if result.verdict is not history.verdict and not turned:
        waiting = History(history.since, history.verdict, result.verdict, length, history.detail)
        return waiting, now + probe.confirm_every_s
    since = history.since if result.verdict is history.verdict else now
    return History(since, result.verdict, result.verdict, length, result.detail), None


def _needed(verdict: Verdict, probe: Probe) -> int:
    return SUCCESSES_TO_RECOVER if verdict is Verdict.UP else 1 + probe.confirmations


def doubts_itself(*, references: Sequence[bool], targets: Sequence[Verdict]) -> bool:
    """Whether an observer should blame its own connection.

    `references` tells which targets outside the fleet answered. Fewer than three of them, or a single
    region, are too few to tell an own fault from a foreign one.
    """
    outside_gone = len(references) >= REFERENCES_TO_DOUBT and not any(references)
    everything_gone = len(targets) > 1 and all(verdict is Verdict.DOWN for verdict in targets)
    return outside_gone or everything_gone


@dataclass(frozen=True, slots=True)
class Tally:
    """What the configured observers of a target say; each is in exactly one of the five groups."""

    target: str
    up: tuple[Observation, ...] = ()
    down: tuple[Observation, ...] = ()
    unknown: tuple[Observation, ...] = ()
    doubting: tuple[Observation, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def observers(self) -> int:
        return sum(map(len, (self.up, self.down, self.unknown, self.doubting, self.silent)))

    @property
    def needed(self) -> int:
        """More than half of all configured observers, whether they are heard or not."""
        return self.observers // 2 + 1

    @property
    def lost(self) -> bool:
        return len(self.down) >= self.needed

    @property
    def well(self) -> bool:
        return len(self.up) >= self.needed

    @property
    def well_for_s(self) -> float:
        """How long a quorum has seen the target up without a break."""
        if not self.well:
            return 0.0
        return sorted((observation.held_s for observation in self.up), reverse=True)[self.needed - 1]

    @property
    def seen_up(self) -> bool:
        """Up to somebody and not lost: enough to lean on, though not enough to restore."""
        return bool(self.up) and not self.lost

    def describe(self) -> str:
        """One sentence for people, the same wherever the tally is shown."""
        said = "; ".join(f"{seen.observer}: {seen.detail}" if seen.detail else seen.observer for seen in self.down)
        sentence = f"{len(self.down)} of {self.observers} observers see {self.target} down, {self.needed} are needed"
        return f"{sentence} ({said})" if said else sentence


def tally(target: str, observations: Iterable[Observation], zone: Zone) -> Tally:
    """Sort what is said about a target by whose word counts: heard of lately, and not in doubt of itself."""
    said = {seen.observer: seen for seen in observations if seen.target == target}
    heard = [said[name] for name in zone.observers_of(target) if name in said and _fresh(said[name])]
    counted = [seen for seen in heard if not seen.self_doubt]
    names = {seen.observer for seen in heard}
    return Tally(
        target=target,
        up=tuple(seen for seen in counted if seen.verdict is Verdict.UP),
        down=tuple(seen for seen in counted if seen.verdict is Verdict.DOWN),
        unknown=tuple(seen for seen in counted if seen.verdict is Verdict.UNKNOWN),
        doubting=tuple(seen for seen in heard if seen.self_doubt),
        silent=tuple(name for name in zone.observers_of(target) if name not in names),
    )


def _fresh(seen: Observation) -> bool:
    return seen.heard_age_s <= HEARD_WITHIN_S
