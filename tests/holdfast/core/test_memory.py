"""What rides on the Leases: written small, read without trust, with ages that only grow."""

from __future__ import annotations

import json

import pytest
from core_builders import cordoned
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import memory
from holdfast.core.memory import Record
from holdfast.core.values import NEVER_S, Cause, Cordon, RegionMemory

WHY = "2 of 2 observers see fra down – µ"
LOST = cordoned(Cause.LOST, 12.5, 2, WHY)
PERSON = RegionMemory({Cause.HUMAN: Cordon(True, 4.0, 1, "new switches", 60.0, "ams")})
BACK = RegionMemory({Cause.LOST: Cordon(False, 9.0, 1, "up")}, step=1, stepped_ago_s=7.0)
ILL = Cordon(stands=True, changed_ago_s=3.0, flaps=1, reason="errors")


def text(regions: object = None, **more: object) -> str:
    content = {"epoch": 1, "seq": 1, "carriers": {}, "regions": regions if regions is not None else {}, **more}
    return json.dumps(content)


def entry(**more: object) -> dict[str, object]:
    cordon = {"stands": True, "since": 1.0, "flaps": 1, "reason": "", **more}
    return {"fra": {"step": None, "stepped": 0.0, "cordons": {"lost": cordon}}}


def test_what_was_written_is_short_and_in_a_fixed_order():
    record = Record(7, 12, {"fra": LOST, "ams": RegionMemory()}, {"twilio": ILL})
    assert memory.encode(record) == (
        '{"epoch":7,"seq":12,'
        '"carriers":{"twilio":{"stands":true,"since":3.0,"flaps":1,"reason":"errors"}},'
        '"regions":{"ams":{"step":null,"stepped":0.0,"cordons":{}},'
        '"fra":{"step":null,"stepped":0.0,'
        '"cordons":{"lost":{"stands":true,"since":12.5,"flaps":2,"reason":"2 of 2 observers see fra down – µ"}}}}}'
    )


def test_a_persons_cordon_keeps_its_end_and_its_teller():
    assert '"remaining":60.0,"toldBy":"ams"}' in memory.encode(Record(1, 1, {"fra": PERSON}))


def test_what_was_written_is_read_with_its_ages_grown_on_the_readers_clock():
    record = Record(7, 12, {"fra": LOST, "ams": BACK, "iad": PERSON}, {"twilio": ILL})
    read = memory.decode(memory.encode(record), age_s=3.0)
    assert read == Record(
        7, 12,
        {
            "ams": RegionMemory({Cause.LOST: Cordon(False, 12.0, 1, "up")}, step=1, stepped_ago_s=10.0),
            "fra": RegionMemory({Cause.LOST: Cordon(True, 15.5, 2, WHY)}, stepped_ago_s=3.0),
            "iad": RegionMemory(
                {Cause.HUMAN: Cordon(True, 7.0, 1, "new switches", 57.0, "ams")}, stepped_ago_s=3.0
            ),
        },
        {"twilio": Cordon(True, 6.0, 1, "errors")},
    )
    assert read == memory.aged(record, 3.0)


def test_a_cordon_may_have_run_out_while_nobody_read():
    read = memory.decode(memory.encode(Record(1, 1, {"fra": PERSON})), age_s=61.0)
    assert read is not None
    assert read.regions["fra"].cordons[Cause.HUMAN].remaining_s == -1.0


AGES = st.none() | st.integers(0, 10**9).map(lambda tenths: tenths / 10)
CORDONS = st.builds(
    Cordon, stands=st.booleans(), changed_ago_s=AGES, flaps=st.integers(0, 99),
    reason=st.text(max_size=memory.REASON_CHARS_MAX), remaining_s=st.none(), told_by=st.just(""),
) | st.builds(
    Cordon, stands=st.booleans(), changed_ago_s=AGES, flaps=st.integers(0, 99), reason=st.just("told"),
    remaining_s=st.integers(-9, 10**6).map(float), told_by=st.text(max_size=memory.NAME_CHARS_MAX),
)
MEMORIES = st.builds(
    RegionMemory, cordons=st.dictionaries(st.sampled_from(Cause), CORDONS), step=st.none() | st.integers(0, 7),
    stepped_ago_s=AGES,
)
NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=9)
RECORDS = st.builds(
    Record, epoch=st.integers(0, 10**15), seq=st.integers(0, 10**9),
    regions=st.dictionaries(NAMES, MEMORIES, max_size=5), carriers=st.dictionaries(NAMES, CORDONS, max_size=3),
)


