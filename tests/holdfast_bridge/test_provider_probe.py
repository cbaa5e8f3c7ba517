"""Probes of a held key against the practice range's provider: cheap, told apart, and no more often than asked."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bridge_world import provider, settings
from control_parts import until

from holdfast_bridge.core.directive import Trial
from holdfast_bridge.core.failures import Failure, kind
from holdfast_bridge.provider_probe import PROBES, Probe, Prober, probe
from holdfast_bridge.settings import Settings
from holdfast_bridge.tallies import ProviderResults
from holdfast_gameday.world.openai_realtime import Fault, OpenAIRealtime

KEY = "sk-test"


@asynccontextmanager
async def vendor(*faults: Fault, keys: dict[str, str] | None = None) -> AsyncIterator[tuple[OpenAIRealtime, Settings]]:
    server = OpenAIRealtime(keys={KEY: "clinic"} if keys is None else keys)
    async with server.serving("127.0.0.1", 0) as address:
        for fault in faults:
            server.inject(fault)
        yield server, settings(address.port)


async def asked(given: Settings, row: Probe = PROBES["openai"], *, within_s: float = 2.0) -> tuple[str, float]:
    return await probe(given.agent.attempts[0], given, row, within_s=within_s)


async def test_a_good_key_is_proven_by_a_session_that_opens_and_closes_without_a_word() -> None:
    async with vendor() as (server, given):
        assert await asked(given) == ("", 0.0)
        await until(lambda: server.counts.closed == 1)
        assert (server.counts.opened, server.counts.refused) == (1, 0)
    async with provider() as (scripted, port):
        assert await asked(settings(port)) == ("", 0.0)
        assert scripted.sessions[0].received == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("refuse", status=503), Failure.ERROR),
        (Fault("refuse", status=429), Failure.RATE_LIMITED),
        (Fault("refuse", status=402), Failure.QUOTA),
        (Fault("refuse", status=429, error_code="insufficient_quota"), Failure.QUOTA),
        (Fault("close", code=1001), Failure.ERROR),
        (Fault("refuse", status=404), Failure.CONFIG),
        (Fault("refuse", status=403), Failure.AUTH),
        (Fault("close", code=1011), Failure.ERROR),
        (Fault("close", code=1008), Failure.AUTH),
    ],
)
async def test_outage_quota_key_and_spec_are_told_apart(fault: Fault, expected: Failure) -> None:
    async with vendor(fault) as (_, given):
        word, _ = await asked(given)
        assert kind(word) is expected


async def test_a_refused_key_a_stall_and_nobody_there() -> None:
    async with vendor(keys={"another": "dental"}) as (_, given):
        assert (await asked(given))[0] == "auth"
    async with vendor(Fault("stall")) as (_, given):
        assert (await asked(given, within_s=0.2))[0] == "timeout"
    assert (await asked(settings(1)))[0] == "connect"


async def test_what_the_provider_asks_us_to_wait_is_told() -> None:
    async with vendor(Fault("refuse", status=429, retry_after_s=20)) as (_, given):
        assert await asked(given) == ("rate", 20.0)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (Probe(path="/v1/models"), ""),
        (Probe(path="/v1/nothing"), "config"),
        (Probe(path="/v1/models", expected=frozenset({204})), "server"),
    ],
)
async def test_a_row_may_be_a_plain_request(row: Probe, word: str) -> None:
    async with vendor() as (_, given):
        assert (await asked(given, row))[0] == word


class Desk:
    """A prober with its trials and its results."""

    def __init__(self, given: Settings) -> None:
        self.trials: tuple[Trial, ...] = ()
        self.now = 100.0
        self.news = 0
        self.results = ProviderResults(clock=lambda: self.now)
        self.prober = Prober(
            settings=lambda: given,
            trials=lambda: self.trials,
            results=self.results,
            news=self.told,
            clock=lambda: self.now,
        )

    def told(self) -> None:
        self.news += 1

    async def ask(self, *trials: Trial) -> None:
        self.trials = trials
        before = self.news
        self.prober.look()
        await until(lambda: self.news > before)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.prober.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_trial_is_done_once_however_often_it_is_told() -> None:
    async with vendor() as (server, given):
        desk = Desk(given)
        async with desk.running():
            await desk.ask(Trial("first", 1))
            desk.prober.look()
            desk.now += 10.0
            await desk.ask(Trial("first", 2))
        assert server.counts.opened == 2
        assert desk.results.report()[0]["ok"] == 2


async def test_trials_come_no_more_often_than_the_vendor_has_room_for() -> None:
    async with vendor() as (server, given):
        desk = Desk(given)
        async with desk.running():
            await desk.ask(Trial("first", 1))
            desk.trials = (Trial("first", 2),)
            desk.prober.look()
            desk.now += 4.9
            await asyncio.sleep(0)
            desk.now += 0.2
            await desk.ask(Trial("first", 3))
        assert server.counts.opened == 2


async def test_a_call_that_spoke_meanwhile_answers_a_trial_that_was_for_silence_only() -> None:
    async with vendor() as (server, given):
        desk = Desk(given)
        desk.results.spoke("first")
        async with desk.running():
            await desk.ask(Trial("first", 1, silent=True))
            assert server.counts.opened == 0
            await desk.ask(Trial("first", 2, silent=False))
        assert server.counts.opened == 1


async def test_a_key_that_is_not_there_is_not_tried() -> None:
    async with vendor() as (server, given):
        desk = Desk(dataclasses.replace(given, provider_keys={}))
        async with desk.running():
            desk.trials = (Trial("first", 1), Trial("other", 1))
            desk.prober.look()
            await until(lambda: desk.prober._done == {"first": 1, "other": 1})
        assert server.counts.refused == server.counts.opened == 0
