"""Three clusters with one vote each, whose API servers fail in every way that was ever seen, and candidates on them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fleet_apiserver import FakeApiServer

from holdfast import clock
from holdfast.fleet import MEMORY_ANNOTATION, VoteShell
from holdfast.fleet_register import Register

NS = "holdfast-system"
PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NS}/leases/vote"

Fault = Callable[[httpx.Request], Awaitable[httpx.Response]]


def answers(status: int, body: bytes = b"<html>\xff nginx</html>") -> Fault:
    """This status and body, whatever was asked, and nothing is done."""

    async def fault(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body)

    return fault


def raises(error: BaseException) -> Fault:
    """The connection fails like this."""

    async def fault(_request: httpx.Request) -> httpx.Response:
        raise error

    return fault


async def hangs(_request: httpx.Request) -> httpx.Response:
    """No answer ever."""
    await asyncio.Event().wait()
    raise AssertionError("never")


@dataclass
class FaultyServer(FakeApiServer):
    """`fault`: what happens instead, to the requests of these methods. `late_s`: how long an answer takes."""

    fault: Fault | None = None
    methods: tuple[str, ...] = ("GET", "PUT", "POST")
    late_s: float = 0.0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if self.fault is not None and request.method in self.methods:
            self.requests.append((request.method, request.url.path))
            return await self.fault(request)
        if self.late_s:
            await asyncio.sleep(self.late_s)
        return await super().handle(request)


class Booth:
    """The clusters fra, ams and iad."""

    def __init__(self) -> None:
        self.servers = {name: FaultyServer(name) for name in ("fra", "ams", "iad")}
        for server in self.servers.values():
            server.give_back("vote")
        self.memory = "first"
        self.wall_s = 1_767_225_600.0

    def candidate(self, me: str, *, now: Callable[[], float] = clock.now, floor: int = 0) -> VoteShell:
        return VoteShell(
            name="vote",
            me=me,
            region=me,
            voters=list(self.servers),
            registers=[
                Register(server.client(), namespace=NS, name="vote", wall=lambda: self.wall_s)
                for server in self.servers.values()
            ],
            annotations=lambda: {MEMORY_ANNOTATION: self.memory},
            on_change=lambda: None,
            clock=now,
            dice=random.Random(me),
            floor=lambda: floor,
        )

    def each(self) -> list[FaultyServer]:
        """The servers of fra, ams and iad."""
        return list(self.servers.values())

    def fail(self, fault: Fault | None, *names: str, methods: tuple[str, ...] = ("GET", "PUT", "POST")) -> None:
        """From now on these clusters fail like this; None mends them."""
        for name in names or tuple(self.servers):
            self.servers[name].fault, self.servers[name].methods = fault, methods

    def holders(self) -> list[str]:
        """Who holds each cluster's vote."""
        found = [server.objects.get(PATH, {}) for server in self.servers.values()]
        return [lease.get("spec", {}).get("holderIdentity", "") for lease in found]

    def writes(self) -> int:
        """How many writes the servers have seen."""
        return sum(len(server.writes()) for server in self.servers.values())


@asynccontextmanager
async def standing(*votes: VoteShell) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """These candidates take part, until the test is done with them."""
    tasks = {vote._me: asyncio.create_task(vote.run()) for vote in votes}
    try:
        yield tasks
        assert not any(task.done() and not task.cancelled() for task in tasks.values()), "a vote shell fell over"
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
