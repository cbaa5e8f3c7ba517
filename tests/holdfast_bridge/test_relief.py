"""The second link of a call, by literal times."""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.relief import Relief

BUSY = {"current": 0, "idle": False, "said": 5}
IDLE = {"current": 0, "idle": True, "said": 5}
NOTHING: tuple[list[ev.Effect], bool] = ([], False)


def test_a_slow_answer_makes_the_next_attempt_ready_and_its_coming_drops_it() -> None:
    relief = Relief()
    assert relief.overdue(1.0, 1) == [ev.Prepare(1)]
    assert relief.stands_by
    assert relief.answered() == [ev.Unprepare()]
    assert not relief.stands_by
    assert relief.answered() == []


def test_without_another_attempt_there_is_nothing_to_make_ready() -> None:
    assert Relief().overdue(1.0, None) == []


def test_a_provider_that_is_always_slow_does_not_use_up_the_next_ones_connections() -> None:
    relief = Relief()
    relief.overdue(1.0, 1)
    relief.answered()
    assert relief.overdue(5.9, 1) == []
    assert relief.overdue(6.0, 1) == [ev.Prepare(1)]


def test_a_session_that_ends_is_followed_by_another_at_a_silent_moment() -> None:
    relief = Relief()
    relief.ends(60.0, 100.0)
    assert relief.look(100.0, **BUSY) == NOTHING
    assert relief.look(110.0, **IDLE) == ([ev.Prepare(0)], False)
    assert relief.look(110.1, **IDLE) == NOTHING, "it is not there yet"
    relief.prepared(0)
    assert relief.look(110.4, **BUSY) == NOTHING, "somebody began to speak"
    assert relief.look(112.0, **IDLE) == ([], True)


def test_what_was_said_since_makes_a_successor_stale() -> None:
    relief = Relief()
    relief.ends(60.0, 100.0)
    relief.look(110.0, **IDLE)
    relief.prepared(0)
    assert relief.look(111.0, current=0, idle=True, said=6) == ([ev.Unprepare()], False)
    assert relief.look(114.9, current=0, idle=True, said=6) == NOTHING
    assert relief.look(115.0, current=0, idle=True, said=6) == ([ev.Prepare(0)], False)


def test_a_call_that_is_never_silent_changes_in_time_all_the_same() -> None:
    relief = Relief()
    relief.ends(60.0, 100.0)
    relief.look(100.0, **BUSY)
    assert relief.get_timer() == 152.0
    assert relief.look(152.0, **BUSY) == ([ev.Prepare(0)], False)
    relief.prepared(0)
    assert relief.look(152.5, **BUSY) == NOTHING
    assert relief.get_timer() == 157.0
    assert relief.look(157.0, current=0, idle=False, said=9) == ([], True)


def test_a_vendor_that_gives_little_notice_is_followed_at_once() -> None:
    relief = Relief()
    relief.ends(1.0, 100.0)
    assert relief.look(100.0, **BUSY) == ([ev.Prepare(0)], False)
    relief.prepared(0)
    assert relief.look(100.2, **BUSY) == ([], True)


def test_a_successor_that_cannot_be_opened_is_tried_again_after_a_while() -> None:
    relief = Relief()
    relief.ends(60.0, 100.0)
    relief.look(110.0, **IDLE)
    relief.failed(0)
    assert relief.look(111.0, **IDLE) == NOTHING
    assert relief.get_timer() == 115.0
    assert relief.look(115.0, **IDLE) == ([ev.Prepare(0)], False)


def test_with_another_session_the_end_of_the_old_one_is_past() -> None:
    relief = Relief()
    relief.ends(60.0, 100.0)
    relief.look(110.0, **IDLE)
    relief.taken()
    assert relief.look(159.0, **IDLE) == NOTHING
    assert relief.get_timer() is None


def test_an_earlier_end_counts_and_a_later_word_does_not() -> None:
    relief = Relief()
    relief.ends(60.0, 100.0)
    relief.ends(20.0, 101.0)
    relief.ends(90.0, 102.0)
    relief.look(102.0, **BUSY)
    assert relief.get_timer() == 113.0


def test_while_another_attempt_stands_by_the_end_waits() -> None:
    relief = Relief()
    relief.overdue(100.0, 1)
    relief.ends(60.0, 100.0)
    assert relief.look(101.0, **IDLE) == NOTHING
    relief.answered()
    assert relief.look(106.0, **IDLE) == ([ev.Prepare(0)], False)
