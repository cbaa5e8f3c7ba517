"""Puts back what a reload or a restart of a proxy made it forget, within two seconds of its answering again.

Every proxy is watched by itself, once a second with jitter, so that one that is silent holds up nobody else. Nothing is
decided here: what is wanted, and whether we may write now, is asked for each time. A region that is not among the
wanted is left alone, and so is one that a person took out at every proxy unless the leader wants it in.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from holdfast.levers.base import DriverError, OriginChange
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.kamailio_rpc import Proxy

log = logging.getLogger(__name__)

PERIOD_S = (0.6, 1.0)

Sleep = Callable[[float], Awaitable[None]]


class Decided(Protocol):
    """What the leader decided, as far as putting it back needs it."""

    def wanted(self) -> Mapping[str, OriginChange]:
        """The change that stands for each region, with our epoch; empty while we do not lead."""
        ...

    async def may_write(self) -> bool:
        """Whether the vote is ours and was acknowledged so lately that a write may begin now."""
        ...


class Reassert:
    """Watches the proxies of one dispatcher lever, and its list files. `run` until cancelled."""

    def __init__(
        self,
        *,
        driver: KamailioDispatcher,
        decided: Decided,
        dice: random.Random,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._driver = driver
        self._decided = decided
        self._dice = dice
        self._sleep = sleep
        self._troubles: dict[str, str] = {}
        self.put_back = 0

    def troubles(self) -> Mapping[str, str]:
        """By proxy, or for the list files: why it cannot be kept as decided, in words; none while all goes well."""
        return dict(self._troubles)

    async def run(self) -> None:
        """All proxies and the files, each at its own pace."""
        async with asyncio.TaskGroup() as group:
            for proxy in self._driver.proxies:
                group.create_task(self._watch(lambda proxy=proxy: self.look(proxy)))  # type: ignore[misc]
            group.create_task(self._watch(self.look_at_files))

    async def _watch(self, look: Callable[[], Awaitable[object]]) -> None:
        while True:
            await self._sleep(self._dice.uniform(*PERIOD_S))
            await look()

    async def look(self, proxy: Proxy) -> tuple[str, ...]:
        """One round at one proxy: the regions that were put back."""

        async def put_back(region: str) -> bool:
            return await self._driver.reassert(
                proxy, region, wanted=self._wanted(region), may_write=self._decided.may_write
            )

        wanted = self._decided.wanted()
        try:
            regions = await self._driver.forgotten(proxy, wanted) if wanted else ()
        except DriverError as e:
            self._told(proxy.who, (), str(e))
            return ()
        return await self._round(proxy.who, {region: wanted[region] for region in regions}, put_back)

    async def look_at_files(self) -> tuple[str, ...]:
        """One round at the list files: the regions whose flags were put back."""

        async def put_back(region: str) -> bool:
            return await self._driver.reassert_files(
                region, wanted=self._wanted(region), may_write=self._decided.may_write
            )

        return await self._round("list files", self._decided.wanted(), put_back)

    def _wanted(self, region: str) -> Callable[[], OriginChange | None]:
        return lambda: self._decided.wanted().get(region)

    async def _round(
        self, who: str, regions: Mapping[str, OriginChange], put_back: Callable[[str], Awaitable[bool]]
    ) -> tuple[str, ...]:
        """A failure is kept for status, and ends with the next good round."""
        back: list[str] = []
        troubles: list[str] = []
        # What is to be in comes first, so that nothing is taken out before what replaces it stands.
        for region in sorted(regions, key=lambda name: (not regions[name].enabled, name)):
            try:
                if await put_back(region):
                    back.append(region)
            except DriverError as e:
                troubles.append(str(e))
        self._told(who, tuple(back), "; ".join(troubles))
        return tuple(back)

    def _told(self, who: str, back: tuple[str, ...], trouble: str) -> None:
        self.put_back += len(back)
        if back:
            log.warning("proxy had forgotten", extra={"proxy": who, "regions": list(back)})
        if trouble and self._troubles.get(who) != trouble:
            log.warning("proxy not kept", extra={"proxy": who, "why": trouble})
        if trouble:
            self._troubles[who] = trouble
        else:
            self._troubles.pop(who, None)
