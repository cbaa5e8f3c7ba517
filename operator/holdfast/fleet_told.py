"""What the regions tell of themselves, and people in them, as the core takes it. No I/O, no decisions.

A region tells it in its heartbeat; our own heartbeat is one among them, of no age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast import heart
from holdfast.core.values import Load, Override, Shift, Withdrawal


@dataclass(frozen=True, slots=True)
class Told:
    """Everything beside what regions see of one another. `paused`: a person stopped the whole fleet, in these words."""

    loads: Mapping[str, Load] = field(default_factory=dict)
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    heard_ago_s: Mapping[str, float] = field(default_factory=dict)
    paused: str = ""


def told(beats: Mapping[str, tuple[heart.Heartbeat, float]]) -> Told:
    """From each region's last heartbeat and its age."""
    return Told(
        loads=heart.loads(beats),
        shifts=heart.shifts(beats),
        overrides=heart.overrides(beats),
        withdrawals=heart.withdrawals(beats),
        heard_ago_s=heart.told_ago_s(beats),
        paused=heart.paused(beats),
    )
