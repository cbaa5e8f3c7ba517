"""Cloudflare's own health checks: a third net under the operators, slow by default (60 s and two retries).

It writes what it found into the state's `health`; who obeys that is the edge's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from holdfast_gameday.world.cloudflare_state import CloudflareState


class Probe(Protocol):
    async def __call__(self, address: str, port: int | None, *, host: str, path: str, timeout_s: float) -> int: ...


class Monitors:
    def __init__(self, state: CloudflareState, *, probe: Probe) -> None:
        self._state = state
        self._probe = probe

    async def run(self) -> None:
        """For ever: a round, then a wait as long as the shortest interval asks."""
        while True:
            await self.round()
            intervals = [int(one["interval"]) for one in self._state.listed("monitor")]
            await asyncio.sleep(min(intervals, default=60))

    async def round(self) -> None:
        """Probes every enabled pool that has a monitor, all at once."""
        hosts = {
            pool: balancer["name"]
            for balancer in self._state.listed("load_balancer")
            for pool in (*balancer["default_pools"], balancer["fallback_pool"])
        }
        async with asyncio.TaskGroup() as group:
            for pool in self._state.listed("pool"):
                if pool["enabled"] and pool.get("monitor"):
                    group.create_task(self._check(pool, hosts.get(pool["id"], "")))

    async def _check(self, pool: Mapping[str, Any], host: str) -> None:
        monitor = self._state.get("monitor", pool["monitor"])
        origin = pool["origins"][0]
        port = origin.get("port")
        for _ in range(1 + int(monitor["retries"])):
            status = await self._probe(
                origin["address"], port, host=host, path=monitor["path"], timeout_s=float(monitor["timeout"])
            )
            self._state.health[pool["id"]] = _expected(monitor["expected_codes"], status)
            if self._state.health[pool["id"]]:
                return


def _expected(codes: str, status: int) -> bool:
    """`200`, `2xx` or a list of them."""
    return any(
        str(status) == code or (code.endswith("xx") and code[0] == str(status)[0])
        for code in (code.strip() for code in codes.split(","))
    )
