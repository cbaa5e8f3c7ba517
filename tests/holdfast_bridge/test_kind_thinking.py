"""Language models as an agent's configuration names them: their options, and the requests that come of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_bridge import stage_codecs
from holdfast_bridge.agent_config import Stage
from holdfast_bridge.core import stages as st
from holdfast_bridge.errors import SettingsError

NAMES = {"tenant": "clinic", "agent": "front", "region": "eu", "call": "c1"}
THOUGHT = st.Thought(instructions="Be kind.", history=(), asked="Greet.", tools=(st.Tool("look", "", {}),))


def request(stage: Stage, key: str = "sk-1") -> st.Request:
    return stage_codecs.THINKING[stage.kind](stage, key, NAMES).request(THOUGHT, now=1_794_000_000.0)


def body(stage: Stage) -> dict[str, Any]:
    return json.loads(request(stage).body)


def test_chat_completions_take_every_option_by_its_name() -> None:
    chat = Stage(
        kind="openai-chat", model="m", base_url="https://gw.example/{region}/v1", query={"api-version": "2026-06-01"},
        headers={"X-Who": "{tenant}/{agent}/{call}"},
        options={
            "keyHeader": "api-key", "instructionsRole": "developer", "notesRole": "user", "tokensField": "max_tokens",
            "usage": False, "noStore": True, "extra": {"reasoning_effort": "none"},
        },
    )  # fmt: skip
    asked, fields = request(chat), body(chat)
    assert asked.url == "https://gw.example/eu/v1/chat/completions?api-version=2026-06-01"
    assert asked.headers["api-key"] == "sk-1"
    assert asked.headers["x-who"] == "clinic/front/c1"
    assert [message["role"] for message in fields["messages"]] == ["developer", "user"]
    assert (fields["max_tokens"], fields["store"], fields["reasoning_effort"]) == (400, False, "none")
    assert "stream_options" not in fields


def test_anthropic_is_reached_at_its_own_address_unless_another_is_given() -> None:
    plain = request(Stage(kind="anthropic", model="m"))
    assert plain.url == "https://api.anthropic.com/v1/messages"
    assert plain.headers["x-api-key"] == "sk-1"
    options = {"version": "2023-06-01", "extra": {"cache_control": {"type": "ephemeral"}, "inference_geo": "eu"}}
    gateway = Stage(kind="anthropic", model="m", base_url="https://gw.example/{tenant}", options=options)
    assert request(gateway).url == "https://gw.example/clinic/v1/messages"
    assert request(gateway).headers["anthropic-version"] == "2023-06-01"
    assert body(gateway)["inference_geo"] == "eu"


def test_bedrocks_key_is_two_words_or_three_and_its_region_an_option() -> None:
    options = {"region": "eu-central-1", "toolsApart": True, "cache": True}
    lasting = Stage(kind="bedrock", model="eu.m-v1:0", options=options)
    asked = request(lasting, "AKID secret\n")
    assert asked.url == "https://bedrock-runtime.eu-central-1.amazonaws.com/model/eu.m-v1:0/converse-stream"
    assert "Credential=AKID/20261106/eu-central-1/bedrock/aws4_request" in asked.headers["authorization"]
    assert "x-amz-security-token" not in asked.headers
    assert request(lasting, "AKID secret token/1==").headers["x-amz-security-token"] == "token/1=="
    assert body(lasting)["system"][-1] == {"cachePoint": {"type": "default"}}
    gateway = Stage(kind="bedrock", model="m", base_url="https://vpce-1.example/{tenant}", options=options)
    assert request(gateway).url == "https://vpce-1.example/clinic/model/m/converse-stream"


def test_a_key_that_is_not_there_yet_is_no_mistake_of_the_configuration() -> None:
    for stage in (
        Stage(kind="openai-chat", model="m", base_url="https://x"), Stage(kind="anthropic", model="m"),
        Stage(kind="bedrock", model="m", options={"region": "eu-central-1"}),
    ):  # fmt: skip
        assert request(stage, "").body


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Stage(kind="openai-chat", model="m", base_url="https://x", options={"notesRole": "tool"}), "notes_role"),
        (Stage(kind="anthropic", model="m", options={"topP": 1}), "'topP'; it has .*extra, .*version"),
        (Stage(kind="anthropic", model="m", options={"extra": [1]}), "extra"),
        (Stage(kind="bedrock", model="m"), "region"),
        (Stage(kind="bedrock", model="m", options={"region": "r", "toolsApart": "yes"}), "tools_apart"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(stage: Stage, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        request(stage, "")


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        (Stage(kind="openai-chat", model="m"), "sk-1"),
        (Stage(kind="openai-chat", model="m", base_url="api.example/v1"), "sk-1"),
        (Stage(kind="anthropic", model="m", headers={"x who": "a"}), "sk-1"),
        (Stage(kind="anthropic", model="m"), "sk\n-1"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_proved(stage: Stage, key: str) -> None:
    with pytest.raises(ValueError, match=r"is no address|cannot be sent"):
        request(stage, key)
