"""Where the edge sends a new request: the first pool in the load balancer's order that may serve. Pure."""

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
class Route:
    """`origins` in the order in which they are to be used; empty when every pool is off."""

    origins: tuple[Origin, ...]
    failover: bool  # whether a request that met 521, 522 or 523 is tried once on the next


def route(
    balancer: Mapping[str, Any], pools: Mapping[str, Mapping[str, Any]], *, healthy: Callable[[Mapping[str, Any]], bool]
) -> Route:
    """The fallback pool serves when no other may; only being disabled stops it."""
    failover = bool((balancer.get("adaptive_routing") or {}).get("failover_across_pools"))
    if not balancer["enabled"]:
        return Route((), failover)
    ordered = [pools[name] for name in balancer["default_pools"] if name in pools]
    serving = [pool for pool in ordered if pool["enabled"] and healthy(pool)]
    fallback = pools.get(balancer["fallback_pool"])
    if not serving and fallback is not None and fallback["enabled"]:
        serving = [fallback]
    found = (_first_origin(pool) for pool in serving)
    return Route(tuple(origin for origin in found if origin is not None), failover)


def _first_origin(pool: Mapping[str, Any]) -> Origin | None:
    for origin in pool["origins"]:
        if origin.get("enabled", True) and origin.get("weight", 1) > 0:
            return Origin(pool["name"], origin["address"], origin.get("port"))
    return None
