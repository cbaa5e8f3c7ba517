"""Five thousand callers, one region lost: those who come back do not take the other one down with them."""

from __future__ import annotations

from simulated import fleet, lost, schedule

from holdfast_gameday.simulation.world import World


def _after_the_loss(*, paced: bool) -> World:
    of = fleet("2+witness", pods=100, calls_per_pod=50, fullness=0.5)
    assert of.calls == 5000
    world = World(schedule(lost("fra"), of=of), paced=paced)
    world.run()
    return world


def test_paced_callers_are_all_carried_and_no_second_region_is_lost():
    world = _after_the_loss(paced=True)

    assert world.judge.violations == []
    assert world.calls.collapses == 0
    assert world.calls.carried > 2000
    assert world.calls.waiting == 0.0
    assert not any("sees ams down" in line.what for line in world.story.lines if line.who == "iad")


def test_without_pacing_the_herd_takes_the_second_region_down():
    """Otherwise the test above would prove nothing."""
    world = _after_the_loss(paced=False)

    assert world.calls.collapses > 0
    assert any("sees ams down" in line.what for line in world.story.lines if line.who == "iad")
