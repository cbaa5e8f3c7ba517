"""The synthetic call against a small entry that echoes, refuses, hangs or garbles."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from holdfast.gather.entry_probe import EntryProbe, Target, media_url, signature, start_token

KEY = b"probe-key"


class Entry:
    """A canary behind a public entry. `mode` says how it behaves."""

    def __init__(self) -> None:
        self.mode = "echo"
        self.signatures: list[str] = []
        self.tokens: list[str] = []
        self.stopped = asyncio.Event()

    async def media(self, request: web.Request) -> web.StreamResponse:
        self.signatures.append(request.headers["X-Twilio-Signature"])
        if self.mode == "full":
            return web.Response(status=503)
        if self.mode == "hang":
            await asyncio.sleep(30)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            event = json.loads(message.data)
            if event["event"] == "start":
                self.tokens.append(event["start"]["customParameters"]["token"])
            if event["event"] == "stop":
                self.stopped.set()
            if event["event"] != "media" or self.mode == "deaf":
                continue
            if self.mode == "close":
                await ws.close(code=1008)
                break
            payload = event["media"]["payload"]
            if self.mode == "noise":
                payload = base64.b64encode(b"\xff" * 160).decode()
            text = "{" if self.mode == "garbage" else json.dumps({"event": "media", "media": {"payload": payload}})
            await ws.send_str(text)
        return ws


@pytest.fixture
async def entry() -> AsyncIterator[tuple[Entry, Target]]:
    behaviour = Entry()
    app = web.Application()
    app.router.add_get("/a/holdfast-system/canary/media", behaviour.media)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield behaviour, Target(region="fra", url=f"ws://127.0.0.1:{port}/a/holdfast-system/canary/media")
    await runner.cleanup()


@pytest.fixture
async def probe() -> AsyncIterator[EntryProbe]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield EntryProbe(session, ssl.create_default_context())


async def test_an_entry_that_echoes_is_up_and_the_call_is_hung_up(
    entry: tuple[Entry, Target], probe: EntryProbe
) -> None:
    behaviour, target = entry
    outcome = await probe.call(target, key=KEY, timeout_s=30)
    assert (outcome.ok, outcome.stage, outcome.detail) == (True, "done", "")
    async with asyncio.timeout(30):
        await behaviour.stopped.wait()


async def test_the_upgrade_is_signed_like_the_carriers(entry: tuple[Entry, Target], probe: EntryProbe) -> None:
    behaviour, target = entry
    await probe.call(target, key=KEY, timeout_s=30)
    expected = base64.b64encode(hmac.new(KEY, target.url.encode(), hashlib.sha1).digest()).decode()
    assert behaviour.signatures == [expected]


async def test_the_start_carries_a_token_bound_to_canary_and_region(
    entry: tuple[Entry, Target], probe: EntryProbe
) -> None:
    behaviour, target = entry
    await probe.call(target, key=KEY, timeout_s=30)
    first, second = behaviour.tokens[0].split(".")
    payload = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    assert (payload["a"], payload["r"], payload["e"]) == ("holdfast-system/canary", "fra", 1)
    proof = base64.urlsafe_b64encode(hmac.new(KEY, first.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    assert second == proof


@pytest.mark.parametrize(
    ("mode", "detail"),
    [
        ("full", "upgrade: HTTP 503"),
        ("hang", "connect: no end within 240 ms"),
        ("deaf", "first frame: no end within 180 ms"),
        ("noise", "echo: no end within 120 ms"),
        ("close", "first frame: closed with 1008 before the echo"),
        ("garbage", "first frame: the entry sent a message that is not one of a media stream"),
    ],
)
async def test_what_is_wrong_is_named_by_its_stage(
    entry: tuple[Entry, Target], probe: EntryProbe, mode: str, detail: str
) -> None:
    behaviour, target = entry
    behaviour.mode = mode
    outcome = await probe.call(target, key=KEY, timeout_s=0.3)
    assert (outcome.ok, outcome.detail) == (False, detail)


async def test_a_refused_connection_fails_at_once(probe: EntryProbe) -> None:
    outcome = await probe.call(Target(region="fra", url="ws://127.0.0.1:9/x"), key=KEY, timeout_s=30)
    assert (outcome.ok, outcome.detail) == (False, "connect: connection refused")


def test_addresses_and_signatures_are_the_documented_ones() -> None:
    assert media_url("fra.voice.example.com") == "wss://fra.voice.example.com/a/holdfast-system/canary/media"
    # From twilio.request_validator.RequestValidator("12345").compute_signature("wss://example.com/x", {}).
    assert signature(b"12345", "wss://example.com/x") == _official(b"12345", "wss://example.com/x")
    assert "=" not in start_token(KEY, call="CA1", region="fra", expires=1, nonce="n")


def _official(key: bytes, url: str) -> str:
    from twilio.request_validator import RequestValidator

    answer: str = RequestValidator(key.decode()).compute_signature(url, {})
    return answer
