"""Synthetic callers: they place calls with the simulated carrier, talk by a script, and report what they heard.

    callers = Callers(twilio)
    call = callers.place("+4930123", remember_a_code("4711"))
    await call.settled.wait()      # in small talk
    …                              # break something
    call.finish()
    await call.over.wait()
    report = call.report()

All times are CLOCK_MONOTONIC seconds (the event loop's), so they compare with `time.monotonic()` of any process.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast_gameday.world.callers_ear import Ear, Gap, Segment, Stillness
from holdfast_gameday.world.callers_script import Dialogue, Step, Turn
from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_call import CallEvent, CarrierCall, EndedBy, Ending


class Outcome(enum.Enum):
    LIVE = "live"
    AGENT_HUNG_UP = "agent-hung-up"
    """The clean end: goodbye was said, then the agent ended the call by REST, or `next` answered Hangup."""
    LOST = "lost"
    CALLER_HUNG_UP = "caller-hung-up"
    """Told to, or nobody hung up after goodbye."""


@dataclass(frozen=True, slots=True)
class StreamVisit:
    """One stream of a call, or an attempt at one."""

    host: str
    dialled_at: float
    opened_at: float | None
    first_sound_at: float | None
    closed_at: float | None
    error: int | None
    """Twilio's error number, when it could not be opened."""


