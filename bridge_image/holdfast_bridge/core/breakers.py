"""This pod's own breakers, one for each part of an attempt: what failed its calls just now is tried last for a while.

Pure. An operator hears of failures a little later and weighs those of all pods; until it has spoken, and while there is
none, a pod's calls need not learn one by one what the last one met. Nothing is dropped here, only put behind the well.

    a breaker is        CLOSED                   OPEN                        HALF_OPEN
    becomes it          at first; by a success   by failures                 when its time is over
    calls               go there                 pass it by                  one tries, the others pass it by
    a link that opened  changes nothing          CLOSED, unless it stalled   CLOSED, unless it stalled
    a reply             changes nothing          changes nothing             CLOSED, if it stalled or is thinking
    a failure           OPEN, if enough          longer, if one is enough    OPEN anew

    failure                               enough is          its time
    AUTH, QUOTA, CONFIG                   one                LONGEST_S
    RATE_LIMITED that says how long       one                that long, at most LONGEST_S
    ERROR, TIMEOUT, STALL, RATE_LIMITED   two in WINDOW_S;   FIRST_S, doubled each time it opens again soon,
                                          half-open, one     at most LONGEST_S

A success is what the part failed at: one that stalled did open its links. An answered probe counts as an opened link.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from holdfast_bridge.core.failures import Failure

WINDOW_S = 30.0
FIRST_S = 10.0
LONGEST_S = 60.0
SOON_S = 60.0
"""Opening again within this after it was last open is soon."""
TRIAL_S = 10.0
"""A call that tries and has no outcome by then was hung up, or failed for another part: the next one may try."""
MAX_PARTS = 64

_OURS = frozenset({Failure.AUTH, Failure.QUOTA, Failure.CONFIG})


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class _Breaker:
    """`until`: when it was last to be open, or was closed before that. `wait_s`: the time of its last two failures."""

    failure: Failure | None = None
    """What it is open for; None: closed."""
    until: float = -math.inf
    wait_s: float = 0.0
    failed_at: float = -math.inf
    """When it last failed in a way that counts by twos."""
    tried_at: float = -math.inf

    def state(self, now: float) -> State:
        if self.failure is None:
            return State.CLOSED
        return State.OPEN if now < self.until else State.HALF_OPEN

    def open(self, failure: Failure, until: float) -> None:
        self.failure, self.until, self.tried_at = failure, until, -math.inf

    def close(self, now: float) -> None:
        self.failure, self.until = None, min(self.until, now)


class Breakers:
    """By the names of parts, as outcomes are counted. Times are seconds of one clock that only goes on."""

    def __init__(self) -> None:
        self._parts: dict[str, _Breaker] = {}

    @property
    def ill(self) -> frozenset[str]:
        """Those that are not closed."""
        return frozenset(part for part, breaker in self._parts.items() if breaker.failure is not None)

    def state(self, part: str, *, now: float) -> State:
        breaker = self._parts.get(part)
        return State.CLOSED if breaker is None else breaker.state(now)

    def passed_by(self, parts: Iterable[str], *, now: float, begins: bool) -> bool:
        """Whether an attempt of these parts is tried last. `begins`: by a call that begins, which may be the one."""
        for part in parts:
            where = self.state(part, now=now)
            free = begins and where is State.HALF_OPEN and now - self._parts[part].tried_at >= TRIAL_S
            if where is not State.CLOSED and not free:
                return True
        return False

    def tried(self, parts: Iterable[str], *, now: float) -> None:
        """A call has begun with these parts: until its outcome is known it is the only one at what is half-open."""
        for part in parts:
            if self.state(part, now=now) is State.HALF_OPEN:
                self._parts[part].tried_at = now

    def failed(self, part: str, failure: Failure, *, now: float, retry_after_s: float = 0.0) -> None:
        """`retry_after_s`: how long the provider asks us to wait."""
        breaker = self._of(part)
        asked_s = retry_after_s if failure is Failure.RATE_LIMITED else 0.0
        if failure in _OURS or asked_s > 0:
            wait_s = LONGEST_S if failure in _OURS else min(asked_s, LONGEST_S)
            if breaker.state(now) is not State.OPEN or now + wait_s > breaker.until:
                breaker.open(failure, now + wait_s)
            return
        second, breaker.failed_at = now - breaker.failed_at < WINDOW_S, now
        where = breaker.state(now)
        if where is State.HALF_OPEN or (where is State.CLOSED and second):
            again = now - breaker.until < SOON_S
            breaker.wait_s = min(max(FIRST_S, 2 * breaker.wait_s), LONGEST_S) if again else FIRST_S
            breaker.open(failure, now + breaker.wait_s)

    def opened(self, part: str, *, now: float) -> None:
        """A link to this part has opened, or a probe of it was answered."""
        breaker = self._parts.get(part)
        if breaker is not None and breaker.failure is not Failure.STALL:
            breaker.close(now)

    def replied(self, part: str, *, now: float) -> None:
        """A reply in which this part took part came to its end. A language model is asked anew for each, the others on
        a link that may be older than their illness."""
        breaker = self._parts.get(part)
        if breaker is None or breaker.state(now) is not State.HALF_OPEN:
            return
        if breaker.failure is Failure.STALL or part.endswith("/thinking"):
            breaker.close(now)

    def forgive(self, parts: Iterable[str], *, now: float) -> None:
        """Somebody who knows more says that these are well."""
        for part in parts:
            if part in self._parts:
                self._parts[part].close(now)

    def _of(self, part: str) -> _Breaker:
        """Names that an edit took away make room, the eldest first."""
        if part not in self._parts:
            while len(self._parts) >= MAX_PARTS:
                del self._parts[next(iter(self._parts))]
            self._parts[part] = _Breaker()
        return self._parts[part]
