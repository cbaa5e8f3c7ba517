"""The few things the values can tell of themselves."""

from __future__ import annotations

import pytest
from core_builders import zone

from holdfast.core.values import AgentRef


@pytest.mark.parametrize(("members", "witnesses", "majority"), [(1, 0, 1), (2, 0, 2), (2, 1, 2), (3, 0, 2), (3, 2, 3)])
def test_a_majority_is_more_than_half_of_all_voters(members: int, witnesses: int, majority: int):
    of = zone([f"r{number}" for number in range(members)], [f"w{number}" for number in range(witnesses)])
    assert of.majority == majority
    assert len(of.voters) == members + witnesses


def test_voters_are_the_regions_in_the_edges_order_and_then_the_witnesses():
    assert zone().voters == ("fra", "ams", "iad")
    assert zone().members == ("fra", "ams")


def test_a_region_does_not_observe_itself_and_a_witness_observes_all():
    assert zone().observers_of("fra") == ("ams", "iad")
    assert zone().observers_of("iad") == ("fra", "ams")


def test_an_agent_is_called_by_namespace_and_name():
    assert str(AgentRef("clinic", "front-desk")) == "clinic/front-desk"
