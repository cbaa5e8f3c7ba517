"""The vendor of a lever: origins that carry our mark, and every way in which a request to it can go wrong.

Like the real drivers' vendors it has no compare-and-set: a request is checked against the mark when it comes in. A
vendor that dawdles does it later, without a second look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from holdfast.core.values import Fence

HISTORY = 64
LOCK_OUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Origin:
    """One region's object. `epoch` and `marked` stand for our mark; `touched` names who changed it last."""

    enabled: bool = True
    share: int = 100
    epoch: int = 0
    marked: bool = True
    touched: str = ""


class Manner(Enum):
    """How a vendor treats what is asked of it."""

    ERRORS = "answers 500, does nothing"
    NO_ANSWER = "does it, never answers"
    NOT_DONE = "neither does it nor answers"
    LATE = "does it later, never answers"
    PARTIAL = "does half of it, answers 500"
    STALE = "answers reads from the past"
    LOCKED = "answers 429"


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back from a vendor: an origin, or an error. `code` None: all is well."""

    origin: Origin | None = None
    code: str | None = None
    retryable: bool = True
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One write on its way, with the fence under which it was sent."""

    region: str
    enabled: bool
    share: int
    fence: Fence
    key: str


@dataclass(slots=True)
class Vendor:
    """One lever's vendor. `on_commit` is told of every change: region, before, after, and the write (None: an edit)."""

    lever: str
    origins: dict[str, Origin]
    on_commit: Callable[[str, Origin, Origin, Change | None], None]
    later: Callable[[float, Callable[[], None]], None]
    clock: Callable[[], float]
    manners: list[tuple[Manner, float]] = field(default_factory=list)
    locked_until: float = 0.0
    requests: int = 0
    _past: dict[str, deque[tuple[float, Origin]]] = field(default_factory=dict)

    def manner(self, *of: Manner) -> tuple[Manner, float] | None:
        return next((each for each in self.manners if each[0] in of), None)

    def read(self, region: str) -> Answer | None:
        """None: no answer."""
        self.requests += 1
        if refused := self._locked():
            return refused
        origin = self.origins[region]
        if stale := self.manner(Manner.STALE):
            origin = self.as_of(region, self.clock() - stale[1])
        if not origin.marked:
            return Answer(code="NotOurs", retryable=False)
        return Answer(origin)

    def write(self, change: Change) -> Answer | None:
        """None: no answer; whether it was done, nobody can tell."""
        self.requests += 1
        if refused := self._locked():
            return refused
        origin = self.origins[change.region]
        if not origin.marked:
            return Answer(code="NotOurs", retryable=False)
        if origin.epoch > change.fence.epoch:
            return Answer(code="Fenced", retryable=False)
        share = change.share if change.enabled else 0
        done = Origin(change.enabled, share, change.fence.epoch, touched=change.fence.holder)
        match self.manner(*WRITE_MANNERS):
            case (Manner.ERRORS, _):
                return Answer(code="VendorError")
            case (Manner.NOT_DONE, _):
                return None
            case (Manner.NO_ANSWER, _):
                self._put(change.region, done, change)
                return None
            case (Manner.LATE, after_s):
                late = replace(done, touched=f"{done.touched}, late")
                self.later(after_s, lambda: self._put(change.region, late, change))
                return None
            case (Manner.PARTIAL, _):
                self._put(change.region, replace(origin, share=done.share, epoch=done.epoch, touched="half"), change)
                return Answer(code="VendorError")
            case _:
                self._put(change.region, done, change)
                return Answer(done)

    def edit(self, region: str, changed: Origin) -> None:
        """Somebody else's hand."""
        self._put(region, changed, None)

    def as_of(self, region: str, when: float) -> Origin:
        """The state before the first change that is newer than that."""
        for at, before in self._past.get(region, ()):
            if at > when:
                return before
        return self.origins[region]

    def changed_since(self, region: str, when: float) -> bool:
        past = self._past.get(region)
        return bool(past) and past[-1][0] > when if past else False

    def _locked(self) -> Answer | None:
        left_s = self.locked_until - self.clock()
        return Answer(code="RateLimited", retry_after_s=left_s) if left_s > 0 else None

    def _put(self, region: str, changed: Origin, change: Change | None) -> None:
        before = self.origins[region]
        self._past.setdefault(region, deque(maxlen=HISTORY)).append((self.clock(), before))
        self.origins[region] = changed
        self.on_commit(region, before, changed, change)


WRITE_MANNERS = (Manner.ERRORS, Manner.NOT_DONE, Manner.NO_ANSWER, Manner.LATE, Manner.PARTIAL)
