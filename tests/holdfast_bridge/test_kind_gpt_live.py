"""The kind gpt-live: from what agent.json says to its session, its URL and its headers as dialled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from control_builders import built

from holdfast_bridge import speech_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.errors import SettingsError

OPENAI = "wss://api.openai.com/v1/live/sessions"
AZURE = "wss://r.openai.azure.com/openai/v1/live/sessions"


def attempt(**changes: Any) -> Attempt:
    given: dict[str, Any] = {
        "name": "live", "kind": "gpt-live", "model": "gpt-live-1", "base_url": OPENAI,
        "options": {"backendModel": "gpt-5.5"},
    }  # fmt: skip
    return Attempt(**(given | changes))


def session(**changes: Any) -> dict[str, Any]:
    [opening] = speech_codecs.codec_for(attempt(**changes), built()).opening()
    started: dict[str, Any] = json.loads(opening)["session"]
    return started


def test_a_session_is_made_of_the_attempt_and_of_the_agent() -> None:
    started = session(voice="cedar")
    assert started["model"] == "gpt-live-1"
    assert started["audio"]["output"] == {"voice": "cedar"}
    assert started["instructions"].startswith("Be kind.")
    assert started["delegation"]["responses"]["model"] == "gpt-5.5"


def test_without_a_voice_the_vendor_chooses_one() -> None:
    assert session()["audio"] == {"format": {"type": "audio/pcmu", "rate": 8000}}


@pytest.mark.parametrize(
    ("url", "secret", "headers"),
    [
        (OPENAI, "sk-1", {"Authorization": "Bearer sk-1"}),
        (AZURE, "abc", {"api-key": "abc"}),
        (AZURE, "a.b.c", {"Authorization": "Bearer a.b.c"}),
        ("wss://live.internal.example/openai/v1/live/sessions", "abc", {"api-key": "abc"}),
        ("wss://proxy.azure.com.example/v1/live/sessions", "sk-1", {"Authorization": "Bearer sk-1"}),
    ],
)
def test_azure_is_known_by_its_path_whatever_the_host(url: str, secret: str, headers: dict[str, str]) -> None:
    given = attempt(base_url=url, headers={"OpenAI-Service-Tier": "priority"})
    reached = speech_codecs.address(given, built(), secret)
    assert reached == (url, {"OpenAI-Service-Tier": "priority"} | headers)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {}}, "backend"),
        ({"options": {"backendModel": "b", "backendTemperature": 1}}, "backendTemperature"),
        ({"options": {"backendModel": 5}}, "gpt-live: options"),
        ({"model": ""}, "model"),
        ({"base_url": "wss://r.openai.azure.com/openai/live/sessions"}, "base_url: the path"),
        ({"query": {"model": "gpt-live-1"}}, "query"),
    ],
)
def test_what_is_wrong_is_said_before_a_call_needs_it(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        speech_codecs.prove(attempt(**changes), built())
