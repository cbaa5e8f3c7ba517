"""How this bridge's part of a call comes to its end: for which reason, after which last words, and at the latest when.

It says nothing itself and closes nothing; who speaks and what the carrier still plays is asked of it as arguments.
"""

from __future__ import annotations

from holdfast_bridge.core.events import End, EndCall

GOODBYE_WITHIN_S = 12.0
OVER = frozenset({End.AGENT_HUNG_UP, End.CALLER_HUNG_UP, End.TOO_LONG, End.CALLER_SILENT})
"""The call itself is over, and not only our part in it."""


class Ending:
    def __init__(self) -> None:
        self.reason: End | None = None
        self.due: float | None = None
        """Then the call ends, whatever was still to be said."""
        self.released = False
        """The carrier was told to fetch `next` elsewhere."""
        self._farewell_to = ""

    def wind_up(self, reason: End, now: float, *, farewell_to: str = "") -> None:
        """End it after the last words. `farewell_to`: the tool call whose answer asks for them, if they are due."""
        self.reason = reason
        self.due = now + GOODBYE_WITHIN_S
        self._farewell_to = farewell_to

    def is_late(self, now: float) -> bool:
        return self.due is not None and now >= self.due

    def farewell(self) -> str:
        """The tool call to answer with a request for the last words, once; empty when none are due."""
        call, self._farewell_to = self._farewell_to, ""
        return call

    def complete(self, *, quiet: bool) -> bool:
        """Whether nothing is left to be said or heard."""
        return self.reason is not None and quiet and not self._farewell_to

    def on_stop(self) -> End:
        """What it means that the carrier stopped the stream."""
        return End.RELEASED if self.released else self.reason or End.CALLER_HUNG_UP

    def on_carrier_lost(self) -> End:
        return End.RELEASED if self.released else End.CARRIER_LOST


def end_of(reason: End, *, stopped: bool) -> EndCall:
    """`stopped`: the carrier knows already."""
    over = reason in OVER
    return EndCall(reason, over=over, hang_up=over and not stopped)
