"""What is remembered of the levers between two looks: what was settled, what is stuck, what others changed."""

from __future__ import annotations

from holdfast.fleet_origins import OriginBook
from holdfast.levers.base import DriverError, OriginReading


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def settled(book: OriginBook) -> tuple[bool, int | None] | None:
    (state,) = book.states()
    return state.settled


def book_of(reading: OriginReading, clock: Hands | None = None) -> OriginBook:
    book = OriginBook(clock=clock or Hands())
    book.answered("edge", reading)
    return book


def test_what_was_once_as_wanted_is_remembered_while_others_change_it():
    book = book_of(OriginReading("fra", True, 3, share=25))
    book.settle("edge", "fra")
    book.answered("edge", OriginReading("fra", False, 3, share=25))
    book.failed("edge", "fra", DriverError("Unreachable", "no answer", retryable=True))
    assert settled(book) == (True, 25)


def test_a_write_of_ours_unsettles_until_it_is_read():
    book = book_of(OriginReading("fra", True, 3))
    book.settle("edge", "fra")
    book.wrote("edge", "fra", enabled=False)
    assert settled(book) is None
    book.settle("edge", "fra")
    assert settled(book) is None


def test_a_reading_contradicts_our_last_write_until_one_has_shown_it():
    book = book_of(OriginReading("fra", True, 3))
    book.wrote("edge", "fra", enabled=False)
    for shown, contradicts in ((True, True), (True, True), (False, False), (True, False)):
        book.answered("edge", OriginReading("fra", shown, 3))
        (state,) = book.states()
        assert (state.enabled, state.contradicts) == (shown, contradicts)


def test_an_answer_that_failed_to_come_shows_no_write():
    book = book_of(OriginReading("fra", True, 3))
    book.wrote("edge", "fra", enabled=False)
    book.failed("edge", "fra", DriverError("Unreachable", "no answer", retryable=True))
    book.answered("edge", OriginReading("fra", True, 3))
    (state,) = book.states()
    assert state.contradicts


def test_a_new_leader_takes_nothing_for_settled():
    book = book_of(OriginReading("fra", True, 3))
    book.settle("edge", "fra")
    book.forget()
    assert settled(book) is None


def test_a_lever_is_stuck_from_the_first_look_at_which_it_is():
    clock = Hands()
    book = book_of(OriginReading("fra", True), clock)
    book.stuck("edge", is_stuck=True)
    clock.now += 2.0
    book.stuck("edge", is_stuck=True)
    assert book.held_s() == {"edge": 2.0}
    book.stuck("edge", is_stuck=False)
    assert book.held_s() == {}


def test_what_others_changed_is_told_by_lever():
    book = book_of(OriginReading("fra", True, 3, drift=("country_pools.DE lacks pool-ams",)))
    book.answered("edge", OriginReading("ams", True, 3))
    book.answered("sip", OriginReading("fra", True, 3, drift=("flags",)))
    assert book.drift() == {"edge": ("country_pools.DE lacks pool-ams",), "sip": ("flags",)}
