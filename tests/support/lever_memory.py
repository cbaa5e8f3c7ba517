"""The verified fake as a vendor of the contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lever_vendor import CannotHappen

from holdfast.levers.base import OriginReading
from holdfast.levers.memory import MemoryLever, Origins


@dataclass
class MemoryVendor:
    driver: MemoryLever
    origins: Origins

    def lose_next_write(self) -> None:
        self.origins.lose_next_answer = True

    def break_next_write(self) -> None:
        raise CannotHappen("a change is one write")

    def lock_out(self, for_s: float) -> None:
        raise CannotHappen("nothing is counted here")

    def revoke(self) -> None:
        raise CannotHappen("there are no credentials")

    def go_down(self) -> None:
        self.origins.down = True

    def requests(self) -> int:
        return self.writes()

    def writes(self) -> int:
        return len(self.origins.history)

    def unmark(self, region: str) -> None:
        self.origins.unmarked.add(region)

    def meddle(self, region: str) -> None:
        raise CannotHappen("an origin is on or off and nothing else")

    def enabled(self, region: str) -> bool:
        return self.origins.readings[region].enabled


@asynccontextmanager
async def memory() -> AsyncIterator[MemoryVendor]:
    origins = Origins(readings={r: OriginReading(region=r, enabled=True) for r in ("fra", "ams")})
    yield MemoryVendor(MemoryLever("edge", origins), origins)
