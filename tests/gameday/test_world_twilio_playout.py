"""The play-out buffer: marks tell what was heard, not what was sent."""

from __future__ import annotations

from holdfast_gameday.world.twilio_playout import CAPACITY_OCTETS, PlayOut


def test_a_mark_comes_back_when_all_before_it_has_played() -> None:
    playout = PlayOut()
    playout.write(b"a" * 320)
    assert playout.mark("m1") == []
    playout.write(b"b" * 160)
    assert playout.play() == (b"a" * 160, [])
    assert playout.play() == (b"a" * 160, ["m1"])
    assert playout.play() == (b"b" * 160, [])
    assert playout.play() == (b"", [])


def test_a_mark_behind_nothing_comes_back_at_once() -> None:
    assert PlayOut().mark("m1") == ["m1"]


def test_clear_empties_the_buffer_and_returns_pending_marks_in_order() -> None:
    playout = PlayOut()
    playout.write(b"a" * 320)
    playout.mark("m1")
    playout.write(b"a" * 320)
    playout.mark("m2")
    assert playout.clear() == ["m1", "m2"]
    assert playout.play() == (b"", [])


def test_a_mark_within_a_frame_waits_for_its_end() -> None:
    playout = PlayOut()
    playout.write(b"a" * 100)
    playout.mark("m1")
    playout.write(b"a" * 100)
    assert playout.play()[1] == ["m1"]
    assert playout.play() == (b"a" * 40, [])


def test_more_than_the_buffer_holds_is_dropped_and_counted() -> None:
    playout = PlayOut()
    playout.write(b"a" * (CAPACITY_OCTETS + 7))
    assert (playout.waiting_octets, playout.overflowed) == (CAPACITY_OCTETS, 7)


def test_sound_that_comes_into_a_silence_is_told_and_sound_behind_sound_is_not() -> None:
    told: list[str] = []
    playout = PlayOut(lambda: told.append("sound"))
    playout.write(b"")
    playout.write(b"a" * 160)
    playout.write(b"b" * 160)
    assert told == ["sound"]
    playout.play()
    playout.play()
    playout.write(b"c")
    assert told == ["sound", "sound"]
