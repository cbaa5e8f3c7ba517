"""Probes of a held key: a row for every kind, outages told apart from what is ours, and no more often than asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from control_builders import built
from control_parts import until
from probed_vendors import SAY_HOW_LONG, STAGES, VENDORS, asked, failure, given, held, part_of, refusing, serving

from holdfast.gather import provider_probe as operators
from holdfast_bridge import provider_probe, speech_codecs, stage_codecs
from holdfast_bridge.core.directive import Trial
from holdfast_bridge.core.failures import Failure, kind
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.provider_questions import Opens
from holdfast_bridge.settings import Settings
from holdfast_bridge.tallies import ProviderResults
from holdfast_gameday.world.ports import free_port

each_kind = pytest.mark.parametrize("name", VENDORS)

# --- every kind


def test_every_kind_has_a_row_and_every_row_a_kind() -> None:
    speech, stages = set(speech_codecs.KINDS), {*stage_codecs.HEARING, *stage_codecs.THINKING, *stage_codecs.SPEAKING}
    assert set(provider_probe.PROBES) == speech | stages
    assert {"loopback", *VENDORS} == speech | stages, "all but the one that asks nobody are tried below"


def test_bridge_and_operator_ask_the_same() -> None:
    """They share no code, and must not drift apart."""
    for name, row in operators.PROBES.items():
        assert provider_probe.PROBES[name].asks == (Opens(first=row.awaits),)


@each_kind
async def test_a_good_key_is_proven_without_a_word_and_the_link_is_closed_again(name: str) -> None:
    async with serving(name) as (server, port):
        assert await asked(given(name, port)) == ("", 0.0)
        await until(lambda: server.counts.closed == server.counts.opened)
        assert server.counts.refused == 0
        assert name == "bedrock" or not server.happened, "nothing is spoken but Bedrock's first word"


@each_kind
async def test_a_wrong_key_is_told_as_such(name: str) -> None:
    async with serving(name) as (_, port):
        assert await failure(given(name, port, key="wrong key")) is Failure.AUTH


@each_kind
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (402, Failure.QUOTA),
        (403, Failure.AUTH),
        (404, Failure.CONFIG),
        (429, Failure.RATE_LIMITED),
        (500, Failure.ERROR),
        (503, Failure.ERROR),
    ],
)
async def test_quota_key_spec_rate_and_outage_are_told_apart(name: str, status: int, expected: Failure) -> None:
    async with refusing(name, status) as port:
        word, retry_after_s = await asked(given(name, port))
        assert kind(word) is expected
        assert retry_after_s == (20.0 if status == 429 and name in SAY_HOW_LONG else 0.0)


@each_kind
async def test_a_vendor_that_never_answers_and_one_that_is_not_there_are_outages(name: str) -> None:
    gone = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await asked(given(name, port), within_s=0.1) == ("timeout", 0.0)
        gone.set()
    assert await asked(given(name, free_port())) == ("connect", 0.0)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("azure-openai", "gpt-none"),
        ("gpt-live", "gpt-none"),
        ("deepgram-flux", "flux-none"),
        ("deepgram-nova", "nova-none"),
        ("openai-chat", "gpt-none"),
        ("anthropic", "claude-none"),
        ("bedrock", "eu.amazon.none"),
        ("elevenlabs", "eleven_none"),
    ],
)
async def test_a_model_that_is_not_there_is_told_as_such(name: str, model: str) -> None:
    async with serving(name) as (_, port):
        assert await failure(given(name, port, model=model)) is Failure.CONFIG


# --- when


class Desk:
    """A prober with its trials and its results."""

    def __init__(self, settings: Settings, *, secret: provider_probe.Secret = held) -> None:
        self.trials: tuple[Trial, ...] = ()
        self.now = 100.0
        self.news = 0
        self.results = ProviderResults(clock=lambda: self.now)
        self.prober = provider_probe.Prober(
            settings=lambda: settings,
            trials=lambda: self.trials,
            secret=secret,
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

    async def leave(self, *trials: Trial) -> None:
        """These are looked at, and nothing is told of them."""
        self.trials, before = trials, self.news
        self.prober.look()
        await until(lambda: self.prober._done.items() >= {(trial.attempt, trial.number) for trial in trials})
        assert self.news == before

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.prober.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_trial_is_done_once_however_often_it_is_told() -> None:
    async with serving("openai") as (server, port):
        desk = Desk(given("openai", port))
        async with desk.running():
            await desk.ask(Trial("a", 1))
            desk.prober.look()
            desk.now += 10.0
            await desk.ask(Trial("a", 2))
        assert server.counts.opened == 2
        assert desk.results.report()[0]["ok"] == 2


@pytest.mark.parametrize(("name", "slot_s"), [("openai", 5.0), ("azure-voice-live", 60.0)])
async def test_trials_come_no_more_often_than_the_vendor_has_room_for(name: str, slot_s: float) -> None:
    async with serving(name) as (server, port):
        desk = Desk(given(name, port))
        async with desk.running():
            await desk.ask(Trial("a", 1))
            desk.now += slot_s - 0.1
            await desk.leave(Trial("a", 2))
            desk.now += 0.2
            await desk.ask(Trial("a", 3))
        assert server.counts.opened == 2


async def test_a_call_that_spoke_meanwhile_answers_a_trial_that_was_for_silence_only() -> None:
    async with serving("openai") as (server, port):
        desk = Desk(given("openai", port))
        desk.results.spoke("a")
        async with desk.running():
            await desk.ask(Trial("a", 1, silent=True))
            assert server.counts.opened == 0
            await desk.ask(Trial("a", 2, silent=False))
        assert server.counts.opened == 1


@pytest.mark.parametrize("name", ["deepgram-flux", "bedrock", "elevenlabs"])
async def test_a_part_of_a_cascade_is_asked_and_counted_by_itself(name: str) -> None:
    async with serving(name) as (_, port):
        settings = given(name, port)
        desk = Desk(settings)
        async with desk.running():
            await desk.ask(Trial(part_of(settings), 1))
        [told] = desk.results.report()
        assert (told["attempt"], told["ok"]) == (f"a/{STAGES[name][0]}", 1)


async def test_a_probe_closes_the_breaker_of_its_part_as_a_call_does() -> None:
    async with serving("anthropic") as (_, port):
        desk = Desk(given("anthropic", port))
        desk.results.add("a/thinking", False, "auth")
        async with desk.running():
            await desk.ask(Trial("a/thinking", 1))
        assert not desk.results.open("a/thinking")


async def test_a_key_that_is_not_there_is_not_tried_nor_a_part_that_is_not() -> None:
    async with serving("anthropic") as (server, port):
        desk = Desk(given("anthropic", port))
        async with desk.running():
            await desk.leave(Trial("a/hearing", 1), Trial("other", 1), Trial("a", 1), Trial("a/nothing", 1))
        assert (server.counts.opened, desk.results.report()) == (0, [])


async def test_while_there_is_nothing_to_dial_with_nobody_is_asked_and_why_is_told() -> None:
    def no_token(*_: object) -> str:
        raise ProviderUnreachable("auth", retry_same=False)

    async with serving("gemini") as (server, port):
        desk = Desk(given("gemini", port), secret=no_token)
        async with desk.running():
            await desk.ask(Trial("a", 1))
        [told] = desk.results.report()
        assert (told["ok"], [each["kind"] for each in told["failed"]]) == (0, ["auth"])
        assert server.counts.opened == 0


async def test_the_loop_within_the_process_is_well_without_being_asked() -> None:
    desk = Desk(built())
    async with desk.running():
        await desk.ask(Trial("echo", 1))
    assert desk.results.report()[0]["ok"] == 1
