"""From probes to verdicts, and from verdicts to a quorum."""

from __future__ import annotations

import pytest
from core_builders import DOWN, UNKNOWN, UP, all_say, said, zone
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import evidence
from holdfast.core.evidence import History, Result
from holdfast.core.values import Observation, Probe, Tier, Verdict

DEGRADED = Verdict.DEGRADED
PROBE = Probe(interval_s=5.0, timeout_s=1.5, confirmations=2, confirm_every_s=0.4)


def fold(*verdicts: Verdict, start: Verdict = UP, every_s: float = 5.0) -> tuple[History, float | None]:
    """One result each in its turn, beginning at 10.0."""
    history, again = History(since=0.0, verdict=start, streak=start, length=5), None
    for number, verdict in enumerate(verdicts):
        result, now = Result(verdict, verdict.value), 10.0 + every_s * number
        history, again = evidence.observe(history, result, now=now, probe=PROBE)
    return history, again


def test_the_first_failure_changes_nothing_and_starts_confirmations():
    history, again = fold(DOWN)
    assert history.verdict is UP
    assert again == 10.4


def test_down_after_the_failure_was_confirmed_twice():
    history, again = fold(DOWN, DOWN, DOWN, every_s=0.4)
    assert history == History(since=10.8, verdict=DOWN, streak=DOWN, length=3, detail="down", counted_at=10.0)
    assert again is None


def test_a_success_in_between_starts_the_count_anew():
    history, _ = fold(DOWN, DOWN, UP, DOWN, DOWN)
    assert history.verdict is UP
    assert history.since == 0.0


def test_up_again_after_two_successes_which_is_another_threshold_than_down():
    assert fold(UP, start=DOWN)[0].verdict is DOWN
    history, again = fold(UP, UP, start=DOWN)
    assert (history.verdict, history.since, again) == (UP, 15.0, None)


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


def test_unreliable_after_three_bad_answers_among_the_last_twelve():
    """Three failures in a row would be down; these are never even two in a row."""
    history, again = fold(DOWN, UP, DOWN, UP, UP, UP, DOWN, UP)
    assert (history.verdict, history.since, again) == (DEGRADED, 45.0, None)
    assert history.detail == "3 of the last 8 answers were bad"


def test_what_is_asked_in_a_hurry_shares_one_hiccup_and_is_counted_once():
    """Found by `make soak`: a second of silence met three calls that overlapped, and a region was called unreliable."""
    hiccup = (DOWN, DOWN, UP, DOWN, UP)
    assert fold(*hiccup, every_s=0.4)[0].recent == (True,)
    assert fold(*hiccup, every_s=0.4)[0].verdict is UP
    assert fold(*hiccup, every_s=2.0)[0].recent == (True, True, False, True, False)
    assert fold(*hiccup, every_s=2.0)[0].verdict is DEGRADED


def test_a_bad_answer_is_forgotten_after_twelve_others():
    assert fold(DOWN, UP, DOWN, *[UP] * 8, DOWN, UP)[0].verdict is UP
    assert fold(DOWN, UP, DOWN, *[UP] * 7, DOWN, UP)[0].verdict is DEGRADED


def test_answers_that_are_bad_without_failing_are_confirmed_like_failures():
    """Mute half of the time, or too slow: the probe itself calls it degraded."""
    assert fold(DEGRADED) == (History(0.0, UP, DEGRADED, 1, "", (True,), counted_at=10.0), 10.4)
    history, again = fold(DEGRADED, DEGRADED, DEGRADED)
    assert (history.verdict, history.since, history.detail, again) == (DEGRADED, 20.0, "degraded", None)


def test_failures_in_a_row_are_on_their_way_to_down_and_not_called_unreliable():
    patient = Probe(confirmations=5)
    history = History(since=0.0, verdict=UP, streak=UP, length=5)
    for number in range(5):
        history, _ = evidence.observe(history, Result(DOWN), now=10.0 + number, probe=patient)
        assert history.verdict is UP
    assert evidence.observe(history, Result(DOWN), now=15.0, probe=patient)[0].verdict is DOWN
    assert evidence.observe(history, Result(UP), now=15.0, probe=patient)[0].verdict is DEGRADED


def test_what_is_unreliable_is_still_found_down():
    assert fold(DOWN, UP, DOWN, UP, DOWN, UP, DOWN, DOWN, DOWN)[0].verdict is DOWN


def test_reliable_again_when_at_most_one_of_the_last_twelve_is_bad():
    flaky = (DOWN, UP, DOWN, UP, DOWN, UP)
    assert fold(*flaky, *[UP] * 8)[0].verdict is DEGRADED
    history, again = fold(*flaky, *[UP] * 9)
    assert (history.verdict, history.since, history.detail, again) == (UP, 80.0, "up", None)


