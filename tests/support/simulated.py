"""Builders of schedules that were not drawn from a seed, so that a test names only what it is about."""

from __future__ import annotations

from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.simulation import topology
from holdfast_gameday.simulation.schedule import Schedule
from holdfast_gameday.simulation.topology import Topology


def fleet(name: str = "3", **changes: object) -> Topology:
    return topology.build(name, **{"dwell_s": 20.0, "ramp": (50, 100), **changes})  # type: ignore[arg-type]


def schedule(*faults: Fault, of: Topology | None = None, seed: int = 1, calm_from_s: float = 300.0) -> Schedule:
    return Schedule(seed, of or fleet(), faults, calm_from_s=calm_from_s, calm_s=320.0)


def lost(region: str, *, at_s: float = 60.0, for_s: float = 90.0, kind: Kind = Kind.KILL) -> Fault:
    return Fault(kind, region, at_s, for_s)
