"""From a schedule that fails to one that fails with less: faults are dropped one by one while it still does."""

from __future__ import annotations

from collections.abc import Callable

from holdfast_gameday.simulation.schedule import Schedule


def shrink(planned: Schedule, *, fails: Callable[[Schedule], bool]) -> Schedule:
    """No single fault of what is returned can be left out."""
    smaller = True
    while smaller:
        smaller = False
        for fault in planned.faults:
            fewer = planned.without(fault)
            if fails(fewer):
                planned, smaller = fewer, True
                break
    return planned
