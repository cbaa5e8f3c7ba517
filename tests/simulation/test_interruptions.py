"""A plan may stop after any step: whoever leads is killed after each one in turn, and the fleet still comes to rest."""

from __future__ import annotations

import pytest
from simulated import fleet, lost, schedule

from holdfast.core.plans import SetOrigin, Step
from holdfast_gameday.invariants import Invariant
from holdfast_gameday.simulation.operators import Operator
from holdfast_gameday.simulation.world import World

DOWN_FOR_S = 9.0


class Interrupted(World):
    """Kills whoever runs the step with this number, right after it; 0: nobody."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.ran_steps: list[tuple[Step, bool]] = []
        super().__init__(schedule(lost("ams"), of=fleet("3", levers=2)))

    def ran(self, operator: Operator, step: Step, *, done: bool) -> None:
        super().ran(operator, step, done=done)
        if self.engine.now < 60.0:
            return
        self.ran_steps.append((step, done))
        if len(self.ran_steps) == self.after:
            self.stop(operator.name)
            self.something_changed()
            self.engine.after(DOWN_FOR_S, lambda: self._start_again(operator.name))

    def _start_again(self, name: str) -> None:
        self.start(name)
        self.something_changed()


@pytest.fixture(scope="module")
def undisturbed():
    world = Interrupted(0)
    world.run()
    return world


def test_a_loss_and_a_return_take_more_than_ten_steps(undisturbed):
    assert len(undisturbed.ran_steps) > 10
    assert sum(isinstance(step, SetOrigin) for step, _ in undisturbed.ran_steps) >= 4
    assert undisturbed.judge.violations == []


@pytest.mark.parametrize("after", range(1, 17))
def test_the_fleet_comes_to_rest_whichever_step_was_the_last(after):
    world = Interrupted(after)
    world.run()

    # How fast it has to be is judged for a loss without a kill in it.
    broken = [each for each in world.judge.violations if each.invariant is not Invariant.DETECTS]
    assert broken == []
    assert all(origin.enabled for vendor in world.vendors.values() for origin in vendor.origins.values())
