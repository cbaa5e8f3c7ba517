"""Parts that stand around the control side in tests: a call, a carrier, a region's control port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from control_builders import ZONE_KEY, built, record
from control_redis import PATIENT_S

from holdfast_bridge.calls import Calls
from holdfast_bridge.control_port import ControlPort, Surroundings
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.loop_lag import LoopLag
from holdfast_bridge.errors import CarrierError
from holdfast_bridge.health import Health
from holdfast_bridge.journal import Journal, Zone
from holdfast_bridge.journal_desk import JournalDesk
from holdfast_bridge.journal_fetch import ZoneFetch
from holdfast_bridge.journal_link import BuddyLink, Peer
from holdfast_bridge.journal_store import MemoryStore, RedisStore, connect
from holdfast_bridge.poll import Directives
from holdfast_bridge.telemetry import Metrics


@dataclass(eq=False)
class SpokenCall:
    """A call in progress, as far as the services may know one."""

    record: CallRecord = field(default_factory=record)
    quiet: bool = False
    silenced_by: list[int] = field(default_factory=list)
    was_released: bool = False

    def silent(self) -> bool:
        return self.quiet

    def fall_silent(self, epoch: int) -> None:
        self.silenced_by.append(epoch)

    def reorder(self) -> None:
        """It has one provider only."""

    def released(self) -> None:
        self.was_released = True


@dataclass
class RecordingCarrier:
    """Does what the carrier would, and remembers it; `after` runs once a redirect was accepted."""

    refuse: int = 0
    after: Callable[[str, str], None] = lambda _call, _url: None
    redirects: list[tuple[str, str]] = field(default_factory=list)

    async def hang_up(self, call: str) -> None:
        return None

    async def redirect(self, call: str, url: str) -> None:
        if self.refuse > 0:
            self.refuse -= 1
            raise CarrierError("refused", status=503)
        self.redirects.append((call, url))
        self.after(call, url)


class Region:
    """One region's control side on a loopback port: production parts, wired as in production."""

    def __init__(
        self,
        name: str,
        hosts: dict[str, str],
        *,
        redis_url: str = "",
        redis_deadline_s: float = PATIENT_S,
        **changes: Any,
    ) -> None:
        regions = [{"name": region, "host": host, "weight": 50} for region, host in hosts.items()]
        others = [region for region in hosts if region != name]
        self.settings = built(
            region=name, regions=regions, buddy=others[0] if others else None, policyHost=hosts[name], **changes
        )
        self.name = name
        self.hosts = hosts
        self.memory = MemoryStore()
        self.redis: RedisStore | None = None
        if redis_url:
            self.redis = connect(redis_url, agent=self.settings.agent.id, deadline_s=redis_deadline_s)
        self.calls = Calls(on_change=lambda: None)
        self.metrics = Metrics()
        self.directives = Directives(lambda: self.settings)
        path = f"{self.settings.agent.path}/journal"
        self.link = BuddyLink(
            Peer(url=lambda r: f"ws://{hosts[r]}{path}" if r in hosts else None, path=path, key=ZONE_KEY.encode),
            snapshot=self.calls.records,
            on_stale=self.calls.newer,
        )
        self.journal = Journal(
            memory=self.memory,
            redis=self.redis,
            link=self.link,
            zone=Zone(
                reachable=lambda: tuple(others),
                fetch=ZoneFetch(
                    url=lambda r: f"http://{hosts[r]}{path}/fetch" if r in hosts else None,
                    path=f"{path}/fetch",
                    key=ZONE_KEY.encode,
                ),
            ),
            on_newer=self.calls.newer,
        )
        self.desk = JournalDesk(
            agent=self.settings.agent.id, memory=self.memory, redis=self.redis, on_newer=self.calls.newer,
            unwritten=self.journal.to_region,
        )  # fmt: skip
        self.health = Health(
            settings=lambda: self.settings,
            calls=self.calls,
            drain_ordered=self.directives.drain_ordered,
            lag=LoopLag(),
            elsewhere=lambda: True,
        )
        self.health.serving = True
        self._runner: web.AppRunner | None = None

    def application(self) -> web.Application:
        return ControlPort(
            Surroundings(
                settings=lambda: self.settings,
                directive=self.directives,
                unreachable=self.link.unreachable,
                journal=self.journal,
                desk=self.desk,
                health=self.health,
                metrics=self.metrics,
                exposition=lambda: self.metrics.exposition(calls=0, ready=True, waiting=0, buddy_up=True),
            )
        ).application()

    async def open(self) -> None:
        host, _, port = self.hosts[self.name].partition(":")
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, int(port)).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self.desk.close()
            await self._runner.cleanup()
            self._runner = None

    def told(self, **changes: Any) -> None:
        self.directives.apply(msgspec.structs.replace(Directive(version=1), **changes))

    @asynccontextmanager
    async def running(self, *, linked_to: str | None = None) -> AsyncIterator[Region]:
        """Its port open and its loops alive."""
        await self.open()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.link.run()), group.create_task(self.journal.run())]
                self.link.point_at(linked_to)
                yield self
                for task in tasks:
                    task.cancel()
        finally:
            await self.close()
            if self.redis is not None:
                await self.redis.aclose()


async def until(condition: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait for the state of the world; the tests' only way of waiting."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  the state is the production code's, which has no event for tests
            await asyncio.sleep(0.005)
