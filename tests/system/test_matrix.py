"""Providers against each other with real bridge processes: two dozen cases of `make matrix`, and every kind alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from holdfast_gameday.matrix import cases, table
from holdfast_gameday.matrix.judge import Finding
from holdfast_gameday.matrix.run import run

pytestmark = pytest.mark.programs
SEED = 6
PLAYED = (*cases.conversations(), *cases.some(SEED, 24))
AT_A_TIME = 8


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Finding]:
    """Side by side, because a call is mostly waiting."""
    folder: Path = tmp_path_factory.mktemp("matrix")
    findings = asyncio.run(run(PLAYED, folder, at_a_time=AT_A_TIME, tell=lambda finding: None))
    return {finding.case.number: finding for finding in findings}


@pytest.mark.parametrize("case", PLAYED, ids=lambda case: case.name)
def test_the_caller_notices_no_more_than_he_may(found: dict[int, Finding], case: cases.Case) -> None:
    assert found[case.number].wrong == ()


def test_the_next_provider_is_heard_in_time(found: dict[int, Finding]) -> None:
    assert table.slow(list(found.values())) == []
