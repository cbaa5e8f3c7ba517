"""From probes to verdicts, and from verdicts to a quorum."""

from __future__ import annotations

import pytest
from core_builders import DOWN, UNKNOWN, UP, all_say, said, zone

from holdfast.core import evidence
from holdfast.core.evidence import History, Result
from holdfast.core.values import Probe, Verdict

PROBE = Probe(interval_s=5.0, timeout_s=1.5, confirmations=2, confirm_every_s=0.4)


def fold(*verdicts: Verdict, start: Verdict = UP) -> tuple[History, float | None]:
    """One result a second, beginning at 10.0."""
    history, again = History(since=0.0, verdict=start, streak=start, length=5), None
    for number, verdict in enumerate(verdicts):
        history, again = evidence.observe(history, Result(verdict, verdict.value), now=10.0 + number, probe=PROBE)
    return history, again


def test_the_first_failure_changes_nothing_and_starts_confirmations():
    history, again = fold(DOWN)
    assert history.verdict is UP
    assert again == 10.4


def test_down_after_the_failure_was_confirmed_twice():
    history, again = fold(DOWN, DOWN, DOWN)
    assert history == History(since=12.0, verdict=DOWN, streak=DOWN, length=3, detail="down")
    assert again is None


def test_a_success_in_between_starts_the_count_anew():
    history, _ = fold(DOWN, DOWN, UP, DOWN, DOWN)
    assert history.verdict is UP
    assert history.since == 0.0


def test_up_again_after_two_successes_which_is_another_threshold_than_down():
    assert fold(UP, start=DOWN)[0].verdict is DOWN
    history, again = fold(UP, UP, start=DOWN)
    assert (history.verdict, history.since, again) == (UP, 11.0, None)


def test_a_result_that_agrees_keeps_the_verdicts_age_and_renews_its_detail():
    history, again = evidence.observe(
        History(since=1.0, verdict=DOWN, streak=DOWN, length=3, detail="refused"), Result(DOWN, "timed out"),
        now=10.0, probe=PROBE,
    )
    assert (history.since, history.detail, again) == (1.0, "timed out", None)


def test_what_cannot_be_told_becomes_unknown_and_never_down():
    """Our own 401 or an API server out of reach says nothing about the region."""
    assert fold(UNKNOWN, UNKNOWN)[0].verdict is UP
    assert fold(*[UNKNOWN] * 50)[0].verdict is UNKNOWN


def test_before_the_first_verdict_confirmations_come_quickly():
    _, again = fold(UP, start=UNKNOWN)
    assert again == 10.4


@pytest.mark.parametrize(
    ("references", "targets", "doubts"),
    [
        ([False, False, False], [UP, UP], True),
        ([False, False, True], [UP, DOWN], False),
        ([False, False], [UP, DOWN], False),
        ([], [DOWN, DOWN], True),
        ([True, True, True], [DOWN, DOWN, DOWN], True),
        ([True, True, True], [DOWN, UNKNOWN], False),
        ([], [DOWN], False),
        ([], [], False),
    ],
)
def test_an_observer_doubts_itself_when_all_of_the_world_or_all_of_the_fleet_is_gone(references, targets, doubts):
    assert evidence.doubts_itself(references=references, targets=targets) is doubts


def test_lost_needs_more_than_half_of_all_configured_observers():
    of = zone(("fra", "ams", "iad"), ("lon",))
    one = evidence.tally("fra", [said("ams", "fra", DOWN)], of)
    two = evidence.tally("fra", [said("ams", "fra", DOWN), said("lon", "fra", DOWN), said("iad", "fra", UP)], of)
    assert (one.observers, one.needed, one.lost) == (3, 2, False)
    assert two.lost


def test_half_is_not_more_than_half():
    assert not evidence.tally("fra", [said("ams", "fra", DOWN)], zone()).lost


def test_a_region_is_no_witness_to_its_own_state():
    """The leader of a lost region may still call it well, or a mad one ill; only the others' word counts."""
    own = [said("fra", "fra", UP), said("ams", "fra", DOWN), said("iad", "fra", DOWN)]
    assert evidence.tally("fra", own, zone()).lost
    assert not evidence.tally("fra", [said("fra", "fra", DOWN), said("iad", "fra", DOWN)], zone()).lost


@pytest.mark.parametrize(("age_s", "lost"), [(3.0, True), (3.1, False)])
def test_an_observer_not_heard_for_3_s_is_silent(age_s: float, lost: bool):
    told = [said("ams", "fra", DOWN), said("iad", "fra", DOWN, heard_age_s=age_s)]
    assert evidence.tally("fra", told, zone()).lost is lost


def test_an_observer_in_doubt_of_itself_is_not_counted():
    told = [said("ams", "fra", DOWN), said("iad", "fra", DOWN, self_doubt=True)]
    tally = evidence.tally("fra", told, zone())
    assert not tally.lost
    assert [seen.observer for seen in tally.doubting] == ["iad"]


def test_strangers_and_other_targets_are_not_counted():
    told = [said("ams", "fra", DOWN), said("mars", "fra", DOWN), said("iad", "ams", DOWN)]
    tally = evidence.tally("fra", told, zone())
    assert (len(tally.down), tally.silent) == (1, ("iad",))


def test_a_lone_region_can_neither_be_lost_nor_well():
    tally = evidence.tally("fra", [said("fra", "fra", DOWN)], zone(("fra",), ()))
    assert (tally.observers, tally.lost, tally.well, tally.seen_up) == (0, False, False, False)


def test_well_as_long_as_a_quorum_has_seen_it_so():
    of = zone(("fra", "ams", "iad"), ("lon",))
    told = [said("ams", "fra", UP, held_s=900), said("iad", "fra", UP, held_s=40), said("lon", "fra", UP, held_s=5)]
    assert evidence.tally("fra", told, of).well_for_s == 40
    assert evidence.tally("fra", told[:1], of).well_for_s == 0


def test_one_word_is_enough_to_lean_on_a_region_unless_it_is_lost():
    of = zone(("fra", "ams", "iad"), ("lon",))
    told = [said("ams", "fra", UP), said("iad", "fra", DOWN), said("lon", "fra", DOWN)]
    assert evidence.tally("fra", told[:2], of).seen_up
    assert not evidence.tally("fra", told, of).seen_up


def test_the_sentence_names_who_said_what():
    told = [said("ams", "fra", DOWN, detail="connect timed out"), said("iad", "fra", DOWN)]
    assert evidence.tally("fra", told, zone()).describe() == (
        "2 of 2 observers see fra down, 2 are needed (ams: connect timed out; iad)"
    )
    assert evidence.tally("fra", [], zone()).describe() == "0 of 2 observers see fra down, 2 are needed"


def test_every_observer_is_in_exactly_one_group():
    of = zone(("fra", "ams", "iad"), ("lon", "par"))
    told = [
        said("ams", "fra", UP), said("iad", "fra", UNKNOWN), said("lon", "fra", DOWN, self_doubt=True),
        said("par", "fra", DOWN, heard_age_s=9.0),
    ]
    tally = evidence.tally("fra", told, of)
    assert (len(tally.up), len(tally.unknown), len(tally.doubting), tally.silent) == (1, 1, 1, ("par",))
    assert tally.observers == len(of.observers_of("fra"))


def test_all_say_up_is_well():
    assert evidence.tally("ams", all_say(zone()), zone()).well
