"""Cloudflare Load Balancing: one pool per region, switched by `enabled`, ramped by load shedding; and the balancer.

Facts this rests on. A disabled pool gets no new traffic and the balancer goes on to the next pool in order. A pool that
sheds passes the given percentage on to the others in the same way; `random` sheds requests, `hash` sheds addresses, and
as carriers call from few addresses only `random` is near the percentage: that is what is written. A PATCH replaces each
property it names whole, and there is no ETag. So the percentages for sessions, which are the user's, are sent back as
they were read, and `origins` is never sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from holdfast.core import edge
from holdfast.core.values import Budget
from holdfast.levers import marks
from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_api import CloudflareApi

POLICY = "random"


class CloudflareLoadBalancer:
    """The pools of one zone's edge, and its load balancer where the policy names it.

    `weighted`: a region's share is written as the percentage that its pool sheds. Without it shedding is not ours.
    """

    def __init__(
        self,
        *,
        name: str,
        zone: str,
        api_url: str,
        account_id: str,
        pools: Mapping[str, str],
        token: Callable[[], Awaitable[str]],
        http: httpx.AsyncClient,
        budget: RateBudget,
        weighted: bool = False,
        zone_id: str = "",
        load_balancer_id: str = "",
    ) -> None:
        self._name = name
        self._zone = zone
        self._pools_path = f"/accounts/{account_id}/load_balancers/pools"
        self._pools = dict(pools)
        self._weighted = weighted
        named = zone_id and load_balancer_id
        self._balancer_path = f"/zones/{zone_id}/load_balancers/{load_balancer_id}" if named else ""
        self._api = CloudflareApi(lever=name, api_url=api_url, token=token, http=http, budget=budget)

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    async def read(self, region: str) -> OriginReading:
        """Ask for the region's pool. One that is off is given nothing, whatever it would shed."""
        pool, mark = await self._pool(region, urgent=False)
        enabled = bool(pool.get("enabled"))
        share = (100 - round(_percent(pool)) if enabled else 0) if self._weighted else None
        return OriginReading(region, enabled, mark.epoch, share, tuple(self._drift(pool, enabled=enabled)))

    def normalise(self, change: OriginChange) -> OriginReading:
        """The pool as it will read once the change is in force."""
        share = (change.share if change.enabled else 0) if self._weighted else None
        return OriginReading(change.region, change.enabled, change.epoch, share)

    def budget(self) -> Budget:
        """The account's request budget; everything of the account draws on it."""
        return self._api.left()

    async def apply(self, change: OriginChange) -> None:
        """One PATCH of `enabled`, what is shed, and the epoch in our mark; none when all of it is so already."""
        pool, mark = await self._pool(change.region, urgent=True)
        self._fence(mark, change.epoch, f"the pool of {change.region}")
        body: dict[str, Any] = {"enabled": change.enabled}
        if self._weighted and change.enabled and not _sheds(pool, 100 - change.share):
            kept = pool.get("load_shedding") or {}
            body["load_shedding"] = {**kept, "default_percent": 100 - change.share, "default_policy": POLICY}
        if mark.epoch == change.epoch and pool.get("enabled") is change.enabled and "load_shedding" not in body:
            return
        body["description"] = marks.render(marks.Mark(change.epoch, mark.words), self._zone, change.region)
        await self._api.one("PATCH", self._path(change.region), body=body, urgent=True)

    async def read_balancer(self) -> edge.Found:
        """Ask for the load balancer, and for each pool of the zone whether anything at Cloudflare watches it."""
        balancer, mark = await self._marked_balancer(urgent=False)
        missing, unmonitored = [], []
        for region, pool_id in self._pools.items():
            if not pool_id:
                continue
            try:
                pool = await self._api.one("GET", self._path(region), urgent=False)
            except DriverError as e:
                if e.code != "NoOrigin":
                    raise
                missing.append(pool_id)
                continue
            if not pool.get("monitor"):
                unmonitored.append(pool_id)
        return edge.Found(
            balancer=_parsed(balancer),
            epoch=mark.epoch,
            enabled=balancer.get("enabled") is not False,
            proxied=balancer.get("proxied") is not False,
            affinity=str(balancer.get("session_affinity") or "none"),
            rules=sum(rule.get("disabled") is not True for rule in balancer.get("rules") or ()),
            missing=tuple(missing),
            unmonitored=tuple(unmonitored),
        )

    async def apply_balancer(self, wanted: edge.Balancer, *, found: edge.Balancer, epoch: int) -> None:
        """PATCH what differs from `wanted`, which was computed from `found`; refused if that is no longer there.

        Lists are replaced whole, so one that somebody changed meanwhile would be lost.
        """
        if not wanted.fallback_pool or not all(listed for _, listed in wanted.lists()):
            raise DriverError("EmptyRoute", f"lever {self._name}: a list of pools would be empty", retryable=False)
        held, mark = await self._marked_balancer(urgent=False)
        self._fence(mark, epoch, "the load balancer")
        now = _parsed(held)
        if now == wanted:
            return
        if now != found:
            words = f"lever {self._name}: the load balancer changed since it was read; read it again"
            raise DriverError("Changed", words, retryable=True)
        before, after = _rendered(now), _rendered(wanted)
        body = {field: value for field, value in after.items() if value != before[field]}
        body["description"] = marks.render(marks.Mark(epoch, mark.words), self._zone)
        await self._api.one("PATCH", self._balancer_path, body=body, urgent=False)

    def _drift(self, pool: Mapping[str, Any], *, enabled: bool) -> list[str]:
        """What keeps the pool from taking its part in ways that are not `enabled` and the share."""
        drift = []
        percent, policy = _percent(pool), (pool.get("load_shedding") or {}).get("default_policy", POLICY)
        if enabled and percent and not self._weighted:
            drift.append(f"load_shedding.default_percent is {percent:g}, not 0: no policy sheds these calls")
        if enabled and percent and self._weighted and policy != POLICY:
            drift.append(f'load_shedding.default_policy is "{policy}", not "{POLICY}": the share is not one of calls')
        origins = pool.get("origins") or []
        if not any(origin.get("enabled", True) and origin.get("weight", 1) > 0 for origin in origins):
            drift.append("origins holds none that is enabled with a weight above 0: the pool takes no calls though on")
        return drift

    async def _pool(self, region: str, *, urgent: bool) -> tuple[Mapping[str, Any], marks.Mark]:
        pool = await self._api.one("GET", self._path(region), urgent=urgent)
        return pool, self._mark(pool, f"the pool of {region}", region)

    async def _marked_balancer(self, *, urgent: bool) -> tuple[Mapping[str, Any], marks.Mark]:
        if not self._balancer_path:
            words = f"lever {self._name}: the policy names no zone and load balancer, so that it is not looked after"
            raise DriverError("NotConfigured", words, retryable=False)
        balancer = await self._api.one("GET", self._balancer_path, urgent=urgent)
        return balancer, self._mark(balancer, "the load balancer")

    def _mark(self, held: Mapping[str, Any], what: str, region: str = "") -> marks.Mark:
        mark = marks.parse(str(held.get("description") or ""), self._zone, region)
        if mark is None:
            raise DriverError(
                "NotOurs",
                f"lever {self._name}: {what} lacks our mark; "
                f'put "{marks.subject(self._zone, region)}" first in its description',
                retryable=False,
            )
        return mark

    def _fence(self, mark: marks.Mark, epoch: int, what: str) -> None:
        if mark.epoch > epoch:
            raise DriverError(
                "Fenced",
                f"lever {self._name}: {what} was written under epoch {mark.epoch}, ours is {epoch}",
                retryable=False,
            )

    def _path(self, region: str) -> str:
        pool = self._pools.get(region)
        if not pool:
            raise DriverError(
                "NoOrigin", f"lever {self._name}: Region {region} names no pool in spec.origins", retryable=False
            )
        return f"{self._pools_path}/{pool}"


