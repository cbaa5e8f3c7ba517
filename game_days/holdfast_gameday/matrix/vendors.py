"""The simulated vendors of the matrix, on loopback, and how a bridge is told of them.

Each attempt of each case has a key of its own, which is also the name by which faults and happenings speak of it. It
knows no calls and no verdicts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from holdfast_gameday.matrix.cases import Mode
from holdfast_gameday.world import bedrock, deepgram_speak, gpt_live, openai_response, speaking_sound
from holdfast_gameday.world.anthropic import AnthropicVendor
from holdfast_gameday.world.aws_signed import AwsKey
from holdfast_gameday.world.azure_openai import AzureOpenAI
from holdfast_gameday.world.azure_voice_live import AzureVoiceLive
from holdfast_gameday.world.cartesia import Cartesia
from holdfast_gameday.world.deepgram import Deepgram
from holdfast_gameday.world.elevenlabs import ElevenLabs
from holdfast_gameday.world.gemini_live import GeminiLive
from holdfast_gameday.world.openai_chat import OpenAIChatVendor
from holdfast_gameday.world.openai_realtime import OpenAIVendor
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_http import VendorHttp
from holdfast_gameday.world.vendor_sockets import VendorSockets

AWS_REGION = "eu-central-1"
SPEED = 1.3
"""How much faster than it is heard sound is made. Real vendors are faster, but then no sentence could be broken in its
middle: all of it would be with the carrier already."""
Server: TypeAlias = VendorSockets | VendorHttp

SPEECH = ("openai", "gpt-live", "azure-openai", "azure-voice-live", "gemini")
CASCADES: Mapping[str, Mapping[str, str]] = {
    "cascade-a": {"hearing": "deepgram-flux", "thinking": "openai-chat", "speaking": "elevenlabs"},
    "cascade-b": {"hearing": "deepgram-nova", "thinking": "anthropic", "speaking": "deepgram-aura"},
    "cascade-c": {"hearing": "deepgram-flux", "thinking": "bedrock", "speaking": "cartesia"},
}


def secret_of(key: str) -> str:
    """What goes with an AWS key's id."""
    return f"secret-of-{key}"


@dataclass(slots=True)
class Vendors:
    servers: dict[str, Server]
    addresses: dict[str, str]

    def attempt(self, kind: str, *, key: str, language: str) -> dict[str, Any]:
        """An entry of agent.json, but for where its keys lie."""
        if kind in CASCADES:
            stages = {role: self._stage(each, language) for role, each in CASCADES[kind].items()}
            return {"name": key, "kind": "cascade", **stages}
        return {"name": key, "kind": kind, **self._speech(kind)}

    def key_files(self, kind: str, key: str) -> dict[str, str]:
        """What each key file of an attempt holds, by role; the role of a speech-to-speech provider is empty."""
        if kind not in CASCADES:
            return {"": key}
        return {
            role: f"{key} {secret_of(key)}" if stage == "bedrock" else key for role, stage in CASCADES[kind].items()
        }

    def server(self, kind: str, stage: str) -> Server:
        return self.servers[CASCADES[kind][stage] if kind in CASCADES else kind]

    def strike(self, kind: str, stage: str, key: str, mode: Mode) -> None:
        """From now on this key is served badly, open links included."""
        for fault in _faults(mode, key, stage):
            self.server(kind, stage).inject(fault)

    def spoke(self, kind: str, key: str) -> list[float]:
        """When a reply to this key began to sound, each time."""
        happened = self.server(kind, "speaking").happened
        return [each.at for each in happened if each.key == key and each.what == "speaking"]

    def _speech(self, kind: str) -> dict[str, Any]:
        at = self.addresses[kind]
        match kind:
            case "openai":
                return {"model": "gpt-realtime", "voice": "marin", "baseUrl": f"ws://{at}/v1/realtime"}
            case "gpt-live":
                options = {"backendModel": gpt_live.BACKENDS[0]}
                base = f"ws://{at}/v1/live/sessions"
                return {"model": gpt_live.MODELS[0], "voice": "marin", "baseUrl": base, "options": options}
            case "azure-openai":
                return {"model": "gpt-realtime", "voice": "marin", "baseUrl": f"ws://{at}/openai/v1/realtime"}
            case "azure-voice-live":
                base = f"ws://{at}/voice-live/realtime"
                return {"model": "gpt-4.1", "voice": "en-US-AvaNeural", "baseUrl": base}
        return {"model": "gemini-3.8-live", "voice": "Kore", "baseUrl": f"ws://{at}"}

    def _stage(self, kind: str, language: str) -> dict[str, Any]:
        at = self.addresses[kind]
        match kind:
            case "deepgram-flux":
                model = "flux-general-en" if language == "en" else "flux-general-multi"
                return {"kind": kind, "baseUrl": f"ws://{at}", "model": model}
            case "deepgram-nova":
                return {"kind": kind, "baseUrl": f"ws://{at}", "model": "nova-3"}
            case "openai-chat":
                return {"kind": kind, "baseUrl": f"http://{at}/v1", "model": "gpt-5.4-mini"}
            case "anthropic":
                return {"kind": kind, "baseUrl": f"http://{at}", "model": "claude-haiku-5-5"}
            case "bedrock":
                options = {"region": AWS_REGION}
                return {"kind": kind, "baseUrl": f"http://{at}", "model": bedrock.MODELS[0], "options": options}
            case "elevenlabs":
                return {"kind": kind, "baseUrl": f"ws://{at}", "model": "eleven_flash_v2_5", "voice": "voice1"}
            case "deepgram-aura":
                return {"kind": kind, "baseUrl": f"ws://{at}", "model": "aura-2", "voice": "thalia"}
        return {"kind": kind, "baseUrl": f"ws://{at}", "model": "sonic-3", "voice": "voice1"}


