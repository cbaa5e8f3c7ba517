"""What the tests of the simulated Azure services share: a bare client, sessions, and the vendor's SDK as a judge."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

from azure.ai.voicelive.models import ServerEvent
from azure.core.credentials import AccessToken
from picows import ws_connect
from world_vendors import KEY, RealtimeClient

from holdfast_gameday.world import voice
from holdfast_gameday.world.azure_voice_live import AzureVoiceLive
from holdfast_gameday.world.openai_response import Pace
from holdfast_gameday.world.vendor_sockets import VendorSockets

TOKEN = "eyJ0eXAi.entra.practice"
SOON = Pace(first_audio_s=0.005, chunk_ms=200, speed=40.0)
HEADERS = {"api-key": KEY}
VOICE = {"type": "azure-standard", "name": "en-US-AvaNeural"}
BOOK = {
    "type": "function", "name": "book", "description": "Books.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
}  # fmt: skip


class EntraToken:
    """What the SDK takes for a credential of Entra."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(TOKEN, 4_000_000_000)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None: ...


@contextlib.asynccontextmanager
async def voice_live(**parts: Any) -> AsyncIterator[tuple[VendorSockets, str]]:
    """The simulator, and the address without a scheme."""
    parts = {"keys": {KEY: "clinic"}, "tokens": {TOKEN: "clinic"}, "pace": SOON, **parts}
    server = VendorSockets(AzureVoiceLive(**parts))
    async with server.serving("127.0.0.1", 0) as address:
        yield server, str(address)


async def dial(url: str, headers: dict[str, str] | None = None) -> RealtimeClient:
    _, client = await ws_connect(RealtimeClient, url, extra_headers=HEADERS if headers is None else headers)
    return client


async def dial_voice_live(
    address: str, query: str = "api-version=2026-04-10&model=gpt-4.1", **headers: str
) -> RealtimeClient:
    return await dial(f"ws://{address}/voice-live/realtime?{query}", headers or None)


def flat_session(**more: Any) -> dict[str, Any]:
    return {
        "modalities": ["text", "audio"],
        "voice": VOICE,
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "turn_detection": {"type": "azure_semantic_vad", "silence_duration_ms": 200},
        "input_audio_transcription": {"model": "azure-speech"},
        **more,
    }


async def ready(client: RealtimeClient, **session: Any) -> RealtimeClient:
    await client.until("session.created")
    client.send("session.update", session=flat_session(**session))
    await client.until("session.updated")
    return client


def said(text: str, number: int = 1) -> bytes:
    """A caller's words, and enough silence for the turn to end."""
    return voice.encode_utterance(voice.Speaker.CALLER, 7, number, text) + voice.silence(15)


def words_in(audio: bytes) -> str:
    frames = [sound for sound in voice.VoiceScanner().feed(audio) if isinstance(sound, voice.VoiceFrame)]
    return " ".join(dict.fromkeys(frame.text for frame in frames))


def check_voice_live_event(event: dict[str, Any]) -> None:
    """Fails unless the vendor's SDK knows the event, and every field of it."""
    read = ServerEvent._deserialize(event, [])
    assert type(read) is not ServerEvent, f"the SDK has no event {event['type']}"
    known = {field._rest_name for field in read._attr_to_rest_field.values()}
    assert set(event) <= known, f"{event['type']}: unknown fields {set(event) - known}"
