"""Kamailio's lists as text and values: only what is meant is changed, and nothing hostile gets through."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.levers import kamailio_list
from holdfast.levers.base import DriverError
from holdfast.levers.kamailio_file import ListFile

FRA, AMS = "sip:10.0.0.5:5060", "sip:10.0.0.6:5060"
FILE = (
    b"# set destination flags priority attributes\n"
    b"1 sip:10.0.0.5:5060 0 10 mark=holdfast:eu/fra;weight=50\n"
    b"  1\tsip:10.0.0.6:5060  8\t5  duid=a;mark=holdfast:eu/ams  # the second\r\n"
    b"\n"
    b"2 sip:10.0.0.5:5060 0 10 mark=holdfast:eu/fra\n"
    b"1 sip:10.0.0.7:5060"
)


def target(uri: str, flags: str, body: str | None = None) -> dict[str, object]:
    attributes = {} if body is None else {"ATTRS": {"BODY": body}}
    return {"DEST": {"URI": uri, "FLAGS": flags, "PRIORITY": 0, **attributes}}


def answer(*targets: dict[str, object], group: int = 1) -> dict[str, object]:
    return {"NRSETS": 1, "RECORDS": [{"SET": {"ID": group, "TARGETS": list(targets)}}]}


def test_the_destinations_of_one_group_are_found_with_their_state_and_mark() -> None:
    listed = answer(target(FRA, "DX", "duid=holdfast:eu/fra"), target(AMS, "AP"))
    fra, ams = kamailio_list.destinations(listed, 1)
    assert (fra.disabled, fra.usable, fra.marked("eu", "fra")) == (True, False, True)
    assert (ams.disabled, ams.usable, ams.marked("eu", "ams")) == (False, True, False)
    assert kamailio_list.destinations(listed, 2) == ()


@pytest.mark.parametrize(
    ("attributes", "ours"),
    [
        ("mark=holdfast:eu/fra", True),
        ('weight=50; mark="holdfast:eu/fra" ;duid=x', True),
        ("duid=holdfast:eu/fra", True),
        ("mark=holdfast:eu/fra2", False),
        ("mark=holdfast:us/fra", False),
        ("mark=xholdfast:eu/fra", False),
        ("holdfast:eu/fra", False),
        ("", False),
    ],
)
def test_a_mark_is_the_whole_value_of_an_attribute(attributes: str, ours: bool) -> None:
    assert kamailio_list.marked(attributes, "eu", "fra") is ours


@pytest.mark.parametrize(
    "broken",
    [None, [], {}, {"RECORDS": {}}, {"RECORDS": [1]}, {"RECORDS": [{"SET": {"ID": 1}}]},
     answer({"DEST": {"URI": 5, "FLAGS": "A"}}), answer({"DEST": {"URI": FRA, "FLAGS": ""}}), answer({"DEST": None})],
)  # fmt: skip
def test_an_answer_of_another_shape_is_not_guessed_at(broken: object) -> None:
    with pytest.raises(ValueError, match=r"no |without"):
        kamailio_list.destinations(broken, 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["RECORDS", "SET", "ID", "TARGETS", "DEST", "URI", "FLAGS", "ATTRS"]), inner),
    max_leaves=20,
)


@given(json_values)
def test_no_answer_breaks_the_reader(value: object) -> None:
    try:
        kamailio_list.destinations(value, 1)
    except ValueError:
        return


def test_only_the_flags_of_the_lines_that_are_meant_are_changed() -> None:
    out = kamailio_list.with_flag(FILE, 1, (AMS,), disabled=True)
    assert out == FILE.replace(b"  8\t5", b"  12\t5")
    assert kamailio_list.with_flag(out, 1, (AMS,), disabled=False) == FILE


def test_a_line_without_flags_gets_them() -> None:
    out = kamailio_list.with_flag(FILE, 1, ("sip:10.0.0.7:5060",), disabled=True)
    assert out == FILE + b" 4"


def test_what_is_so_already_changes_no_byte() -> None:
    assert kamailio_list.with_flag(FILE, 1, (FRA, AMS), disabled=False) == FILE


@given(st.binary(max_size=200), st.booleans())
def test_bytes_that_are_no_list_are_kept(content: bytes, disabled: bool) -> None:
    out = kamailio_list.with_flag(content, 1, ("sip:never",), disabled=disabled)
    assert out == content


line = st.from_regex(
    rb"[ \t]{0,2}[12][ \t]{1,2}sip:[ab]([ \t]{1,2}[0-9]{1,2}([ \t]{1,2}[0-9]{1,2}( a=b)?)?)?", fullmatch=True
)


@given(st.lists(line, max_size=6), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_the_flag_is_set_on_every_line_meant_and_on_no_other(lines: list[bytes], end: bytes, disabled: bool) -> None:
    before = end.join(lines)
    after = kamailio_list.with_flag(before, 1, ("sip:a",), disabled=disabled)
    assert [(each.number, each.uri, each.attributes) for each in kamailio_list.listed(after, 1)] == [
        (each.number, each.uri, each.attributes) for each in kamailio_list.listed(before, 1)
    ]
    assert all(each.disabled is disabled for each in kamailio_list.listed(after, 1) if each.uri == "sip:a")
    others = [each for each in kamailio_list.listed(before, 1) if each.uri != "sip:a"]
    assert [each for each in kamailio_list.listed(after, 1) if each.uri != "sip:a"] == others
    assert kamailio_list.listed(after, 2) == kamailio_list.listed(before, 2)


# The file.


def list_file(path: Path) -> ListFile:
    return ListFile(lever="sbc", zone="eu", path=path, group=1)


async def test_a_write_keeps_the_mode_and_the_link_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    real, link = tmp_path / "data" / "dispatcher.list", tmp_path / "dispatcher.list"
    real.parent.mkdir()
    real.write_bytes(FILE)
    real.chmod(0o640)
    link.symlink_to(real)
    assert await list_file(link).write("fra", (FRA,), enabled=False) is True
    assert await list_file(link).write("fra", (FRA,), enabled=False) is False
    assert real.read_bytes() == FILE.replace(b"5060 0 10 mark=holdfast:eu/fra;", b"5060 4 10 mark=holdfast:eu/fra;")
    assert (link.is_symlink(), real.stat().st_mode & 0o777) == (True, 0o640)
    assert os.listdir(real.parent) == ["dispatcher.list"]


async def test_a_line_that_lacks_our_mark_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "dispatcher.list"
    path.write_bytes(FILE)
    with pytest.raises(DriverError) as refused:
        await list_file(path).write("fra", (AMS,), enabled=False)
    assert refused.value.code == "NotOurs"
    with pytest.raises(DriverError) as refused:
        await list_file(path).write("fra", ("sip:10.9.9.9:5060",), enabled=False)
    assert refused.value.code == "NoOrigin"
    assert path.read_bytes() == FILE


async def test_the_last_destination_of_the_group_is_never_flagged(tmp_path: Path) -> None:
    path = tmp_path / "dispatcher.list"
    path.write_bytes(b"1 sip:10.0.0.5:5060 0 0 mark=holdfast:eu/fra\n1 sip:10.0.0.6:5060 4 0 mark=holdfast:eu/ams\n")
    with pytest.raises(DriverError) as refused:
        await list_file(path).write("fra", (FRA,), enabled=False)
    assert (refused.value.code, refused.value.retryable) == ("LastDestination", True)


async def test_a_file_that_is_not_there_or_too_large_is_told(tmp_path: Path) -> None:
    path = tmp_path / "dispatcher.list"
    with pytest.raises(DriverError, match="No such file"):
        await list_file(path).differs("fra", (FRA,), enabled=True)
    path.write_bytes(b"#" * (5 * 1024 * 1024))
    with pytest.raises(DriverError, match="larger than"):
        await list_file(path).differs("fra", (FRA,), enabled=True)


async def test_a_file_system_that_hangs_is_told_and_writes_nothing_when_it_wakes(tmp_path: Path) -> None:
    """What was decided may be another thing by then. A pipe that nobody feeds hangs like a share that is gone."""
    path = tmp_path / "dispatcher.list"
    os.mkfifo(path)
    file = list_file(path)
    with pytest.raises(DriverError, match="no end within") as told:
        await file.write("fra", (FRA,), enabled=False)
    assert (told.value.code, told.value.retryable) == ("ListFile", True)
    with pytest.raises(DriverError, match="an earlier access has not ended"):
        await file.differs("fra", (FRA,), enabled=False)
    await asyncio.to_thread(path.write_bytes, FILE)
    async with asyncio.timeout(30):
        while True:
            try:
                await file.differs("fra", (FRA,), enabled=False)
            except DriverError as e:
                if "no end within" in str(e):
                    break
                await asyncio.sleep(0.01)
    assert path.is_fifo()
    await asyncio.to_thread(path.write_bytes, FILE)
