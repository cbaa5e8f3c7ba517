"""When a call is written down: at once when it matters, else with the other news of the same second.

It knows nobody who writes into it: the parts of a call point one way only, so that a call that is over is gone from
memory at once, and does not wait for the collector of cycles.
"""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.account import Account
from holdfast_bridge.core.speech import Speech

RECORD_EVERY_S = 1.0


class Diary:
    def __init__(self, account: Account, speech: Speech, out: list[ev.Effect]) -> None:
        self._account = account
        self._speech = speech
        self._out = out
        self.due: float | None = None

    def note(self, now: float, *, urgent: bool = False) -> None:
        """Something has moved."""
        if urgent:
            self.write(now, at_once=True)
        elif self.due is None:
            self.due = now + RECORD_EVERY_S

    def write(self, now: float, *, at_once: bool) -> None:
        self.due = None
        self._speech.measure()
        self._out.append(ev.Record(self._account.write(now), now=at_once))
