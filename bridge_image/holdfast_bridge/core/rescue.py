"""Which calls of a lost region are pushed now, how many at once, how often each is tried, and when one is settled.

Pure: records, answers and the time are arguments. It knows no carrier, no store and no clock.

    an attempt came to   the call is                         the window
    MOVED, OVER          settled, never tried again          grows: by one for as many answers as it is wide
    TAKEN                settled, never tried again          -
    ELSEWHERE            looked at again after a lock's life -
    LATER                looked at again in a second         -
    BUSY                 tried again; not counted as a try   halves, once for all that were under way; nothing starts
    UNKNOWN, REFUSED     tried again, three times in all     -

A call is known by its id and the owner epoch under which it was lost. One that was given up is opened anew only when
its owner was heard of since then: it is another silence.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast_bridge.core.journal import CallRecord

SILENT_S = 3.0
STUCK_S = 10.0
TRIES = 3
OPEN_FOR_S = 120.0
"""A call that is not settled by then is given up: nobody listens to silence for longer."""
UNKNOWN_S = 2.0
REFUSED_S = 5.0
ELSEWHERE_S = 30.0
LATER_S = 1.0
BUSY_S = 0.5
BUSY_MAX_S = 60.0
AT_ONCE = 10.0
AT_ONCE_MIN = 1.0
AT_ONCE_MAX = 40.0
CASES_MAX = 20_000


class Said(enum.Enum):
    """What one attempt came to."""

    MOVED = "moved"
    """The carrier took the order."""
    OVER = "over"
    """The carrier says that the call is not in progress: its caller hung up."""
    TAKEN = "taken"
    """The call has a newer owner, or its clean end is recorded."""
    ELSEWHERE = "elsewhere"
    """Another pod of this region is at it."""
    LATER = "later"
    """Nothing was tried: its owner was heard of after all, or the region's store could not be asked just now."""
    BUSY = "busy"
    """Too many requests: nothing was done."""
    UNKNOWN = "unknown"
    """No answer, or one that does not say whether it was done."""
    REFUSED = "refused"
    """The carrier will not do it."""


SETTLED = frozenset({Said.MOVED, Said.OVER, Said.TAKEN})


PAUSES_S = {
    Said.UNKNOWN: UNKNOWN_S,
    Said.REFUSED: REFUSED_S,
    Said.ELSEWHERE: ELSEWHERE_S,
    Said.LATER: LATER_S,
}


@dataclass(frozen=True, slots=True)
class Answer:
    said: Said
    retry_after_s: float | None = None


@dataclass(slots=True)
class _Case:
    """What was tried for one call under one epoch. `seq`: the account of it that was tried last."""

    opened_at: float
    seq: int
    begun_at: float = 0.0
    not_before: float = 0.0
    tries: int = 0
    in_flight: bool = False
    settled: bool = False
    given_up: bool = False


def silent(
    live: Iterable[CallRecord], still: Sequence[CallRecord], stuck: Iterable[CallRecord] = ()
) -> list[CallRecord]:
    """Of the calls whose account is still, those whose pod is heard of in no other call either.

    A call in which nobody speaks is still, too; that its pod tells of other calls shows that it is alive. `stuck`:
    still for so long that this no longer counts: the pod lives, but the carrier may not reach it.
    """
    quiet, given_up = {record.call for record in still}, {record.call for record in stuck}
    heard = {(record.region, record.pod) for record in live if record.call not in quiet and record.pod}
    return [record for record in still if (record.region, record.pod) not in heard or record.call in given_up]


class Rescues:
    """One pod's book of the calls it pushes."""

    def __init__(self) -> None:
        self._cases: OrderedDict[tuple[str, int], _Case] = OrderedDict()
        self._window = AT_ONCE
        self._under_way = 0
        self._cut_at = float("-inf")
        self._paused_until = float("-inf")

    @property
    def at_once(self) -> int:
        """How many attempts may be under way together now."""
        return int(self._window)

    @property
    def under_way(self) -> int:
        return self._under_way

    def due(self, records: Iterable[CallRecord], *, now: float) -> list[CallRecord]:
        """What to begin now: the most recently active first, as many as the window has room for."""
        free = self.at_once - self._under_way
        if free <= 0 or now < self._paused_until:
            return []
        newest: dict[str, CallRecord] = {}
        for record in records:
            known = newest.get(record.call)
            if known is None or record.epoch > known.epoch:
                newest[record.call] = record
        ready = [record for record in newest.values() if self._open(record, now)]
        ready.sort(key=lambda record: (-record.updated_at, record.call))
        return ready[:free]

    def begin(self, record: CallRecord, *, now: float) -> None:
        """An attempt for a call that is due starts; it ends by `ended`, whatever comes of it."""
        known = self._cases.pop(_key(record), None)
        case = _Case(opened_at=now, seq=record.seq) if known is None or known.given_up else known
        self._cases[_key(record)] = case
        case.seq, case.begun_at, case.in_flight = record.seq, now, True
        self._under_way += 1
        self._forget()

    def ended(self, record: CallRecord, answer: Answer, *, now: float) -> None:
        case = self._cases[_key(record)]
        case.in_flight = False
        self._under_way -= 1
        self._pace(case, answer, now)
        case.settled = answer.said in SETTLED
        case.tries += answer.said in (Said.UNKNOWN, Said.REFUSED)
        case.not_before = now + PAUSES_S.get(answer.said, 0.0)
        case.given_up = not case.settled and (case.tries >= TRIES or now - case.opened_at >= OPEN_FOR_S)

    def _open(self, record: CallRecord, now: float) -> bool:
        case = self._cases.get(_key(record))
        if record.state != "live":
            return False
        if case is None:
            return True
        if case.in_flight or case.settled:
            return False
        return record.seq > case.seq if case.given_up else now >= case.not_before

    def _pace(self, case: _Case, answer: Answer, now: float) -> None:
        if answer.said is Said.BUSY:
            told_s = BUSY_S if answer.retry_after_s is None else min(max(answer.retry_after_s, BUSY_S), BUSY_MAX_S)
            self._paused_until = max(self._paused_until, now + told_s)
            if case.begun_at > self._cut_at:
                self._window = max(AT_ONCE_MIN, self._window / 2)
                self._cut_at = now
        elif answer.said in (Said.MOVED, Said.OVER):
            self._window = min(AT_ONCE_MAX, self._window + 1.0 / self._window)

    def _forget(self) -> None:
        """The oldest go first; what is under way stays."""
        surplus = len(self._cases) - CASES_MAX
        if surplus > 0:
            for key in [key for key, case in self._cases.items() if not case.in_flight][:surplus]:
                del self._cases[key]


def _key(record: CallRecord) -> tuple[str, int]:
    return (record.call, record.epoch)
