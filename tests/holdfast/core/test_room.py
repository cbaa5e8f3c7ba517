"""Calls are sent only where they fit, at the boundary and with the headroom kept."""

from __future__ import annotations

import pytest
from core_builders import back, cordoned, joined, loads, out, raised, view, zone

from holdfast.core import reasons, room
from holdfast.core.values import Cause, Guards, Load, Reason, RegionMemory

THREE = zone(("fra", "ams", "iad"), ())


def lacks(words: str) -> Reason:
    return Reason(reasons.CAPACITY, words)


@pytest.mark.parametrize(
    ("headroom_percent", "calls", "words"),
    [
        (20, 53, None),  # 159 calls; 100 of capacity in each of two, a fifth kept: 160
        (20, 54, "without fra the others have room for 160 of 162 calls, headroom kept"),
        (0, 66, None),
        (0, 67, "without fra the others have room for 200 of 201 calls, headroom kept"),
        (100, 0, None),
        (100, 1, "without fra the others have room for 0 of 3 calls, headroom kept"),
    ],
)
def test_the_others_take_all_calls_or_the_region_stays(headroom_percent: int, calls: int, words: str | None):
    of = zone(("fra", "ams", "iad"), (), guards=Guards(headroom_percent=headroom_percent))
    seen = view(of, loads={name: Load(2, calls, 100 - calls) for name in of.members})
    assert room.elsewhere(out(), seen) == (lacks(words) if words else None)


def test_only_regions_that_are_able_are_leaned_on():
    seen = view(THREE, loads=loads(THREE, calls=40, room=60), memory=joined(THREE, iad=cordoned()))
    assert room.elsewhere(out(), seen) == lacks("without fra the others have room for 80 of 120 calls, headroom kept")


def test_a_region_without_pods_or_without_a_word_has_no_room():
    told = {"fra": Load(2, 1, 99), "ams": Load(0, 0, 100)}
    assert room.elsewhere(out(), view(THREE, loads=told)) == lacks(
        "without fra the others have room for 0 of 1 calls, headroom kept"
    )


def test_one_pod_is_enough():
    assert room.elsewhere(out(), view(loads={"fra": Load(1, 1, 9), "ams": Load(1, 0, 10)})) is None


@pytest.mark.parametrize(
    ("move", "step", "share", "calls"),
    [
        (back(), None, 5, 4),  # 2 of 52 shares of 100 calls
        (back("fra", Cause.HUMAN), None, 5, 4),
        (back("fra", Cause.ABSENT), None, 100, 50),
        (raised(), 0, 25, 20),  # 12 of 62
        (raised(), 1, 50, 34),  # 25 of 75
        (raised(), 2, 100, 50),
        (raised(), 3, 100, 50),
        (raised(), 9, 100, 50),
        (raised(), None, 25, 20),
    ],
)
def test_the_region_itself_takes_what_the_move_would_give_it(move, step: int | None, share: int, calls: int):
    of = zone(guards=Guards(headroom_percent=0))
    memory = joined(of, fra=RegionMemory({}, step))
    enough = view(of, memory=memory, loads={"fra": Load(1, 0, calls), "ams": Load(1, 100, 0)})
    assert room.here(move, enough) is None
    short = view(of, memory=memory, loads={"fra": Load(1, 0, calls - 1), "ams": Load(1, 100, 0)})
    assert room.here(move, short) == lacks(f"at {share} % fra would get {calls} calls and has room for {calls - 1}")


def test_when_nobody_calls_one_call_must_fit():
    of = zone(guards=Guards(headroom_percent=0))
    assert room.here(back(), view(of, loads={"fra": Load(1, 0, 1), "ams": Load(1, 0, 0)})) is None
    assert room.here(back(), view(of, loads={"fra": Load(1, 0, 0), "ams": Load(1, 0, 0)})) == lacks(
        "at 5 % fra would get 0 calls and has room for 0"
    )