@asynccontextmanager
async def serving(keys: Iterable[str]) -> AsyncIterator[Vendors]:
    names = {key: key for key in keys}
    aws = {key: AwsKey(key, secret_of(key)) for key in names}
    hearing = Deepgram(keys=names)
    model, voice = openai_response.Pace(speed=SPEED), speaking_sound.Pace(speed=SPEED)
    # No two vendors number their sessions alike, so that a caller can tell whom he hears.
    servers: dict[str, Server] = {
        "openai": VendorSockets(OpenAIVendor(keys=names, pace=model), first_session=100_000),
        "gpt-live": VendorSockets(gpt_live.GptLive(keys=names), first_session=200_000),
        "azure-openai": VendorSockets(AzureOpenAI(keys=names, pace=model), first_session=300_000),
        "azure-voice-live": VendorSockets(
            AzureVoiceLive(keys=names, pace=model, connections_per_minute=100_000), first_session=400000
        ),
        "gemini": VendorSockets(GeminiLive(keys=names, pace=voice), first_session=500_000),
        "deepgram-flux": VendorSockets(hearing, first_session=600_000),
        "deepgram-nova": VendorSockets(hearing, first_session=700_000),
        "openai-chat": VendorHttp(OpenAIChatVendor(keys=names), first_session=800_000),
        "anthropic": VendorHttp(AnthropicVendor(keys=names), first_session=900_000),
        "bedrock": VendorHttp(bedrock.BedrockVendor(keys=aws, region=AWS_REGION), first_session=1000_000),
        "elevenlabs": VendorSockets(ElevenLabs(keys=names, pace=voice), first_session=1100_000),
        "deepgram-aura": VendorSockets(deepgram_speak.DeepgramSpeak(keys=names, pace=voice), first_session=1200_000),
        "cartesia": VendorSockets(Cartesia(keys=names, pace=voice), first_session=1300_000),
    }
    async with AsyncExitStack() as stack:
        addresses = {
            name: str(await stack.enter_async_context(server.serving("127.0.0.1", 0)))
            for name, server in servers.items()
        }
        yield Vendors(servers, addresses)


def _faults(mode: Mode, key: str, stage: str) -> tuple[Fault, ...]:
    keys = frozenset({key})
    match mode:
        case Mode.REFUSE:
            return Fault(kind="refuse", keys=keys, status=503), Fault(kind="drop", keys=keys)
        case Mode.RATE:
            said = Fault(kind="error", keys=keys, error_type="rate_limit_error", error_code="rate_limit_exceeded")
            return Fault(kind="refuse", keys=keys, status=429), said
        case Mode.SERVER:
            return Fault(kind="refuse", keys=keys, status=500), Fault(kind="error", keys=keys)
        case Mode.AUTH:
            return Fault(kind="refuse", keys=keys, status=401), Fault(kind="close", keys=keys, code=1008)
        case Mode.STALL:
            return (Fault(kind="stall", keys=keys),)
        case Mode.GARBAGE:
            return (Fault(kind="garbled", keys=keys),)
        case Mode.CLOSE:
            return (Fault(kind="close", keys=keys),)
        case Mode.TOOL:
            lost = Fault(kind="drop", keys=keys)
            return (Fault(kind="refuse", keys=keys), lost) if stage == "thinking" else (lost,)
