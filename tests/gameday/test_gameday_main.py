"""The command line of game days: what a wrong word prints, and with which status it ends."""

from pathlib import Path

import pytest

from holdfast_gameday import __main__ as command

SCENARIO = str(Path(__file__).parents[2] / "game_days" / "scenarios" / "region-loss.yaml")


def test_a_scenario_that_is_not_there_ends_with_the_usage_status(capsys):
    assert command.main(["run", "nowhere.yaml"]) == 2
    assert "nowhere.yaml: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("calls", ["0", "1001", "many"])
def test_an_impossible_number_of_calls_is_a_usage_error(calls, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["run", SCENARIO, "--calls", calls])

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--calls" in said
    assert f"a whole number between 1 and 1000 is wanted, not '{calls}'" in said


def test_a_dry_run_outside_a_cluster_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    assert command.main(["run", SCENARIO, "--dry-run"]) == 1
    assert "Run this in a pod with a service account" in capsys.readouterr().err


def test_the_first_cause_is_found_in_nested_groups():
    cause = TimeoutError("late")
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [cause]), ValueError("other")])

    assert next(iter(command._leaves(group))) is cause
