"""Builders for tests of the vote machine: events at literal times, and a leader to begin with."""

from __future__ import annotations

from holdfast.core import lease
from holdfast.core.lease import Acked, Command, Election, Event, Failed, LeaseView, Tick

VOTERS = ("fra", "ams", "iad")


def newcomer(*voters: str, floor: int = 0) -> Election:
    """One that knows nothing yet."""
    return Election("eu", "me", voters or VOTERS, floor=floor)


def drive(state: Election, *told: tuple[float, Event]) -> tuple[Election, tuple[Command, ...]]:
    """Tell events at their times; returns the state and what the last of them caused."""
    commands: tuple[Command, ...] = ()
    for now, event in told:
        state, commands = lease.step(state, event, now=now, retry_s=0.3)
    return state, commands


def read(cluster: str, *, holder: str = "", stamp: str = "1", epoch: int | None = 4) -> Acked:
    """An answer to a read that was sent at 10.0."""
    return Acked(cluster, 10.0, LeaseView(holder, stamp, epoch))


def leader() -> Election:
    """Leads with fra and ams since 10.1; fra's last write was sent at 10.1, ams's at 10.2, iad does not answer."""
    state, _ = drive(
        newcomer(),
        (10.0, Tick()),
        (10.1, read("fra")),
        (10.1, read("ams")),
        (10.2, Acked("fra", 10.1, LeaseView("me", "2", 5))),
        (10.3, Acked("ams", 10.2, LeaseView("me", "2", 5))),
        (10.3, Failed("iad")),
    )
    return state
