"""`completion`: what a shell loads to complete our words, and what kubectl asks for `kubectl holdfast`.

kubectl runs `kubectl_complete-holdfast` with the words typed so far, and wants a candidate a line, and `:4`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from click.shell_completion import ShellComplete, get_completion_class

from holdfast.cli.app import VARIABLE, cli

NO_FILES = ":4"


def script(shell: str, *, program: str) -> str:
    """For `holdfast` or `kubectl-holdfast` typed alone."""
    found = get_completion_class(shell)
    assert found is not None
    return found(cli, {}, program, VARIABLE).source()


def candidates(words: Sequence[str]) -> list[str]:
    """What may stand for the last word, which may be empty."""
    asked = ShellComplete(cli, {}, "kubectl-holdfast", VARIABLE)
    *before, last = words or [""]
    return [each.value for each in asked.get_completions(list(before), last)]


def run() -> None:
    """The entry point of `kubectl_complete-holdfast`."""
    sys.stdout.write("".join(f"{each}\n" for each in candidates(sys.argv[1:])) + NO_FILES + "\n")
