"""What the levers were last read to say, and when each may be asked again.

A failure makes an origin unknown, never off: what is unknown is read before anything leans on it. Back-off is per
lever, so that one vendor's silence does not hold up another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.core.memory import FLOOR_MAX
from holdfast.core.values import OriginState, Reason
from holdfast.errors import DriverError
from holdfast.levers.base import OriginReading

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0


@dataclass(slots=True)
class _Read:
    enabled: bool | None
    at: float
    epoch: int = 0
    share: int | None = None
    drift: tuple[str, ...] = ()


@dataclass(slots=True)
class _Trouble:
    reason: Reason
    since: float
    delay_s: float
    again_at: float


@dataclass(slots=True)
class _Patience:
    """A lever whose read-back differs from what was written: it may answer out of a stale copy."""

    delay_s: float
    again_at: float


@dataclass(slots=True)
class OriginBook:
    """Readings of one zone's levers. Owned by the zone's loop."""

    clock: Callable[[], float]
    _reads: dict[tuple[str, str], _Read] = field(default_factory=dict)
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _patience: dict[str, _Patience] = field(default_factory=dict)
    _settled: dict[tuple[str, str], tuple[bool, int | None]] = field(default_factory=dict)
    _stuck_since: dict[str, float] = field(default_factory=dict)
    _unseen: dict[tuple[str, str], bool] = field(default_factory=dict)

    def states(self) -> tuple[OriginState, ...]:
        """For the core: every origin that was read, with the age of the reading."""
        now = self.clock()
        return tuple(
            OriginState(
                lever,
                region,
                read.enabled,
                read_age_s=now - read.at,
                share=read.share,
                settled=self._settled.get((lever, region)),
                contradicts=(lever, region) in self._unseen,
            )
            for (lever, region), read in self._reads.items()
        )

    def epoch_seen(self) -> int:
        """The highest epoch in our marks at the vendors. A number that no operator of ours can have written is none."""
        return max((read.epoch for read in self._reads.values() if read.epoch <= FLOOR_MAX), default=0)

    def settle(self, lever: str, region: str) -> None:
        """What was read is what is wanted: if it is other than that one day, somebody else did it."""
        read = self._reads[lever, region]
        if read.enabled is not None:
            self._settled[lever, region] = (read.enabled, read.share)

    def drift(self) -> dict[str, tuple[str, ...]]:
        """What others changed, by lever and in its driver's words, beside whether an origin is on."""
        found: dict[str, tuple[str, ...]] = {}
        for (lever, _), read in sorted(self._reads.items()):
            if read.drift:
                found[lever] = (*found.get(lever, ()), *read.drift)
        return found

    def stuck(self, lever: str, *, is_stuck: bool) -> None:
        """Whether this lever, now, still sends calls where none may go."""
        if is_stuck:
            self._stuck_since.setdefault(lever, self.clock())
        else:
            self._stuck_since.pop(lever, None)

    def held_s(self) -> dict[str, float]:
        """For how long each lever has been stuck that is."""
        return {lever: self.clock() - since for lever, since in self._stuck_since.items()}

    def wrote(self, lever: str, region: str, *, enabled: bool) -> None:
        """A write of ours is under way: until it is read nothing is known, and what differs then is ours."""
        self._settled.pop((lever, region), None)
        self._unseen[lever, region] = enabled
        self.unknown(lever, region)

    def forget(self) -> None:
        """Everything is unknown again: the next plan reads first."""
        self._settled.clear()
        for read in self._reads.values():
            read.enabled = None

    def unknown(self, lever: str, region: str) -> None:
        """The outcome of a write is not known until it is read; the epoch found there can only have grown."""
        before = self._reads.get((lever, region))
        self._reads[lever, region] = _Read(enabled=None, at=self.clock(), epoch=before.epoch if before else 0)

    def answered(self, lever: str, reading: OriginReading) -> None:
        """A reading came in, so the lever is well."""
        if self._unseen.get((lever, reading.region)) is reading.enabled:
            del self._unseen[lever, reading.region]
        self._reads[lever, reading.region] = _Read(
            enabled=reading.enabled, at=self.clock(), epoch=reading.epoch, share=reading.share, drift=reading.drift
        )
        self._troubles.pop(lever, None)

    def failed(self, lever: str, region: str, error: DriverError) -> None:
        """Hold, and ask again later: twice as late each time, or when the vendor said it would listen."""
        now, before = self.clock(), self._troubles.get(lever)
        delay_s = FIRST_RETRY_S if before is None else min(before.delay_s * 2, LAST_RETRY_S)
        if not error.retryable:
            delay_s = LAST_RETRY_S
        wait_s = max(delay_s, error.retry_after_s or 0.0)
        since = now if before is None else before.since
        self._troubles[lever] = _Trouble(Reason(error.code, str(error)), since, delay_s, now + wait_s)
        self.unknown(lever, region)

    def differs(self, lever: str, region: str) -> None:
        """A read-back says other than what was written: whatever is done next is done later, and it is a read.

        A vendor that answers out of a stale copy would otherwise be written to again and again.
        """
        before = self._patience.get(lever)
        delay_s = FIRST_RETRY_S if before is None else min(before.delay_s * 2, LAST_RETRY_S)
        self._patience[lever] = _Patience(delay_s, self.clock() + delay_s)
        self.unknown(lever, region)

    def agrees(self, lever: str) -> None:
        """A read-back says what was written."""
        self._patience.pop(lever, None)

    def may_ask(self, lever: str) -> bool:
        """Whether the back-off of this lever is over."""
        now = self.clock()
        waiting = (self._troubles.get(lever), self._patience.get(lever))
        return all(each is None or now >= each.again_at for each in waiting)

    def troubles(self) -> dict[str, Reason]:
        """Levers that do not answer as they should, with the reason."""
        return {lever: trouble.reason for lever, trouble in self._troubles.items()}
