"""Marks and what they prove."""

from __future__ import annotations

from holdfast_bridge.core.audio import Heard, Playout, pieces


def test_a_mark_follows_each_fifth_of_a_second() -> None:
    playout = Playout()
    assert [playout.sent("a", 800) for _ in range(4)] == [None, "m0", None, "m1"]


def test_the_end_of_a_line_is_marked_even_if_it_is_short() -> None:
    playout = Playout()
    assert playout.sent("a", 80) is None
    assert not playout.quiet()
    assert playout.item_done("a") == "m0"
    assert playout.mark_back("m0") == Heard("a", 10, last=True)
    assert playout.quiet()


def test_a_mark_speaks_for_all_before_it() -> None:
    playout = Playout()
    for _ in range(3):
        playout.sent("a", 1600)
    assert playout.mark_back("m2") == Heard("a", 600, last=False)
    assert playout.mark_back("m0") is None


def test_a_mark_we_did_not_send_proves_nothing() -> None:
    playout = Playout()
    playout.sent("a", 1600)
    assert playout.mark_back("hello") is None
    assert playout.heard_ms("a") == 0


def test_a_carrier_that_returns_no_marks_costs_bounded_memory() -> None:
    playout = Playout()
    names = [playout.sent("a", 1600) for _ in range(1500)]
    assert playout.mark_back(str(names[0])) is None
    assert playout.mark_back(str(names[-1])) is not None


def test_what_was_cleared_was_not_heard() -> None:
    playout = Playout()
    playout.sent("a", 1600)
    playout.cleared()
    assert playout.quiet()
    assert playout.mark_back("m0") is None


def test_a_long_delta_is_cut_where_marks_can_go() -> None:
    assert [len(piece) for piece in pieces(b"x" * 3500)] == [1600, 1600, 300]
    assert pieces(b"x" * 160) == [b"x" * 160]
