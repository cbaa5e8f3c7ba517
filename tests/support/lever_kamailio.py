"""Two real Kamailios as a vendor of the contract suite."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
from lever_vendor import CannotHappen
from real_kamailio import CONSOLE, NO_TLS, TOKEN, Line, RealKamailio, kamailio

from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.kamailio_file import ListFile
from holdfast.levers.kamailio_rpc import Proxy
from holdfast_gameday.world.ports import free_port

WRITES = {"dispatcher.set_state", "htable.sets"}


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The way to the proxies: it counts, and it can lose the answer to a write or refuse a connection."""

    inner: httpx.AsyncHTTPTransport = field(default_factory=lambda: httpx.AsyncHTTPTransport(verify=NO_TLS))
    seen: list[tuple[int, str]] = field(default_factory=list)
    lose_next_write: bool = False
    refuse_writes_at: int = 0
    silent: set[int] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        method, port = json.loads(request.content)["method"], request.url.port or 0
        self.seen.append((port, method))
        if port in self.silent:
            await asyncio.Event().wait()
        if method == "dispatcher.set_state" and port == self.refuse_writes_at:
            self.refuse_writes_at = 0
            raise httpx.ConnectError("refused by the test")
        answer = await self.inner.handle_async_request(request)
        if method == "dispatcher.set_state" and self.lose_next_write:
            self.lose_next_write = False
            await answer.aread()
            raise httpx.ReadTimeout("lost by the test")
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()

    def writes(self) -> int:
        return sum(method in WRITES for _, method in self.seen)


async def token() -> str:
    return TOKEN


def dispatcher(
    wire: Wire, *running: RealKamailio, origins: dict[str, str], fence_table: str = "holdfast", file: bool = False
) -> KamailioDispatcher:
    """The driver for these proxies, all of them in group 1 and zone eu."""
    http = httpx.AsyncClient(transport=wire, timeout=None, verify=NO_TLS)
    proxies = [
        Proxy(lever="sbc", url=each.url, group=1, http=http, authorization=token, fence_table=fence_table)
        for each in running
    ]
    files = [ListFile(lever="sbc", zone="eu", path=each.list_file, group=1) for each in running if file]
    return KamailioDispatcher(name="sbc", zone="eu", group=1, proxies=proxies, origins=origins, files=files)


@dataclass
class DispatcherVendor:
    driver: KamailioDispatcher
    wire: Wire
    proxies: tuple[RealKamailio, ...]
    ports: dict[str, int]

    def lose_next_write(self) -> None:
        self.wire.lose_next_write = True

    def break_next_write(self) -> None:
        self.wire.refuse_writes_at = self.proxies[1].rpc

    def lock_out(self, for_s: float) -> None:
        raise CannotHappen("Kamailio counts no requests")

    def revoke(self) -> None:
        for each in self.proxies:
            _ask(each, "htable.sets", "tokens", "revoked", "1")

    def go_down(self) -> None:
        for each in self.proxies:
            assert each.process is not None
            each.process.send_signal(signal.SIGTERM)

    def requests(self) -> int:
        return len(self.wire.seen)

    def writes(self) -> int:
        return self.wire.writes()

    def unmark(self, region: str) -> None:
        for each in self.proxies:
            each.write_list(*(Line(port, name, attributes="mark=theirs" if name == region else "")
                              for name, port in self.ports.items()))  # fmt: skip
            _ask(each, "dispatcher.reload")

    def meddle(self, region: str) -> None:
        _ask(self.proxies[1], "dispatcher.set_state", "d", 1, f"sip:127.0.0.1:{self.ports[region]}")

    def enabled(self, region: str) -> bool:
        states = []
        for each in self.proxies:
            listed = _ask(each, "dispatcher.list")
            targets = [dest["DEST"] for record in listed["RECORDS"] for dest in record["SET"]["TARGETS"]]
            states += [t["FLAGS"] for t in targets if t["URI"].endswith(f":{self.ports[region]}")]
        assert len(states) == len(self.proxies)
        return not all(flags.startswith("D") for flags in states)


def _ask(proxy: RealKamailio, method: str, *params: str | int):
    """For the faults, which are plain functions."""
    body = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
    headers = {"Connection": "close", "Authorization": CONSOLE}
    answer = httpx.post(proxy.url, json=body, headers=headers, timeout=5, verify=NO_TLS)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


@asynccontextmanager
async def two_proxies() -> AsyncIterator[DispatcherVendor]:
    ports = {"fra": free_port(), "ams": free_port()}
    lines = [Line(port, region) for region, port in ports.items()]
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(kamailio(*lines)) for _ in range(2)]
        wire = Wire()
        stack.push_async_callback(wire.aclose)
        origins = {region: f"sip:127.0.0.1:{port}" for region, port in ports.items()}
        driver = dispatcher(wire, *running, origins=origins | {"gone": "sip:127.0.0.1:9"})
        yield DispatcherVendor(driver, wire, tuple(running), ports)
