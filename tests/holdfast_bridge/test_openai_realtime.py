"""The GA dialect: how a session is set up and where it is dialled. What it shares is in test_openai_items."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.openai_realtime import OpenAIRealtimeCodec, RealtimeSession, link_url


def codec(**changes: Any) -> OpenAIRealtimeCodec:
    return OpenAIRealtimeCodec(RealtimeSession(**{"voice": "marin", "instructions": "Be kind.", **changes}))


def configured(**changes: Any) -> dict[str, Any]:
    [message] = codec(**changes).opening()
    update = json.loads(message)
    assert update["type"] == "session.update"
    session: dict[str, Any] = update["session"]
    return session


def sent(effect: ev.ToProvider) -> list[dict[str, Any]]:
    return [json.loads(message) for message in codec().encode(effect)]


def test_the_session_speaks_ulaw_both_ways_with_the_servers_turn_detection() -> None:
    book = {"name": "book", "description": "", "parameters": {}}
    session = configured(barge_in=False, silence_ms=700, tools=[book])
    assert [tool["name"] for tool in session.pop("tools")] == ["book", "end_call"]
    assert session == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en"},
                "turn_detection": {
                    "type": "server_vad", "silence_duration_ms": 700, "create_response": True,
                    "interrupt_response": False,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
        "tool_choice": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "transcription"),
    [
        ({"language": "de-CH"}, {"model": "gpt-4o-mini-transcribe", "language": "de"}),
        ({"language": "JA"}, {"model": "gpt-4o-mini-transcribe", "language": "ja"}),
        ({"language": ""}, {"model": "gpt-4o-mini-transcribe"}),
        ({"transcription": "ears"}, {"model": "ears", "language": "en"}),
    ],
)
def test_the_caller_is_written_down_in_a_language_without_its_region(
    changes: dict[str, str], transcription: dict[str, str]
) -> None:
    assert configured(**changes)["audio"]["input"]["transcription"] == transcription


def test_more_of_the_session_may_be_asked_for_but_nothing_against_ours() -> None:
    session = configured(extra={"reasoning": {"effort": "low"}, "type": "transcription", "audio": {}})
    assert session["reasoning"] == {"effort": "low"}
    assert session["type"] == "realtime"
    assert session["audio"]["output"]["voice"] == "marin"


def test_audio_goes_out_as_base64() -> None:
    assert json.loads(codec().append(b"\x00\xff")) == {"type": "input_audio_buffer.append", "audio": "AP8="}


def test_what_was_said_is_seeded_in_the_words_of_ga() -> None:
    [item] = sent(ev.SeedConversation((ev.SeedText("assistant", "yes"),)))
    assert item["item"]["content"] == [{"type": "output_text", "text": "yes"}]


def test_asking_to_speak_with_and_without_instructions() -> None:
    assert sent(ev.Respond()) == [{"type": "response.create"}]
    told = {"instructions": "Be kind.\n\nGo on."}
    assert sent(ev.Respond("Go on.")) == [{"type": "response.create", "response": told}]
    exactly = {"instructions": "Say exactly: hi"}
    assert sent(ev.Respond("Say exactly: hi", words="hi")) == [{"type": "response.create", "response": exactly}]


def test_it_reads_the_names_of_ga_only() -> None:
    def read(kind: str) -> list[ev.Event]:
        return list(codec().decode(json.dumps({"type": kind, "item_id": "i", "delta": "YWJj"}).encode()))

    assert read("response.output_audio.delta") == [ev.ProviderAudio("i", b"abc")]
    assert read("response.output_audio_transcript.delta") == [ev.ProviderTranscript("i", "YWJj", final=False)]
    assert read("response.audio.delta") == []


@pytest.mark.parametrize(
    ("base_url", "query", "asked"),
    [
        ("wss://gw.example.com/v1/realtime", {}, "?model=m"),
        ("wss://gw.example.com/v1/realtime", {"tenant": "a b"}, "?model=m&tenant=a+b"),
        ("wss://gw.example.com/v1/realtime?tenant=a", {"zone": "eu"}, "?tenant=a&model=m&zone=eu"),
        ("wss://gw.example.com/v1/realtime?tenant=", {"model": "n"}, "?tenant=&model=n"),
    ],
)
def test_a_gateways_query_is_kept_beside_the_model(base_url: str, query: dict[str, str], asked: str) -> None:
    assert link_url(base_url, {"model": "m"}, query) == f"wss://gw.example.com/v1/realtime{asked}"
