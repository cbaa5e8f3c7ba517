"""How a frame of sound is known again behind a bridge, and the account of what came and when. Pure; times are given.

`Numbered` writes a number and the moment of sending into the samples themselves: every frame is accounted for. It needs
a bridge that passes µ-law on untouched. `Bursts` is for those that resample: silence with one loud frame a second,
known again by its loudness, whatever the rate.

Sound is base64 here, as it travels. One object per call and direction of travel; the account is shared by all calls.
"""

from __future__ import annotations

from array import array
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

FRAME_BYTES = 160
FRAME_MS = 20
BURST_EVERY = 50
"""Frames: one burst a second."""
_HEAD = b"hf%06d%016x"
"""A word to know it by, the frame's number, and when it was sent in nanoseconds: 24 letters of base64, which
stand for 18 bytes, so that nothing has to be encoded here."""
_WORD, _NUMBER, _TIME = slice(0, 2), slice(2, 8), slice(8, 24)
_REST = b2a_base64(b"\xff" * (FRAME_BYTES - 18), newline=False)
_SILENCE = b2a_base64(b"\xff" * FRAME_BYTES, newline=False)
_BURST = b2a_base64((b"\x80" * 8 + b"\x00" * 8) * (FRAME_BYTES // 16), newline=False)
"""A square wave of 500 Hz at full scale."""
_LOUD_PCM = 8_000
_LOUD_ULAW = 0x20
"""Codes below this, sign apart, stand for samples as loud as that."""
_QUIET_AFTER_NS = 500_000_000


@dataclass(slots=True)
class Account:
    """What all calls sent and got in one direction within the window in which it is measured. Times in nanoseconds."""

    since: int = 0
    until: int = 0
    sent: int = 0
    came: int = 0
    disorder: int = 0
    """Came twice, out of order, or unreadable."""
    waits: array[int] = field(default_factory=lambda: array("q"))

    def open(self, since: int, until: int) -> None:
        self.since, self.until = since, until
        self.sent = self.came = self.disorder = 0
        self.waits = array("q")

    @property
    def lost(self) -> int:
        return self.sent - self.came

    def wait_ms(self, share: float) -> float:
        """The wait that this share of the frames did not exceed; nan when none came."""
        if not self.waits:
            return float("nan")
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e6


class Coding(Protocol):
    """One direction of one call. Which of its two ends calls what: `say` and `repeat` the sender, `hear` the other."""

    def say(self, number: int, now: int) -> bytes:
        """The next frame of a caller."""
        ...

    def hear(self, sound: bytes, now: int) -> int:
        """Sound that came out of the bridge; its number."""
        ...

    def repeat(self, sound: bytes, number: int, now: int) -> bytes:
        """What a provider says when it has heard this."""
        ...


class Numbered:
    __slots__ = ("_account", "_next")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._next = 0

    def say(self, number: int, now: int) -> bytes:
        account = self._account
        if account.since <= now < account.until:
            account.sent += 1
        return _HEAD % (number, now) + _REST

    def hear(self, sound: bytes, now: int) -> int:
        account = self._account
        try:
            number, sent_at = int(sound[_NUMBER]), int(sound[_TIME], 16)
        except ValueError:
            number = sent_at = -1
        if number < self._next or sound[_WORD] != b"hf":
            account.disorder += 1
            return max(0, number)
        self._next = number + 1
        if account.since <= sent_at < account.until:
            account.came += 1
            account.waits.append(now - sent_at)
        return number

    def repeat(self, sound: bytes, number: int, now: int) -> bytes:  # noqa: ARG002 - the number is all that is repeated
        return self.say(number, now)


class Bursts:
    """`to_provider`: the direction. A provider hears and repeats 16 bits a sample, a caller µ-law."""

    __slots__ = ("_account", "_heard_at", "_said_at", "_said_loud_at", "_to_provider")

    def __init__(self, account: Account, *, to_provider: bool) -> None:
        self._account = account
        self._to_provider = to_provider
        self._said_at = self._said_loud_at = self._heard_at = 0

    def say(self, number: int, now: int) -> bytes:
        if number % BURST_EVERY:
            return _SILENCE
        self._said(now)
        return _BURST

    def hear(self, sound: bytes, now: int) -> int:
        if _loud_pcm(sound) if self._to_provider else _loud_ulaw(sound):
            if now - self._heard_at > _QUIET_AFTER_NS:
                self._came(now)
            self._heard_at = now
        return 0

    def repeat(self, sound: bytes, number: int, now: int) -> bytes:  # noqa: ARG002 - sound has no number here
        if _loud_pcm(sound):
            if now - self._said_loud_at > _QUIET_AFTER_NS:
                self._said(now)
            self._said_loud_at = now
        return sound

    def _said(self, now: int) -> None:
        self._said_at = now
        if self._account.since <= now < self._account.until:
            self._account.sent += 1

    def _came(self, now: int) -> None:
        if self._account.since <= self._said_at < self._account.until:
            self._account.came += 1
            self._account.waits.append(now - self._said_at)


def _loud_pcm(sound: bytes) -> bool:
    octets = a2b_base64(sound)
    samples = np.frombuffer(octets[: len(octets) // 2 * 2], dtype="<i2")
    return bool(len(samples)) and int(np.abs(samples.astype(np.int32)).max()) > _LOUD_PCM


def _loud_ulaw(sound: bytes) -> bool:
    return any(code & 0x7F < _LOUD_ULAW for code in a2b_base64(sound)[::4])
