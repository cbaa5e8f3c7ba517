"""What the matrix tries, and what it calls whole."""

from __future__ import annotations

from collections import Counter

import pytest

from holdfast_gameday.matrix import cases, table
from holdfast_gameday.matrix.cases import KINDS, Case, Mode, Tongue
from holdfast_gameday.matrix.judge import Finding, told_whole
from holdfast_gameday.world.callers_ear import Segment

SENTENCE = "you said: the table by the window for my guests"


def heard(text: str, upto: int, *, total: int = 100, speaker: int = 1, utterance: int = 1) -> Segment:
    return Segment(0.0, 1.0, speaker, utterance, 0, upto - 1, total, text)


def test_every_ordered_pair_is_tried_under_every_mode_once() -> None:
    tried = Counter((case.first, case.then, case.mode) for case in cases.switches(seed=3))
    assert len(tried) == 56 * 8
    assert set(tried.values()) == {1}


def test_two_of_the_conversations_are_not_english() -> None:
    found = cases.conversations()
    assert [case.first for case in found] == list(KINDS)
    assert sum(case.tongue is not Tongue.ENGLISH for case in found) == 2


def test_no_two_cases_of_a_run_share_a_number() -> None:
    numbers = [case.number for case in (*cases.conversations(), *cases.switches(seed=1))]
    assert len(set(numbers)) == len(numbers)


def test_a_seed_draws_the_same_cases_again_and_another_seed_others() -> None:
    assert cases.some(seed=7, count=24) == cases.some(seed=7, count=24)
    assert cases.some(seed=7, count=24) != cases.some(seed=8, count=24)


@pytest.mark.parametrize("seed", range(20))
def test_twenty_four_cases_hold_each_kind_on_each_side_and_each_mode_three_times(seed: int) -> None:
    chosen = cases.some(seed, 24)
    for counted in (
        Counter(case.first for case in chosen),
        Counter(case.then for case in chosen),
        Counter(case.mode for case in chosen),
    ):
        assert len(counted) == 8
        assert set(counted.values()) == {3}


def test_only_a_cascade_has_a_stage_that_fails() -> None:
    for case in cases.switches(seed=1):
        assert bool(case.stage) is case.first.startswith("cascade"), case


def test_a_sentence_that_was_heard_to_its_end_is_whole() -> None:
    assert told_whole(SENTENCE, [heard(SENTENCE, 100)], Tongue.ENGLISH) == []


def test_a_sentence_that_is_taken_up_at_the_word_in_which_it_was_cut_is_whole() -> None:
    # "you said: the table by t" was heard: "the" was cut and is said again.
    rest = heard("the window for my guests", 100, speaker=9)
    assert told_whole(SENTENCE, [heard(SENTENCE, 50), rest], Tongue.ENGLISH) == []


def test_a_lost_word_is_found() -> None:
    rest = heard("for my guests", 100, speaker=9)
    assert told_whole(SENTENCE, [heard(SENTENCE, 50), rest], Tongue.ENGLISH) == ["words were lost: 'window'"]


def test_doubled_words_are_found() -> None:
    rest = heard("the table by the window for my guests", 100, speaker=9)
    found = told_whole(SENTENCE, [heard(SENTENCE, 60), rest], Tongue.ENGLISH)
    assert found == ["words were doubled: 'the table by the'"]


def test_a_sentence_that_breaks_off_is_found() -> None:
    [wrong] = told_whole(SENTENCE, [heard(SENTENCE, 50)], Tongue.ENGLISH)
    assert wrong.startswith("it ended in the middle")


def test_a_language_without_spaces_is_judged_by_its_characters() -> None:
    sentence = "金曜日の夜に窓側の席を予約したい"
    begun = heard(sentence, 50)
    assert told_whole(sentence, [begun, heard("側の席を予約したい", 100, speaker=9)], Tongue.JAPANESE) == []
    [wrong] = told_whole(sentence, [begun, heard("を予約したい", 100, speaker=9)], Tongue.JAPANESE)
    assert wrong.startswith("words were lost")


def test_the_whole_breaks_its_promise_when_one_in_twenty_is_slow() -> None:
    quick = [Finding(Case(n, "openai", "gemini", Mode.CLOSE), (), 0.5, 0.5) for n in range(18)]
    slow = [Finding(Case(n, "openai", "gemini", Mode.CLOSE), (), 2.0, 2.0) for n in range(18, 20)]
    assert table.slow([*quick, *slow]) == [
        "after an error the next provider spoke within 2.00 s (p95); 1.5 s are promised"
    ]
    stalls = [Finding(Case(n, "openai", "gemini", Mode.STALL), (), 2.0, 2.0) for n in range(20)]
    assert table.slow([*quick, *stalls]) == []


def test_the_table_has_a_row_for_each_mode_that_was_tried() -> None:
    found = [
        Finding(Case(1, "openai", "gemini", Mode.CLOSE), (), 0.5, 0.25, 0.0),
        Finding(Case(2, "openai", "gemini", Mode.CLOSE), ("words were lost",), 0.7, 0.75, 0.2),
        Finding(Case(3, "gemini"), ()),
    ]
    assert table.told(found).splitlines()[2:] == [
        "| close | 2 | 1 | 0.50 | 0.70 | 0.70 | 0.25 | 0.75 | 0.75 | 0.00 | 0.20 | 0.20 |",
        "| goes on (one provider) | 1 | 1 | – | – | – | – | – | – | – | – | – |",
    ]
