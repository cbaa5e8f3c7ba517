"""From raw probe results to verdicts, and from verdicts to what a quorum of observers holds true.

A verdict changes only by a streak of equal results: a single failure merely starts confirmations. What answers, but
not reliably, builds no streak; it is found by counting among the last twelve results.
This module does not know what was probed, nor what a verdict leads to.

    verdict      is taken after                                      and left
    UP           2 UP in a row                                       for any other
    DOWN         1 + confirmations DOWN in a row                     after as many of another
    UNKNOWN      1 + confirmations UNKNOWN in a row                  after as many of another
                 (an API server out of reach, our own 401, 403, 429)
    DEGRADED     1 + confirmations DEGRADED in a row, or             for UP, when at most 1 of the last 12 is bad,
                 3 bad among the last 12                             and there are 8 of them at least

The two counts lie apart, so that a target at the edge of either does not swing. Of results that come within two seconds
only the first is counted: those asked for in a hurry share the hiccup of the one that they confirm. A failing one is
counted once for each kind of failure: DOWN empties the count, so that a loss that is over is not taken for
unreliability, and a count never keeps a streak from reaching DOWN. What follows cools down for each kind by itself: a
region for each cause (`dwells.dwell_s`), a provider for each kind of failure (`providers.Breaker`), a carrier by itself
(`carriers.dwell`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.core.values import Observation, Probe, Tier, Verdict, Zone

SUCCESSES_TO_RECOVER = 2
COUNTED = 12
COUNTED_APART_S = 2.0
BAD_TO_DEGRADE = 3
BAD_TO_RECOVER = 1
COUNTED_TO_RECOVER = 8
HEARD_WITHIN_S = 3.0
REFERENCES_TO_DOUBT = 3


@dataclass(frozen=True, slots=True)
class History:
    """What one observer has seen of one target. `since` is on the observer's own clock.

    `recent`: of each of the last results that count, whether it was bad; UNKNOWN does not count. `counted_at`: when the
    last of them came.
    """

    since: float
    verdict: Verdict = Verdict.UNKNOWN
    streak: Verdict = Verdict.UNKNOWN
    length: int = 0
    detail: str = ""
    recent: tuple[bool, ...] = ()
    counted_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one probe."""

    verdict: Verdict
    detail: str = ""


def observe(history: History, result: Result, *, now: float, probe: Probe) -> tuple[History, float | None]:
    """Fold one result in. The second value is when to probe again, out of turn, to confirm; None: in turn."""
    before, seen = history.verdict, result.verdict
    length = history.length + 1 if seen is history.streak else 1
    recent, counted_at = history.recent, history.counted_at
    if seen is not Verdict.UNKNOWN and now - counted_at >= COUNTED_APART_S:
        recent, counted_at = (*recent, seen is not Verdict.UP)[-COUNTED:], now
    verdict = _verdict(before, seen, in_a_row=length >= _needed(seen, probe), recent=recent)
    if verdict is Verdict.DOWN and seen is Verdict.DOWN:
        recent = ()
    detail = history.detail
    if verdict is seen:
        detail = result.detail
    elif verdict is not before:
        detail = f"{sum(recent)} of the last {len(recent)} answers were bad"
    since = history.since if verdict is before else now
    # An unreliable target is watched in turn: hurried successes would only thin out the count.
    settled = verdict is seen or (verdict is Verdict.DEGRADED and seen is Verdict.UP)
    after = History(since, verdict, seen, length, detail, recent, counted_at)
    return after, None if settled else now + probe.confirm_every_s


def _verdict(before: Verdict, seen: Verdict, *, in_a_row: bool, recent: Sequence[bool]) -> Verdict:
    """A result that is DOWN is never judged by the count: it may be on its way to a streak."""
    bad = sum(recent)
    if before is Verdict.DEGRADED and seen is Verdict.UP:
        return Verdict.UP if bad <= BAD_TO_RECOVER and len(recent) >= COUNTED_TO_RECOVER else Verdict.DEGRADED
    countable = seen in (Verdict.UP, Verdict.DEGRADED) and (in_a_row or before is not Verdict.DOWN)
    if countable and bad >= BAD_TO_DEGRADE:
        return Verdict.DEGRADED
    return seen if in_a_row else before


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
    """Every region of the zone, each judged by all voters but itself.

    Where there is no other voter its own word counts, but only for it: nobody could take its calls.
    """
    by_target: dict[str, list[Observation]] = {name: [] for name in zone.members}
    for seen in observations:
        if seen.tier is Tier.REGION and seen.target in by_target:
            by_target[seen.target].append(seen)
    if len(zone.voters) == 1:
        return {name: tally(name, well, [one.observer for one in well]) for name, well in _seen_up(by_target).items()}
    return {name: tally(name, said, zone.observers_of(name)) for name, said in by_target.items()}


def _seen_up(said: Mapping[str, Sequence[Observation]]) -> dict[str, list[Observation]]:
    return {name: [one for one in seen if one.observer == name and one.verdict is Verdict.UP]
            for name, seen in said.items()}  # fmt: skip


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
