"""Whole pods as in production: a call is greeted, lost, resumed in the other region, ended, and a pod drains."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from control_builders import CALL, CARRIER_TOKEN, mounted
from control_parts import until
from control_redis import redis_server
from twilio.request_validator import RequestValidator

from holdfast_bridge import settings
from holdfast_bridge.main import Bridge, Ports
from holdfast_bridge.telemetry import JsonLines
from holdfast_gameday.world.ports import free_port, free_ports

PATH = "/a/clinic/front-desk"
ACCOUNT = "AC" + "1" * 32
PAYLOAD = base64.b64encode(b"\x5a" * 160).decode()


@dataclass
class Rest:
    """The carrier's REST API: remembers updates."""

    updates: list[dict[str, str]] = field(default_factory=list)

    async def update(self, request: web.Request) -> web.Response:
        self.updates.append({name: str(value) for name, value in (await request.post()).items()})
        return web.json_response({})


@asynccontextmanager
async def carrier_rest() -> AsyncIterator[tuple[Rest, str]]:
    rest = Rest()
    app = web.Application()
    app.router.add_post("/{tail:.*}", rest.update)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield rest, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@asynccontextmanager
async def pods(tmp_path: Path, api_url: str, **changes: Any) -> AsyncIterator[tuple[Bridge, Bridge]]:
    controls = dict(zip(("fra", "ams"), free_ports(2), strict=True))
    regions = [{"name": name, "host": f"127.0.0.1:{port}", "weight": 50} for name, port in controls.items()]
    carrier = {"name": "t", "kind": "twilio", "accountSid": ACCOUNT, "apiUrl": api_url}
    built: list[Bridge] = []
    for name, other in (("fra", "ams"), ("ams", "fra")):
        directory = mounted(
            tmp_path / name, region=name, regions=regions, buddy=other, carrier=carrier, drainSeconds=5, **changes
        )
        built.append(
            Bridge(
                lambda directory=directory, name=name: settings.load(directory, pod=f"pod-{name}"),
                ports=Ports(host="127.0.0.1", control=controls[name], audio=0, peer_scheme="http"),
            )
        )
    async with asyncio.TaskGroup() as group:
        for bridge in built:
            group.create_task(bridge.run())
        for bridge in built:
            await bridge.bound.wait()
        await until(lambda: all(bridge.link.up for bridge in built))
        yield built[0], built[1]
        for bridge in built:
            bridge.stop()


async def webhook(http: aiohttp.ClientSession, bridge: Bridge, path: str) -> str:
    url = f"http://127.0.0.1:{bridge.control_port}{PATH}/{path}"
    form = {"CallSid": CALL}
    signed = RequestValidator(CARRIER_TOKEN).compute_signature(url.replace("http:", "https:"), form)
    async with http.post(url, data=form, headers={"X-Twilio-Signature": signed}) as response:
        assert response.status == 200
        return await response.text()


def upgrade(http: aiohttp.ClientSession, bridge: Bridge) -> Any:
    host = f"127.0.0.1:{bridge.control_port}"
    signed = RequestValidator(CARRIER_TOKEN).compute_signature(f"wss://{host}{PATH}/media", {})
    return http.ws_connect(
        f"http://127.0.0.1:{bridge.audio_port}{PATH}/media", headers={"Host": host, "X-Twilio-Signature": signed}
    )


async def start(socket: aiohttp.ClientWebSocketResponse, twiml: str) -> None:
    token = re.search(r'name="token" value="([^"]+)"', twiml)
    assert token is not None
    await socket.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
    await socket.send_str(
        json.dumps(
            {
                "event": "start",
                "sequenceNumber": "1",
                "streamSid": "MZ" + "2" * 32,
                "start": {
                    "streamSid": "MZ" + "2" * 32,
                    "accountSid": ACCOUNT,
                    "callSid": CALL,
                    "tracks": ["inbound"],
                    "customParameters": {"token": token[1]},
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                },
            }
        )
    )


