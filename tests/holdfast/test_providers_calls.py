"""Whole pods with real calls, a provider that fails some of them, and the operator's desk between the pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from bridge_world import ACCOUNT, CarrierSocket, dial_in
from control_builders import CARRIER_TOKEN, ZONE_KEY, mounted
from control_parts import until
from provider_parts import DESK, RegionDesk, attempt, desired, entry, zone
from provider_parts import ZONE_KEY as POLL_KEY

from holdfast.core.place import operator_token
from holdfast_bridge import settings
from holdfast_bridge.core import token
from holdfast_bridge.core.token import Claim
from holdfast_bridge.main import Bridge, Ports
from holdfast_gameday.world.openai_realtime import Fault, OpenAIRealtime
from holdfast_gameday.world.openai_response import Pace

HOST = "fra.voice.example.com"
SOON = Pace(first_audio_s=0.005, chunk_ms=200, speed=40.0)
USUAL, TURNED = ("openai", "azure"), ("azure", "openai")


@dataclass
class Scene:
    """Two pods of one agent in one region, and the two providers of its list."""

    desk: RegionDesk
    pods: list[Bridge]
    openai: OpenAIRealtime
    azure: OpenAIRealtime
    calls: int = 0

    async def call(self, pod: Bridge) -> CarrierSocket:
        """A new call at this pod; it is greeted by whoever answers."""
        self.calls += 1
        call = f"CA{self.calls:032}"
        claim = Claim(call=call, agent=str(DESK), region="fra", epoch=1, expires=2**33, nonce=call)
        socket = await dial_in(pod.audio_port, host=HOST, key=CARRIER_TOKEN)
        socket.start(token.mint(claim, key=ZONE_KEY.encode()), call=call)
        return socket

    async def told(self, order: tuple[str, ...]) -> None:
        await until(lambda: all(pod.directives().attempts == order for pod in self.pods), within_s=30)

    async def later(self, seconds: float) -> None:
        """The operator's clock moves on, and every pod polls again."""
        self.desk.clock.now += seconds
        before = self.desk.clock.now
        for pod in self.pods:
            pod.poller.news(at_once=True)
        pods = self.desk.providers._pods
        await until(lambda: all(pod.heard_at >= before for pod in pods[DESK].values()))
        self.desk.providers.tick()


@asynccontextmanager
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        vendors = [OpenAIRealtime(keys={"sk-test": name}, pace=SOON) for name in USUAL]
        addresses = [await stack.enter_async_context(vendor.serving("127.0.0.1", 0)) for vendor in vendors]
        urls = [f"ws://127.0.0.1:{address.port}/v1/realtime" for address in addresses]
        attempts = [attempt(name, url) for name, url in zip(USUAL, urls, strict=True)]
        desk = RegionDesk(desired(entry(DESK, *attempts), of=zone(hosts=("127.0.0.1",))))
        operator = await stack.enter_async_context(desk.serving())
        key = tmp_path / "key"
        key.write_text("sk-test")
        pods = []
        for name in ("p-1", "p-2"):
            directory = mounted(
                tmp_path / name,
                attempts=[
                    {"name": each.name, "kind": "openai", "model": each.model, "baseUrl": each.base_url,
                     "voice": "marin", "keyFile": str(key)}
                    for each in attempts
                ],
                operatorUrl=operator,
                regions=[{"name": "fra", "host": HOST, "weight": 50}],
                buddy=None,
                carrier={"name": "t", "kind": "twilio", "accountSid": ACCOUNT, "apiUrl": "http://127.0.0.1:1"},
                drainSeconds=1,
            )  # fmt: skip
            (directory / "fleet" / "operator-token").write_text(operator_token(POLL_KEY, DESK))
            pods.append(
                Bridge(
                    lambda directory=directory, name=name: settings.load(directory, pod=name),
                    ports=Ports(host="127.0.0.1", control=0, audio=0, peer_scheme="http"),
                )
            )
        tasks = [asyncio.create_task(pod.run()) for pod in pods]
        try:
            await until(lambda: all(pod.directives.version for pod in pods))
            yield Scene(desk, pods, *vendors)
        finally:
            for pod in pods:
                for call in pod.calls.all():
                    call.fall_silent(99)
                pod.stop()
            await asyncio.gather(*tasks)


async def greeted(socket: CarrierSocket) -> None:
    await socket.until(lambda: socket.audio)


async def test_the_second_refused_call_turns_the_order_of_every_pod_and_no_caller_is_lost(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        at.openai.inject(Fault("refuse", status=503, share=0.5))
        sockets = [await at.call(at.pods[0]) for _ in range(4)]
        for socket in sockets:
            await greeted(socket)
        await at.told(TURNED)
        opened = at.openai.counts.opened
        await greeted(await at.call(at.pods[1]))
        assert at.openai.counts.opened == opened, "the other pod's call does not ask the ill provider"


async def test_a_provider_that_heals_is_tried_once_by_a_pod_and_then_first_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        at.openai.inject(Fault("refuse", status=503))
        for _ in range(2):
            await greeted(await at.call(at.pods[0]))
        await at.told(TURNED)
        at.openai.heal()
        asked = at.openai.counts.opened
        await at.later(59.0)
        assert at.openai.counts.opened == asked, "nobody asks before the cooldown is over"
        await at.later(2.0)
        await at.told(USUAL)
        assert at.openai.counts.opened == asked + 1


async def test_a_call_whose_provider_breaks_goes_on_and_what_it_met_turns_the_order(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        sockets = [await at.call(at.pods[0]), await at.call(at.pods[1])]
        for socket in sockets:
            await greeted(socket)
        at.openai.inject(Fault("close", code=1011))
        await at.told(TURNED)
        await until(lambda: len(at.azure.sessions) == 2)
        assert [socket.closed.is_set() for socket in sockets] == [False, False]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", status=401),
        Fault("refuse", status=403),
        Fault("refuse", status=429, retry_after_s=20),
        Fault("refuse", status=429, error_code="insufficient_quota"),
        Fault("refuse", status=404),
    ],
    ids=["401", "403", "429", "quota", "404"],
)
async def test_what_lies_with_us_turns_our_own_order_and_makes_no_provider_ill(tmp_path: Path, fault: Fault) -> None:
    async with scene(tmp_path) as at:
        at.openai.inject(fault)
        await greeted(await at.call(at.pods[0]))
        await at.told(TURNED)
        assert at.desk.providers.ailing() == {}
        asked = at.openai.counts.refused
        for _ in range(3):
            await greeted(await at.call(at.pods[1]))
        assert at.openai.counts.refused == asked, "who refused us is not asked in a loop"
