"""The bench's own arithmetic: what is left to do, what was recorded, and which promise a figure breaks."""

from __future__ import annotations

from pathlib import Path

from holdfast_gameday.bench_failover import kinds, records, table
from holdfast_gameday.bench_failover.records import Record


def record(kind: str = "region-killed", number: int = 0, **more) -> Record:
    told = {"effective": 5.0, "detected": 1.0, "decided": 2.0, **more}
    return Record(kind=kind, number=number, revision="r", started="t", victim="fra", phase=1.0, **told)


def test_all_trials_are_left_at_first_and_a_fleet_is_set_up_once():
    trials = kinds.left(())
    assert len(trials) == 30 + 30 + 30 + 15 + 15 + 15 + 15 + 15
    layouts = [trial.kind.layout for trial in trials]
    assert layouts == sorted(layouts, key=["three", "witness"].index)


def test_a_part_of_a_run_tells_of_every_kind():
    first = kinds.left(())[:7]
    assert len({trial.kind.name for trial in first}) == 7
    assert {trial.number for trial in first} == {0}


def test_what_was_done_is_not_done_again():
    done = {("region-killed", number) for number in range(29)}
    assert [trial.number for trial in kinds.left(done, only=["region-killed"])] == [29]
    assert len(kinds.left((), only=["region-killed"], at_most=2)) == 2


def test_records_survive_a_line_that_was_cut_off(tmp_path: Path):
    path = tmp_path / "build" / "failover.jsonl"
    records.append(path, record(number=1))
    with path.open("ab") as file:
        file.write(b'{"kind":"region-ki')
    records.append(path, record(number=2))
    assert [each.number for each in records.read(path)] == [1, 2]


def test_a_percentile_is_a_figure_that_was_measured():
    assert table.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert table.percentile(list(range(1, 31)), 0.95) == 29
    assert table.spread([None]) == "–"
    assert table.spread([1.0, 2.0, None]) == "1.00 / 2.00 / 2.00"


def test_each_promise_is_broken_by_its_own_figure():
    of = kinds.BY_NAME["silent-50-calls"]

    def said(**more) -> list[str]:
        return table.broken(of, [record(of.name, **more)])

    assert said() == []
    assert said(effective=10.1) == ["silent-50-calls: effective after 10.10 s at p95, promised 10 s"]
    assert said(effective=None) == ["silent-50-calls: never effective in trials 0"]
    assert said(cut_over=1.2) == ["silent-50-calls: 1.20 s from write to first call elsewhere, promised 1 s"]
    assert said(held=50, resumed=49) == ["silent-50-calls: 1 calls under way did not go on"]
    assert said(gaps=(12.5,)) == ["silent-50-calls: gap 12.50 s at p95, promised 12 s"]
    assert said(false_moves=("ams",)) == ["silent-50-calls: moved without cause: ams"]


def test_a_kind_in_which_nothing_is_to_move_is_not_held_to_a_time():
    assert table.broken(kinds.BY_NAME["uplink-lost"], [record("uplink-lost", effective=None)]) == []


def test_the_table_has_a_row_for_each_kind_that_was_tried():
    told = table.markdown([record(placed=100, lost=1), record("uplink-lost", effective=None)])
    assert told.splitlines()[2].startswith("| region-killed | 1 of 30 | 1.00 / 1.00 / 1.00 | 2.00 / 2.00 / 2.00 | 5.00")
    assert "| 1 of 100 |" in told
    assert len(told.splitlines()) == 4
