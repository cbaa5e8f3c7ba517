"""The kind gemini: from what agent.json says to its setup, its URL and its headers as dialled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from control_builders import built

from holdfast_bridge import speech_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.settings import Settings
from holdfast_bridge.vertex_tokens import on_vertex

DEVELOPER = "wss://generativelanguage.googleapis.com"
VERTEX = {"vertex": {"project": "clinic", "location": "europe-west4"}}


def attempt(**changes: Any) -> Attempt:
    given: dict[str, Any] = {"name": "g", "kind": "gemini", "model": "gemini-3.8-live", "base_url": DEVELOPER}
    return Attempt(**(given | changes))


def setup(settings: Settings | None = None, *, past: tuple[ev.Seed, ...] = (), **changes: Any) -> dict[str, Any]:
    [opening] = speech_codecs.codec_for(attempt(**changes), settings or built(), past).opening()
    asked: dict[str, Any] = json.loads(opening)["setup"]
    return asked


def test_a_session_is_made_of_the_attempt_and_of_the_agent() -> None:
    book = {"name": "book", "description": "Books.", "parameters": {"properties": {"day": {"type": "string"}}}}
    asked = setup(built(tools=[book], turns={"bargeIn": False, "silenceMs": 700}), voice="Kore")
    assert asked["model"] == "models/gemini-3.8-live"
    assert asked["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    assert asked["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"] == {"voiceName": "Kore"}
    assert asked["realtimeInputConfig"]["automaticActivityDetection"] == {"silenceDurationMs": 700}
    assert asked["realtimeInputConfig"]["activityHandling"] == "NO_INTERRUPTION"
    assert [tool["name"] for tool in asked["tools"][0]["functionDeclarations"]] == ["book", "end_call"]


def test_an_agent_without_a_voice_and_without_instructions_is_the_vendors_own() -> None:
    asked = setup(built(persona={}))
    assert "speechConfig" not in asked["generationConfig"]
    assert "systemInstruction" not in asked


def test_options_are_the_kinds_own_by_their_names() -> None:
    options = VERTEX | {
        "vadSignals": True,
        "toolBehavior": "BLOCKING",
        "generation": {"thinkingConfig": {"thinkingBudget": 0}},
    }
    asked = setup(options=options, past=(ev.SeedText("user", "my code is 7"),))
    assert asked["explicitVadSignal"] is True
    assert asked["tools"][0]["functionDeclarations"][0]["behavior"] == "BLOCKING"
    assert asked["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0}
    assert "historyConfig" not in asked
    assert "Caller: my code is 7" in asked["systemInstruction"]["parts"][1]["text"]
    told = setup(options=VERTEX | {"history": "config"})
    assert told["historyConfig"] == {"initialHistoryInClientContent": True}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vertx": {}}, "gemini: options has no 'vertx'; it has .*vertex"),
        ({"vertex": {"project": "clinic"}}, "gemini: options: .*location"),
        ({"asks": "politely"}, "gemini: options: .*politely.*asks"),
        ({"toolBehavior": "SOMETIMES"}, "gemini: options: .*SOMETIMES.*tool_behavior"),
        ({"muteDuringTools": "yes"}, "gemini: options: .*mute_during_tools"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        speech_codecs.prove(attempt(options=options), built())


def test_the_developer_api_is_dialled_with_a_key() -> None:
    given = attempt(headers={"x-tenant": "clinic"}, query={"alt": "json"})
    url, headers = speech_codecs.address(given, built(), "AIza")
    path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    assert url == f"{DEVELOPER}{path}?alt=json"
    assert headers == {"x-tenant": "clinic", "x-goog-api-key": "AIza"}
    assert not on_vertex(given)


def test_vertex_is_dialled_in_its_region_with_a_token() -> None:
    given = attempt(base_url="wss://europe-west4-aiplatform.googleapis.com", options=VERTEX | {"apiVersion": "v1beta1"})
    url, headers = speech_codecs.address(given, built(), "ya29")
    assert url == (
        "wss://europe-west4-aiplatform.googleapis.com"
        "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
    )
    assert headers == {"Authorization": "Bearer ya29"}
    assert on_vertex(given)
    assert not on_vertex(attempt(options={"vertex": None}))
