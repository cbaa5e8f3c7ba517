"""What rides on the Leases: written small, read without trust."""

from __future__ import annotations

import pytest

from holdfast.core import memory
from holdfast.core.memory import Record
from holdfast.core.values import Intent, RegionMemory

CORDONED = RegionMemory(Intent.CORDONED, 12.5, 1, "2 of 2 observers see fra down – µ")


def test_what_was_written_is_read_with_its_age_grown_on_the_readers_clock():
    text = memory.encode(Record(7, 12, {"fra": CORDONED}))
    assert text == (
        '{"epoch":7,"seq":12,"regions":{"fra":{"intent":"cordoned","since":12.5,"flaps":1,'
        '"reason":"2 of 2 observers see fra down – µ"}}}'
    )
    read = memory.decode(text, age_s=3.0)
    assert read == Record(7, 12, {"fra": RegionMemory(Intent.CORDONED, 15.5, 1, CORDONED.reason)})


def test_unknown_history_stays_unknown():
    record = Record(1, 1, {"fra": RegionMemory(Intent.SERVING, None)})
    assert memory.decode(memory.encode(record), age_s=99.0) == record


def test_no_text_is_an_empty_memory_and_not_an_unknown_one():
    assert memory.decode("", age_s=5.0) == Record()


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", "null", "7", '{"epoch":1,"seq":1}', '{"epoch":1,"seq":1,"regions":[]}',
        '{"epoch":"x","seq":1,"regions":{}}',
        '{"epoch":1,"seq":1,"regions":{"fra":{"intent":"gone","since":1,"flaps":0}}}',
        '{"epoch":1,"seq":1,"regions":{"fra":{"intent":"serving","since":-1,"flaps":0}}}',
        '{"epoch":1,"seq":1,"regions":{"fra":{"intent":"serving","since":NaN,"flaps":0}}}',
        '{"epoch":1,"seq":1,"regions":{"fra":{"intent":"serving","since":1e999,"flaps":0}}}',
        '{"epoch":1e999,"seq":1,"regions":{}}',
        '{"epoch":1,"seq":1,"regions":{"fra":7}}',
        "[" * 9000,
        " " * (memory.TEXT_CHARS_MAX + 1),
        memory.encode(Record(1, 1, {f"r{number}": CORDONED for number in range(memory.REGIONS_MAX + 1)})),
    ],
)
def test_text_that_cannot_be_trusted_is_unreadable(text: str):
    assert memory.decode(text, age_s=0.0) is None


def test_a_reason_is_cut_and_the_largest_memory_still_fits():
    record = Record(1, 1, {f"region-{n}": RegionMemory(Intent.CORDONED, 1.0, 1, "\x00" * 999) for n in range(32)})
    text = memory.encode(record)
    assert len(text) <= memory.TEXT_CHARS_MAX
    read = memory.decode(text, age_s=0.0)
    assert read is not None
    assert read.regions["region-0"].reason == "\x00" * memory.REASON_CHARS_MAX


def test_the_newest_is_the_highest_epoch_then_the_highest_sequence():
    """A Lease that was not renewed for an hour tells young ages; its order still tells that it is old."""
    old, new = Record(6, 99, {"fra": RegionMemory(Intent.SERVING, 1.0)}), Record(7, 2, {"fra": CORDONED})
    assert memory.latest([old, new, Record(7, 1), Record()], members=("fra",)) == new


def test_nothing_remembered_anywhere_is_nothing_moved():
    assert memory.latest([Record(), Record()], members=("fra", "ams")).regions == {}


def test_one_unreadable_lease_makes_every_history_unknown():
    known = Record(7, 1, {"fra": CORDONED})
    assert memory.latest([known, None], members=("fra", "ams")).regions == {
        "fra": RegionMemory(Intent.CORDONED, None, 1, CORDONED.reason),
        "ams": RegionMemory(Intent.SERVING, None),
    }


@pytest.mark.parametrize(
    ("text", "epoch"), [("", 0), ("41", 41), ("-1", None), ("4.2", None), ("x", None), ("٣", None), ("9" * 16, None)]
)
def test_an_epoch_is_a_number_none_yet_or_unreadable(text: str, epoch: int | None):
    assert memory.decode_epoch(text) == epoch


def test_an_epoch_survives_its_text():
    assert memory.decode_epoch(memory.encode_epoch(41)) == 41
