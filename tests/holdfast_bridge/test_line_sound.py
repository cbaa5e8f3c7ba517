"""Words are told of when the sound that holds them has come."""

from __future__ import annotations

from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.line_sound import LineSound

MS = b"\xff" * 8


def test_words_that_were_placed_before_their_sound_wait_for_it() -> None:
    sound = LineSound("a1")
    sound.place(5, 20)
    sound.place(9, 50)
    assert sound.reached() == []
    assert sound.came(MS * 49) == [st.Sound("a1", MS * 49), st.Aligned("a1", 5, 20)]
    assert sound.came(MS) == [st.Sound("a1", MS), st.Aligned("a1", 9, 50)]


def test_words_that_were_placed_after_their_sound_are_told_at_once() -> None:
    sound = LineSound("a1")
    sound.came(MS * 50)
    sound.place(5, 20.4)
    assert sound.reached() == [st.Aligned("a1", 5, 20)]
    assert sound.reached() == []


def test_a_character_is_told_of_once() -> None:
    sound = LineSound("a1")
    sound.came(MS * 50)
    for characters in (5, 5, 4):
        sound.place(characters, 20)
    assert sound.reached() == [st.Aligned("a1", 5, 20)]


def test_words_placed_beyond_the_sound_are_told_at_its_end_wherever_that_was() -> None:
    sound = LineSound("a1")
    for characters, upto_ms in ((1, -5.0), (2, 90.0), (3, float("inf"))):
        sound.place(characters, upto_ms)
    assert sound.reached() == [st.Aligned("a1", 1, 0)]
    assert sound.reached(whole=True) == [st.Aligned("a1", 2, 90), st.Aligned("a1", 3, 3_600_000)]
