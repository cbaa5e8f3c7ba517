"""Which tests may run beside each other, where pytest has several workers (`make test`).

Whatever needs a real cluster, the lab or all of the machine runs in one worker, one test after the other. All others
run beside it, and give way to it: most of their time they wait.
"""

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ALONE = {TESTS / "cluster", TESTS / "system"}
GIVES_WAY = 5


def _alone(item: pytest.Item) -> bool:
    return not ALONE.isdisjoint(item.path.parents)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _alone(item):
            item.add_marker(pytest.mark.xdist_group("the whole machine"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A worker that gave way once never gets the machine to itself again: its first tests decide."""
    if "PYTEST_XDIST_WORKER" in os.environ and not _alone(item):
        os.setpriority(os.PRIO_PROCESS, 0, GIVES_WAY)
