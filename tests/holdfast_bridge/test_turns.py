"""Who has the floor, by literal times."""

from __future__ import annotations

from holdfast_bridge.core.turns import Turns


def test_an_answer_is_due_when_the_caller_stops() -> None:
    turns = Turns()
    turns.speech_started()
    assert not turns.nobody_speaks()
    turns.speech_stopped(1.0)
    assert not turns.nobody_speaks()
    assert turns.get_timer() == 1.9
    assert turns.late(1.9)
    assert not turns.late(1.9), "it is said once"
    assert turns.get_timer() == 2.8
    assert not turns.stalled(2.7)
    assert turns.stalled(2.8)


def test_an_answer_in_time_is_not_late() -> None:
    turns = Turns()
    turns.speech_stopped(1.0)
    turns.audio(1.8)
    assert not turns.late(1.9)


def test_a_noise_without_words_is_owed_no_answer() -> None:
    turns = Turns()
    turns.speech_started()
    turns.speech_stopped(1.0, words=False)
    assert turns.nobody_speaks()
    assert turns.get_timer() is None


def test_the_first_sound_ends_the_wait_and_the_end_of_the_response_the_turn() -> None:
    turns = Turns()
    turns.asked(1.0)
    turns.audio(1.5)
    turns.line_done()
    assert turns.get_timer() is None
    assert not turns.nobody_speaks()
    turns.response_done()
    assert turns.nobody_speaks()


def test_a_line_that_goes_on_is_not_stalled() -> None:
    turns = Turns()
    turns.asked(1.0)
    turns.audio(1.5)
    turns.audio(2.5)
    assert turns.get_timer() == 3.0
    assert not turns.stalled(3.0)
    assert turns.get_timer() == 4.0


def test_a_line_of_which_no_more_comes_is_stalled() -> None:
    turns = Turns()
    turns.asked(1.0)
    turns.audio(1.5)
    assert not turns.stalled(2.9)
    assert turns.stalled(3.0)


def test_a_line_that_ended_and_a_tool_that_was_called_are_waited_for_no_longer() -> None:
    for end in ("line_done", "acted", "response_done", "speech_started", "provider_gone"):
        turns = Turns()
        turns.asked(1.0)
        turns.audio(1.5)
        getattr(turns, end)()
        assert turns.get_timer() is None, end


def test_nobody_waits_for_a_provider_that_is_gone() -> None:
    turns = Turns()
    turns.asked(1.0)
    turns.provider_gone()
    assert turns.nobody_speaks()
    assert turns.get_timer() is None
