"""What the marks of a call say of its turns, silences and switches; the events are real ones, the times literal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from bridge_core import PLAN, TENTH
from control_builders import record

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.call import CallCore
from holdfast_bridge.core.journal import MAX_SWITCHES, MAX_TURNS, Latency, SwitchTimes, TurnTimes
from holdfast_bridge.core.latency import FirstAudio, Sample, Silence, Stage, StageTook, Switched, TurnMarks, Waited


class Marked:
    """A call without a greeting whose provider is ready at 0.0, and its marks."""

    def __init__(self, known: Latency | None = None, attempts: int = 2) -> None:
        self.core = CallCore(replace(PLAN, greeting="", attempts=attempts))
        self.marks = TurnMarks(known)
        self.noted: list[tuple[int, Sample]] = []
        self.effects: list[ev.Effect] = []
        self.core.start(0.0)
        self.carry(None, 0.0)
        self.say(0.0, ev.ProviderReady())

    def say(self, at: float, *events: ev.Event) -> None:
        for event in events:
            self.core.receive(event, at)
            self.carry(event, at)

    def tick(self, at: float) -> None:
        self.core.handle_timer(at)
        self.carry(None, at)

    def carry(self, event: ev.Event | None, at: float) -> None:
        self.effects = self.core.effects()
        self.noted += self.marks.happened(event, self.effects, at)

    def asks(self, at: float, text: str = "hello") -> None:
        self.say(at, ev.SpeechStarted(), ev.SpeechStopped(), ev.UserTurn(text), ev.UserTranscript(text, text, True))

    def answers(self, at: float, item: str = "a1", *, tenths: int = 1, done: bool = True) -> None:
        self.say(at, ev.ResponseStarted(), *([ev.ProviderAudio(item, TENTH)] * tenths))
        if done:
            self.say(at, ev.ProviderAudioDone(item), ev.ResponseDone(ok=True))

    @property
    def samples(self) -> list[Sample]:
        return [_rounded(sample) for _, sample in self.noted]

    @property
    def turns(self) -> Sequence[TurnTimes]:
        return self.marks.told().turns


def _rounded(sample: Sample) -> Sample:
    return replace(sample, seconds=round(sample.seconds, 3))


def test_a_turn_is_answered_when_its_first_sound_goes_to_the_carrier() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.4, tenths=3)
    assert call.samples == [FirstAudio(0.4)]
    assert call.turns == (TurnTimes(first_audio_ms=400),)


def test_the_stages_of_a_cascade_are_told_one_by_one_and_add_up_to_the_wait() -> None:
    call = Marked()
    call.say(9.0, ev.SpeechStarted())
    call.marks.waited(Waited(Stage.HEARING, 9.85, 10.0))
    call.say(10.0, ev.SpeechStopped(), ev.UserTurn("t"), ev.UserTranscript("t", "hello", True), ev.ResponseStarted())
    call.marks.waited(Waited(Stage.THINKING, 10.0, 10.15))
    call.marks.waited(Waited(Stage.SPEAKING, 10.16, 10.31))
    call.answers(10.31)
    assert call.samples == [
        StageTook(Stage.HEARING, 0.15), StageTook(Stage.THINKING, 0.15), StageTook(Stage.SPEAKING, 0.15),
        FirstAudio(0.46),
    ]  # fmt: skip
    assert call.turns == (TurnTimes(first_audio_ms=460, hearing_ms=150, thinking_ms=150, speaking_ms=150),)


def test_what_a_guess_took_while_the_caller_still_spoke_cost_the_turn_nothing() -> None:
    call = Marked()
    call.say(9.0, ev.SpeechStarted())
    call.marks.waited(Waited(Stage.THINKING, 9.2, 9.6))
    call.say(10.0, ev.SpeechStopped())
    call.answers(10.1)
    assert call.samples == [StageTook(Stage.THINKING, 0.4), FirstAudio(0.1)]
    assert call.turns == (TurnTimes(first_audio_ms=100, thinking_ms=0),)


def test_a_tool_is_a_stage_and_a_long_one_a_silence() -> None:
    call = Marked()
    call.asks(10.0)
    call.say(10.2, ev.ResponseStarted(), ev.ToolCall("c", "look", "{}"), ev.ResponseDone(ok=True))
    call.say(10.6, ev.ToolResult("1.1.c", "{}"))
    call.answers(10.9)
    assert call.samples == [StageTook(Stage.TOOL, 0.4), FirstAudio(0.9), Silence(0.9)]
    assert call.turns == (TurnTimes(first_audio_ms=900, tool_ms=400, silences=1, silent_ms=900),)


def test_a_line_that_runs_dry_is_a_silence_from_where_its_sound_ended() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2, tenths=4, done=False)  # Sounds until 10.6.
    call.say(11.0, ev.ProviderAudio("a1", TENTH))  # 0.4 s are short of a silence; sounds until 11.1.
    call.say(11.8, ev.ProviderAudio("a1", TENTH))
    assert call.samples == [FirstAudio(0.2), Silence(0.7)]
    assert call.turns == (TurnTimes(first_audio_ms=200, silences=1, silent_ms=700),)


def test_after_an_answer_the_callers_own_silence_is_none_of_ours() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2)
    call.asks(30.0)
    call.answers(30.1)
    assert call.samples == [FirstAudio(0.2), FirstAudio(0.1)]


def test_a_caller_who_goes_on_before_any_answer_waits_anew_in_the_same_turn() -> None:
    call = Marked()
    call.asks(10.0)
    call.asks(11.0, "and more")
    call.answers(11.3)
    assert call.samples == [FirstAudio(0.3)]
    assert call.turns == (TurnTimes(first_audio_ms=300),)


def test_noise_that_was_no_speech_is_no_turn() -> None:
    call = Marked()
    call.say(10.0, ev.SpeechStarted(), ev.SpeechStopped(words=False))
    assert call.samples == []
    assert call.marks.told().count == 0


def test_sound_of_a_line_that_was_cut_is_not_heard_by_anybody() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2, tenths=9, done=False)
    call.asks(10.5, "stop")
    call.say(10.6, ev.ProviderAudio("a1", TENTH))
    assert call.samples == [FirstAudio(0.2)]


def test_a_key_pressed_is_a_turn_too() -> None:
    call = Marked()
    call.answers(1.0)
    call.say(10.0, ev.CallerDtmf("5"))
    call.tick(11.5)
    call.answers(11.9)
    assert call.samples == [FirstAudio(0.4)]


def test_the_network_is_what_the_carrier_needs_beyond_the_length_of_the_sound() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2, tenths=3)  # A mark after two tenths, one at the end.
    call.say(10.46, ev.CallerMark("m0"))
    call.say(10.9, ev.CallerMark("m1"))  # Only the first of a turn counts.
    assert call.samples == [FirstAudio(0.2), StageTook(Stage.NETWORK, 0.06)]
    assert call.turns == (TurnTimes(first_audio_ms=200, network_ms=60),)


def test_marks_of_sound_that_was_thrown_away_say_nothing_of_the_network() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2, tenths=3)
    call.say(10.3, ev.SpeechStarted(), ev.CallerMark("m0"))
    assert call.samples == [FirstAudio(0.2)]


def test_a_switch_in_the_middle_of_an_answer_tells_what_it_added_and_when_it_was_heard() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2, done=False)  # Sounds until 10.3.
    call.say(11.0, ev.ProviderLost("server_error", retry_same=False))
    call.say(11.25, ev.ProviderReady())
    call.answers(11.5, "b1")
    assert call.samples == [FirstAudio(0.2), Switched("switch", "ready", 0.25), Silence(1.2)]
    assert [attempt for attempt, _ in call.noted] == [0, 1, 1]
    assert call.marks.told().switches == (SwitchTimes(1, "switch", "ready", 250, 500),)


def test_a_switch_while_nobody_waits_is_not_waited_for() -> None:
    call = Marked()
    call.asks(10.0)
    call.answers(10.2)
    call.say(20.0, ev.ProviderLost("close", retry_same=False))
    call.say(20.3, ev.ProviderReady())
    call.asks(40.0)
    call.answers(40.1)
    assert call.marks.told().switches == (SwitchTimes(1, "switch", "ready", 300),)


def test_a_retry_of_the_same_provider_and_a_second_loss_are_told_apart() -> None:
    call = Marked(attempts=2)
    call.say(10.0, ev.ProviderLost("server_error"))  # The first loss of a link that worked is forgiven.
    call.say(10.4, ev.ProviderLost("refused", retry_same=False))
    call.say(10.6, ev.ProviderReady())
    assert call.samples == [Switched("retry", "failed", 0.4), Switched("switch", "ready", 0.2)]
    assert [attempt for attempt, _ in call.noted] == [0, 1]


def test_a_change_of_session_is_no_retry() -> None:
    call = Marked()
    call.say(10.0, ev.ProviderEnding(60.0))
    call.say(10.3, ev.Prepared(0))
    call.say(10.4, ev.ProviderReady())
    assert [(each.what, each.outcome) for each in call.marks.told().switches] == [("change", "ready")]


def test_a_switch_that_ends_the_call_has_failed() -> None:
    call = Marked(attempts=1)
    call.say(10.0, ev.ProviderLost("server_error", retry_same=False))
    assert call.samples == []  # There is nothing to switch to.
    call = Marked(attempts=2)
    call.say(10.0, ev.ProviderLost("auth", retry_same=False))
    call.say(10.3, ev.CarrierLost())
    assert call.samples == [Switched("switch", "failed", 0.3)]


def test_a_provider_that_stalls_is_a_switch_by_the_clock() -> None:
    call = Marked()
    call.asks(10.0)
    call.tick(11.8)
    call.say(12.0, ev.ProviderReady())
    call.answers(12.2, "b1")
    assert call.samples == [Switched("switch", "ready", 0.2), FirstAudio(2.2), Silence(2.2)]


@pytest.mark.parametrize(("failed", "outcome"), [(False, "ready"), (True, "failed")])
def test_a_request_that_was_repeated_is_told_with_its_outcome(failed: bool, outcome: str) -> None:
    call = Marked()
    call.asks(10.0)
    call.marks.waited(Waited(Stage.THINKING, 10.3, 10.5, again=0.3, failed=failed))
    call.answers(10.6)
    assert _rounded(call.noted[0][1]) == Switched("repeat", outcome, 0.3)
    assert call.marks.told().switches == (SwitchTimes(1, "repeat", outcome, 300),)
    assert (StageTook(Stage.THINKING, 0.2) in call.samples) is not failed


def test_of_many_turns_the_last_are_kept_and_all_are_counted() -> None:
    call = Marked()
    for number in range(MAX_TURNS + 10):
        call.asks(10.0 + number, str(number))
        call.answers(10.2 + number, str(number))
    told = call.marks.told()
    assert len(told.turns) == MAX_TURNS
    assert (told.count, told.answered, told.first_audio_ms) == (MAX_TURNS + 10, MAX_TURNS + 10, 200 * (MAX_TURNS + 10))


def test_of_many_switches_the_last_are_kept_and_all_are_counted() -> None:
    marks = TurnMarks()
    for _ in range(MAX_SWITCHES + 3):
        marks.waited(Waited(Stage.THINKING, 1.0, 2.0, again=0.5))
    assert len(marks.told().switches) == MAX_SWITCHES
    assert marks.told().switch_count == MAX_SWITCHES + 3


def test_the_next_owner_of_a_call_goes_on_with_what_was_written_of_it() -> None:
    first = Marked()
    first.asks(10.0)
    first.answers(10.7)
    written = first.marks.onto(record())
    second = Marked(written.latency)
    second.asks(20.0)
    second.answers(20.1)
    told = second.marks.told()
    assert told.turns == (TurnTimes(700, silences=1, silent_ms=700), TurnTimes(100))
    assert (told.count, told.first_audio_ms, told.silences, told.silent_ms) == (2, 800, 1, 700)
    assert TurnMarks.after(written).told() == written.latency
    assert TurnMarks.after(None).told() == Latency()


def test_the_record_holds_the_turn_that_is_under_way() -> None:
    call = Marked()
    call.asks(10.0)
    assert call.marks.onto(record()).latency == Latency(turns=(TurnTimes(),), count=1)
