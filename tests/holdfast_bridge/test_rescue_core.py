"""Which call is pushed when: no call twice, the window never passed, nobody forgotten, whatever the carrier says."""

from __future__ import annotations

from control_builders import record
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_bridge.core import rescue
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.rescue import SETTLED, Answer, Rescues, Said

ANSWERS = st.builds(Answer, st.sampled_from(Said), st.none() | st.floats(0.0, 100.0))

STEPS = st.tuples(st.floats(0.0, 40.0), st.lists(ANSWERS, max_size=8))


def lost(count: int) -> list[CallRecord]:
    return [record(call=f"CA{number:03d}", updated_at=1000.0 + number) for number in range(count)]


def one(book: Rescues, call: CallRecord, said: Said, *, now: float, retry_after_s: float | None = None) -> None:
    book.begin(call, now=now)
    book.ended(call, Answer(said, retry_after_s), now=now)


def test_the_most_recently_active_come_first_and_no_more_than_the_window_holds() -> None:
    book, calls = Rescues(), lost(50)
    due = book.due(calls, now=0.0)
    assert [each.call for each in due] == [f"CA{number:03d}" for number in range(49, 39, -1)]
    for each in due[:4]:
        book.begin(each, now=0.0)
    assert len(book.due(calls, now=0.0)) == 6


def test_a_call_under_way_or_settled_is_not_due() -> None:
    for said in SETTLED:
        book, (call,) = Rescues(), lost(1)
        book.begin(call, now=0.0)
        assert book.due([call], now=0.0) == []
        book.ended(call, Answer(said), now=0.0)
        assert book.due([call], now=1e6) == []


def test_a_recorded_clean_end_is_never_pushed() -> None:
    assert Rescues().due([record(state="ended")], now=0.0) == []


def test_a_call_that_was_lost_again_under_a_later_epoch_is_another_turn() -> None:
    book = Rescues()
    one(book, record(epoch=1), Said.MOVED, now=0.0)
    assert [each.epoch for each in book.due([record(epoch=1), record(epoch=2)], now=1.0)] == [2]


def test_an_unknown_outcome_is_tried_again_three_times_in_all() -> None:
    book, (call,) = Rescues(), lost(1)
    at = []
    for tenth in range(1000):
        now = tenth / 10
        if book.due([call], now=now):
            at.append(now)
            one(book, call, Said.UNKNOWN, now=now)
    assert at == [0.0, 2.0, 4.0]


def test_what_was_given_up_is_opened_again_only_after_its_owner_was_heard_of() -> None:
    book = Rescues()
    for now in (0.0, 5.0, 10.0):
        one(book, record(seq=7), Said.REFUSED, now=now)
    assert book.due([record(seq=7)], now=1e6) == []
    assert len(book.due([record(seq=8)], now=1e6)) == 1


def test_another_pod_that_died_at_it_is_followed_after_its_lock_has_ended() -> None:
    book, (call,) = Rescues(), lost(1)
    one(book, call, Said.ELSEWHERE, now=0.0)
    assert book.due([call], now=29.9) == []
    assert book.due([call], now=30.0) == [call]


def test_too_many_requests_halve_the_window_once_for_all_that_were_under_way() -> None:
    book, calls = Rescues(), lost(10)
    for call in calls:
        book.begin(call, now=0.0)
    for number, call in enumerate(calls):
        book.ended(call, Answer(Said.BUSY), now=0.01 * (number + 1))
    assert book.at_once == 5
    assert book.due(calls, now=0.3) == [], "nothing starts while the carrier is given time"
    assert len(book.due(calls, now=0.7)) == 5


def test_the_carrier_may_say_how_long_it_wants_to_be_left_alone() -> None:
    book, calls = Rescues(), lost(2)
    one(book, calls[0], Said.BUSY, now=0.0, retry_after_s=7.0)
    assert book.due(calls, now=6.9) == []
    assert len(book.due(calls, now=7.0)) == 2


def test_busy_does_not_count_as_a_try_but_a_call_is_not_pursued_for_ever() -> None:
    book, (call,) = Rescues(), lost(1)
    begun = []
    for second in range(400):
        if book.due([call], now=float(second)):
            begun.append(second)
            one(book, call, Said.BUSY, now=float(second))
    assert len(begun) > rescue.TRIES
    assert max(begun) <= rescue.OPEN_FOR_S


def test_success_widens_the_window_again_by_one_for_each_round() -> None:
    book, calls = Rescues(), lost(200)
    one(book, calls[0], Said.BUSY, now=0.0)
    assert book.at_once == 5
    for call in calls[1:7]:
        one(book, call, Said.MOVED, now=1.0)
    assert book.at_once == 6


def test_a_quiet_call_of_a_pod_that_is_heard_of_is_left_alone_until_it_is_stuck() -> None:
    quiet, lively, dead = record(call="a", pod="p1"), record(call="b", pod="p1"), record(call="c", pod="p2")
    assert rescue.silent([quiet, lively, dead], [quiet, dead]) == [dead]
    assert rescue.silent([quiet, lively, dead], [quiet, dead], stuck=[quiet]) == [quiet, dead]
    assert rescue.silent([quiet, dead], [quiet, dead]) == [quiet, dead]


def test_calls_that_no_pod_has_claimed_say_nothing_of_each_other() -> None:
    waiting, fresh = record(call="a", pod=""), record(call="b", pod="")
    assert rescue.silent([waiting, fresh], [waiting]) == [waiting]


@settings(deadline=None)
@given(st.integers(1, 60), st.lists(STEPS, max_size=40))
def test_whatever_the_carrier_says_no_call_is_pushed_twice_and_the_window_holds(
    count: int, steps: list[tuple[float, list[Answer]]]
) -> None:
    book, calls = Rescues(), lost(count)
    now, settled, tries = 0.0, set(), dict.fromkeys((each.call for each in calls), 0)
    under_way: dict[str, CallRecord] = {}
    for later, answers in steps:
        now += later
        due = book.due(calls, now=now)
        assert due == sorted(due, key=lambda each: each.updated_at, reverse=True)
        assert not {each.call for each in due} & (settled | under_way.keys())
        for each in due:
            book.begin(each, now=now)
            under_way[each.call] = each
        assert not due or len(under_way) <= book.at_once
        assert book.under_way == len(under_way)
        for answer in answers[: len(under_way)]:
            name, call = under_way.popitem()
            book.ended(call, answer, now=now)
            settled |= {name} if answer.said in SETTLED else set()
            tries[name] += answer.said in (Said.UNKNOWN, Said.REFUSED)
            assert tries[name] <= rescue.TRIES
            assert rescue.AT_ONCE_MIN <= book.at_once <= rescue.AT_ONCE_MAX


@settings(deadline=None)
@given(st.integers(1, 120), st.integers(0, 30))
def test_every_call_is_reached_once_the_carrier_takes_orders_again(count: int, refused: int) -> None:
    """A carrier that is busy for a while delays a rescue; it does not lose a call."""
    book, calls, moved = Rescues(), lost(count), []
    now, left = 0.0, refused
    while len(moved) < count and now < 100.0:
        for each in book.due(calls, now=now):
            book.begin(each, now=now)
            busy = left > 0
            left -= busy
            book.ended(each, Answer(Said.BUSY if busy else Said.MOVED), now=now)
            moved += [] if busy else [each.call]
        now += 0.25
    assert sorted(moved) == [each.call for each in calls]
