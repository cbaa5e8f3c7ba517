"""Two accounts of one call: which one holds, and how large one may be."""

from __future__ import annotations

from control_builders import record
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.core import journal
from holdfast_bridge.core.journal import Item, Latency, SwitchTimes, ToolUse, TurnTimes


def test_a_higher_epoch_wins_over_any_sequence() -> None:
    old, new = record(epoch=1, seq=900), record(epoch=2, seq=0)
    assert journal.merge(old, new) is new
    assert journal.merge(new, old) is new
    assert journal.stale(old, new)
    assert not journal.stale(new, old)


def test_within_an_epoch_the_later_sequence_wins() -> None:
    earlier, later = record(seq=4), record(seq=5)
    assert journal.merge(later, earlier) is later
    assert not journal.stale(earlier, later)


def test_two_accounts_of_the_same_moment_agree_on_the_end() -> None:
    live, ended = record(seq=4), record(seq=4, state="ended")
    assert journal.merge(live, ended) is ended
    assert journal.merge(ended, live) is ended


ranks = st.builds(
    lambda epoch, seq, ended: record(epoch=epoch, seq=seq, state="ended" if ended else "live"),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.lists(ranks, min_size=1, max_size=6))
def test_the_order_of_arrival_does_not_matter(records: list[journal.CallRecord]) -> None:
    forward = backward = None
    for one in records:
        forward = journal.merge(forward, one)
    for one in reversed(records):
        backward = journal.merge(backward, one)
    assert forward is not None
    assert backward is not None
    assert journal.rank(forward) == journal.rank(backward) == journal.rank(journal.newest(records) or forward)


def test_a_record_survives_the_wire() -> None:
    full = record(
        items=(Item(id="i1", role="assistant", text="Hello", heard_ms=300, final=True),),
        tools=(ToolUse(id="t1", name="book", arguments="{}", state="intent"),),
        disclosure_heard=True,
    )
    wire = journal.encode(full)
    assert b'"startedAt"' in wire
    assert b'"heardMs"' in wire
    assert journal.decode(wire) == full


def test_what_is_no_record_is_none() -> None:
    assert journal.decode(b"") is None
    assert journal.decode(b"{}") is None
    assert journal.decode(b'{"call":"\xff"}') is None
    assert journal.decode(b"[" * 100_000) is None
    assert journal.decode(b" " * (journal.MAX_RECORD_BYTES + 1)) is None


def test_a_raised_record_belongs_to_nobody_yet() -> None:
    raised = journal.raised(record(seq=7), epoch=2, region="ams", now=1010.0)
    assert (raised.epoch, raised.seq, raised.region, raised.pod, raised.taken_at) == (2, 0, "ams", "", 1010.0)
    assert journal.supersedes(raised, record(seq=900))


def test_a_long_call_is_cut_to_size_and_keeps_its_open_tools() -> None:
    items = tuple(Item(id=str(n), role="user", text="x" * 10_000) for n in range(journal.MAX_ITEMS + 5))
    done = tuple(ToolUse(id=str(n), name="look", state="done", result="y" * 10_000) for n in range(journal.MAX_TOOLS))
    opened = ToolUse(id="open", name="book", state="intent")
    cut = journal.bounded(record(items=items, tools=(opened, *done)))
    assert cut.items[-1].id == items[-1].id
    assert all(len(item.text) <= journal.MAX_TEXT for item in cut.items)
    assert journal.decode(journal.encode(cut)) == cut
    brief = tuple(ToolUse(id=str(n), name="look", state="done", result="y") for n in range(journal.MAX_TOOLS))
    kept = journal.bounded(record(items=items, tools=(opened, *brief)))
    assert len(kept.tools) == journal.MAX_TOOLS
    assert kept.tools[0] == opened


def test_a_record_that_fits_is_left_alone() -> None:
    small = record(items=(Item(id="1", role="user", text="hi"),))
    assert journal.bounded(small) is small


def test_times_survive_the_wire_and_bridges_that_know_less_or_more_of_them() -> None:
    turns = (TurnTimes(400, 150, 150, None, 100, 20, 1, 600), TurnTimes(None))
    full = record(latency=Latency(turns, 2, 1, 400, 1, 600, (SwitchTimes(1, "switch", "ready", 250, 500),), 1))
    wire = journal.encode(full)
    assert journal.decode(wire) == full
    plain = journal.encode(record())
    assert plain.count(b'"latency":{}') == 1
    assert journal.decode(plain.replace(b'"latency":{},', b"")) == record()  # One that an older bridge wrote.
    newer = wire.replace(b"[400,150,150,null,100,20,1,600]", b"[400,150,150,null,100,20,1,600,7]")
    assert journal.decode(newer) == full


def test_the_times_of_a_long_call_are_a_small_part_of_its_record() -> None:
    turns = tuple(TurnTimes(1400, 1150, 1150, 1150, 1100, 120, 3, 12_600) for _ in range(journal.MAX_TURNS))
    assert len(journal.encode(record(latency=Latency(turns)))) - len(journal.encode(record())) < 3_000
