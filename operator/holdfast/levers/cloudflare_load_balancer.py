"""Cloudflare Load Balancing: one pool per region, switched by the pool's `enabled`.

The fact this rests on: a disabled pool gets no new traffic and the load balancer goes on to the next pool in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from holdfast.core.values import Budget
from holdfast.levers import marks
from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.budget import RateBudget
from holdfast.levers.cloudflare_api import CloudflareApi


class CloudflareLoadBalancer:
    """The pools of one zone's edge."""

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
    ) -> None:
        self._name = name
        self._zone = zone
        self._pools_path = f"/accounts/{account_id}/load_balancers/pools"
        self._pools = dict(pools)
        self._api = CloudflareApi(lever=name, api_url=api_url, token=token, http=http, budget=budget)

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    async def read(self, region: str) -> OriginReading:
        """Ask for the region's pool."""
        pool, mark = await self._pool(region, urgent=False)
        return OriginReading(region=region, enabled=bool(pool.get("enabled")), epoch=mark.epoch)

    def normalise(self, change: OriginChange) -> OriginReading:
        """The pool as it will read once the change is in force."""
        return OriginReading(region=change.region, enabled=change.enabled, epoch=change.epoch)

    def budget(self) -> Budget:
        """The account's request budget; everything of the account draws on it."""
        return self._api.left()

    async def apply(self, change: OriginChange) -> None:
        """PATCH `enabled` and the epoch in our mark; never the origins, so there is nothing of others to overwrite."""
        pool, mark = await self._pool(change.region, urgent=True)
        if mark.epoch > change.epoch:
            raise DriverError(
                "Fenced",
                f"lever {self._name}: the pool of {change.region} was written under epoch {mark.epoch}, "
                f"ours is {change.epoch}",
                retryable=False,
            )
        if mark.epoch == change.epoch and pool.get("enabled") is change.enabled:
            return
        described = marks.render(marks.Mark(change.epoch, mark.words), self._zone, change.region)
        body = {"enabled": change.enabled, "description": described}
        await self._api.one("PATCH", self._path(change.region), body=body, urgent=True)

    async def _pool(self, region: str, *, urgent: bool) -> tuple[Mapping[str, Any], marks.Mark]:
        pool = await self._api.one("GET", self._path(region), urgent=urgent)
        mark = marks.parse(str(pool.get("description") or ""), self._zone, region)
        if mark is None:
            raise DriverError(
                "NotOurs",
                f"lever {self._name}: the pool of {region} lacks our mark; "
                f'put "holdfast:{self._zone}/{region}" first in its description',
                retryable=False,
            )
        return pool, mark

    def _path(self, region: str) -> str:
        pool = self._pools.get(region)
        if not pool:
            raise DriverError(
                "NoOrigin", f"lever {self._name}: Region {region} names no pool in spec.origins", retryable=False
            )
        return f"{self._pools_path}/{pool}"
