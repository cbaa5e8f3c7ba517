"""Who has the floor, by literal times."""

from __future__ import annotations

from holdfast_bridge.core.turns import Turns


def test_an_answer_is_due_when_the_caller_stops() -> None:
    turns = Turns()
    turns.speech_started()
    assert not turns.nobody_speaks()
    turns.speech_stopped(1.0)
    assert not turns.nobody_speaks()
    assert turns.get_timer() == 6.0
    assert not turns.stalled(5.9)
    assert turns.stalled(6.0)


def test_the_first_sound_ends_the_wait_and_the_end_of_the_response_the_turn() -> None:
    turns = Turns()
    turns.asked(1.0)
    turns.audio()
    assert turns.get_timer() is None
    assert not turns.nobody_speaks()
    turns.response_done()
    assert turns.nobody_speaks()


def test_nobody_waits_for_a_provider_that_is_gone() -> None:
    turns = Turns()
    turns.asked(1.0)
    turns.provider_gone()
    assert turns.nobody_speaks()
    assert turns.get_timer() is None
