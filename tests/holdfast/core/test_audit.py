"""The ring of records: what is news, what is forgotten first, and what many rings say together."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from holdfast.core import audit, reasons
from holdfast.core.audit import Record, Trail
from holdfast.core.explain import Entry, Kind, Outcome, Said, Subject
from holdfast.core.values import Reason

FRA = Subject(Kind.REGION, "fra")
EDGE = Subject(Kind.LEVER, "edge")
OUT = Entry(FRA, "eu", Outcome.DECIDED, "cordon fra (lost)", Reason(reasons.REGION_LOST, "2 see it down"), epoch=7)
BACK = replace(OUT, action="lift the cordon of fra (lost)", reason=Reason(reasons.REGION_RECOVERED, "2 see it up"))
HELD_BACK = replace(
    BACK, outcome=Outcome.REFUSED, reason=Reason(reasons.DWELL, "less than 300 s ago"), guard=reasons.DWELL
)
STALE = replace(HELD_BACK, reason=Reason(reasons.STALE_EVIDENCE, "not heard: iad"), guard=reasons.STALE_EVIDENCE)
NO_QUORUM = replace(OUT, outcome=Outcome.HELD, reason=Reason(reasons.NO_QUORUM, "no majority"), epoch=0)
ORDER = Entry(
    Subject(Kind.AGENT, "clinic/front-desk"), "eu", Outcome.PREFERRED, "try azure, then openai",
    Reason(reasons.ATTEMPT_ILL, "openai is ill in fra"), region="fra",
)  # fmt: skip
SPEC_ORDER = replace(ORDER, action="try openai, then azure")
FULL = replace(
    HELD_BACK, wanted=OUT.reason, override="the vendor confirmed it", region="fra",
    evidence=(Said("ams", "down", 0.4, 8.0, True, "no audio"), Said("iad")),
)  # fmt: skip


def clock(second: int) -> str:
    return f"2026-11-21T14:{second // 60:02d}:{second % 60:02d}.000Z"


def trail(*entries: Entry, by: str = "ams", since: int = 0) -> Trail:
    """One record a second."""
    told = Trail()
    for second, entry in enumerate(entries, since):
        told = audit.added(told, [entry], at=clock(second), by=by)
    return told


# What is news.


def test_a_decision_that_stands_is_told_once():
    assert audit.news(Trail(), [OUT], before=()) == (OUT,)
    assert audit.news(trail(OUT), [OUT], before=[OUT]) == ()


def test_the_same_decision_at_another_time_is_told_again():
    assert audit.news(trail(OUT, BACK), [OUT], before=()) == (OUT,)


def test_a_message_that_counts_seconds_is_not_news():
    later = replace(HELD_BACK, reason=Reason(reasons.DWELL, "less than 250 s ago"))

    assert audit.news(trail(HELD_BACK), [later], before=[HELD_BACK]) == ()


def test_a_refusal_that_comes_and_goes_is_told_once_between_two_acts():
    """Two guards that take turns four times a second would otherwise push every decision out of the ring in minutes."""
    told = trail(OUT, HELD_BACK, STALE)

    assert audit.news(told, [HELD_BACK], before=[STALE]) == ()
    assert audit.news(told, [STALE], before=()) == ()
    assert audit.news(trail(OUT, HELD_BACK, BACK), [HELD_BACK], before=()) == (HELD_BACK,)


def test_what_another_zone_does_makes_nothing_news():
    elsewhere = replace(OUT, zone="us")

    assert audit.news(trail(HELD_BACK, elsewhere), [HELD_BACK], before=()) == ()
    assert audit.news(trail(elsewhere), [HELD_BACK], before=()) == (HELD_BACK,)


def test_a_preference_is_told_each_time_it_is_taken_up():
    assert audit.news(trail(ORDER), [ORDER], before=[ORDER]) == ()
    assert audit.news(trail(ORDER), [SPEC_ORDER], before=[ORDER]) == (SPEC_ORDER,)
    assert audit.news(trail(ORDER), [ORDER], before=()) == (ORDER,)


def test_a_fallback_is_not_told_again_by_a_leader_that_was_none_for_a_moment():
    """Found by `make soak`: in bad weather a leader steps back now and then, and told of the same again."""
    kept = Entry(
        Subject(Kind.ZONE, "eu"), "eu", Outcome.PREFERRED, "keep ams as the carriers' own fallback",
        Reason(reasons.SEPARATE_REGION, "the edge tries fra first"),
    )  # fmt: skip
    other = replace(kept, action="keep iad as the carriers' own fallback")

    assert audit.news(trail(kept), [kept], before=()) == ()
    assert audit.news(trail(kept, other), [kept], before=()) == (kept,)


def test_after_a_start_the_last_word_of_the_record_is_taken_to_stand():
    """A restart decides nothing, so it must write nothing."""
    told = trail(SPEC_ORDER, ORDER, BACK, OUT)

    assert audit.news(told, [ORDER, OUT], before=None) == ()
    assert audit.news(told, [SPEC_ORDER, BACK], before=None) == (SPEC_ORDER, BACK)


# The ring.


def test_the_oldest_is_forgotten_first():
    told = Trail()
    for second in range(502):
        told = audit.added(told, [replace(OUT, epoch=second)], at=clock(second), by="ams")

    assert len(told.records) == audit.RECORDS_MAX
    assert [told.records[0].entry.epoch, told.records[-1].entry.epoch] == [2, 501]


def test_the_ring_stays_under_its_size_even_with_the_longest_words():
    wordy = replace(FULL, reason=Reason("C" * 500, "µ" * 5000), override="x" * 5000, evidence=FULL.evidence * 40)
    told = Trail()
    for second in range(60):
        told = audit.added(told, [wordy] * 5, at=clock(second), by="ams")

    text = audit.encode(told)
    assert len(text.encode()) <= audit.BYTES_MAX
    assert len(told.records) < 300
    assert told.records[-1].at == clock(59)
    assert audit.decode(text) == told


def test_what_is_kept_is_cut_to_its_bounds():
    wordy = replace(FULL, reason=Reason("C" * 500, "m" * 5000), evidence=FULL.evidence * 40)
    (record,) = trail(wordy).records

    assert len(record.entry.reason.message) == audit.MESSAGE_CHARS_MAX
    assert len(record.entry.evidence) == audit.WITNESSES_MAX


# As text.


def test_a_trail_survives_its_text():
    told = trail(OUT, FULL, ORDER)

    assert audit.decode(audit.encode(told)) == told
    assert audit.encode(told).count("\n") == 2
    assert audit.decode("") == Trail()


def test_an_age_without_end_is_no_number_in_the_text():
    endless = replace(OUT, evidence=(Said("iad", "unknown", math.inf, math.nan),))

    assert "Infinity" not in audit.encode(trail(endless))
    assert trail(endless).records[0].entry.evidence == (Said("iad", "unknown", None, None),)


GOOD = json.loads(audit.encode(trail(FULL)))


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "null", "7", '"text"', "{}", "\ud800", "[" * 100_000,
        json.dumps(GOOD | {"at": "yesterday"}),
        json.dumps(GOOD | {"kind": "planet"}),
        json.dumps(GOOD | {"outcome": "hoped"}),
        json.dumps(GOOD | {"epoch": "many"}),
        json.dumps(GOOD | {"epoch": math.inf}),
        json.dumps(GOOD | {"evidence": 3}),
        json.dumps(GOOD | {"evidence": [{"observer": "ams"}]}),
        json.dumps(GOOD | {"wanted": 4}),
        json.dumps({key: value for key, value in GOOD.items() if key != "message"}),
        json.dumps(GOOD | {"message": "x" * audit.BYTES_MAX}),
    ],
    ids=range(18),
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_skipped_and_counted(line):
    text = audit.encode(trail(OUT)) + "\n" + line + "\n\n" + audit.encode(trail(BACK, since=1))

    told = audit.decode(text)
    assert [record.entry for record in told.records] == [OUT, BACK]
    assert told.unreadable == 1


@given(some.text())
def test_no_text_is_an_error(text):
    audit.decode(text)


def test_the_count_of_what_was_unreadable_is_kept():
    assert audit.added(audit.decode("{"), [OUT], at=clock(1), by="ams").unreadable == 1


# Several trails.


def test_two_copies_written_apart_are_joined_without_doubles():
    shared = trail(OUT)
    one = audit.added(shared, [HELD_BACK], at=clock(5), by="ams")
    other = Trail(audit.added(shared, [BACK], at=clock(3), by="ams").records, unreadable=2)

    together = audit.joined(one, other)
    assert [record.entry for record in together.records] == [OUT, BACK, HELD_BACK]
    assert together.unreadable == 2


def test_the_records_of_all_regions_follow_in_time_and_then_by_region():
    told = audit.merge({"iad": trail(OUT, by="iad"), "ams": trail(OUT, BACK, by="ams")})

    assert [(record.at, record.by) for record in told] == [(clock(0), "ams"), (clock(0), "iad"), (clock(1), "ams")]


def test_the_latest_record_at_or_before_a_time_answers():
    told = {"ams": trail(OUT, HELD_BACK, BACK)}

    assert audit.at(told, FRA, clock(1)) == Record(clock(1), "ams", HELD_BACK)
    assert audit.at(told, FRA, "2026-11-21T14:00:01.999Z") == Record(clock(1), "ams", HELD_BACK)
    assert audit.at(told, FRA, clock(59)) == Record(clock(2), "ams", BACK)


def test_before_the_first_record_and_about_others_nothing_is_known():
    told = {"ams": trail(OUT, since=5)}

    assert audit.at(told, FRA, clock(4)) is None
    assert audit.at(told, EDGE, clock(9)) is None


def test_that_a_follower_has_no_quorum_does_not_hide_what_the_leader_decided():
    told = {"ams": trail(OUT), "iad": trail(NO_QUORUM, by="iad", since=1)}

    assert audit.at(told, FRA, clock(9)) == Record(clock(0), "ams", OUT)
    assert audit.at({"iad": told["iad"]}, FRA, clock(9)) == Record(clock(1), "iad", NO_QUORUM)