async def echoed(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Speak until our own voice comes back."""
    async with asyncio.timeout(30):
        for sequence in range(2, 500):
            media = {"track": "inbound", "chunk": str(sequence), "timestamp": str(sequence * 20), "payload": PAYLOAD}
            await socket.send_str(
                json.dumps(
                    {
                        "event": "media",
                        "sequenceNumber": str(sequence),
                        "streamSid": "MZ" + "2" * 32,
                        "media": media,
                    }
                )
            )
            try:
                async with asyncio.timeout(0.05):
                    while True:
                        heard = await socket.receive()
                        assert heard.type is aiohttp.WSMsgType.TEXT, heard
                        if PAYLOAD in heard.data:
                            return
            except TimeoutError:
                continue
    pytest.fail("nothing came back")


async def test_a_call_goes_on_in_the_other_region_and_is_not_revived_after_its_end(tmp_path: Path) -> None:
    async with (
        redis_server() as redis,
        carrier_rest() as (_, api_url),
        pods(tmp_path, api_url, redisUrl=redis.url) as (fra, ams),
        aiohttp.ClientSession() as http,
    ):
        greeting = await webhook(http, fra, "fallback")
        async with upgrade(http, fra) as socket:
            await start(socket, greeting)
            await echoed(socket)
            await until(lambda: len(fra.calls) == 1)
            await until(lambda: ams.memory.get(CALL) is not None)
        await until(lambda: len(fra.calls) == 0)
        resumed = await webhook(http, ams, f"next?call={CALL}&hop=1")
        assert f"127.0.0.1:{ams.control_port}{PATH}/media" in resumed
        async with upgrade(http, ams) as socket:
            await start(socket, resumed)
            await echoed(socket)
            carried = ams.calls.find(CALL)
            assert carried is not None
            assert carried.record.epoch == 2
            assert carried.record.taken_at > carried.record.started_at
            taken = ams.memory.get(CALL)
            assert taken is not None
            assert (taken.epoch, taken.pod) == (2, "pod-ams")
            await socket.send_str(json.dumps({"event": "stop", "sequenceNumber": "999", "streamSid": "MZ" + "2" * 32}))
            await until(lambda: len(ams.calls) == 0)
        await until(lambda: (kept := fra.memory.get(CALL)) is not None and kept.state == "ended")
        for pod in (fra, ams):
            assert "<Hangup/>" in await webhook(http, pod, f"next?call={CALL}&hop=2")


async def test_a_replayed_token_opens_nothing_and_is_counted(tmp_path: Path) -> None:
    async with (
        carrier_rest() as (_, api_url),
        pods(tmp_path, api_url) as (fra, _),
        aiohttp.ClientSession() as http,
    ):
        greeting = await webhook(http, fra, "fallback")
        async with upgrade(http, fra) as first, upgrade(http, fra) as second:
            await start(first, greeting)
            await until(lambda: len(fra.calls) == 1)
            await start(second, greeting)
            async with asyncio.timeout(30):
                while (await second.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert second.close_code == 1008
            await echoed(first)
            assert b'refusals_total{reason="token_spent"} 1.0' in fra._exposition()


async def test_a_stopped_pod_pushes_its_call_to_the_buddy_and_ends(tmp_path: Path) -> None:
    async with (
        carrier_rest() as (rest, api_url),
        pods(tmp_path, api_url) as (fra, ams),
        aiohttp.ClientSession() as http,
    ):
        greeting = await webhook(http, fra, "fallback")
        async with upgrade(http, fra) as socket:
            await start(socket, greeting)
            await until(lambda: len(fra.calls) == 1)
            await echoed(socket)
            fra.stop()
            await until(lambda: len(rest.updates) == 1, within_s=30)
            assert rest.updates[0]["Url"].startswith(f"https://127.0.0.1:{ams.control_port}{PATH}/next?call={CALL}")
            assert fra.health.reasons() == ("draining",)
            await socket.send_str(json.dumps({"event": "stop", "sequenceNumber": "999", "streamSid": "MZ" + "2" * 32}))
            await until(lambda: len(fra.calls) == 0)
        kept = ams.memory.get(CALL)
        assert kept is not None
        assert kept.state == "live", "a released call is not over"
        assert "<Stream" in await webhook(http, ams, f"next?call={CALL}&hop=0")


def test_a_log_line_is_one_object_with_its_fields() -> None:
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, "call taken over", None, None)
    record.epoch = 2
    line = json.loads(JsonLines().format(record))
    assert (line["message"], line["level"], line["epoch"]) == ("call taken over", "info", 2)
