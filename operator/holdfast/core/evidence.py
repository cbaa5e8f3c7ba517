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

from holdfast.core.values import Observation, Probe, Tier, Verdict, Zone

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
    """What the configured observers of a target say; each is in exactly one of the six groups."""

    target: str
    up: tuple[Observation, ...] = ()
    degraded: tuple[Observation, ...] = ()
    down: tuple[Observation, ...] = ()
    unknown: tuple[Observation, ...] = ()
    doubting: tuple[Observation, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def observers(self) -> int:
        heard = len(self.up) + len(self.degraded) + len(self.down) + len(self.unknown) + len(self.doubting)
        return heard + len(self.silent)

    @property
    def needed(self) -> int:
        """More than half of all configured observers, whether they are heard or not."""
        return self.observers // 2 + 1

    @property
    def against(self) -> tuple[Observation, ...]:
        """Those who find anything wrong with it."""
        return (*self.down, *self.degraded)

    @property
    def lost(self) -> bool:
        return len(self.down) >= self.needed

    @property
    def ill(self) -> bool:
        """Lost, or answering unreliably to a quorum."""
        return len(self.against) >= self.needed

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
        """It answers somebody and is not lost: enough to lean on, though not enough to restore."""
        return bool(self.up or self.degraded) and not self.lost

    @property
    def suspected(self) -> bool:
        """Anybody finds it down, even one who doubts himself: the first sight of a fault."""
        return any(seen.verdict is Verdict.DOWN for seen in (*self.down, *self.doubting))

    def describe(self) -> str:
        """One sentence for people, the same wherever the tally is shown."""
        return self._sentence("down", self.down)

    def describe_ill(self) -> str:
        """The same of a target that answers, but not reliably."""
        return self._sentence("ill", self.against)

    def describe_up(self) -> str:
        """The same of those who see it well."""
        return self._sentence("up", self.up)

    def _sentence(self, word: str, who: tuple[Observation, ...]) -> str:
        said = "; ".join(f"{seen.observer}: {seen.detail}" if seen.detail else seen.observer for seen in who)
        sentence = f"{len(who)} of {self.observers} observers see {self.target} {word}, {self.needed} are needed"
        return f"{sentence} ({said})" if said else sentence


def tallies(observations: Iterable[Observation], zone: Zone) -> dict[str, Tally]:
    """Every region of the zone, each judged by all voters but itself."""
    by_target: dict[str, list[Observation]] = {name: [] for name in zone.members}
    for seen in observations:
        if seen.tier is Tier.REGION and seen.target in by_target:
            by_target[seen.target].append(seen)
    return {name: tally(name, said, zone.observers_of(name)) for name, said in by_target.items()}


def tally(target: str, observations: Iterable[Observation], observers: Sequence[str]) -> Tally:
    """Sort what is said about one target by whose word counts: heard of lately, and not in doubt of itself."""
    said = {seen.observer: seen for seen in observations}
    groups: dict[Verdict | None, list[Observation]] = {None: [], **{verdict: [] for verdict in Verdict}}
    silent: list[str] = []
    for name in observers:
        seen = said.get(name)
        if seen is None or seen.heard_age_s > HEARD_WITHIN_S:
            silent.append(name)
        else:
            groups[None if seen.self_doubt else seen.verdict].append(seen)
    return Tally(
        target=target,
        up=tuple(groups[Verdict.UP]),
        degraded=tuple(groups[Verdict.DEGRADED]),
        down=tuple(groups[Verdict.DOWN]),
        unknown=tuple(groups[Verdict.UNKNOWN]),
        doubting=tuple(groups[None]),
        silent=tuple(silent),
    )
