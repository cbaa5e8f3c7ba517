"""What the bench makes of the turns that it heard: percentiles, our share, and the promises that are not kept."""

from __future__ import annotations

from dataclasses import replace

from holdfast_gameday.bench_latency import figures, talk
from holdfast_gameday.bench_latency.figures import Heard, Row
from holdfast_gameday.bench_latency.stages import Stages
from holdfast_gameday.world.callers_script import Ask, Tell, Turn

KEPT = Row(150, False, (60, 60), (780.0, 800.0), (790.0, 815.0), (480.0, 520.0))


def heard(*voice_to_voice: float, tool: bool = False) -> list[Heard]:
    return [Heard(each, 0.3, tool) for each in voice_to_voice]


def test_our_share_is_the_difference_of_the_same_percentile() -> None:
    alone, through = heard(0.7, 0.8, 0.9), heard(0.71, 0.82, 0.95)
    found = figures.row(150, tool=False, alone=alone, through=through)
    assert [round(each) for each in (*found.alone, *found.through, *found.share)] == [800, 900, 820, 950, 20, 50]
    assert [round(each) for each in found.turn] == [520, 650]


def test_turns_with_a_tool_are_a_row_of_their_own() -> None:
    alone, through = heard(0.7) + heard(1.0, 1.1, tool=True), heard(0.7) + heard(1.2, tool=True)
    assert figures.row(50, tool=True, alone=alone, through=through).turns == (2, 1)
    assert figures.row(50, tool=False, alone=alone, through=through).turns == (1, 1)


def test_what_is_kept_is_not_told() -> None:
    assert figures.broken([KEPT, replace(KEPT, tool=True, turn=(990.0, 1000.0))]) == []


def test_every_promise_that_is_broken_is_told_with_its_figures() -> None:
    slow = replace(KEPT, through=(1300.0, 1450.0), turn=(510.0, 960.0))
    assert figures.broken([slow]) == [
        "150 ms, no tool: our share, p95 650 ms of 20 ms",
        "150 ms, no tool: a turn from the decision, p50 510 ms of 500 ms",
        "150 ms, no tool: the first token, p95 810 ms of 800 ms",
        "150 ms, no tool: the first audio, p95 1450 ms of 1400 ms",
    ]
    assert figures.broken([replace(KEPT, tool=True, turn=(1001.0, 1002.0))]) == [
        "150 ms, with a tool: a turn from the decision, p50 1001 ms of 1000 ms",
    ]


def test_faster_stages_are_judged_by_our_share_alone_and_too_few_turns_by_nothing() -> None:
    assert figures.broken([replace(KEPT, stage_ms=50, turn=(900.0, 900.0))]) == []
    assert figures.broken([replace(KEPT, turns=(60, 3), turn=(900.0, 900.0))]) == [
        "150 ms, no tool: 3 turns are too few, 20 are needed",
    ]


def test_the_table_has_the_three_columns() -> None:
    assert figures.table([KEPT]).splitlines()[2] == (
        "| 150 ms, no tool | 60 + 60 | 780 / 800 | 790 / 815 | 10 / 15 | 480 / 520 |"
    )
    assert figures.both([0.1, 0.2]) == "100 / 200"


def test_callers_say_nothing_twice_so_that_every_decision_of_the_ear_has_its_turn() -> None:
    steps = [*talk.turns("a 1", 3), *talk.turns("a 2", 3)]
    said = [step.text for step in steps if isinstance(step, Tell | Ask)]
    assert len(set(said)) == len(said) == 12


def test_a_turn_counts_when_it_was_answered_at_once_and_the_ear_is_known_to_have_decided() -> None:
    stages = Stages(0.15, decided_at={"hello a 0": 1.3, "book a 0": 5.35, "hello a 1": 9.3})
    said = [
        Turn("hello a 0", "", 1.0, 1, 2.0, "x"), Turn("book a 0", "booked", 5.0, 1, 7.0, "booked"),
        Turn("hello a 1", "", 9.0, 2, 17.0, "x"), Turn("hello a 2", "", 20.0, 1, 21.0, "x"),
        Turn("hello a 3", "", 30.0, 1, None, ""),
    ]  # fmt: skip
    sounds_at = [0.4, 1.8, 1.95, 6.2, 17.0, 20.5, 40.0]
    found = talk.heard(said, sounds_at, stages)
    assert [(round(each.voice_to_voice, 3), round(each.turn, 3), each.tool) for each in found] == [
        (0.8, 0.5, False), (1.2, 0.85, True),
    ]  # fmt: skip
