"""What becomes of a caller who is sent away from the agent: a person is rung up, or a machine records.

It says what Twilio tells the verb's `action` afterwards
(https://www.twilio.com/docs/voice/twiml/dial and .../record). Whose turn comes next is the call's business.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from holdfast_gameday.world import twiml

FRAME_S = 0.02

Told = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a telephone. `picks_up_after_s`: None for one who lets it ring; `busy`: is on the phone."""

    picks_up_after_s: float | None = 1.0
    talks_s: float = 1.0
    busy: bool = False


async def ring(person: Person | None, dial: twiml.Dial) -> Told:
    """Until the talk is over, or there is none. Nobody: the number does not exist."""
    if person is None:
        return (("DialCallStatus", "failed"),)
    if person.busy:
        return (("DialCallStatus", "busy"),)
    if person.picks_up_after_s is None or person.picks_up_after_s > dial.timeout_s:
        await asyncio.sleep(dial.timeout_s)
        return (("DialCallStatus", "no-answer"),)
    await asyncio.sleep(person.picks_up_after_s + person.talks_s)
    return (("DialCallStatus", "completed"), ("DialCallDuration", str(round(person.talks_s))))


@dataclass(slots=True)
class Recording:
    """One `Record`: over when the caller says nothing for a while, or at its greatest length."""

    verb: twiml.Record
    over: asyncio.Event = field(default_factory=asyncio.Event)
    spoken_frames: int = 0
    _frames: int = 0
    _still: int = 0

    def hear(self, said: bytes | None) -> None:
        """20 ms of the caller; None is silence."""
        self._frames += 1
        self._still = self._still + 1 if said is None else 0
        self.spoken_frames += said is not None
        if self._still * FRAME_S >= self.verb.timeout_s or self._frames * FRAME_S >= self.verb.max_length_s:
            self.over.set()

    def told(self) -> Told:
        """Nothing when nothing was said: Twilio keeps no empty recording, and goes on to the next verb."""
        if not self.spoken_frames:
            return ()
        seconds = max(1, round((self._frames - self._still) * FRAME_S))
        return (("RecordingUrl", "https://api.twilio.com/recordings/RE"), ("RecordingDuration", str(seconds)))
