"""The page that is made of many seeds."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from holdfast_gameday.faults import Kind
from holdfast_gameday.invariants import Invariant
from holdfast_gameday.simulation import figures


def test_the_page_says_what_was_run_and_names_every_fault_and_invariant(tmp_path):
    (tmp_path / "pictures").mkdir()
    gathered, summary = figures.gather([3, 5], processes=1)

    figures.write(tmp_path, gathered, summary, command="make sim-docs SEEDS=2")

    page = (tmp_path / "simulation.md").read_text()
    assert "`make sim-docs SEEDS=2`" in page
    assert summary.digest in page
    assert all(f"`{kind.word}`" in page for kind in Kind)
    assert all(f"**{each.code}**" in page for each in Invariant)
    assert "{" not in page
    for picture in (tmp_path / "pictures").glob("*.svg"):
        ET.fromstring(picture.read_text())


def test_percentiles_are_those_of_the_nearest_rank():
    times = [float(n) for n in range(1, 101)]

    assert figures.percentile(times, 0.5) == 50.0
    assert figures.percentile(times, 0.95) == 95.0
    assert figures.percentile([7.0], 0.95) == 7.0
