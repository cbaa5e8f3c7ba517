"""Voice Live's dialect: a flat session, and the beta names. What it shares with GA is in test_openai_items."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.azure_voice_live import VoiceLiveCodec, VoiceLiveSession, link_url

BASE = "wss://clinic.services.ai.azure.com/voice-live/realtime"
AVA = "en-US-AvaNeural"
AGENT = {"model": "", "agent": "desk", "project": "clinic"}


def asked(**changes: Any) -> VoiceLiveSession:
    return VoiceLiveSession(**{"voice": AVA, "model": "gpt-4.1", "instructions": "Be kind.", **changes})


def codec(**changes: Any) -> VoiceLiveCodec:
    return VoiceLiveCodec(asked(**changes))


def configured(**changes: Any) -> dict[str, Any]:
    [message] = codec(**changes).opening()
    update = json.loads(message)
    assert update["type"] == "session.update"
    session: dict[str, Any] = update["session"]
    return session


def sent(effect: ev.ToProvider, **changes: Any) -> list[dict[str, Any]]:
    return [json.loads(message) for message in codec(**changes).encode(effect)]


def test_the_session_is_flat_and_speaks_ulaw_both_ways() -> None:
    book = {"name": "book", "description": "", "parameters": {}}
    session = configured(barge_in=False, silence_ms=700, tools=[book])
    assert [tool["name"] for tool in session.pop("tools")] == ["book", "end_call"]
    assert session == {
        "modalities": ["text", "audio"],
        "voice": {"type": "azure-standard", "name": "en-US-AvaNeural"},
        "instructions": "Be kind.",
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "turn_detection": {
            "type": "azure_semantic_vad", "create_response": True, "interrupt_response": False,
            "silence_duration_ms": 700,
        },
        "input_audio_transcription": {"model": "azure-speech", "language": "en"},
        "tool_choice": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "azure_semantic_vad"),
        ({"language": "en-GB"}, "azure_semantic_vad"),
        ({"language": "de"}, "azure_semantic_vad_multilingual"),
        ({"language": "zh-CN"}, "azure_semantic_vad_multilingual"),
        ({"language": "de", "turn_detection": "server_vad"}, "server_vad"),
    ],
)
def test_turns_are_told_apart_in_the_agents_language(changes: dict[str, str], kind: str) -> None:
    assert configured(**changes)["turn_detection"]["type"] == kind


def test_openais_own_turn_detection_is_not_told_how_long_a_silence_is() -> None:
    turns = configured(model="gpt-realtime", turn_detection="semantic_vad")["turn_detection"]
    assert turns == {"type": "semantic_vad", "create_response": True, "interrupt_response": True}


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({"model": "gpt-4.1"}, "azure-speech"),
        ({"model": "gpt-realtime"}, "gpt-4o-mini-transcribe"),
        ({"model": "gpt-realtime-mini"}, "gpt-4o-mini-transcribe"),
        (AGENT, "azure-speech"),
        ({"model": "gpt-realtime", "transcription": "whisper-1"}, "whisper-1"),
    ],
)
def test_the_caller_is_transcribed_by_what_the_model_allows(changes: dict[str, Any], model: str) -> None:
    assert configured(**changes)["input_audio_transcription"]["model"] == model


@pytest.mark.parametrize(
    ("language", "model", "told"),
    [
        ("de-CH", "gpt-4.1", "de-CH"),
        ("de-CH", "gpt-realtime", "de"),
    ],
)
def test_azures_recognition_is_told_the_region_of_a_language_and_openais_is_not(
    language: str, model: str, told: str
) -> None:
    assert configured(language=language, model=model)["input_audio_transcription"]["language"] == told


@pytest.mark.parametrize(
    ("changes", "voice"),
    [
        ({"voice": "marin"}, {"type": "openai", "name": "marin"}),
        ({"voice": "de-DE-Seraphina:DragonHDLatestNeural"},
         {"type": "azure-standard", "name": "de-DE-Seraphina:DragonHDLatestNeural"}),
        ({"voice": "ours", "voice_type": "azure-custom", "voice_endpoint": "12345678"},
         {"type": "azure-custom", "name": "ours", "endpoint_id": "12345678"}),
    ],
)  # fmt: skip
def test_a_voice_is_known_by_its_name_or_says_what_it_is(changes: dict[str, str], voice: dict[str, str]) -> None:
    assert configured(**changes)["voice"] == voice


def test_an_agent_brings_its_own_instructions_and_tools() -> None:
    assert not {"instructions", "tools", "tool_choice"} & set(configured(**AGENT))
    assert sent(ev.Respond("Go on."), **AGENT) == [{"type": "response.create", "response": {"instructions": "Go on."}}]


def test_more_of_the_session_may_be_asked_for_but_nothing_against_ours() -> None:
    session = configured(extra={"temperature": 0.6, "output_audio_format": "pcm16"})
    assert (session["temperature"], session["output_audio_format"]) == (0.6, "g711_ulaw")


def test_audio_goes_out_as_base64() -> None:
    assert json.loads(codec().append(b"\x00\xff")) == {"type": "input_audio_buffer.append", "audio": "AP8="}


def test_what_was_said_is_seeded_in_the_beta_words() -> None:
    [item] = sent(ev.SeedConversation((ev.SeedText("assistant", "はい"),)))
    assert item["item"]["content"] == [{"type": "text", "text": "はい"}]


def test_asking_to_speak_with_and_without_instructions() -> None:
    assert sent(ev.Respond()) == [{"type": "response.create"}]
    told = {"instructions": "Be kind.\n\nGo on."}
    assert sent(ev.Respond("Go on.")) == [{"type": "response.create", "response": told}]


def test_words_known_to_the_letter_are_given_to_the_voice_and_not_to_the_model() -> None:
    [wish] = sent(ev.Respond("Say exactly: Grüezi!", words="Grüezi!"))
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Grüezi!"}]}
    assert wish == {"type": "response.create", "response": {"pre_generated_assistant_message": message}}


def test_a_model_that_takes_no_words_is_told_what_to_say() -> None:
    [wish] = sent(ev.Respond("Say exactly: hi", words="hi"), given_words=False)
    assert wish == {"type": "response.create", "response": {"instructions": "Say exactly: hi"}}


def test_it_reads_the_beta_names_only() -> None:
    def read(kind: str) -> list[ev.Event]:
        return list(codec().decode(json.dumps({"type": kind, "item_id": "i", "delta": "YWJj"}).encode()))

    assert read("response.audio.delta") == [ev.ProviderAudio("i", b"abc")]
    assert read("response.audio_transcript.delta") == [ev.ProviderTranscript("i", "YWJj", final=False)]
    assert read("response.output_audio.delta") == []
    assert read("conversation.item.created") == []


def test_a_model_is_named_in_the_address() -> None:
    assert link_url(BASE, asked(), {}) == f"{BASE}?api-version=2026-04-10&model=gpt-4.1"
    newer = link_url(BASE, asked(), {"api-version": "2026-07-15", "tenant": "a b"})
    assert newer == f"{BASE}?api-version=2026-07-15&model=gpt-4.1&tenant=a+b"


def test_an_agent_is_named_in_the_address_with_its_project() -> None:
    url = link_url(BASE, asked(**AGENT), {})
    assert url == f"{BASE}?api-version=2026-04-10&agent-name=desk&agent-project-name=clinic"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": ""}, "model, agent"),
        ({"agent": "desk", "project": "clinic"}, "model, agent"),
        ({"model": "", "agent": "desk"}, "project"),
        ({"project": "clinic"}, "project"),
    ],
)
def test_a_session_is_with_a_model_or_with_an_agent_of_a_project(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: "):
        link_url(BASE, asked(**changes), {})
