"""The kinds openai, azure-openai and azure-voice-live: from what agent.json says to what is dialled and asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from control_builders import built

from holdfast_bridge import speech_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.settings import Settings

AT = {
    "openai": "wss://eu.api.openai.com/v1/realtime",
    "azure-openai": "wss://clinic.openai.azure.com/openai/v1/realtime",
    "azure-voice-live": "wss://clinic.services.ai.azure.com/voice-live/realtime",
}
TOKEN = "eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl"


def given(kind: str, **fields: Any) -> tuple[Attempt, Settings]:
    fields = {"model": "gpt-realtime", "voice": "marin", "base_url": AT[kind], **fields}
    settings = built(
        persona={"instructions": "Be kind.", "language": "de-CH"},
        turns={"bargeIn": False, "silenceMs": 700},
        tools=[{"name": "book", "url": "https://tools.example.com"}],
    )
    return Attempt(name="first", kind=kind, **fields), settings  # type: ignore[arg-type]


def session(kind: str, **fields: Any) -> dict[str, Any]:
    [message] = speech_codecs.codec_for(*given(kind, **fields)).opening()
    asked: dict[str, Any] = json.loads(message)["session"]
    return asked


@pytest.mark.parametrize(
    ("kind", "secret", "query", "header"),
    [
        ("openai", "sk", "?model=gpt-realtime", ("Authorization", "Bearer sk")),
        ("azure-openai", "key", "?model=gpt-realtime", ("api-key", "key")),
        ("azure-openai", TOKEN, "?model=gpt-realtime", ("Authorization", f"Bearer {TOKEN}")),
        ("azure-voice-live", "key", "?api-version=2026-04-10&model=gpt-realtime", ("api-key", "key")),
        ("azure-voice-live", TOKEN, "?api-version=2026-04-10&model=gpt-realtime", ("Authorization", f"Bearer {TOKEN}")),
    ],
)
def test_it_is_dialled_with_its_key_and_the_operators_query_and_headers(
    kind: str, secret: str, query: str, header: tuple[str, str]
) -> None:
    asked = given(kind, query={"tenant": "a"}, headers={"x-tenant": "a", header[0]: "not the operator's to say"})
    url, headers = speech_codecs.address(*asked, secret)
    assert url == f"{AT[kind]}{query}&tenant=a"
    assert headers == {"x-tenant": "a", header[0]: header[1]}


@pytest.mark.parametrize("kind", ["openai", "azure-openai"])
def test_a_session_of_ga_is_the_agents(kind: str) -> None:
    asked = session(kind, options={"transcription": "ears", "extra": {"reasoning": {"effort": "low"}}})
    assert asked["instructions"] == "Be kind."
    assert asked["audio"]["output"]["voice"] == "marin"
    assert asked["audio"]["input"]["transcription"] == {"model": "ears", "language": "de"}
    assert asked["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 700
    assert asked["audio"]["input"]["turn_detection"]["interrupt_response"] is False
    assert [tool["name"] for tool in asked["tools"]] == ["book", "end_call"]
    assert asked["reasoning"] == {"effort": "low"}


def test_a_session_of_voice_live_takes_its_options() -> None:
    options = {
        "voiceType": "azure-custom", "voiceEndpoint": "e", "turnDetection": "server_vad",
        "transcription": "azure-speech", "extra": {"temperature": 0.6},
    }  # fmt: skip
    asked = session("azure-voice-live", voice="ours", options=options)
    assert asked["voice"] == {"type": "azure-custom", "name": "ours", "endpoint_id": "e"}
    assert asked["turn_detection"]["type"] == "server_vad"
    assert asked["input_audio_transcription"] == {"model": "azure-speech", "language": "de-CH"}
    assert asked["temperature"] == 0.6


def test_an_agent_takes_the_models_place() -> None:
    attempt, settings = given("azure-voice-live", model="", options={"agent": "desk", "project": "clinic"})
    speech_codecs.prove(attempt, settings)
    url, _ = speech_codecs.address(attempt, settings, TOKEN)
    assert url == f"{AT['azure-voice-live']}?api-version=2026-04-10&agent-name=desk&agent-project-name=clinic"


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("openai", {"options": {"giveWords": True}}, "openai: options has no 'giveWords'; it has extra, transcription"),
        ("openai", {"options": {"transcription": 7}}, "openai: options: .*`str`"),
        ("azure-openai", {"query": {"api-version": "2025-04-01-preview"}}, "attempt first: query: the v1 path"),
        ("azure-openai", {"base_url": "wss://x.openai.azure.com/openai/realtime"}, "attempt first: baseUrl: the dated"),
        ("azure-voice-live", {"options": {"voice_type": ["openai"]}}, "azure-voice-live: options: .*voice_type"),
        ("azure-voice-live", {"model": ""}, "attempt first: model, agent: exactly one"),
        ("azure-voice-live", {"options": {"agent": "desk"}}, "attempt first: model, agent: exactly one"),
        ("azure-voice-live", {"model": "", "options": {"agent": "desk"}}, "attempt first: project"),
    ],
)
def test_what_could_not_be_dialled_is_said_by_its_name(kind: str, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        speech_codecs.prove(*given(kind, **fields))