@dataclass(frozen=True, slots=True)
class CallReport:
    sid: str
    index: int
    to: str
    placed_at: float
    ended_at: float | None
    setup_s: float | None
    """From dialling to the first stream connected."""
    first_audio_s: float | None
    """From dialling to the first agent frame heard."""
    visits: tuple[StreamVisit, ...]
    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...]
    silences: tuple[Stillness, ...]
    turns: tuple[Turn, ...]
    frames_heard: int
    frames_skipped: int
    frames_repeated: int
    carrier_said: tuple[str, ...]
    events: tuple[CallEvent, ...]
    outcome: Outcome
    detail: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts whose streams were opened, in order."""
        return tuple(visit.host for visit in self.visits if visit.opened_at is not None)

    @property
    def fact_answered(self) -> bool:
        """Every question with an expected answer was asked and got it."""
        asked = [turn for turn in self.turns if turn.expect]
        return bool(asked) and all(turn.answered for turn in asked)

    def longest_gap_s(self, *, since: float | None = None, until: float | None = None) -> float:
        """Of the gaps that touch the given span of time; each counts with its whole length."""
        return max(
            (
                gap.seconds
                for gap in self.gaps
                if (since is None or gap.until >= since) and (until is None or gap.since <= until)
            ),
            default=0.0,
        )

    def longest_silence_s(self, *, since: float, until: float) -> float:
        """Within the given span of time, and no longer than it."""
        spans = [(max(each.since, since), min(each.until, until)) for each in self.silences]
        return max((end - start for start, end in spans if end > start), default=0.0)

    def host_at(self, at: float) -> str | None:
        """Whose stream was open at that moment."""
        for visit in reversed(self.visits):
            if visit.opened_at is not None and visit.opened_at <= at and (visit.closed_at or at) >= at:
                return visit.host
        return None

    def heard_elsewhere_at(self, *, since: float, lost_host: str) -> float | None:
        """When agent speech was first heard, after `since`, from another host than the lost one."""
        for segment in self.segments:
            if segment.until >= since and self.host_at(segment.until) not in (None, lost_host):
                return max(segment.since, since)
        return None


class Call:
    """One caller on the phone: the carrier asks it for sound and gives it sound, every 20 ms."""

    def __init__(self, script: Sequence[Step], *, index: int, to: str, placed_at: float, ear: Ear) -> None:
        self.ear = ear
        self.index = index
        self.to = to
        self.settled = asyncio.Event()
        """Set when the script is in small talk and the agent answered once (or the call is over)."""
        self.over = asyncio.Event()
        self._dialogue = Dialogue(script, self.ear, speaker=index)
        self._placed_at = placed_at
        self._said: list[str] = []
        self._ending: Ending | None = None
        self._ended_at: float | None = None
        self._carrier: CarrierCall | None = None

    @property
    def sid(self) -> str:
        return self._carried().sid

    @property
    def host(self) -> str | None:
        """The host that the call's stream is open to, for a live view."""
        return self._carried().host

    @property
    def outcome(self) -> Outcome:
        ending = self._ending
        if ending is None:
            return Outcome.LIVE
        if ending.by is EndedBy.CALLER:
            return Outcome.CALLER_HUNG_UP
        if self._dialogue.said_goodbye and ending.by in (EndedBy.API, EndedBy.HANGUP_VERB):
            return Outcome.AGENT_HUNG_UP
        return Outcome.LOST

    def agent_speaks(self, now: float) -> bool:
        return self.ear.quiet_for(now) < 0.1

    def finish(self) -> None:
        """Leave small talk after the present turn and go through the rest of the script."""
        self._dialogue.finish()

    def hang_up(self) -> None:
        self._carried().complete(Ending(EndedBy.CALLER))

    def press(self, digit: str) -> None:
        self._carried().press(digit)

    def attach(self, carrier: CarrierCall) -> None:
        self._carrier = carrier

    def _carried(self) -> CarrierCall:
        assert self._carrier is not None
        return self._carrier

    # The carrier's side of the phone

    def speak(self, now: float) -> bytes | None:
        sound = self._dialogue.speak(now)
        if self._dialogue.chatting:
            self.settled.set()
        if self._dialogue.wants_to_hang_up and self._ending is None:
            self._carried().complete(Ending(EndedBy.CALLER, "the script is over"))
        return sound

    def hear(self, sound: bytes, now: float) -> None:
        self.ear.hear(sound, now)

    def carrier_said(self, text: str, now: float) -> None:  # noqa: ARG002 - the carrier's signature
        self._said.append(text)

    def ended(self, ending: Ending, now: float) -> None:
        self._ending, self._ended_at = ending, now
        self.settled.set()
        self.over.set()

    # What it has to tell

    def report(self) -> CallReport:
        """So far, or final once `over` is set."""
        carrier, ear = self._carried(), self.ear
        now = self._ended_at if self._ended_at is not None else asyncio.get_running_loop().time()
        opened = next((visit.opened_at for visit in carrier.visits if visit.opened_at is not None), None)
        clean = self.outcome in (Outcome.AGENT_HUNG_UP, Outcome.CALLER_HUNG_UP)
        return CallReport(
            sid=carrier.sid,
            index=self.index,
            to=self.to,
            placed_at=self._placed_at,
            ended_at=self._ended_at,
            setup_s=None if opened is None else opened - self._placed_at,
            first_audio_s=None if ear.first_heard_at is None else ear.first_heard_at - self._placed_at,
            visits=tuple(
                StreamVisit(
                    host=visit.host,
                    dialled_at=visit.dialled_at,
                    opened_at=visit.opened_at,
                    first_sound_at=visit.first_sound_at,
                    closed_at=visit.closed_at,
                    error=visit.error.code if visit.error else None,
                )
                for visit in carrier.visits
            ),
            segments=ear.segments(),
            # What a clean end cuts off is not waited for.
            gaps=tuple(ear.gaps) if clean else ear.gaps_until(now),
            silences=tuple(ear.silences),
            turns=tuple(self._dialogue.turns),
            frames_heard=ear.frames,
            frames_skipped=ear.frames_skipped,
            frames_repeated=ear.frames_repeated,
            carrier_said=tuple(self._said),
            events=tuple(carrier.events),
            outcome=self.outcome,
            detail=f"{self._ending.by.value} {self._ending.detail}".strip() if self._ending else "",
        )


class Callers:
    """`ear`: makes what a caller hears with; by default one for the practice voice."""

    def __init__(self, carrier: TwilioSim, *, ear: Callable[[], Ear] = Ear) -> None:
        self.calls: list[Call] = []
        self._carrier = carrier
        self._ear = ear

    def place(self, number: str, script: Sequence[Step], *, from_number: str | None = None) -> Call:
        """Dials `number`; the call lives on its own until the script, the agent or a fault ends it."""
        index = len(self.calls) + 1
        now = asyncio.get_running_loop().time()
        call = Call(script, index=index, to=number, placed_at=now, ear=self._ear())
        call.attach(self._carrier.place(from_number or f"+4915550{index:05d}", to=number, phone=call))
        self.calls.append(call)
        return call

    def live(self) -> list[Call]:
        return [call for call in self.calls if not call.over.is_set()]
