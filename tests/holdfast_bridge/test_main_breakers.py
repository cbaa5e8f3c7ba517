"""A whole pod without an operator: what failed its calls is tried last, by one call again later, and then as before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge_world import ACCOUNT, CarrierSocket, dial_in
from control_builders import CARRIER_TOKEN, ZONE_KEY, mounted
from control_parts import until

from holdfast_bridge import settings
from holdfast_bridge.core import token
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.token import Claim
from holdfast_bridge.main import Bridge, Ports
from holdfast_gameday.world.openai_realtime import OpenAIVendor
from holdfast_gameday.world.openai_response import Pace
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import VendorSockets

HOST = "fra.voice.example.com"
SOON = Pace(first_audio_s=0.005, chunk_ms=200, speed=40.0)
REFUSED = Fault(kind="refuse", status=503)
NAMES = ("first", "second")


@dataclass
class Scene:
    """One pod and the two providers of its list. `now` moves only when it is moved."""

    pod: Bridge
    vendors: tuple[VendorSockets, VendorSockets]
    clock: list[float]
    calls: int = 0

    async def call(self) -> CarrierSocket:
        """A new call; it is greeted by whoever answers."""
        self.calls += 1
        call = f"CA{self.calls:032}"
        claim = Claim(call=call, agent="clinic/front-desk", region="fra", epoch=1, expires=2**33, nonce=call)
        socket = await dial_in(self.pod.audio_port, host=HOST, key=CARRIER_TOKEN)
        socket.start(token.mint(claim, key=ZONE_KEY.encode()), call=call)
        return socket

    async def greeted(self) -> CarrierSocket:
        socket = await self.call()
        await socket.until(lambda: socket.audio)
        return socket

    async def opened(self, first: int, second: int) -> None:
        """So many sessions were opened so far at each."""
        await until(lambda: tuple(vendor.counts.opened for vendor in self.vendors) == (first, second))

    def asked(self) -> int:
        """How often the first one was, with or without success."""
        return self.vendors[0].counts.opened + self.vendors[0].counts.refused

    async def turned(self) -> None:
        """The first one failed two calls, each of which went on with the second."""
        self.vendors[0].inject(REFUSED)
        for _ in range(2):
            await self.greeted()
        assert self.gauge() == {"first": 1.0, "second": 0.0}

    def gauge(self) -> dict[str, float]:
        lines = self.pod._exposition().decode().splitlines()
        found = (line.split('"') for line in lines if line.startswith("holdfast_bridge_breaker_open{"))
        return {part: float(value.removeprefix("}")) for _, part, value in found}


@asynccontextmanager
async def scene(tmp_path: Path, *, weight: int = 0) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        first, second = (VendorSockets(OpenAIVendor(keys={"sk-test": name}, pace=SOON)) for name in NAMES)
        ports = [(await stack.enter_async_context(vendor.serving("127.0.0.1", 0))).port for vendor in (first, second)]
        key = tmp_path / "key"
        key.write_text("sk-test")
        directory = mounted(
            tmp_path / "pod",
            attempts=[
                {"name": name, "kind": "openai", "model": "gpt-realtime", "voice": "marin", "keyFile": str(key),
                 "weight": weight,
                 "baseUrl": f"ws://127.0.0.1:{port}/v1/realtime"}
                for name, port in zip(NAMES, ports, strict=True)
            ],
            regions=[{"name": "fra", "host": HOST, "weight": 50}],
            buddy=None,
            turns={"tone": False},
            carrier={"name": "t", "kind": "twilio", "accountSid": ACCOUNT, "apiUrl": "http://127.0.0.1:1"},
            drainSeconds=1,
        )  # fmt: skip
        clock = [100.0]
        pod = Bridge(
            lambda: settings.load(directory, pod="p-1"),
            ports=Ports(host="127.0.0.1", control=0, audio=0),
            clock=lambda: clock[0],
        )
        task = asyncio.create_task(pod.run())
        await pod.bound.wait()
        try:
            yield Scene(pod, (first, second), clock)
        finally:
            for call in pod.calls.all():
                call.fall_silent(99)
            pod.stop()
            await task


async def test_the_third_call_does_not_ask_a_provider_that_refused_two(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        await at.turned()
        asked = at.asked()
        await at.greeted()
        await at.opened(0, 3)
        assert at.asked() == asked


async def test_where_every_provider_refuses_they_are_all_asked_still(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        for vendor in at.vendors:
            vendor.inject(REFUSED)
        for _ in range(2):
            await (await at.call()).closed.wait()
        assert at.gauge() == {"first": 1.0, "second": 1.0}
        asked = [vendor.counts.refused for vendor in at.vendors]
        assert at.pod.health.reasons() == ()
        await (await at.call()).closed.wait()
        assert all(vendor.counts.refused > before for vendor, before in zip(at.vendors, asked, strict=True))


async def test_a_call_in_progress_is_told_and_does_not_go_back_to_what_failed_others(tmp_path: Path) -> None:
    """Its link had worked, so that without the news its first loss would have been forgiven and the same one asked."""
    async with scene(tmp_path) as at:
        socket = await at.greeted()
        await at.opened(1, 0)
        await at.turned()
        asked = at.asked()
        at.vendors[0].inject(Fault(kind="close", code=1011))
        await at.opened(1, 3)
        assert (at.asked(), socket.closed.is_set()) == (asked, False)


async def test_when_its_time_is_over_one_call_tries_and_the_others_pass_it_by_until_that_is_known(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as at:
        await at.turned()
        at.vendors[0].heal()
        at.vendors[0].inject(Fault(kind="stall"))
        at.clock[0] += 10.0
        assert at.gauge() == {"first": 0.0, "second": 0.0}
        trying = await at.call()
        await at.opened(1, 2)
        await at.greeted()
        await at.opened(1, 3)
        at.vendors[0].heal()
        await trying.until(lambda: trying.audio)
        at.clock[0] += 0.1
        assert at.gauge()["first"] == 1.0, "the one that tried got no session, so it is open anew"
        at.clock[0] += 20.0
        await at.greeted()
        await at.opened(2, 4)
        await at.greeted()
        await at.opened(3, 4)


async def test_an_operator_that_finds_a_provider_well_again_closes_the_pods_own_breaker(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        await at.turned()
        at.pod.directives.apply(Directive(version=1, attempts=("second", "first")))
        at.vendors[0].heal()
        assert at.gauge()["first"] == 1.0
        at.pod.directives.apply(Directive(version=2, attempts=("first", "second")))
        assert at.gauge()["first"] == 0.0
        await at.greeted()
        await at.opened(1, 2)


async def test_what_the_operator_found_ill_is_passed_by_whatever_its_weight(tmp_path: Path) -> None:
    async with scene(tmp_path, weight=50) as at:
        at.pod.directives.apply(Directive(version=1, attempts=("first", "second"), ill=("first",)))
        for _ in range(8):
            await at.greeted()
        await at.opened(0, 8)


async def test_an_operator_that_has_not_heard_of_it_leaves_the_pods_own_breaker_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        await at.turned()
        at.pod.directives.apply(Directive(version=1, attempts=("first", "second")))
        assert at.gauge()["first"] == 1.0
        await at.greeted()
        await at.opened(0, 3)
