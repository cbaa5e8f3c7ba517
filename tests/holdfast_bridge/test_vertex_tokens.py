"""One access token for each attempt on Vertex AI: fetched before a call needs it, renewed early, shown to nobody."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from google_tokens import Clock, Google, status_reply, token_reply

from holdfast_bridge.agent_config import AgentConfig, decode_agent
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.settings import FleetSecrets, Settings
from holdfast_bridge.vertex_tokens import VertexTokens, read_file

AGENT = {
    "version": 1, "namespace": "clinic", "agent": "front", "region": "fra", "zone": "eu", "policyHost": "h.example",
    "regions": [{"name": "fra", "host": "fra.example"}], "carrier": {"name": "t", "kind": "canary"},
}  # fmt: skip


def attempt(name: str, **changes: Any) -> dict[str, Any]:
    options = {"vertex": {"project": "clinic", "location": "europe-west4"}}
    given = {"name": name, "kind": "gemini", "model": "m", "baseUrl": "wss://g.example", "options": options}
    return {**given, **changes}


def told(keys: dict[str, str], *attempts: dict[str, Any]) -> Settings:
    listed = attempts or tuple(attempt(name) for name in keys)
    config: AgentConfig = decode_agent(json.dumps({**AGENT, "attempts": listed}).encode(), source="test")
    return Settings(
        agent=config, fleet=FleetSecrets(zone_keys=(b"k",), carrier_tokens=("t",)), provider_keys=keys
    )


def external(**changes: object) -> str:
    return json.dumps({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/var/run/service-account/token"},
        **changes,
    })


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[tuple[Google, aiohttp.ClientSession]]:
    there = Google()
    async with there.serving(tmp_path) as http:
        yield there, http


def tokens(settings: Settings, clock: Clock | None = None) -> VertexTokens:
    return VertexTokens(lambda: settings, clock=clock or Clock())


async def test_a_token_of_the_metadata_server_is_there_before_a_call(google: Any) -> None:
    there, http = google
    kept = tokens(told({"gemini-eu": "metadata-server"}))
    assert kept.token("gemini-eu") == ""
    await kept.look(http)
    assert kept.token("gemini-eu") == "ya29.first"
    assert kept.token("another") == ""
    assert [asked for asked, _ in there.asked] == [
        "GET metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
    ]


async def test_the_pods_own_token_is_exchanged_twice(google: Any) -> None:
    there, http = google
    files = {"/var/run/service-account/token": b"eyJ.pod\n"}
    url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/v@p.example:generateAccessToken"
    settings = told({"g": external(service_account_impersonation_url=url)})
    kept = VertexTokens(lambda: settings, clock=Clock(), read=files.__getitem__)
    await kept.look(http)
    assert kept.token("g") == "ya29.first.sa"
    assert [asked.split("/")[0] for asked, _ in there.asked] == [
        "POST sts.googleapis.com", "POST iamcredentials.googleapis.com",
    ]  # fmt: skip
    assert there.asked[0][1]["subject_token"] == "eyJ.pod"


async def test_a_token_is_renewed_early_and_serves_until_its_end(google: Any) -> None:
    there, http = google
    clock = Clock()
    kept = tokens(told({"g": "metadata-server"}), clock)
    await kept.look(http)
    clock.now += 3_300
    await kept.look(http)
    assert len(there.asked) == 1
    there.reply = token_reply("ya29.second")
    clock.now += 60
    await kept.look(http)
    assert kept.token("g") == "ya29.second"
    there.reply = status_reply(503)
    clock.now += 3_599
    await kept.look(http)
    assert kept.token("g") == "ya29.second"
    clock.now += 1
    assert kept.token("g") == ""


@pytest.mark.parametrize(
    ("status", "kind"), [(404, Failure.AUTH), (429, Failure.RATE_LIMITED), (503, Failure.ERROR), (302, Failure.ERROR)]
)
async def test_a_refusal_is_asked_again_after_longer_and_longer(google: Any, status: int, kind: Failure) -> None:
    there, http = google
    there.reply = status_reply(status, headers={"Location": "http://metadata.google.internal/elsewhere"})
    clock = Clock()
    settings = told({"g": "metadata-server"})
    kept = tokens(settings, clock)
    for wait_s in (0, 1, 2, 4):
        clock.now += wait_s - 0.01
        await kept.look(http)
        clock.now += 0.01
        await kept.look(http)
    assert len(there.asked) == 4
    with pytest.raises(ProviderUnreachable) as refused:
        kept.secret(settings.agent.attempts[0], settings)
    assert failures.kind(refused.value.error_class) is kind
    there.reply = token_reply("ya29.late")
    clock.now += 8
    await kept.look(http)
    assert kept.secret(settings.agent.attempts[0], settings) == "ya29.late"


async def test_an_answer_that_never_comes_is_given_up(google: Any) -> None:
    there, http = google
    never = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    there.reply = hang
    settings = told({"g": "metadata-server"})
    kept = VertexTokens(lambda: settings, asked_within_s=0.05)
    await kept.look(http)
    never.set()
    with pytest.raises(ProviderUnreachable, match="timeout"):
        kept.secret(settings.agent.attempts[0], settings)


async def test_an_endless_answer_is_not_read_to_its_end(google: Any) -> None:
    there, http = google
    there.reply = status_reply(200, body=b'{"access_token":"' + b"x" * 1_000_000 + b'"}')
    kept = tokens(told({"g": "metadata-server"}))
    await kept.look(http)
    assert kept.token("g") == ""


def test_a_mounted_file_is_read_no_further_than_a_token_can_be_long(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"x" * 100_000)
    assert len(read_file(str(tmp_path / "token"))) == 16_385


async def test_one_source_that_fails_takes_no_token_from_the_others(google: Any) -> None:
    _, http = google
    no_path = external(credential_source={"file": "/var/run/\0"})
    settings = told({"a": external(), "b": '{"type":"service_account"}', "c": no_path, "d": "metadata-server"})
    kept = tokens(settings)
    await kept.look(http)
    assert [kept.token(name) for name in "abcd"] == ["", "", "", "ya29.first"]
    for each in settings.agent.attempts[:3]:
        with pytest.raises(ProviderUnreachable, match="auth"):
            kept.secret(each, settings)


async def test_credentials_that_were_replaced_lose_their_token(google: Any) -> None:
    there, http = google
    now = [told({"g": "metadata-server"})]
    kept = VertexTokens(lambda: now[0], clock=Clock())
    await kept.look(http)
    now[0] = told({"g": '{"type":"authorized_user"}'})
    await kept.look(http)
    assert kept.token("g") == ""
    now[0] = told({"g": "metadata-server"}, attempt("g", options={}))
    await kept.look(http)
    assert kept.token("g") == ""
    assert len(there.asked) == 1


async def test_an_attempt_that_is_not_on_vertex_is_dialled_with_its_key(google: Any) -> None:
    there, http = google
    settings = told({"dev": "AIza"}, attempt("dev", options={}), attempt("other", options={}))
    kept = tokens(settings)
    await kept.look(http)
    dev, other = settings.agent.attempts
    assert (kept.secret(dev, settings), kept.secret(other, settings)) == ("AIza", "")
    assert there.asked == []


async def test_no_token_is_logged_and_a_failure_is_told_once(google: Any, caplog: pytest.LogCaptureFixture) -> None:
    there, http = google
    clock = Clock()
    caplog.set_level(logging.DEBUG)
    kept = tokens(told({"g": "metadata-server"}), clock)
    there.reply = status_reply(500, text="ya29.leaked")
    for _ in range(3):
        await kept.look(http)
        clock.now += 60
    there.reply = token_reply("ya29.first")
    await kept.look(http)
    records = [record for record in caplog.records if record.name == "holdfast_bridge.vertex_tokens"]
    assert [record.getMessage() for record in records] == ["no token for Vertex AI", "a token for Vertex AI again"]
    assert "ya29" not in repr([vars(record) for record in caplog.records])
    assert "ya29" not in repr(kept._kept)


async def test_the_loop_fetches_by_itself_until_it_is_cancelled(google: Any) -> None:
    there, http = google
    asked = asyncio.Event()

    async def reply(request: web.Request) -> web.Response:
        asked.set()
        return await token_reply("ya29.first")(request)

    there.reply = reply
    running = asyncio.create_task(tokens(told({"g": "metadata-server"})).run(http))
    async with asyncio.timeout(30):
        await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
