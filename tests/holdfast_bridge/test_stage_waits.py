"""How long the stages of a cascade are said to take, by what they were given and when they answered."""

from __future__ import annotations

from holdfast_bridge.core.latency import Stage, Waited
from holdfast_bridge.core.stage_waits import FED_KEPT, StageWaits


def test_hearing_takes_from_the_sound_that_ended_the_turn() -> None:
    waits = StageWaits()
    for piece in range(10):
        waits.fed(640, 1.0 + 0.08 * piece)  # 80 ms each: the third is in at 240 ms of audio.
    assert waits.turn_ended(240.0, 1.31) == Waited(Stage.HEARING, 1.16, 1.31)
    assert waits.turn_ended(230.0, 1.31) == Waited(Stage.HEARING, 1.16, 1.31)


def test_an_ear_that_does_not_say_where_it_is_has_no_time() -> None:
    waits = StageWaits()
    waits.fed(640, 1.0)
    assert waits.turn_ended(0.0, 2.0) is None


def test_an_ear_that_is_ahead_of_its_audio_or_far_behind_is_not_believed_too_much() -> None:
    waits = StageWaits()
    assert waits.turn_ended(999.0, 2.0) == Waited(Stage.HEARING, 2.0, 2.0)
    for piece in range(2 * FED_KEPT):
        waits.fed(160, float(piece))
    assert waits.turn_ended(20.0, 600.0) == Waited(Stage.HEARING, float(FED_KEPT), 600.0)


def test_thinking_takes_until_the_first_piece_of_its_answer() -> None:
    waits = StageWaits()
    waits.asked(7, 1.0)
    assert waits.answered(7, 1.2) == Waited(Stage.THINKING, 1.0, 1.2)
    assert waits.answered(7, 1.3) is None
    assert waits.answered(8, 1.3) is None


def test_a_request_that_failed_and_was_repeated_says_what_that_added() -> None:
    waits = StageWaits()
    waits.asked(7, 1.0)
    assert waits.answered(7, 1.4, failed=True) is None
    waits.asked(7, 1.4)
    assert waits.answered(7, 1.6) == Waited(Stage.THINKING, 1.4, 1.6, again=1.4 - 1.0)


def test_a_repeat_that_fails_too_says_so() -> None:
    waits = StageWaits()
    waits.asked(7, 1.0)
    waits.asked(7, 1.5)
    assert waits.answered(7, 1.6, failed=True) == Waited(Stage.THINKING, 1.5, 1.6, again=0.5, failed=True)


def test_a_request_whose_answer_is_not_wanted_has_no_time() -> None:
    waits = StageWaits()
    waits.asked(7, 1.0)
    waits.not_wanted(7)
    assert waits.answered(7, 1.2) is None


def test_speaking_takes_from_the_first_words_of_a_line_to_its_first_sound() -> None:
    waits = StageWaits()
    waits.told("a1", 1.0)
    waits.told("a1", 1.1)
    assert waits.sounded("a0", 1.1) is None
    assert waits.sounded("a1", 1.2) == Waited(Stage.SPEAKING, 1.0, 1.2)
    assert waits.sounded("a1", 1.3) is None
    waits.told("a1", 1.4)
    assert waits.sounded("a1", 1.5) is None
    waits.told("a2", 2.0)
    assert waits.sounded("a2", 2.3) == Waited(Stage.SPEAKING, 2.0, 2.3)
