"""Clauses of a text that is still being written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from holdfast_bridge.core.clauses import LONGEST, Clauses


def cut(*pieces: str) -> list[str]:
    clauses = Clauses()
    out = [clause for piece in pieces for clause in clauses.feed(piece)]
    rest = clauses.rest()
    return [*out, rest] if rest else out


def test_the_first_clause_is_given_out_at_its_comma_and_later_ones_at_a_longer_phrase() -> None:
    assert cut("Good morning, ", "this is the clinic, how can I help you, dear caller of ours, today?") == [
        "Good morning, ",
        "this is the clinic, how can I help you, ",
        "dear caller of ours, today?",
    ]


def test_a_sentence_ends_a_clause_however_short_it_is() -> None:
    assert cut("Good morning. Yes. ", "Then I will look for it in the calendar.") == [
        "Good morning. ",
        "Yes. ",
        "Then I will look for it in the calendar.",
    ]


def test_a_full_stop_within_a_number_or_a_name_is_none() -> None:
    assert cut("That costs 12.50 at v1.example.com") == ["That costs 12.50 at v1.example.com"]


def test_a_very_long_stretch_without_a_mark_is_cut_between_words() -> None:
    clauses = cut("word " * 60)
    assert all(len(clause) <= LONGEST for clause in clauses)
    assert all(clause.endswith("word ") for clause in clauses)


def test_a_language_without_spaces_is_cut_at_its_own_marks() -> None:
    said = ["お電話ありがとうございます。", "ご用件をどうぞ。"]
    assert cut(*said) == said


@given(some.lists(some.text("ab ,.!?。、\n", max_size=40), max_size=12))
def test_nothing_is_lost_or_added_however_the_text_comes(pieces: list[str]) -> None:
    assert "".join(cut(*pieces)) == "".join(pieces)


@given(some.text("ab ,.!?", max_size=200), some.integers(1, 7))
def test_clauses_do_not_depend_on_how_the_text_was_cut_when_it_came(text: str, size: int) -> None:
    assert cut(*[text[i : i + size] for i in range(0, len(text), size)]) == cut(*text)
