"""Calls over Vertex AI, whole: tokens from Google's endpoints, and a link that is opened with the newest one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import msgspec
import pytest
from bridge_world import Bridge, CarrierSocket, bridge, dial_in, settings
from control_parts import until
from google_tokens import Clock, Google, status_reply, token_reply
from world_gemini import MODEL, SOON

from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.settings import Settings
from holdfast_bridge.vertex_tokens import VertexTokens
from holdfast_gameday.world.gemini_live import GeminiLive
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import VendorSockets
from holdfast_gameday.world.voice_linear import EitherScanner

pytestmark = pytest.mark.contract
TENANT = "clinic-vertex"
VERTEX = {"project": "clinic", "location": "europe-west4"}
POD_TOKEN = "/var/run/holdfast/tokens/first"
CREDENTIALS = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/p/providers/q",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "service_account_impersonation_url":
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/v@p.example:generateAccessToken",
    "credential_source": {"file": POD_TOKEN},
}  # fmt: skip


@dataclass
class World:
    google: Google
    http: aiohttp.ClientSession
    vendor: GeminiLive
    sockets: VendorSockets
    tokens: VertexTokens
    clock: Clock
    bridge: Bridge

    async def call(self) -> CarrierSocket:
        socket = await dial_in(self.bridge.port.port)
        socket.start("good CA1 1")
        return socket

    @property
    def failed(self) -> list[Failure]:
        return [failures.kind(error) for _, ok, error in self.bridge.results if not ok]


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    google, clock = Google(), Clock()
    vendor = GeminiLive(keys={}, tokens={"ya29.first.sa": TENANT}, pace=SOON, waits_for_playback=False)
    sockets = VendorSockets(vendor)
    async with google.serving(folder) as http, sockets.serving("127.0.0.1", 0) as address:
        given = on_vertex(settings(address.port, kind="gemini", greeting="hello there"), f"ws://{address}")
        tokens = VertexTokens(lambda: given, clock=clock, read={POD_TOKEN: b"eyJ.pod"}.__getitem__)
        async with bridge(given, secret=tokens.secret) as pod:
            yield World(google, http, vendor, sockets, tokens, clock, pod)


def on_vertex(given: Settings, url: str) -> Settings:
    [attempt] = given.agent.attempts
    changed = msgspec.structs.replace(attempt, model=MODEL, voice="Kore", base_url=url, options={"vertex": VERTEX})
    agent = msgspec.structs.replace(given.agent, attempts=(changed,))
    return replace(given, agent=agent, provider_keys={attempt.name: json.dumps(CREDENTIALS)})


def heard(socket: CarrierSocket) -> list[str]:
    return [frame.text for frame in EitherScanner().feed(socket.audio) if frame.last]


async def test_a_call_outlives_the_token_that_it_began_with(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.tokens.look(w.http)
        socket = await w.call()
        await socket.until(lambda: heard(socket) == ["hello there"])
        w.google.reply = token_reply("ya29.second")
        w.clock.now += 3_400
        await w.tokens.look(w.http)
        w.vendor.tokens = {"ya29.second.sa": TENANT}
        w.sockets.inject(Fault(kind="drop"))
        w.sockets.heal()
        await until(lambda: len(w.bridge.results) == 3)
        assert w.bridge.results == [("first", True, ""), ("first", False, "disconnected"), ("first", True, "")]
        assert (w.sockets.counts.opened, w.sockets.counts.refused) == (2, 0)
        assert [asked.split("/")[0] for asked, _ in w.google.asked] == [
            "POST sts.googleapis.com", "POST iamcredentials.googleapis.com",
        ] * 2  # fmt: skip


async def test_a_token_that_vertex_refuses_is_a_key_that_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.vendor.tokens = {}
        await w.tokens.look(w.http)
        socket = await w.call()
        await socket.until(socket.closed.is_set)
        assert w.failed == [Failure.AUTH]
        assert w.sockets.counts.refused == 1


@pytest.mark.parametrize(("status", "kind"), [(400, Failure.AUTH), (403, Failure.AUTH), (503, Failure.ERROR)])
async def test_without_a_token_vertex_is_not_asked_and_the_reason_is_the_endpoints(
    tmp_path: Path, status: int, kind: Failure
) -> None:
    async with world(tmp_path) as w:
        w.google.reply = status_reply(status)
        await w.tokens.look(w.http)
        socket = await w.call()
        await socket.until(socket.closed.is_set)
        assert w.failed == [kind]
        assert w.sockets.counts.opened == 0
