"""The command: what it prints, and the status it leaves."""

from __future__ import annotations

import pytest

from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.invariants import Invariant, Violation
from holdfast_gameday.simulation import __main__ as command
from holdfast_gameday.simulation import run, schedule, shrink, topology
from holdfast_gameday.simulation.schedule import Schedule


def test_one_seed_prints_its_summary_and_leaves_nothing_to_mourn(capsys):
    assert command.main(["--seed", "3"]) == 0

    printed = capsys.readouterr().out
    assert "simulated hours" in printed
    assert "sha-256" in printed


def test_a_trace_tells_the_story_in_order(capsys):
    command.main(["--seed", "3", "--trace"])

    lines = capsys.readouterr().out.splitlines()
    times = [float(line.split()[0]) for line in lines if line[:10].strip().replace(".", "").isdigit() and "  " in line]
    assert lines[0].startswith("seed 3: topology")
    assert times[:50] == sorted(times[:50])


def test_a_seed_file_holds_one_decimal_number_a_line(tmp_path, capsys):
    seeds = tmp_path / "seeds"
    seeds.write_text("3\n5\n")

    assert command.main(["--seed-file", str(seeds), "--processes", "1"]) == 0
    assert "seeds            2" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "three\n", "1\n-2\n", "1 2\n"])
def test_a_seed_file_that_holds_anything_else_is_a_wrong_command(tmp_path, capsys, content):
    seeds = tmp_path / "seeds"
    seeds.write_text(content)

    assert command.main(["--seed-file", str(seeds)]) == 2
    assert str(seeds) in capsys.readouterr().err


def test_a_missing_seed_file_is_a_wrong_command(tmp_path, capsys):
    assert command.main(["--seed-file", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--seeds", "x"], ["--seed", "1", "--seeds", "2"]])
def test_a_wrong_command_line_leaves_two(arguments):
    with pytest.raises(SystemExit) as left:
        command.main(arguments)

    assert left.value.code == 2


def test_a_failure_says_how_to_replay_it_and_what_it_takes():
    """The sentence a person copies from a log: one command, and the faults that suffice."""
    outcome = run.judge(run.watch(schedule.draw(3)))
    failed = run.Outcome(
        **{name: getattr(outcome, name) for name in outcome.__slots__}
        | {"violations": (Violation(Invariant.DWELL, 12.0, "fra is back too early"),)}
    )

    text = command._failure(failed, shrinking=False)

    assert "holdfast-sim --seed 3 --trace" in text
    assert "I10 dwell broken at 12.000 s: fra is back too early" in text


def test_a_schedule_is_shrunk_to_the_faults_that_matter():
    faults = tuple(Fault(Kind.CUT, "fra", 100.0 + n, 10.0, "ams") for n in range(5))
    planned = Schedule(1, topology.build("3"), (*faults, Fault(Kind.KILL, "par", 200.0, 30.0)))

    smallest = shrink.shrink(
        planned, fails=lambda each: {Kind.KILL, Kind.CUT} <= {fault.kind for fault in each.faults}
    )

    assert [fault.kind for fault in smallest.faults] == [Kind.CUT, Kind.KILL]
