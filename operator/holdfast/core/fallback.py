"""Which region the carriers' own fallback leads to, so that a carrier alone can survive what we do not.

The fallback address goes straight to a region which is not the one the edge tries first, and the short time-outs make
the carrier go there within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from holdfast.core import reasons
from holdfast.core.values import Reason, Region, Zone


@dataclass(frozen=True, slots=True)
class Fallback:
    """The region the carrier turns to when the edge does not answer. `reason` says how well apart it lies."""

    region: str
    apart: bool
    reason: Reason


def choose(zone: Zone, *, regions: Mapping[str, Region], serving: Collection[str]) -> Fallback | None:
    """Not the region the edge tries first, if there is another; in another failure domain, if there is one.

    Only regions inside the residency are ever named, also when none of them serves; None when there is none at all:
    an empty zone fails closed, and no fallback leads round it.
    """
    legal = [name for name in zone.members if name in regions and regions[name].jurisdiction == zone.residency]
    order = [name for name in legal if name in serving] or legal
    if not order:
        return None
    first, others = order[0], order[1:]
    if len(zone.members) == 1:
        message = f"the zone has one region: the fallback URL leads to {first}, as the edge does"
        return Fallback(first, apart=False, reason=Reason(reasons.ONE_REGION, message))
    if not others:
        message = f"only {first} serves, so the fallback URL leads to the same region as the edge"
        return Fallback(first, apart=False, reason=Reason(reasons.NO_OTHER_REGION, message))
    apart = [name for name in others if _domain(name, regions) != _domain(first, regions)]
    if not apart:
        message = f"every region that serves lies in the failure domain of {first}"
        return Fallback(others[0], apart=False, reason=Reason(reasons.SHARED_DOMAIN, message))
    message = f"the fallback URL leads to {apart[0]}, the edge tries {first} first"
    return Fallback(apart[0], apart=True, reason=Reason(reasons.SEPARATE_REGION, message))


def _domain(name: str, regions: Mapping[str, Region]) -> str:
    # A region without a failure domain shares it with nobody.
    return regions[name].failure_domain or name
