"""The bench of latency with a real bridge process: every kind of turn is heard in both columns. It judges no times."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast_gameday.bench_latency import __main__ as bench

pytestmark = pytest.mark.programs


def test_turns_are_heard_with_and_without_a_bridge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "latency.md"
    arguments = ["--calls", "2", "--turns", "2", "--stages", "50", "--out", str(out)]
    assert bench.main(arguments) == 1
    rows = out.read_text().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["50 ms, no tool", "50 ms, with a tool"]
    heard = [[int(count) for count in row.split("|")[2].split("+")] for row in rows]
    assert all(count > 0 for counts in heard for count in counts)
    assert "turns are too few" in capsys.readouterr().out, "so small a run promises nothing"
