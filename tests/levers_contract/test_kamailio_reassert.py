"""The pace of putting back, on a clock of its own: each proxy by itself, each second with jitter."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping

import httpx

from holdfast.levers.base import OriginChange
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.kamailio_reassert import Reassert
from holdfast.levers.kamailio_rpc import Proxy

FRA, AMS = "sip:10.0.0.5:5060", "sip:10.0.0.6:5060"
OFF = OriginChange(region="fra", enabled=False, epoch=4)


class Clock:
    """Sleeps end when their time comes and everything else has come to rest."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, for_s: float) -> None:
        over = asyncio.Event()
        self._due.append((self.now + for_s, over))
        await over.wait()

    async def run(self, until: float) -> None:
        while True:
            for _ in range(200):
                await asyncio.sleep(0)
            due = min(self._due, key=lambda each: each[0], default=None)
            if due is None or due[0] > until:
                self.now = until
                return
            self._due.remove(due)
            self.now = due[0]
            due[1].set()


class Memory:
    """What proxies hold, by host; one of them may be silent."""

    def __init__(self, clock: Clock, *hosts: str) -> None:
        self._clock = clock
        self.states = {host: {FRA: "A", AMS: "A"} for host in hosts}
        self.silent: set[str] = set()
        self.looks: dict[str, list[float]] = {host: [] for host in hosts}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        host, body = request.url.host, json.loads(request.content)
        if host in self.silent:
            await asyncio.Event().wait()
        if body["method"] == "dispatcher.set_state":
            state, _, uri = body["params"]
            self.states[host][uri] = state[0].upper()
            return httpx.Response(200, json={"result": "Ok."})
        self.looks[host].append(self._clock.now)
        marks = {FRA: "mark=holdfast:eu/fra", AMS: "mark=holdfast:eu/ams"}
        targets = [
            {"DEST": {"URI": uri, "FLAGS": f"{state}X", "ATTRS": {"BODY": marks[uri]}}}
            for uri, state in self.states[host].items()
        ]
        return httpx.Response(200, json={"result": {"RECORDS": [{"SET": {"ID": 1, "TARGETS": targets}}]}})


class Leader:
    def wanted(self) -> Mapping[str, OriginChange]:
        return {"fra": OFF}

    async def may_write(self) -> bool:
        return True


def stage(memory: Memory, clock: Clock) -> Reassert:
    http = httpx.AsyncClient(transport=httpx.MockTransport(memory))
    proxies = [Proxy(lever="sbc", url=f"http://{host}/RPC", group=1, http=http) for host in memory.states]
    origins = {"fra": FRA, "ams": AMS}
    driver = KamailioDispatcher(name="sbc", zone="eu", group=1, proxies=proxies, origins=origins)
    return Reassert(driver=driver, decided=Leader(), dice=random.Random(7), sleep=clock.sleep)


async def test_each_proxy_is_looked_at_about_once_a_second_and_not_all_at_once() -> None:
    clock = Clock()
    memory = Memory(clock, "one", "two")
    watching = asyncio.create_task(stage(memory, clock).run())
    await clock.run(until=60.0)
    watching.cancel()
    for looks in memory.looks.values():
        assert 60.0 / 1.0 - 1 <= len(looks) <= 60.0 / 0.6 + 2
    assert set(memory.looks["one"]).isdisjoint(memory.looks["two"])


async def test_what_is_forgotten_between_two_looks_stands_again_before_the_promise_ends() -> None:
    clock = Clock()
    memory = Memory(clock, "one", "two")
    watch = stage(memory, clock)
    watching = asyncio.create_task(watch.run())
    for forgotten_at in (5.0, 11.3, 17.9, 23.01):
        await clock.run(until=forgotten_at)
        memory.states["two"][FRA] = "A"
        await clock.run(until=forgotten_at + 1.05)
        assert memory.states["two"][FRA] == "D"
    watching.cancel()
    assert watch.put_back == 5 + 1  # both at the start, then each time


async def test_a_silent_proxy_does_not_hold_up_the_watch_of_another() -> None:
    clock = Clock()
    memory = Memory(clock, "one", "two")
    memory.silent.add("one")
    watching = asyncio.create_task(stage(memory, clock).run())
    await clock.run(until=1.05)
    watching.cancel()
    assert (memory.states["one"][FRA], memory.states["two"][FRA]) == ("A", "D")
