"""Answers are kept as long as they may be, and never more of them than there is room for."""

from __future__ import annotations

from holdfast_bridge.core.kept_answers import ANSWERS_MAX, BYTES_MAX, KeptAnswers, Question


def question(number: int, *, size: int = 2) -> Question:
    return Question("look", "https://tools.example.com/look", str(number).zfill(size).encode())


def test_an_answer_is_kept_until_its_time() -> None:
    kept = KeptAnswers()
    kept.keep(question(1), "rain", until=10.0)
    assert [kept.find(question(1), now=now) for now in (0.0, 9.9, 10.0, 0.0)] == ["rain", "rain", None, None]
    assert kept.find(question(2), now=0.0) is None


def test_a_newer_answer_takes_the_place_of_the_older_one() -> None:
    kept = KeptAnswers()
    kept.keep(question(1), "rain", until=10.0)
    kept.keep(question(1), "sun", until=20.0)
    assert kept.find(question(1), now=15.0) == "sun"


def test_what_was_not_asked_for_longest_makes_room() -> None:
    kept = KeptAnswers()
    for number in range(ANSWERS_MAX):
        kept.keep(question(number), "rain", until=10.0)
    kept.find(question(0), now=0.0)
    kept.keep(question(ANSWERS_MAX), "rain", until=10.0)
    assert [kept.find(question(number), now=0.0) for number in (0, 1, 2)] == ["rain", None, "rain"]


def test_bytes_are_bounded_as_well() -> None:
    kept, tenth = KeptAnswers(), BYTES_MAX // 10
    for number in range(20):
        kept.keep(question(number), "x" * tenth, until=10.0)
    found = [number for number in range(20) if kept.find(question(number), now=0.0)]
    assert found == list(range(11, 20))


def test_room_that_became_free_is_used_again() -> None:
    kept = KeptAnswers()
    for _ in range(3):
        kept.keep(question(1), "x" * (BYTES_MAX // 2), until=10.0)
        kept.keep(question(2), "x" * 100, until=10.0)
        assert kept.find(question(1), now=10.0) is None
    assert kept.find(question(2), now=0.0) == "x" * 100
