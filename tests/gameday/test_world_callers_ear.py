"""Gaps: silence while speech was due, and nothing else."""

from __future__ import annotations

from holdfast_gameday.world import voice
from holdfast_gameday.world.callers import CallReport, Outcome
from holdfast_gameday.world.callers_ear import Due, Ear, Gap, Stillness
from holdfast_gameday.world.voice import Speaker, VoiceFrame


def frame(index: int, total: int = 20, *, utterance: int = 1, session: int = 1, kind: int = Speaker.AGENT) -> bytes:
    return voice.encode_frame(VoiceFrame(kind, session, utterance, index, total, "words"))


def test_an_utterance_heard_in_one_piece_has_no_gap() -> None:
    ear = Ear()
    for index in range(20):
        ear.hear(frame(index), 1.0 + 0.02 * index)
    assert ear.gaps_until(99.0) == ()
    (segment,) = ear.segments()
    assert (segment.first, segment.last, segment.complete) == (0, 19, True)
    assert (round(segment.since, 2), round(segment.until, 2)) == (0.98, 1.38)
    assert ear.finished == [segment]


def test_silence_inside_an_utterance_is_a_gap_until_any_agent_speaks_again() -> None:
    """A hand-over: the sentence breaks off, and another session takes it up three seconds later."""
    ear = Ear()
    ear.hear(frame(0), 1.0)
    ear.hear(frame(1), 1.02)
    ear.hear(frame(0, utterance=1, session=2), 4.02)
    assert ear.gaps == [Gap(1.02, 4.02, Due.UTTERANCE)]
    assert [segment.speaker for segment in ear.segments()] == [1, 2]


def test_silence_after_the_callers_turn_is_a_gap_until_the_answer() -> None:
    ear = Ear()
    ear.turn_ended(2.0)
    ear.hear(frame(0, 1), 2.7)
    assert ear.gaps == [Gap(2.0, 2.7, Due.ANSWER)]


def test_silence_after_a_finished_utterance_is_no_gap() -> None:
    ear = Ear()
    ear.hear(frame(19), 1.0)
    ear.hear(frame(0, utterance=2), 9.0)
    assert ear.gaps == []


def test_asking_again_does_not_end_a_gap() -> None:
    ear = Ear()
    ear.turn_ended(2.0)
    ear.turn_ended(8.5)
    ear.hear(frame(0, 1), 9.0)
    assert ear.gaps == [Gap(2.0, 9.0, Due.ANSWER)]


def test_a_gap_that_nobody_ended_is_open() -> None:
    ear = Ear()
    ear.hear(frame(0), 1.0)
    assert ear.gaps_until(7.0) == (Gap(1.0, 7.0, Due.UTTERANCE, open=True),)
    assert ear.interrupted()


def test_the_callers_own_voice_is_not_the_agent() -> None:
    ear = Ear()
    ear.hear(frame(0, kind=Speaker.CALLER), 1.0)
    assert ear.frames == 0


def test_skipped_and_repeated_frames_are_counted() -> None:
    ear = Ear()
    for at, index in enumerate((0, 1, 4, 4, 5)):
        ear.hear(frame(index), 1.0 + 0.02 * at)
    assert (ear.frames, ear.frames_skipped, ear.frames_repeated) == (5, 2, 1)
    assert [(segment.first, segment.last) for segment in ear.segments()] == [(0, 1), (4, 4), (4, 5)]


def test_a_silence_is_a_time_without_any_sound_and_a_tone_ends_it() -> None:
    ear = Ear()
    ear.hear(frame(0), 1.0)
    for at in (1.02, 1.04):
        ear.hear(b"" if at == 1.02 else b"\xff" * 160, at)
    ear.hear(b"\x70" * 160, 1.06)
    ear.hear(frame(1), 1.08)
    assert [(round(each.since, 2), round(each.until, 2)) for each in ear.silences] == [(1.0, 1.04)]
    assert [gap.due for gap in ear.gaps] == [Due.UTTERANCE], "a tone is no speech"


def _report_with(*silences: Stillness) -> CallReport:
    return CallReport(
        sid="CA1", index=1, to="", placed_at=0.0, ended_at=None, setup_s=None, first_audio_s=None, visits=(),
        segments=(), gaps=(), silences=silences, turns=(), frames_heard=0, frames_skipped=0, frames_repeated=0,
        carrier_said=(), events=(), outcome=Outcome.AGENT_HUNG_UP, detail="",
    )  # fmt: skip


def test_the_longest_silence_is_looked_for_within_a_span() -> None:
    report = _report_with(Stillness(1.0, 2.0), Stillness(5.0, 5.5))
    assert report.longest_silence_s(since=1.7, until=9.0) == 0.5
    assert round(report.longest_silence_s(since=1.7, until=5.1), 2) == 0.3
    assert report.longest_silence_s(since=2.5, until=4.0) == 0.0
