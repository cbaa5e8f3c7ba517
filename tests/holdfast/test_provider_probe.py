"""The fleet's own key against the practice range's provider: one call, one outcome."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from control_parts import until

from holdfast.core.means import CanaryKey
from holdfast.core.providers import Failure
from holdfast.core.results import Outcome
from holdfast.gather.provider_probe import PROBES, Probe, ProviderProbe
from holdfast_gameday.world.openai_realtime import Fault, OpenAIRealtime

KEY = CanaryKey("openai-eu", "openai", "gpt-realtime", "", "canary-openai", headers={"X-Gateway": "g"})


async def secret(name: str, key: str) -> str:
    return {("canary-openai", "api-key"): "sk-fleet"}[name, key]


def prober(row: Probe = PROBES["openai"]) -> ProviderProbe:
    return ProviderProbe(tls=ssl.create_default_context(), secret=secret, probes={"openai": row})


@asynccontextmanager
async def vendor(*faults: Fault, key: str = "sk-fleet") -> AsyncIterator[tuple[OpenAIRealtime, CanaryKey]]:
    server = OpenAIRealtime(keys={key: "fleet"})
    async with server.serving("127.0.0.1", 0) as address:
        for fault in faults:
            server.inject(fault)
        yield server, replace(KEY, base_url=f"ws://127.0.0.1:{address.port}/v1/realtime")


async def test_a_session_is_opened_and_closed_and_nothing_is_said() -> None:
    async with vendor() as (server, key):
        assert await prober()(key) == (Outcome(), "")
        await until(lambda: server.counts.closed == 1)
        assert server.counts.opened == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("refuse", status=503), Outcome(Failure.ERROR)),
        (Fault("refuse", status=429, retry_after_s=20), Outcome(Failure.RATE_LIMITED, 20.0)),
        (
            Fault("refuse", status=429, error_type="insufficient_quota", error_code="insufficient_quota"),
            Outcome(Failure.QUOTA, 1.0),
        ),
        (Fault("refuse", status=404), Outcome(Failure.CONFIG)),
        (Fault("refuse", status=401), Outcome(Failure.AUTH)),
        (Fault("close", code=1011), Outcome(Failure.ERROR)),
        (Fault("close", code=1008), Outcome(Failure.AUTH)),
        (Fault("close", code=1001), Outcome(Failure.ERROR)),
    ],
)
async def test_outage_quota_key_and_spec_are_told_apart(fault: Fault, expected: Outcome) -> None:
    async with vendor(fault) as (_, key):
        assert (await prober()(key))[0] == expected


async def test_a_wrong_key_and_nobody_there() -> None:
    async with vendor(key="sk-other") as (_, key):
        assert (await prober()(key))[0] == Outcome(Failure.AUTH)
    assert (await prober()(replace(KEY, base_url="ws://127.0.0.1:1/v1/realtime")))[0] == Outcome(Failure.ERROR)


async def test_a_row_may_be_a_plain_request() -> None:
    async with vendor() as (_, key):
        assert await prober(Probe(path="/v1/models"))(key) == (Outcome(), "")
        assert (await prober(Probe(path="/v1/none"))(key))[0] == Outcome(Failure.CONFIG)


async def test_a_secret_that_cannot_be_read_is_no_outcome() -> None:
    with pytest.raises(KeyError):
        await prober()(replace(KEY, secret="missing"))
