"""What an operator hears of its peers: each writes a heartbeat once a second, the others read it once a second.

Beats are not simulated one by one. Whether they get through changes only when something breaks or heals, and then
`settle` is called; in between, what would be heard and how old it would be follows from that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from holdfast.core import evidence
from holdfast.core.values import NEVER_S, Load, Observation, Tier, Verdict, Withdrawal

LAG_S = (0.1, 1.0)
FIRST_BEAT_S = (0.3, 1.3)
MISSED_AFTER_S = (1.8, 2.6)
FRESH_LAG_S = 0.1
LIE_HELD_S = 60.0


@dataclass(frozen=True, slots=True)
class Other:
    """A verdict on a target of another tier. `since` is simulated time, which only the simulator turns into an age."""

    name: str
    tier: Tier
    verdict: Verdict
    since: float


@dataclass(frozen=True, slots=True)
class Beat:
    """What an operator tells. `at` is on its own clock, and so is what histories count from."""

    at: float
    histories: Mapping[str, evidence.History] = field(default_factory=dict)
    doubt: bool = False
    load: Load | None = None
    asked: Withdrawal | None = None
    others: tuple[Other, ...] = ()
    lies: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(slots=True)
class Mouth:
    """What one operator has told last, and before that: readers lag behind."""

    beat: Beat
    told_at: float = 0.0
    before: Beat | None = None

    def tell(self, beat: Beat, now: float) -> None:
        self.before, self.beat, self.told_at = self.beat, beat, now


@dataclass(slots=True)
class _Heard:
    lag_s: float
    through: bool = False
    broken_at: float = float("-inf")
    sound_from: float = float("inf")
    kept: Beat | None = None
    kept_clock: float = 0.0


class Ears:
    """One operator's, in one life."""

    def __init__(self, peers: tuple[str, ...], dice: random.Random, now: Callable[[], float]) -> None:
        self._dice = dice
        self._now = now
        self._heard = {peer: _Heard(dice.uniform(*LAG_S)) for peer in peers}

    def settle(self, peer: str, mouth: Mouth, *, through: bool) -> bool:
        """Take in that beats get through from now on, or no more. True when they just stopped."""
        heard, now = self._heard[peer], self._now()
        if heard.through is through:
            return False
        heard.through = through
        if through:
            heard.sound_from = now + self._dice.uniform(*FIRST_BEAT_S)
            return False
        if now >= heard.sound_from:
            heard.broken_at = now - heard.lag_s / 2
            heard.kept = mouth.beat
        heard.sound_from = float("inf")
        return True

    def deaf(self, mouths: Mapping[str, Mouth]) -> None:
        """Nothing was read for a while: whoever was heard must be heard anew."""
        for peer, heard in self._heard.items():
            if heard.through:
                self.settle(peer, mouths[peer], through=False)

    def age_s(self, peer: str, *, loss: float = 0.0) -> float:
        """Since this peer's heartbeat was last seen to move."""
        heard, now = self._heard[peer], self._now()
        if not heard.through or now < heard.sound_from:
            return now - heard.broken_at if heard.kept is not None else NEVER_S
        missed = 0
        while loss and missed < 4 and self._dice.random() < 1 - (1 - loss) ** 2:
            missed += 1
        return heard.lag_s + missed

    def beat(self, peer: str, mouth: Mouth, *, fresh: bool = False) -> Beat | None:
        heard, now = self._heard[peer], self._now()
        if not heard.through or now < heard.sound_from:
            return heard.kept
        lag_s = FRESH_LAG_S if fresh else heard.lag_s
        heard.kept = mouth.before if now - mouth.told_at < lag_s and mouth.before is not None else mouth.beat
        return heard.kept


def observations(observer: str, beat: Beat, *, age_s: float, passed_s: float, now: float) -> list[Observation]:
    """A beat as the core is shown it. `passed_s`: since it was told, on the teller's clock."""
    at, doubt, lies = beat.at + passed_s, beat.doubt, beat.lies
    seen = [
        Observation(observer, target, history.verdict, age_s, at - history.since, doubt, history.detail)
        for target, history in beat.histories.items()
        if target not in lies
    ]
    seen += [Observation(observer, target, verdict, age_s, LIE_HELD_S, doubt) for target, verdict in lies.items()]
    seen += [
        Observation(observer, other.name, other.verdict, age_s, now - other.since, doubt, tier=other.tier)
        for other in beat.others
    ]
    return seen


def withdrawals(told: Mapping[str, Beat], heard: Mapping[str, float]) -> Iterator[Withdrawal]:
    """What the regions ask for themselves, each with the age of its voice."""
    for region, beat in told.items():
        if beat.asked is not None:
            yield replace(beat.asked, heard_age_s=heard[region])
