"""A steady stream of new calls, each hung up as soon as the agent is heard: what a caller finds who rings just now.

All times are CLOCK_MONOTONIC seconds, as everywhere among the callers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy, Ending

PATIENCE_S = 20.0
"""A caller who has heard nothing for so long hangs up."""


@dataclass(slots=True)
class Arrival:
    """One caller. `host`: whose stream was open when the agent was first heard, and `opened_at` since when."""

    placed_at: float
    heard_at: float | None = None
    host: str | None = None
    opened_at: float = 0.0
    ended_at: float | None = None
    why: str = ""
    carrier: CarrierCall | None = field(default=None, repr=False)

    @property
    def answered(self) -> bool:
        return self.heard_at is not None

    @property
    def set_up_s(self) -> float | None:
        return None if self.heard_at is None else self.heard_at - self.placed_at

    def speak(self, now: float) -> bytes | None:
        if now - self.placed_at > PATIENCE_S and self.ended_at is None:
            self._hang_up()
        return None

    def hear(self, sound: bytes, now: float) -> None:
        if sound and self.heard_at is None:
            self.heard_at = now
            if self.carrier is not None:
                self.host = self.carrier.host
                self.opened_at = self.carrier.visits[-1].opened_at or now
            self._hang_up()

    def carrier_said(self, text: str, now: float) -> None:  # noqa: ARG002 - the carrier's signature
        self.why = text

    def ended(self, ending: Ending, now: float) -> None:
        self.ended_at = now
        if not self.answered:
            self.why = f"{ending.by.value} {ending.detail} {self.why}".strip()

    def _hang_up(self) -> None:
        if self.carrier is not None:
            self.carrier.complete(Ending(EndedBy.CALLER))


class Arrivals:
    """Rings a number `per_second` times a second while `run` runs."""

    def __init__(self, carrier: TwilioSim, number: str, *, per_second: float) -> None:
        self.calls: list[Arrival] = []
        self._carrier = carrier
        self._number = number
        self._every_s = 1 / per_second

    async def run(self) -> None:
        """Until cancelled; calls under way go on."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._ring(loop.time())
            due += self._every_s
            # A loop that was late rings the missed ones at once: callers do not wait for us.
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _ring(self, now: float) -> None:
        arrival = Arrival(placed_at=now)
        caller = f"+4917{len(self.calls) % 10**8:08d}"
        arrival.carrier = self._carrier.place(caller, to=self._number, phone=arrival)
        self.calls.append(arrival)

    async def settled(self) -> None:
        """Until every caller has been answered or has given up."""
        while any(call.ended_at is None for call in self.calls):
            await asyncio.sleep(0.05)
