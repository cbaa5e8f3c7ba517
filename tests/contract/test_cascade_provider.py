"""A cascade on its three simulated vendors, as a call sees it: one provider, and the name of the part that failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from control_parts import until

from holdfast_bridge.agent_config import decode_agent
from holdfast_bridge.core import events as ev
from holdfast_bridge.core.latency import Stage, Waited
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providing import ForCall, Provider, Providers
from holdfast_bridge.settings import FleetSecrets, Settings
from holdfast_gameday.world import voice
from holdfast_gameday.world.deepgram import Deepgram
from holdfast_gameday.world.elevenlabs import ElevenLabs
from holdfast_gameday.world.openai_chat import OpenAIChatVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import VendorHttp
from holdfast_gameday.world.vendor_sockets import VendorSockets

pytestmark = pytest.mark.contract
KEYS = {"a-key": "clinic"}
FRAME = 160


@dataclass
class World:
    hearing: VendorSockets
    thinking: VendorHttp
    speaking: VendorSockets
    settings: Settings
    http: aiohttp.ClientSession
    said: list[ev.Event] = field(default_factory=list)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    waits: list[Waited] = field(default_factory=list)

    async def open(self) -> Provider:
        asked = ForCall("CA1", (), self._hear, lambda word, retry: None, self._spawn, self.waits.append)
        provider = await Providers(self.http, lambda *_: "").open(self.settings.agent.attempts[0], self.settings, asked)
        provider.begin()
        return provider

    def _hear(self, events: Iterable[ev.Event]) -> None:
        self.said += events
        self.stirred.set()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def until(self, holds: Callable[[], object], within: float = 30) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self.stirred.clear()
                await self.stirred.wait()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.said if isinstance(event, kind)]

    async def speak(self, provider: Provider, text: str, utterance: int = 1) -> None:
        """At the pace of speech, and then silence until the turn is taken."""
        sound = voice.encode_utterance(voice.Speaker.CALLER, 1, utterance, text) + voice.silence(60)
        turns = len(self.of(ev.UserTurn))
        for at in range(0, len(sound), FRAME):
            provider.append(sound[at : at + FRAME])
            await asyncio.sleep(0.002)
            if len(self.of(ev.UserTurn)) > turns:
                return


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    hearing = VendorSockets(Deepgram(keys=KEYS))
    thinking = VendorHttp(OpenAIChatVendor(keys=KEYS))
    speaking = VendorSockets(ElevenLabs(keys=KEYS))
    async with (
        hearing.serving("127.0.0.1", 0) as ear,
        thinking.serving("127.0.0.1", 0) as mind,
        speaking.serving("127.0.0.1", 0) as mouth,
        aiohttp.ClientSession() as http,
    ):
        agent = {
            "version": 1, "namespace": "clinic", "agent": "front-desk", "region": "fra", "zone": "eu",
            "policyHost": "eu.voice.example.com", "regions": [{"name": "fra", "host": "fra.voice.example.com"}],
            "attempts": [{
                "name": "c", "kind": "cascade",
                "hearing": {"kind": "deepgram-flux", "baseUrl": f"ws://{ear}"},
                "thinking": {"kind": "openai-chat", "baseUrl": f"http://{mind}/v1", "model": "gpt-5.4-mini"},
                "speaking": {
                    "kind": "elevenlabs", "baseUrl": f"ws://{mouth}", "voice": "v", "model": "eleven_flash_v2_5",
                },
            }],
            "carrier": {"name": "t", "kind": "twilio", "accountSid": "AC", "apiUrl": "https://api.twilio.com"},
        }  # fmt: skip
        settings = Settings(
            agent=decode_agent(json.dumps(agent).encode(), source="test"),
            fleet=FleetSecrets(zone_keys=(b"zone",), carrier_tokens=("carrier",)),
            provider_keys=dict.fromkeys(("c/hearing", "c/thinking", "c/speaking"), "a-key"),
        )
        made = World(hearing, thinking, speaking, settings, http)
        yield made
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


def heard(world: World) -> list[str]:
    sound = b"".join(event.payload for event in world.of(ev.ProviderAudio))
    frames = [each for each in voice.VoiceScanner().feed(sound) if isinstance(each, voice.VoiceFrame) and each.last]
    return [frame.text for frame in frames]


async def test_a_caller_is_understood_answered_and_heard() -> None:
    async with world() as w:
        provider = await w.open()
        await w.speak(provider, "good morning to all of you")
        await w.until(lambda: w.of(ev.ResponseDone))
        provider.close()
    assert w.said[0] == ev.ProviderReady(attentive=False)
    assert [event.text for event in w.of(ev.UserTranscript)] == ["good morning to all of you"]
    assert " ".join(heard(w)) == "you said: good morning to all of you"
    assert w.of(ev.ResponseDone) == [ev.ResponseDone(ok=True, detail="completed")]


async def test_every_stage_of_a_turn_is_timed_once_and_one_after_the_other() -> None:
    async with world() as w:
        provider = await w.open()
        await w.speak(provider, "good morning to all of you")
        await w.until(lambda: w.of(ev.ResponseDone))
        provider.close()
    assert [wait.stage for wait in w.waits] == [Stage.HEARING, Stage.THINKING, Stage.SPEAKING]
    assert all(wait.until > wait.began for wait in w.waits)
    assert [wait.began for wait in w.waits] == sorted(wait.began for wait in w.waits)


async def test_words_that_are_given_are_spoken_without_the_model() -> None:
    async with world() as w:
        provider = await w.open()
        provider.tell(ev.Respond("Say exactly: Grüß Gott", words="Grüß Gott"))
        await w.until(lambda: w.of(ev.ResponseDone))
        provider.close()
        assert w.thinking.counts.opened == 0
    assert heard(w) == ["Grüß Gott"]


@pytest.mark.parametrize("part", ["hearing", "speaking"])
async def test_a_stage_that_refuses_is_named_and_the_other_is_not_left_open(part: str) -> None:
    async with world() as w:
        getattr(w, part).inject(Fault(kind="refuse", status=401))
        with pytest.raises(ProviderUnreachable) as refused:
            await w.open()
        other = w.speaking if part == "hearing" else w.hearing
        await until(lambda: not other.sessions)
    assert (refused.value.part, refused.value.error_class, refused.value.retry_same) == (part, "auth", False)


async def test_a_model_that_asks_to_wait_loses_the_provider_with_the_time_it_asks_for() -> None:
    async with world() as w:
        provider = await w.open()
        w.thinking.inject(Fault(kind="refuse", status=429, retry_after_s=7))
        provider.tell(ev.Respond("Greet: hello"))
        await w.until(lambda: w.of(ev.ProviderLost))
        provider.close()
    assert w.of(ev.ProviderLost) == [ev.ProviderLost("rate", retry_same=False, part="thinking", retry_after_s=7.0)]


async def test_an_ear_that_says_nothing_while_the_caller_speaks_has_stalled() -> None:
    async with world() as w:
        provider = await w.open()
        w.hearing.inject(Fault(kind="stall"))
        for _ in range(5):
            provider.append(voice.SILENT_FRAME)
        await w.until(lambda: w.of(ev.ProviderLost))
        provider.close()
    assert w.of(ev.ProviderLost) == [ev.ProviderLost("stall", part="hearing")]


async def test_a_caller_who_interrupts_is_not_talked_over() -> None:
    async with world() as w:
        provider = await w.open()
        provider.tell(ev.Respond("x", words="a sentence that goes on and on, and has no end before he speaks"))
        await w.until(lambda: w.of(ev.ProviderAudio))
        await w.speak(provider, "wait a moment")
        cut_at = w.said.index(ev.ResponseDone(ok=True, detail="cancelled"))
        line = w.of(ev.ProviderAudio)[0].item
        assert [each for each in w.said[cut_at:] if isinstance(each, ev.ProviderAudio) and each.item == line] == []
        await w.until(lambda: len(w.of(ev.ResponseDone)) == 2)
        provider.close()
    assert heard(w)[-1].endswith("wait a moment")
