"""One vendor's bad hour holds up nobody else."""

from __future__ import annotations

import pytest
from simulated import fleet, lost, schedule

from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.simulation import run

TROUBLES = (Kind.LEVER_ERRORS, Kind.NO_ANSWER, Kind.NOT_DONE, Kind.LOCK_OUT, Kind.MARK_LOST, Kind.VENDOR_CUT)


def _trouble(kind: Kind) -> Fault:
    match kind:
        case Kind.MARK_LOST:
            return Fault(kind, "ams", 40.0, 150.0, "trunk")
        case Kind.VENDOR_CUT:
            return Fault(kind, "par", 40.0, 150.0, "trunk")
        case _:
            return Fault(kind, "trunk", 40.0, 150.0, level=150.0)


@pytest.mark.parametrize("kind", TROUBLES, ids=lambda kind: kind.word)
def test_a_lost_region_is_out_at_one_lever_in_time_while_the_other_is_in_trouble(kind):
    world = run.watch(schedule(_trouble(kind), lost("ams", at_s=60.0, for_s=120.0), of=fleet("3", levers=2)))

    out = [line.at_s for line in world.story.lines if line.what.startswith("ams off at edge: done")]
    assert world.judge.violations == []
    assert min(out, default=1e9) <= 80.0
