"""What the load balancer at a zone's edge should say of its pools, and what is wrong with what it says.

Every list of pools that an edge may use for a caller holds every legal region's pool, so that losing a region empties
no list and a failover rewrites none. This module knows no vendor's API: who reads and writes the balancer brings its
words into these values. It does not decide when a balancer is repaired.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from holdfast.core.values import Reason, Region, Zone

# Stable codes, as those in `reasons`: what may be wrong with an edge.
NO_LEGAL_POOL = "EdgeNoLegalPool"
REGION_WITHOUT_POOL = "EdgeRegionWithoutPool"
SHARED_POOL = "EdgeSharedPool"
POOL_OUTSIDE_RESIDENCY = "EdgePoolOutsideResidency"
FOREIGN_POOL = "EdgeForeignPool"
EMPTY_WITHOUT_A_REGION = "EdgeEmptyWithoutARegion"
INCOMPLETE_LIST = "EdgeIncompleteList"
ORDER_DIFFERS = "EdgeOrderDiffers"
FOREIGN_FALLBACK = "EdgeForeignFallback"
STEERS = "EdgeSteers"
POOL_GONE = "EdgePoolGone"
NO_MONITOR = "EdgeNoMonitor"
SWITCHED_OFF = "EdgeSwitchedOff"
NOT_PROXIED = "EdgeNotProxied"
RULES = "EdgeRules"
AFFINITY = "EdgeAffinity"

OFF = "off"


@dataclass(frozen=True, slots=True)
class Balancer:
    """Which pools a balancer gives calls to, in order: the part of it that is ours to write.

    The lists of parts of the world (regions, countries, points of presence) replace `default_pools` there.
    """

    default_pools: tuple[str, ...]
    fallback_pool: str
    steering: str = OFF
    region_pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    country_pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pop_pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every list with the name of its field."""
        yield "default_pools", self.default_pools
        for kind, places in (
            ("region_pools", self.region_pools),
            ("country_pools", self.country_pools),
            ("pop_pools", self.pop_pools),
        ):
            for place, listed in sorted(places.items()):
                yield f"{kind}.{place}", listed


@dataclass(frozen=True, slots=True)
class Found:
    """A balancer as it was read, with what else of it bears on where calls go but is not ours to write.

    `missing`: those of the zone's pools that do not exist; `unmonitored`: those that nothing at the vendor watches.
    `rules`: how many rules of the user's may send calls elsewhere.
    """

    balancer: Balancer
    epoch: int = 0
    enabled: bool = True
    proxied: bool = True
    affinity: str = "none"
    rules: int = 0
    missing: tuple[str, ...] = ()
    unmonitored: tuple[str, ...] = ()


def order(zone: Zone, regions: Mapping[str, Region], pools: Mapping[str, str]) -> tuple[str, ...]:
    """The pools of the regions inside the residency: the members in the policy's order, standbys last."""
    listed = sorted(zone.regions, key=lambda each: each.weight == 0)
    named = [pools.get(each.name, "") for each in listed if _legal(each.name, zone, regions)]
    return tuple(dict.fromkeys([pool for pool in named if pool]))


def wanted(
    zone: Zone, regions: Mapping[str, Region], pools: Mapping[str, str], found: Found, *, steering: str = OFF
) -> Balancer | None:
    """What the balancer should say; None when no legal region has a pool, for an empty zone fails closed.

    The lists of parts of the world stay the user's: which there are, and their order. A fallback pool of the zone stays
    too; another one gives way to the last in order, which the edge tries last in any case.
    """
    ours = order(zone, regions, _there(pools, found))
    said = found.balancer
    if not ours:
        return None
    return Balancer(
        default_pools=ours,
        fallback_pool=said.fallback_pool if said.fallback_pool in ours else ours[-1],
        steering=steering,
        region_pools={place: _completed(listed, ours) for place, listed in said.region_pools.items()},
        country_pools={place: _completed(listed, ours) for place, listed in said.country_pools.items()},
        pop_pools={place: _completed(listed, ours) for place, listed in said.pop_pools.items()},
    )


def problems(
    zone: Zone, regions: Mapping[str, Region], pools: Mapping[str, str], found: Found, *, steering: str = OFF
) -> tuple[Reason, ...]:
    """Everything that is wrong, the gravest first: what leaves the zone, what would be empty, then the rest."""
    ours = order(zone, regions, _there(pools, found))
    balancer = found.balancer
    owners = {pool: name for name, pool in pools.items() if pool}
    return (
        *_of_pools(zone, regions, pools, ours),
        *(each for name, listed in balancer.lists() for each in _of_strangers(name, listed, ours, zone, owners)),
        *(each for name, listed in balancer.lists() for each in _of_gaps(name, listed, ours, owners)),
        *_of_order(balancer, ours, steering),
        *_of_surroundings(found, owners),
    )