def test_an_unreliable_target_is_not_hurried_to_recover():
    assert fold(UP, start=DEGRADED)[1] is None
    assert fold(DOWN, start=DEGRADED)[1] == 10.4


def test_reliable_again_only_on_eight_answers_at_least():
    assert fold(*[UP] * 7, start=DEGRADED)[0].verdict is DEGRADED
    assert fold(*[UP] * 8, start=DEGRADED)[0].verdict is UP


def test_a_loss_that_is_over_is_not_taken_for_unreliability():
    history, _ = fold(*[DOWN] * 12, UP, UP)
    assert (history.verdict, history.recent) == (UP, (False, False))


def test_what_comes_back_unreliable_is_not_called_up():
    assert fold(DOWN, DOWN, DOWN, UP, DEGRADED, UP, DEGRADED, UP, DEGRADED)[0].verdict is DOWN
    assert fold(DOWN, DOWN, DOWN, UP, DEGRADED, UP, DEGRADED, UP, DEGRADED, UP, UP)[0].verdict is DEGRADED


def test_not_knowing_for_a_while_does_not_clear_an_unreliable_target():
    history, _ = fold(DOWN, UP, DOWN, UP, DOWN, UP, UNKNOWN, UNKNOWN, UNKNOWN)
    assert history.verdict is UNKNOWN
    assert evidence.observe(history, Result(UP), now=20.0, probe=PROBE)[0].verdict is DEGRADED


