"""The practice range's vendors for probes: each kind on loopback, whole or altered, and an attempt that uses it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from control_builders import built

from holdfast_bridge import provider_probe
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core.failures import Failure, kind
from holdfast_bridge.provider_questions import Said
from holdfast_bridge.settings import Settings
from holdfast_gameday.world.anthropic import AnthropicVendor
from holdfast_gameday.world.aws_signed import AwsKey
from holdfast_gameday.world.azure_openai import AzureOpenAI
from holdfast_gameday.world.azure_voice_live import AzureVoiceLive
from holdfast_gameday.world.bedrock import BedrockVendor
from holdfast_gameday.world.cartesia import Cartesia
from holdfast_gameday.world.deepgram import Deepgram
from holdfast_gameday.world.deepgram_speak import DeepgramSpeak
from holdfast_gameday.world.elevenlabs import ElevenLabs
from holdfast_gameday.world.gemini_live import GeminiLive
from holdfast_gameday.world.gpt_live import GptLive
from holdfast_gameday.world.openai_chat import OpenAIChatVendor
from holdfast_gameday.world.openai_realtime import OpenAIVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import Pace, VendorHttp
from holdfast_gameday.world.vendor_sockets import Answer, Upgrade, VendorSockets

KEY = "practice secret"
KEYS = {KEY: "clinic"}
SOON = Pace(first_piece_s=0.002, piece_s=0.0002)
VENDORS: Mapping[str, Callable[[], Any]] = {
    "openai": lambda: OpenAIVendor(keys=KEYS),
    "azure-openai": lambda: AzureOpenAI(keys=KEYS),
    "azure-voice-live": lambda: AzureVoiceLive(keys=KEYS),
    "gpt-live": lambda: GptLive(keys=KEYS),
    "gemini": lambda: GeminiLive(keys=KEYS, tokens=KEYS),
    "deepgram-flux": lambda: Deepgram(keys=KEYS),
    "deepgram-nova": lambda: Deepgram(keys=KEYS),
    "openai-chat": lambda: OpenAIChatVendor(keys=KEYS),
    "anthropic": lambda: AnthropicVendor(keys=KEYS),
    "bedrock": lambda: BedrockVendor(keys={"practice": AwsKey("clinic", "secret")}, region="eu-central-1"),
    "elevenlabs": lambda: ElevenLabs(keys=KEYS),
    "deepgram-aura": lambda: DeepgramSpeak(keys=KEYS),
    "cartesia": lambda: Cartesia(keys=KEYS),
}
SPEECH: Mapping[str, dict[str, Any]] = {
    "openai": {"baseUrl": "/v1/realtime", "model": "gpt-realtime"},
    "azure-openai": {"baseUrl": "/openai/v1/realtime", "model": "gpt-realtime"},
    "azure-voice-live": {"baseUrl": "/voice-live/realtime", "model": "gpt-4.1", "voice": "en-US-AvaNeural"},
    "gpt-live": {"baseUrl": "/v1/live/sessions", "model": "gpt-live-1", "options": {"backendModel": "gpt-5.5"}},
    "gemini": {"baseUrl": "", "model": "gemini-3.8-live", "voice": "Kore"},
}
STAGES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "deepgram-flux": ("hearing", {"model": "flux-general-en"}),
    "deepgram-nova": ("hearing", {"model": "nova-3"}),
    "openai-chat": ("thinking", {"baseUrl": "/v1", "model": "gpt-5.4-mini"}),
    "anthropic": ("thinking", {"model": "claude-haiku-5-5"}),
    "bedrock": ("thinking", {"model": "eu.amazon.nova-2-lite-v1:0", "options": {"region": "eu-central-1"}}),
    "elevenlabs": ("speaking", {"model": "eleven_flash_v2_5", "voice": "v"}),
    "deepgram-aura": ("speaking", {"model": "aura-2", "voice": "thalia"}),
    "cartesia": ("speaking", {"model": "sonic-3", "voice": "v"}),
}
HTTP = ("openai-chat", "anthropic", "bedrock")
SAY_HOW_LONG = set(VENDORS) - {"gemini", "deepgram-flux", "deepgram-nova", "bedrock"}
"""Vendors whose 429 has a Retry-After."""


class Altered:
    """A vendor that answers some of what it is asked in another way."""

    def __init__(self, vendor: Any, answer: Callable[[Upgrade], Answer | None]) -> None:
        self.kind = vendor.kind
        self.refusal = vendor.refusal
        self._vendor = vendor
        self._answer = answer

    def admit(self, asked: Upgrade) -> Any:
        return self._answer(asked) or self._vendor.admit(asked)


@asynccontextmanager
async def serving(name: str, vendor: Any = None) -> AsyncIterator[tuple[Any, int]]:
    made = vendor or VENDORS[name]()
    server = VendorHttp(made, pace=SOON) if name in HTTP else VendorSockets(made)
    async with server.serving("127.0.0.1", 0) as address:
        yield server, address.port


@asynccontextmanager
async def refusing(name: str, status: int) -> AsyncIterator[int]:
    """Whatever is asked for is refused, in the vendor's own words."""
    fault = Fault(kind="refuse", status=status, retry_after_s=20)
    vendor = VENDORS[name]()
    async with serving(name, vendor if name in HTTP else Altered(vendor, lambda _: vendor.refusal(fault))) as at:
        server, port = at
        server.inject(fault)
        yield port


def given(name: str, port: int, *, key: str = KEY, **changes: Any) -> Settings:
    """One attempt, and the key of no other part than the one that is asked."""
    ws, http = f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    if name in SPEECH:
        said = {**SPEECH[name], **changes}
        attempt = {"name": "a", "kind": name, **said, "baseUrl": ws + said["baseUrl"]}
        return dataclasses.replace(built(attempts=[attempt]), provider_keys={"a": key})
    stages = {}
    for role, usual in (("hearing", "deepgram-nova"), ("thinking", "anthropic"), ("speaking", "cartesia")):
        chosen = name if STAGES[name][0] == role else usual
        said = {**STAGES[chosen][1], **(changes if chosen == name else {})}
        base = (http if role == "thinking" else ws) + said.get("baseUrl", "")
        stages[role] = {"kind": chosen, **said, "baseUrl": base}
    attempt = {"name": "a", "kind": "cascade", **stages}
    return dataclasses.replace(built(attempts=[attempt]), provider_keys={f"a/{STAGES[name][0]}": key})


def part_of(settings: Settings) -> str:
    [part] = settings.provider_keys
    return part


def held(attempt: Attempt, settings: Settings) -> str:
    """A key that stands for itself, as all but Vertex's do."""
    return settings.provider_keys.get(attempt.name, "")


async def asked(settings: Settings, *, within_s: float = 30) -> Said:
    attempt, part = settings.agent.attempts[0], part_of(settings)
    subject = provider_probe.subject_of(attempt, part, settings, held)
    return await provider_probe.probe(subject, provider_probe.row_of(attempt, part), within_s=within_s)


async def failure(settings: Settings, *, within_s: float = 30) -> Failure | None:
    word, _ = await asked(settings, within_s=within_s)
    assert word
    return kind(word)
