"""Sound takes a short way through a call. Whatever happens in between, it comes out as if it had taken the long one."""

from __future__ import annotations

from dataclasses import replace

from bridge_core import PLAN
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.core.latency import TurnMarks
from holdfast_bridge.core.silence import Manners

SPOKEN = ev.ProviderAudio("a", b"\x10" * 160)
LOUD, QUIET = ev.CallerAudio(b"\x80" * 160), ev.CallerAudio(b"\xff" * 160)

ITEMS = st.sampled_from("ab")
SOUND = st.builds(
    ev.ProviderAudio, ITEMS, st.sampled_from([b"\x10" * 160, b"\x11" * 800, b"\x12" * 1600, b"\x13" * 5000])
)
OTHERS = st.one_of(
    st.sampled_from([
        LOUD, QUIET, ev.ProviderReady(), ev.ResponseStarted(), ev.ResponseDone(ok=True), ev.SpeechStarted(),
        ev.SpeechStopped(), ev.SpeechStopped(words=False), ev.ProviderLost("server"), ev.ProviderEnding(3.0),
        ev.Prepared(0), ev.ToolCall("c", "look", "{}"), ev.CallerDtmf("5"),
    ]),
    st.builds(ev.ProviderAudioDone, ITEMS),
    st.builds(ev.ProviderTranscript, ITEMS, st.sampled_from(["one", "one two"]), final=st.booleans()),
    st.builds(ev.UserTurn, st.sampled_from("uv")),
    st.builds(ev.UserTranscript, st.sampled_from("uv"), st.just("words"), final=st.booleans()),
    st.builds(ev.CallerMark, st.sampled_from([f"m{number}" for number in range(12)])),
)  # fmt: skip
LATER = st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.7, 2.0])
Happening = tuple[ev.Event, float]


@st.composite
def stretches(draw: st.DrawFn) -> list[Happening]:
    """Something that takes a while: a line, other events, a caller whom the provider perhaps does not notice."""
    match draw(st.sampled_from(["line", "line", "others", "caller"])):
        case "line":
            return [(draw(SOUND), draw(LATER))] * draw(st.integers(1, 8))
        case "others":
            return draw(st.lists(st.tuples(OTHERS, LATER), min_size=1, max_size=3))
        case _:
            said: list[Happening] = [(LOUD, 0.02)] * draw(st.sampled_from([15, 45]))
            said += [(draw(SOUND), 0.02)] * draw(st.integers(0, 3))
            return [*said, *[(QUIET, 0.02)] * draw(st.sampled_from([30, 101]))]


BEGUN: list[Happening] = [(ev.ProviderReady(), 0.1), (ev.ResponseStarted(), 0.1)]
CALLS = st.builds(
    lambda begun, parts: [*begun, *(each for part in parts for each in part)],
    st.sampled_from([BEGUN, []]),
    st.lists(stretches(), max_size=25),
)


class Way:
    """A call and its marks; what came out."""

    def __init__(self, *, short: bool, tone: bool = False) -> None:
        self.short = short
        self.core = CallCore(replace(PLAN, attempts=2, manners=Manners(tone=tone)), None)
        self.marks = TurnMarks.after(None)
        self.out: list[ev.Effect] = []
        self.core.start(0.0)
        self._carry_out(None, 0.0)

    def hear(self, event: ev.Event, now: float) -> None:
        if self.short and isinstance(event, ev.CallerAudio):
            if passed := self.core.caller_sound(event.payload, now):
                self.out.append(ev.AppendAudio(passed))
            if not self.core.at_rest:
                self._carry_out(None, now)
        elif self.short and isinstance(event, ev.ProviderAudio):
            mark = self.core.agent_sound(event, now)
            if mark is None:
                self._receive(event, now)
                return
            self.marks.flowed(len(event.payload), now)
            self.out += [ev.SendAudio(event.payload), *([ev.SendMark(mark)] if mark else [])]
        else:
            self._receive(event, now)

    def pass_time(self, now: float) -> None:
        for _ in range(50):
            due = self.core.get_timer()
            if due is None or due > now:
                return
            self.core.handle_timer(due)
            self._carry_out(None, due)

    def _receive(self, event: ev.Event, now: float) -> None:
        self.core.receive(event, now)
        self._carry_out(event, now)

    def _carry_out(self, event: ev.Event | None, now: float) -> None:
        effects = self.core.effects()
        self.marks.happened(event, effects, now)
        self.out += effects


@settings(max_examples=300, deadline=None)
@given(CALLS, st.booleans())
def test_the_short_way_and_the_long_way_are_one(happenings: list[Happening], tone: bool) -> None:
    long, short = Way(short=False, tone=tone), Way(short=True, tone=tone)
    now = 0.0
    for event, later in happenings:
        now += later
        for way in (long, short):
            way.pass_time(now)
            way.hear(event, now)
        assert short.out == long.out
        assert short.core.get_timer() == long.core.get_timer()
        assert short.marks.told() == long.marks.told()
    assert short.core.record == long.core.record


def test_sound_of_a_line_that_is_being_heard_takes_the_short_way() -> None:
    way = in_line()
    assert way.core.agent_sound(SPOKEN, 1.02) == ""
    assert way.core.agent_sound(ev.ProviderAudio("b", b"\x10" * 160), 1.04) is None
    way.hear(ev.SpeechStarted(), 1.06)
    assert way.core.agent_sound(SPOKEN, 1.08) is None, "it may have been cut"


def in_line() -> Way:
    way = Way(short=True)
    for event in (ev.ProviderReady(), ev.ResponseStarted(), SPOKEN):
        way.hear(event, 1.0)
    return way


def test_a_provider_that_speaks_on_is_there_whatever_it_makes_of_the_caller() -> None:
    way = in_line()
    for number in range(45):
        way.hear(LOUD, 1.0 + number / 50)
    for number in range(120):
        way.hear(SPOKEN, 2.0 + number / 50)
        way.hear(QUIET, 2.0 + number / 50)
    assert [effect for effect in way.out if isinstance(effect, ev.ConnectProvider)] == [ev.ConnectProvider(0)]


def test_sound_of_a_provider_that_was_given_up_flows_no_more() -> None:
    way = in_line()
    for number in range(45):
        way.hear(LOUD, 1.0 + number / 50)
    for number in range(101):
        way.hear(QUIET, 2.0 + number / 50)
    assert len([effect for effect in way.out if isinstance(effect, ev.ConnectProvider)]) == 2
    assert way.core.agent_sound(SPOKEN, 4.1) is None
