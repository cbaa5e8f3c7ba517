"""What people ordered of regions in this cluster, for a time: take no new calls, or mind one guard less.

`Desired` holds the orders as the Region objects say them, by region. When they end is a date there, and becomes the
seconds that are left at the moment somebody asks, by the clock they hand in. An order that has ended is no order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.core.values import Cause, Override, Shift


@dataclass(frozen=True, slots=True)
class Order:
    """`until_s` is on the clock on the wall, in seconds since 1970. `guard`: which one an override is about.

    `drain`: a cordon's calls under way are handed over, too.
    """

    until_s: float
    reason: str
    guard: str = ""
    drain: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What one Region object orders."""

    cordon: Order | None = None
    override: Order | None = None


def cordons(orders: Mapping[str, Orders], *, wall_s: float) -> tuple[Shift, ...]:
    """The regions that people took out of service and that are not due back yet."""
    given = ((region, each.cordon) for region, each in sorted(orders.items()))
    return tuple(
        Shift(region, Cause.HUMAN, left_s, order.reason, drain=order.drain)
        for region, order, left_s in _standing(given, wall_s)
    )


def overrides(orders: Mapping[str, Orders], *, wall_s: float) -> tuple[Override, ...]:
    """The guards that do not bind for now, one per region at most."""
    given = ((region, each.override) for region, each in sorted(orders.items()))
    return tuple(
        Override(region, order.guard, left_s, order.reason) for region, order, left_s in _standing(given, wall_s)
    )


def _standing(
    given: Iterator[tuple[str, Order | None]], wall_s: float
) -> Iterator[tuple[str, Order, float]]:
    for region, order in given:
        if order is not None and order.until_s > wall_s:
            yield region, order, order.until_s - wall_s