@given(RECORDS)
def test_any_memory_survives_its_text(record: Record):
    assert memory.decode(memory.encode(record), age_s=0.0) == record


@given(RECORDS, st.integers(0, 10**4), st.integers(0, 10**4))
def test_ages_grow_the_same_in_one_step_or_in_two(record: Record, first: int, second: int):
    once, twice = memory.aged(record, first + second), memory.aged(memory.aged(record, first), second)
    for name, remembered in once.regions.items():
        for cause, cordon in remembered.cordons.items():
            other = twice.regions[name].cordons[cause]
            assert other.changed_ago_s == pytest.approx(cordon.changed_ago_s)
            assert other.remaining_s == pytest.approx(cordon.remaining_s)


@given(st.text(max_size=400) | RECORDS.map(memory.encode).map(lambda written: written[: len(written) // 2]))
def test_no_text_makes_a_reader_fall(written: str):
    read = memory.decode(written, age_s=0.0)
    assert read is None or isinstance(read, Record)


KEYS = st.sampled_from(("fra", "cordons", "step", "stepped", "lost"))
GARBAGE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=9,
)


@given(GARBAGE)
def test_nor_does_any_garbage_in_its_place(garbage: object):
    for written in (text(garbage), text(carriers=garbage), text({"fra": garbage}), text(epoch=garbage)):
        read = memory.decode(written, age_s=0.0)
        assert read is None or isinstance(read, Record)


def test_unknown_history_stays_unknown():
    record = Record(1, 1, {"fra": cordoned(ago_s=None)}, {"twilio": Cordon(True, None)})
    read = memory.decode(memory.encode(record), age_s=99.0)
    assert read is not None
    assert read.regions["fra"].cordons == record.regions["fra"].cordons
    assert read.carriers == record.carriers


def test_a_step_of_unknown_age_stays_so():
    record = Record(1, 1, {"fra": RegionMemory({}, 2, None)})
    assert memory.decode(memory.encode(record), age_s=99.0) == record
    assert memory.aged(record, 99.0) == record


def test_ages_are_written_to_a_tenth_and_without_end_as_the_greatest_number():
    record = Record(1, 1, {"fra": cordoned(Cause.HUMAN, NEVER_S, remaining_s=NEVER_S), "ams": cordoned(ago_s=1.2345)})
    read = memory.decode(memory.encode(record), age_s=0.0)
    assert read is not None
    person = read.regions["fra"].cordons[Cause.HUMAN]
    assert (person.changed_ago_s, person.remaining_s) == (1e9, 1e9)
    assert read.regions["ams"].cordons[Cause.LOST].changed_ago_s == 1.2


def test_no_text_is_an_empty_memory_and_not_an_unknown_one():
    assert memory.decode("", age_s=5.0) == Record()


@pytest.mark.parametrize(
    "written",
    [
        "{", "[]", "null", "7", '{"epoch":1,"seq":1}', '{"epoch":1,"seq":1,"regions":{}}',
        text([]), text(carriers=[1]), text(epoch="x"), text(epoch=None), text(seq="x"), text(epoch=float("inf")),
        text({"fra": 7}), text({"fra": {}}), text({"fra": {"step": None, "stepped": 0.0}}),
        text({"fra": {"step": "x", "stepped": 0.0, "cordons": {}}}),
        text({"fra": {"step": None, "stepped": "x", "cordons": {}}}),
        text({"fra": {"step": None, "stepped": -0.1, "cordons": {}}}),
        text({"fra": {"step": None, "stepped": 0.0, "cordons": {"gone": {}}}}),
        text(entry(stands="yes")), text(entry(stands=1)), text(entry(stands=None)),
        text(entry(since=-1)), text(entry(since=float("nan"))), text(entry(since=float("inf"))),
        text(entry(since="soon")), text(entry(flaps=None)), text(entry(flaps=float("nan"))),
        text(entry(remaining=float("nan"))), text(entry(remaining="x")), text(carriers={"twilio": {}}),
        "[" * 9000,
        " " * (memory.TEXT_CHARS_MAX + 1),
        memory.encode(Record(1, 1, {f"r{number}": LOST for number in range(memory.REGIONS_MAX + 1)})),
        memory.encode(Record(1, 1, {}, {f"c{number}": ILL for number in range(memory.CARRIERS_MAX + 1)})),
    ],
)
def test_text_that_cannot_be_trusted_is_unreadable(written: str):
    assert memory.decode(written, age_s=0.0) is None


def test_as_many_regions_and_carriers_as_there_may_be_are_read():
    regions = {f"r{number}": RegionMemory() for number in range(memory.REGIONS_MAX)}
    record = Record(1, 1, regions, {f"c{number}": ILL for number in range(memory.CARRIERS_MAX)})
    assert memory.decode(memory.encode(record), age_s=0.0) == record


def test_a_text_just_as_long_as_it_may_be_is_read():
    padded = text().ljust(memory.TEXT_CHARS_MAX)
    assert memory.decode(padded, age_s=0.0) == Record(1, 1)
    assert memory.decode(padded + " ", age_s=0.0) is None


def test_what_makes_no_sense_but_does_no_harm_is_brought_into_bounds():
    read = memory.decode(text({"fra": {**entry(flaps=-4, toldBy="x" * 99)["fra"], "step": -1}}), age_s=0.0)
    assert read is not None
    assert read.regions["fra"].step == 0
    cordon = read.regions["fra"].cordons[Cause.LOST]
    assert (cordon.flaps, cordon.told_by) == (0, "x" * memory.NAME_CHARS_MAX)
    long = memory.decode(text(entry(reason="x" * 999)), age_s=0.0)
    assert long is not None
    assert long.regions["fra"].reason == "x" * memory.REASON_CHARS_MAX


def test_a_cordon_without_words_is_read():
    written = {"fra": {"step": None, "stepped": 0, "cordons": {"lost": {"stands": False, "since": 1, "flaps": 0}}}}
    assert memory.decode(text(written), age_s=0.0) == Record(1, 1, {"fra": cordoned(ago_s=1.0, flaps=0, stands=False)})


def test_a_reason_is_cut_and_the_largest_memory_still_fits():
    """Ten regions are the most a policy takes, each with every cause, each with words that need escaping."""
    causes = {cause: Cordon(True, 1.0, 1, '"' * 999) for cause in Cause}
    record = Record(1, 1, {f"region-{number}": RegionMemory(causes) for number in range(10)})
    written = memory.encode(record)
    assert len(written) <= memory.TEXT_CHARS_MAX
    read = memory.decode(written, age_s=0.0)
    assert read is not None
    assert read.regions["region-0"].reason == '"' * memory.REASON_CHARS_MAX


def test_the_newest_is_the_highest_epoch_then_the_highest_sequence():
    """A Lease that was not renewed for an hour tells young ages; its order still tells that it is old."""
    old, new = Record(6, 99, {"fra": RegionMemory()}), Record(7, 2, {"fra": LOST})
    assert memory.latest([old, new, Record(7, 1), Record()], members=("fra",)) == new


def test_nothing_remembered_anywhere_is_nothing_moved():
    assert memory.latest([Record(), Record()], members=("fra", "ams")) == Record()
    assert memory.latest([], members=("fra",)) == Record()


def test_one_unreadable_lease_makes_every_history_unknown():
    """It may have been the newest. What is known of causes, flaps and steps is kept; only time is not trusted."""
    known = Record(7, 1, {"fra": LOST, "iad": BACK}, {"twilio": ILL})
    forgotten = RegionMemory({Cause.FOUND_OFF: Cordon(stands=False, changed_ago_s=None)}, None, None)
    assert memory.latest([known, None], members=("fra", "ams")) == Record(
        7, 1,
        {
            "fra": RegionMemory({Cause.LOST: Cordon(True, None, 2, WHY)}, None, None),
            "ams": forgotten,
            "iad": RegionMemory({Cause.LOST: Cordon(False, None, 1, "up")}, 1, None),
        },
        {"twilio": Cordon(True, None, 1, "errors")},
    )
    assert memory.latest([None], members=("ams",)) == Record(regions={"ams": forgotten})


@pytest.mark.parametrize(
    ("written", "epoch"),
    [("", 0), ("0", 0), ("41", 41), ("9" * 15, 10**15 - 1), ("9" * 16, None), ("-1", None), ("4.2", None), ("x", None),
     ("٣", None), ("²", None), (" 4", None)],
)
def test_an_epoch_is_a_number_none_yet_or_unreadable(written: str, epoch: int | None):
    assert memory.decode_epoch(written) == epoch


def test_an_epoch_survives_its_text():
    assert memory.decode_epoch(memory.encode_epoch(41)) == 41
