"""How long targets stay where they are, and what makes that longer."""

from __future__ import annotations

import pytest
from core_builders import cordoned, joined, view, zone

from holdfast.core import dwells
from holdfast.core.plans import View
from holdfast.core.values import Cause, Cordon


def out_for(cause: Cause, ago_s: float, flaps: int) -> View:
    return view(memory=joined(zone(), fra=cordoned(cause, ago_s, flaps)))


@pytest.mark.parametrize(
    ("flaps", "dwell_s"), [(0, 300.0), (1, 300.0), (2, 600.0), (3, 1200.0), (4, 2400.0), (5, 2400.0), (50, 2400.0)]
)
def test_dwell_doubles_with_each_flap_up_to_eightfold(flaps: int, dwell_s: float):
    assert dwells.dwell_s("fra", Cause.LOST, out_for(Cause.LOST, 1.0, flaps)) == dwell_s


def test_the_flaps_of_one_cause_do_not_lengthen_the_dwell_of_another():
    assert dwells.dwell_s("fra", Cause.DEGRADED, out_for(Cause.LOST, 1.0, 4)) == 300.0


@pytest.mark.parametrize(("ramp", "step_s"), [((5, 25, 50, 100), 100.0), ((10, 100), 300.0), ((100,), 300.0)])
def test_the_steps_of_a_ramp_together_last_one_dwell(ramp: tuple[int, ...], step_s: float):
    assert dwells.ramp_step_s(view(zone(ramp=ramp))) == step_s


@pytest.mark.parametrize(("calm_s", "flaps"), [(0.0, 4), (3_599.9, 4), (3_600.0, 1), (None, 4)])
def test_flaps_are_forgiven_after_twelve_dwells_of_calm(calm_s: float | None, flaps: int):
    assert dwells.flaps(Cordon(stands=False, changed_ago_s=calm_s, flaps=3), view()) == flaps