def _percent(pool: Mapping[str, Any]) -> float:
    return float((pool.get("load_shedding") or {}).get("default_percent") or 0)


def _sheds(pool: Mapping[str, Any], percent: int) -> bool:
    """Whether the pool sheds this much, and by our policy if it sheds at all."""
    policy = (pool.get("load_shedding") or {}).get("default_policy", POLICY)
    return _percent(pool) == percent and (percent == 0 or policy == POLICY)


def _parsed(balancer: Mapping[str, Any]) -> edge.Balancer:
    return edge.Balancer(
        default_pools=tuple(balancer.get("default_pools") or ()),
        fallback_pool=str(balancer.get("fallback_pool") or ""),
        steering=str(balancer.get("steering_policy") or ""),
        region_pools=_places(balancer.get("region_pools")),
        country_pools=_places(balancer.get("country_pools")),
        pop_pools=_places(balancer.get("pop_pools")),
    )


def _places(given: Mapping[str, Any] | None) -> dict[str, tuple[str, ...]]:
    return {place: tuple(listed or ()) for place, listed in (given or {}).items()}


def _rendered(balancer: edge.Balancer) -> dict[str, Any]:
    return {
        "default_pools": list(balancer.default_pools),
        "fallback_pool": balancer.fallback_pool,
        "steering_policy": balancer.steering,
        "region_pools": {place: list(listed) for place, listed in balancer.region_pools.items()},
        "country_pools": {place: list(listed) for place, listed in balancer.country_pools.items()},
        "pop_pools": {place: list(listed) for place, listed in balancer.pop_pools.items()},
    }
