"""The sound of one call: every frame says whose it is, so that each end knows whom it hears. Times are given.

Sound is base64, as it travels; what a provider hears it says back. The bridge's own tone is not the agent's voice.
"""

from __future__ import annotations

from binascii import b2a_base64
from dataclasses import dataclass, field

from holdfast_gameday.bench_bridge.codings import FRAME_BYTES

NOBODY = -1
GAP_NS = 10_000_000_000
_HEAD = b"hf%06d"
_WORD, _NUMBER = slice(0, 2), slice(2, 8)
_REST = b2a_base64(b"\xff" * (FRAME_BYTES - 6), newline=False)


def number_of(sound: bytes) -> int:
    """The number of the call whose sound this is; NOBODY: it is no caller's."""
    if sound[_WORD] != b"hf":
        return NOBODY
    try:
        return int(sound[_NUMBER])
    except ValueError:
        return NOBODY


@dataclass(frozen=True, slots=True)
class Gap:
    """The caller did not hear the agent. Nanoseconds of the monotonic clock."""

    begins: int
    ends: int


@dataclass(slots=True)
class Voice:
    """A caller: what he says, and what he hears of the agent from `heard_at` on."""

    number: int
    heard_at: int
    longest_ns: int = 0
    gaps: list[Gap] = field(default_factory=list)
    """Those that are too long."""
    strange: int = 0
    """Frames of another call."""
    _frame: bytes = b""
    _due: bool = True

    def __post_init__(self) -> None:
        self._frame = _HEAD % self.number + _REST

    def say(self, number: int, now: int) -> bytes:  # noqa: ARG002 - every frame of a call is the same
        return self._frame

    def hear(self, sound: bytes, now: int) -> int:
        if sound == self._frame:
            self._heard(now)
            return self.number
        other = number_of(sound)
        if other != NOBODY:
            self.strange += 1
        return other

    def repeat(self, sound: bytes, number: int, now: int) -> bytes:  # noqa: ARG002 - nobody repeats a caller
        return sound

    def done(self, now: int) -> None:
        """From now on nothing is due; silence until now counts."""
        if self._due:
            self._heard(now)
            self._due = False

    def _heard(self, now: int) -> None:
        before, self.heard_at = self.heard_at, now
        if self._due and now - before > self.longest_ns:
            self.longest_ns = now - before
        if self._due and now - before > GAP_NS:
            self.gaps.append(Gap(before, now))


@dataclass(slots=True)
class Ear:
    """A provider's: it says back what it hears, and knows by it which call it has."""

    number: int = NOBODY

    def say(self, number: int, now: int) -> bytes:
        raise NotImplementedError("a provider speaks only when it hears")

    def hear(self, sound: bytes, now: int) -> int:  # noqa: ARG002 - nothing is timed here
        if self.number == NOBODY:
            self.number = number_of(sound)
        return self.number

    def repeat(self, sound: bytes, number: int, now: int) -> bytes:  # noqa: ARG002 - the sound says it all
        return sound
