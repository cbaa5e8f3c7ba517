"""Where the edge sends a new request: the first pool in its caller's list that may serve and does not shed it. Pure.

Steering `off` knows one list, `default_pools`. `geo`, and an empty policy where there are lists of parts of the world,
take the most precise list that the caller's whereabouts have: point of presence, country, region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    pool: str  # the pool's name
    address: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Whence a caller calls, in the codes of the lists; empty: in none of them."""

    region: str = ""
    country: str = ""
    pop: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """`origins` in the order in which they are to be used; empty when every pool is off."""

    origins: tuple[Origin, ...]
    failover: bool  # whether a request that met 521, 522 or 523 is tried once on the next


def route(
    balancer: Mapping[str, Any],
    pools: Mapping[str, Mapping[str, Any]],
    *,
    healthy: Callable[[Mapping[str, Any]], bool],
    sheds: Callable[[Mapping[str, Any]], bool],
    place: Place,
) -> Route:
    """The fallback pool serves when no other may; only being disabled stops it.

    What becomes of a request that every other pool sheds is not published. Here the fallback pool takes it.
    """
    failover = bool((balancer.get("adaptive_routing") or {}).get("failover_across_pools"))
    if not balancer["enabled"]:
        return Route((), failover)
    ordered = [pools[name] for name in _listed(balancer, place) if name in pools]
    serving = [pool for pool in ordered if pool["enabled"] and healthy(pool) and not sheds(pool)]
    fallback = pools.get(balancer["fallback_pool"])
    if not serving and fallback is not None and fallback["enabled"]:
        serving = [fallback]
    found = (_first_origin(pool) for pool in serving)
    return Route(tuple(origin for origin in found if origin is not None), failover)


def _listed(balancer: Mapping[str, Any], place: Place) -> list[str]:
    by_place = (
        (balancer.get("pop_pools") or {}, place.pop),
        (balancer.get("country_pools") or {}, place.country),
        (balancer.get("region_pools") or {}, place.region),
    )
    steered = balancer["steering_policy"] == "geo" or (
        balancer["steering_policy"] == "" and any(lists for lists, _ in by_place)
    )
    found: list[list[str]] = [lists[code] for lists, code in by_place if steered and code in lists]
    return found[0] if found else balancer["default_pools"]


def _first_origin(pool: Mapping[str, Any]) -> Origin | None:
    for origin in pool["origins"]:
        if origin.get("enabled", True) and origin.get("weight", 1) > 0:
            return Origin(pool["name"], origin["address"], origin.get("port"))
    return None
