"""The lab that tests share, and when its turn comes."""

from __future__ import annotations

import pytest
from stage_fixture import stage

__all__ = ["stage"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """There is room for one lab: tests on the shared one come after those that set and strike their own.

    They come in the order of their modules' names, however they are asked for: the last of these deletes an agent.
    """

    def turn(item: pytest.Item) -> tuple[bool, str]:
        shared = "stage" in getattr(item, "fixturenames", ())
        return shared, item.path.name if shared else ""

    items.sort(key=turn)
