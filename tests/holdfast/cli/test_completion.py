"""Completion: of the program alone by click's own scripts, of `kubectl holdfast` by what kubectl asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli import completion
from holdfast.cli.exits import ExitStatus


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_shell_gets_a_script_for_both_names(run, shell):
    status, out, err = run("completion", shell)

    assert (status, err) == (ExitStatus.DONE, "")
    assert "_HOLDFAST_COMPLETE" in out
    assert "kubectl-holdfast" in out


def test_a_shell_that_is_not_known_is_a_wrong_use(run):
    assert run("completion", "tcsh")[0] == ExitStatus.USAGE


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["cor"], ["cordon"]),
        (["status", "--until", ""], ["healthy", "drained", "cordoned"]),
        (["doctor", "-o", "s"], ["short"]),
        (["cordon", "fra", "--dry"], ["--dry-run"]),
    ],
)
def test_words_are_completed(words, found):
    assert completion.candidates(words) == found


def test_the_program_answers_a_shell_that_asks():
    plugin = Path(sys.executable).parent / "kubectl-holdfast"
    done = subprocess.run(
        [plugin], capture_output=True, text=True, timeout=60, check=False,
        env={"_HOLDFAST_COMPLETE": "zsh_complete", "COMP_WORDS": "kubectl-holdfast unc", "COMP_CWORD": "1"},
    )  # fmt: skip

    assert done.stdout.splitlines()[:2] == ["plain", "uncordon"]


def test_kubectl_is_answered_in_its_own_way(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["kubectl_complete-holdfast", "lat"])
    completion.run()

    assert capsys.readouterr().out == "latency\n:4\n"