@pytest.mark.parametrize("pattern", ["bg", "bgggg", "bgggbggggg", "bbg", "bbggbg"])
def test_a_target_at_the_edge_turns_once_and_stays(pattern: str):
    """Half bad, or a fifth to two thirds, for half an hour at one probe every five seconds."""
    verdicts = [DOWN if letter == "b" else UP for letter in pattern] * (360 // len(pattern))
    history, turns = History(since=0.0, verdict=UP, streak=UP, length=5), 0
    for number, verdict in enumerate(verdicts):
        before = history.verdict
        history, _ = evidence.observe(history, Result(verdict), now=5.0 * number, probe=PROBE)
        turns += history.verdict is not before
    assert (history.verdict, turns) == (DEGRADED, 1)


@given(st.lists(st.sampled_from([UP, UNKNOWN])))
def test_nothing_is_ever_called_ill_without_a_bad_answer(verdicts: list[Verdict]):
    assert fold(*verdicts)[0].verdict in (UP, UNKNOWN)


@given(st.lists(st.sampled_from(Verdict), max_size=60))
def test_a_verdict_never_turns_on_one_result_alone(verdicts: list[Verdict]):
    history = History(since=0.0, verdict=UP, streak=UP, length=5)
    for number, verdict in enumerate(verdicts):
        before = history
        history, again = evidence.observe(before, Result(verdict), now=float(number), probe=PROBE)
        turned = history.verdict is not before.verdict
        assert not turned or history.length >= 2 or sum(history.recent) >= 3 or before.verdict is DEGRADED
        assert not turned or (history.since, again) == (number, None)
        assert len(history.recent) <= 12


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
    one = evidence.tallies([said("ams", "fra", DOWN)], of)["fra"]
    two = evidence.tallies([said("ams", "fra", DOWN), said("lon", "fra", DOWN), said("iad", "fra", UP)], of)["fra"]
    assert (one.observers, one.needed, one.lost) == (3, 2, False)
    assert two.lost


def test_half_is_not_more_than_half():
    assert not evidence.tallies([said("ams", "fra", DOWN)], zone())["fra"].lost


def test_a_region_is_no_witness_to_its_own_state():
    """The leader of a lost region may still call it well, or a mad one ill; only the others' word counts."""
    own = [said("fra", "fra", UP), said("ams", "fra", DOWN), said("iad", "fra", DOWN)]
    assert evidence.tallies(own, zone())["fra"].lost
    assert not evidence.tallies([said("fra", "fra", DOWN), said("iad", "fra", DOWN)], zone())["fra"].lost


@pytest.mark.parametrize(("age_s", "lost"), [(3.0, True), (3.1, False)])
def test_an_observer_not_heard_for_3_s_is_silent(age_s: float, lost: bool):
    told = [said("ams", "fra", DOWN), said("iad", "fra", DOWN, heard_age_s=age_s)]
    assert evidence.tallies(told, zone())["fra"].lost is lost


def test_an_observer_in_doubt_of_itself_is_not_counted():
    told = [said("ams", "fra", DOWN), said("iad", "fra", DOWN, self_doubt=True)]
    tally = evidence.tallies(told, zone())["fra"]
    assert not tally.lost
    assert [seen.observer for seen in tally.doubting] == ["iad"]


def test_strangers_and_other_targets_are_not_counted():
    told = [said("ams", "fra", DOWN), said("mars", "fra", DOWN), said("iad", "ams", DOWN)]
    tally = evidence.tallies(told, zone())["fra"]
    assert (len(tally.down), tally.silent) == (1, ("iad",))


def test_a_lone_region_is_well_by_its_own_word_and_never_lost():
    """Nobody else looks at it, and nobody could take its calls; a witness of another zone does not count."""
    seen = [said("fra", "fra", UP), said("iad", "fra", DOWN)]
    tally = evidence.tallies(seen, zone(("fra",), ()))["fra"]
    assert (tally.observers, tally.lost, tally.well, tally.seen_up) == (1, False, True, True)
    tally = evidence.tallies([said("fra", "fra", DOWN)], zone(("fra",), ()))["fra"]
    assert (tally.observers, tally.lost, tally.well, tally.seen_up) == (0, False, False, False)


def test_well_as_long_as_a_quorum_has_seen_it_so():
    of = zone(("fra", "ams", "iad"), ("lon",))
    told = [said("ams", "fra", UP, held_s=900), said("iad", "fra", UP, held_s=40), said("lon", "fra", UP, held_s=5)]
    assert evidence.tallies(told, of)["fra"].well_for_s == 40
    assert evidence.tallies(told[:1], of)["fra"].well_for_s == 0


def test_one_word_is_enough_to_lean_on_a_region_unless_it_is_lost():
    of = zone(("fra", "ams", "iad"), ("lon",))
    told = [said("ams", "fra", UP), said("iad", "fra", DOWN), said("lon", "fra", DOWN)]
    assert evidence.tallies(told[:2], of)["fra"].seen_up
    assert not evidence.tallies(told, of)["fra"].seen_up


def test_ill_needs_a_quorum_of_those_who_find_anything_wrong():
    of = zone(("fra", "ams", "iad"), ("lon",))
    told = [said("ams", "fra", DEGRADED), said("iad", "fra", DOWN), said("lon", "fra", UP)]
    tally = evidence.tallies(told, of)["fra"]
    assert (tally.ill, tally.lost, tally.seen_up) == (True, False, True)
    assert not evidence.tallies(told[:1], of)["fra"].ill


def test_the_first_sight_of_a_fault_may_come_from_one_who_doubts_himself():
    assert evidence.tallies([said("ams", "fra", DOWN, self_doubt=True)], zone())["fra"].suspected
    assert not evidence.tallies([said("ams", "fra", UP, self_doubt=True)], zone())["fra"].suspected
    assert not evidence.tallies([said("ams", "fra", DEGRADED)], zone())["fra"].suspected


def test_what_is_said_of_another_tier_is_not_said_of_the_region():
    told = [Observation("ams", "fra", DOWN, 0.5, tier=Tier.CARRIER)]
    assert evidence.tallies(told, zone())["fra"].silent == ("ams", "iad")


def test_the_sentence_names_who_said_what():
    told = [said("ams", "fra", DOWN, detail="connect timed out"), said("iad", "fra", DOWN)]
    assert evidence.tallies(told, zone())["fra"].describe() == (
        "2 of 2 observers see fra down, 2 are needed (ams: connect timed out; iad)"
    )
    assert evidence.tallies([], zone())["fra"].describe() == "0 of 2 observers see fra down, 2 are needed"
    assert evidence.tallies([said("ams", "fra", DEGRADED, detail="mute")], zone())["fra"].describe_ill() == (
        "1 of 2 observers see fra ill, 2 are needed (ams: mute)"
    )
    assert evidence.tallies([said("ams", "fra", UP)], zone())["fra"].describe_up() == (
        "1 of 2 observers see fra up, 2 are needed (ams)"
    )


def test_every_observer_is_in_exactly_one_group():
    of = zone(("fra", "ams", "iad"), ("lon", "par"))
    told = [
        said("ams", "fra", UP), said("iad", "fra", UNKNOWN), said("lon", "fra", DOWN, self_doubt=True),
        said("par", "fra", DOWN, heard_age_s=9.0),
    ]
    tally = evidence.tallies(told, of)["fra"]
    assert (len(tally.up), len(tally.unknown), len(tally.doubting), tally.silent) == (1, 1, 1, ("par",))
    assert tally.observers == len(of.observers_of("fra"))


def test_all_say_up_is_well():
    assert evidence.tallies(all_say(zone()), zone())["ams"].well