def _legal(name: str, zone: Zone, regions: Mapping[str, Region]) -> bool:
    return name in regions and regions[name].jurisdiction == zone.residency


def _there(pools: Mapping[str, str], found: Found) -> dict[str, str]:
    return {name: pool for name, pool in pools.items() if pool not in found.missing}


def _completed(listed: Collection[str], ours: tuple[str, ...]) -> tuple[str, ...]:
    """The user's order without what must not be there, then what is missing."""
    return tuple(dict.fromkeys([*(pool for pool in listed if pool in ours), *ours]))


def _of_pools(
    zone: Zone, regions: Mapping[str, Region], pools: Mapping[str, str], ours: tuple[str, ...]
) -> Iterator[Reason]:
    legal = [name for name in zone.members if _legal(name, zone, regions)]
    if not ours:
        yield Reason(NO_LEGAL_POOL, f"no region inside the residency {zone.residency} of {zone.name} names a pool")
    for name in legal:
        if not pools.get(name):
            yield Reason(REGION_WITHOUT_POOL, f"region {name} names no pool in spec.origins: the edge never uses it")
    for pool in ours:
        sharing = [name for name in legal if pools.get(name) == pool]
        if len(sharing) > 1:
            words = f"pool {pool} is named by {' and '.join(sharing)}: none of them can be taken out by itself"
            yield Reason(SHARED_POOL, words)


def _of_strangers(
    name: str, listed: tuple[str, ...], ours: tuple[str, ...], zone: Zone, owners: Mapping[str, str]
) -> Iterator[Reason]:
    for pool in listed:
        if pool in ours:
            continue
        if pool in owners:
            words = f"{name} holds pool {pool} of region {owners[pool]}, which is not inside {zone.residency}"
            yield Reason(POOL_OUTSIDE_RESIDENCY, words)
        else:
            yield Reason(FOREIGN_POOL, f"{name} holds pool {pool}, which no region of {zone.name} names")


def _of_gaps(
    name: str, listed: tuple[str, ...], ours: tuple[str, ...], owners: Mapping[str, str]
) -> Iterator[Reason]:
    held = [pool for pool in ours if pool in listed]
    missing = [owners[pool] for pool in ours if pool not in listed]
    if len(held) == 1:
        words = f"{name} would be empty if region {owners[held[0]]} went"
        yield Reason(EMPTY_WITHOUT_A_REGION, words)
    if missing:
        yield Reason(INCOMPLETE_LIST, f"{name} lacks the pool of {', '.join(missing)}")


def _of_order(balancer: Balancer, ours: tuple[str, ...], steering: str) -> Iterator[Reason]:
    if balancer.default_pools != ours and sorted(balancer.default_pools) == sorted(ours):
        words = f"default_pools is {', '.join(balancer.default_pools)}, the policy's order is {', '.join(ours)}"
        yield Reason(ORDER_DIFFERS, words)
    if ours and balancer.fallback_pool not in ours:
        words = f"fallback_pool is {balancer.fallback_pool or 'not set'}, which is no pool of the zone's legal regions"
        yield Reason(FOREIGN_FALLBACK, words)
    if balancer.steering != steering:
        words = f'steering_policy is "{balancer.steering}", not "{steering}": the vendor chooses, not the policy'
        yield Reason(STEERS, words)


def _of_surroundings(found: Found, owners: Mapping[str, str]) -> Iterator[Reason]:
    if not found.enabled:
        yield Reason(SWITCHED_OFF, "enabled is false: the load balancer takes no calls at all")
    if not found.proxied:
        yield Reason(NOT_PROXIED, "proxied is false: a cut-over waits until resolvers forget the old address")
    if found.rules:
        yield Reason(RULES, f"rules holds {found.rules} that are in force and may send calls elsewhere")
    if found.affinity not in ("", "none"):
        words = f'session_affinity is "{found.affinity}": sessions stay with a pool whatever share it is given'
        yield Reason(AFFINITY, words)
    for pool, name in owners.items():
        if pool in found.missing:
            yield Reason(POOL_GONE, f"pool {pool} of region {name} does not exist: the edge never uses the region")
        if pool in found.unmonitored:
            words = f"pool {pool} of region {name} has no monitor: without operators nothing takes it out"
            yield Reason(NO_MONITOR, words)
