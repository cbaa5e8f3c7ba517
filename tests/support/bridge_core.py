"""Builders for tests of a call's core: a plan with defaults, and a call driven by literal times."""

from __future__ import annotations

from dataclasses import replace

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.plan import CallPlan
from holdfast_bridge.core.silence import Manners

PLAN = CallPlan(
    call="CA1",
    agent="clinic/front-desk",
    epoch=1,
    region="fra",
    pod="p1",
    wall_s=1000.0,
    greeting="How can I help?",
    manners=Manners(tone=False),
    tools=frozenset({"book", "look"}),
    repeatable=frozenset({"look"}),
)

TENTH = b"\x01" * 800
"""A tenth of a second of sound."""


class Drive:
    """A core, its effects so far, and what was said to it."""

    def __init__(self, plan: CallPlan = PLAN, resumed: CallRecord | None = None, **changes: object) -> None:
        self.core = CallCore(replace(plan, **changes), resumed)  # type: ignore[arg-type]
        self.core.start(0.0)
        self.all: list[ev.Effect] = self.core.effects()

    def say(self, *events: ev.Event, at: float) -> list[ev.Effect]:
        """The effects of these events, without the journal's."""
        new: list[ev.Effect] = []
        for event in events:
            self.core.receive(event, at)
            new += self.core.effects()
        self.all += new
        return [effect for effect in new if not isinstance(effect, ev.Record)]

    def tick(self, at: float) -> list[ev.Effect]:
        self.core.handle_timer(at)
        new = self.core.effects()
        self.all += new
        return [effect for effect in new if not isinstance(effect, ev.Record)]

    def line(self, item: str, text: str, *, tenths: int, at: float, done: bool = True) -> list[str]:
        """The provider says a line; returns the marks that were sent behind it."""
        out = self.say(ev.ResponseStarted(), ev.ProviderTranscript(item, text, final=True), at=at)
        for _ in range(tenths):
            out += self.say(ev.ProviderAudio(item, TENTH), at=at)
        if done:
            out += self.say(ev.ProviderAudioDone(item), ev.ResponseDone(ok=True), at=at)
        return [effect.name for effect in out if isinstance(effect, ev.SendMark)]

    def heard(self, marks: list[str], *, at: float) -> list[ev.Effect]:
        return self.say(*(ev.CallerMark(name) for name in marks), at=at)

    def turn(self, item: str, text: str, *, at: float) -> list[ev.Effect]:
        """The caller says something and stops."""
        return self.say(
            ev.SpeechStarted(),
            ev.SpeechStopped(),
            ev.UserTurn(item),
            ev.UserTranscript(item, text, final=True),
            at=at,
        )

    @property
    def record(self) -> CallRecord:
        return self.core.record


def of(kind: type, effects: list[ev.Effect]) -> list[ev.Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


def asked(effects: list[ev.Effect]) -> list[str | None]:
    """The instructions of each request to speak."""
    return [effect.instructions for effect in effects if isinstance(effect, ev.Respond)]


def raised(record: CallRecord) -> CallRecord:
    """The record as the next owner finds it."""
    import msgspec

    return msgspec.structs.replace(record, epoch=record.epoch + 1, seq=0, pod="")
