"""Runs one schedule to its end and says what was seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from holdfast_gameday.invariants import Violation
from holdfast_gameday.simulation import schedule
from holdfast_gameday.simulation.liveness import Loss
from holdfast_gameday.simulation.schedule import Schedule
from holdfast_gameday.simulation.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed's."""

    seed: int
    topology: str
    simulated_s: float
    steps: int
    decisions: int
    writes: int
    digest: str
    sometimes: Counter[str]
    violations: tuple[Violation, ...]
    losses: tuple[Loss, ...]
    false_moves: int
    rest_after_s: float

    @property
    def passed(self) -> bool:
        return not self.violations


def seed(number: int) -> Outcome:
    return play(schedule.draw(number))


def play(planned: Schedule) -> Outcome:
    return judge(watch(planned))


def watch(planned: Schedule) -> World:
    """The world after its last second, with its story in it."""
    world = World(planned)
    world.run()
    return world


def judge(world: World) -> Outcome:
    return Outcome(
        seed=world.seed,
        topology=world.topology.name,
        simulated_s=world.engine.now,
        steps=world.engine.steps,
        decisions=world.judge.decisions,
        writes=world.judge.writes,
        digest=world.story.digest(),
        sometimes=world.sometimes,
        violations=tuple(world.judge.violations),
        losses=tuple(world.judge.liveness.losses),
        false_moves=world.judge.false_moves,
        rest_after_s=world.judge.liveness.rest_after_s or 0.0,
    )
