"""The simulated stages of a cascade, each with the same delay, and when their ear decided that a turn was over.

    ear     `deepgram-flux`: from the sound that made it sure to the word of it
    model   `openai-chat`: from the request to the beginning of its stream, then 125 tokens a second
    voice   `elevenlabs`: from the text to the first sound
    tool    a webhook: from the request to the answer
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from holdfast_gameday.world import deepgram_listen, speaking_sound, vendor_http
from holdfast_gameday.world.deepgram import Deepgram
from holdfast_gameday.world.elevenlabs import ElevenLabs
from holdfast_gameday.world.openai_chat import OpenAIChatVendor
from holdfast_gameday.world.tools_webhook import ToolsWebhook
from holdfast_gameday.world.vendor_http import VendorHttp
from holdfast_gameday.world.vendor_sockets import VendorSockets

KEY = "a-key"
MODEL = "gpt-5.4-mini"
VOICE = "voice1"
VOICE_MODEL = "eleven_flash_v2_5"
BOOK = {
    "name": "book",
    "description": "Books a table.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
}


class _Told(msgspec.Struct):
    event: str = ""
    transcript: str = ""


@dataclass(slots=True)
class Stages:
    """Addresses, and the moment of each decision by the words of the turn, which have to be told once only."""

    delay_s: float
    ear: str = ""
    model: str = ""
    voice: str = ""
    tool_url: str = ""
    decided_at: dict[str, float] = field(default_factory=dict)

    def ear_said(self, message: bytes) -> None:
        if b'"EndOfTurn"' in message:
            told = msgspec.json.decode(message, type=_Told)
            self.decided_at[told.transcript] = asyncio.get_running_loop().time() - self.delay_s


@asynccontextmanager
async def serving(delay_s: float, *, tool_tls: ssl.SSLContext) -> AsyncIterator[Stages]:
    keys = {KEY: KEY}
    found = Stages(delay_s)
    ear = VendorSockets(
        Deepgram(keys=keys, pace=deepgram_listen.Pace(latency_s=delay_s), on_message=found.ear_said),
        first_session=100_000,
    )
    model = VendorHttp(
        OpenAIChatVendor(keys=keys), pace=vendor_http.Pace(first_piece_s=delay_s), first_session=200_000
    )
    voice = VendorSockets(
        ElevenLabs(keys=keys, pace=speaking_sound.Pace(first_audio_s=delay_s)), first_session=300_000
    )
    tools = ToolsWebhook(name="localhost")
    tools.delay_s = delay_s
    async with (
        ear.serving("127.0.0.1", 0) as ear_at,
        model.serving("127.0.0.1", 0) as model_at,
        voice.serving("127.0.0.1", 0) as voice_at,
        tools.serving("127.0.0.1", 0, ssl_context=tool_tls) as tools_at,
    ):
        found.ear, found.model, found.voice = str(ear_at), str(model_at), str(voice_at)
        found.tool_url = f"https://localhost:{tools_at.port}/book"
        yield found
