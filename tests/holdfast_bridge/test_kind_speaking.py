"""The kinds of a speaking stage: from what agent.json says to the URL as dialled, and to what a line is asked with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from control_builders import built

from holdfast_bridge import stage_codecs
from holdfast_bridge.agent_config import Stage
from holdfast_bridge.cascade_provider import Address
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.providers import SpeakingCodec

EL = "wss://api.eu.residency.elevenlabs.io/v1/text-to-speech"


def made(kind: str, *, language: str = "en", **fields: Any) -> tuple[SpeakingCodec, Address]:
    bases = {"elevenlabs": EL, "deepgram-aura": "wss://api.eu.deepgram.com", "cartesia": "wss://api.cartesia.ai"}
    stage = Stage(kind=kind, base_url=bases[kind], **fields)
    return stage_codecs.SPEAKING[kind](stage, "the-key", built(persona={"language": language}))


def first(codec: SpeakingCodec) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(codec.say("a1", "Hello.")[0])
    return said


def test_elevenlabs_is_dialled_in_the_language_of_the_persona_with_the_settings_of_the_voice() -> None:
    options = {"stability": 0.4, "similarityBoost": 0.8, "useSpeakerBoost": True, "speed": 1.1, "noStore": True}
    codec, at = made("elevenlabs", language="ja-JP", voice="v1", options=options, query={"seed": "7"})
    assert at.url == (
        f"{EL}/v1/multi-stream-input?model_id=eleven_flash_v2_5&output_format=ulaw_8000&auto_mode=true"
        "&sync_alignment=true&inactivity_timeout=180&enable_logging=false&language_code=ja&seed=7"
    )
    assert at.headers == {"xi-api-key": "the-key"}
    assert "the-key" not in repr(at)
    tuned = {"stability": 0.4, "similarity_boost": 0.8, "use_speaker_boost": True, "speed": 1.1}
    assert first(codec) == {"text": " ", "voice_settings": tuned, "context_id": "a1"}


def test_elevenlabs_may_be_left_to_hear_the_language_from_the_text() -> None:
    _, at = made("elevenlabs", language="de", voice="v1", options={"language": ""})
    assert "language_code" not in at.url


@pytest.mark.parametrize(
    ("language", "fields", "name"),
    [
        ("en-GB", {}, "aura-2-thalia-en"),
        ("de", {"voice": "viktoria"}, "aura-2-viktoria-de"),
        ("fil", {"voice": "x", "model": "aura-3"}, "aura-3-x-fil"),
        ("ja", {"voice": "aura-2-izanami-ja", "model": "ignored"}, "aura-2-izanami-ja"),
    ],
)
def test_aura_speaks_in_the_voice_of_the_language(language: str, fields: dict[str, str], name: str) -> None:
    codec, at = made("deepgram-aura", language=language, **fields)
    assert at.url == f"wss://api.eu.deepgram.com/v1/speak?model={name}&encoding=mulaw&sample_rate=8000"
    assert at.headers == {"Authorization": "Token the-key"}
    assert first(codec) == {"type": "Speak", "text": "Hello."}


def test_aura_takes_its_options() -> None:
    _, at = made("deepgram-aura", options={"noStore": True, "speed": 0.9}, headers={"x-tenant": "clinic"})
    assert at.url.endswith("&mip_opt_out=true&speed=0.9")
    assert at.headers["x-tenant"] == "clinic"


def test_cartesia_is_asked_line_by_line() -> None:
    options = {"speed": 1.2, "emotion": "calm", "maxBufferDelayMs": 100}
    codec, at = made("cartesia", language="pt-BR", voice="v1", model="sonic-3.5", options=options)
    assert at.url == "wss://api.cartesia.ai/tts/websocket"
    assert at.headers == {"Authorization": "Bearer the-key", "Cartesia-Version": "2026-03-01"}
    said = first(codec)
    assert (said["model_id"], said["voice"]["id"], said["language"]) == ("sonic-3.5", "v1", "pt")
    assert said["generation_config"] == {"speed": 1.2, "emotion": "calm"}
    assert said["max_buffer_delay_ms"] == 100


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("elevenlabs", {}, r"elevenlabs: options: .*length >= 1 - at `\$.voice`"),
        ("elevenlabs", {"voice": "v1", "options": {"autoMode": False}}, "has no 'autoMode'; it has model, noStore"),
        ("elevenlabs", {"voice": "v1", "options": {"stability": "high"}}, "Expected `float | null`"),
        ("deepgram-aura", {"options": {"noStore": "yes"}}, "deepgram-aura: options: Expected `bool`"),
        ("cartesia", {}, r"cartesia: options: .*length >= 1 - at `\$.voice`"),
        ("cartesia", {"voice": "v1", "options": {"speed": 3}}, r"<= 1.5 - at `\$.speed`"),
        ("cartesia", {"voice": "v1", "options": {"maxBufferDelayMs": 6000}}, "<= 5000"),
        ("cartesia", {"voice": "v1", "options": {"max_tokens": 1}}, "options has no"),
    ],
)
def test_a_stage_that_could_never_speak_is_refused_before_a_call_needs_it(
    kind: str, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        made(kind, **fields)
