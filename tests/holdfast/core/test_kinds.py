"""What each kind takes, and how an agent is told what does not suit it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api import attempts
from holdfast.core import kinds
from holdfast.core.agents import Attempt
from holdfast.core.kinds import KINDS, Role

FLUX = Attempt("c/hearing", "deepgram-flux", base_url="wss://api.eu.deepgram.com")


def part(kind: str, *, model: str = "m", base_url: str = "wss://x.com/v1", **changes: Any) -> Attempt:
    return Attempt("a", kind, model=model, base_url=base_url, **changes)


def wrong(part: Attempt, language: str = "en") -> list[tuple[str, str]]:
    return list(kinds.wrong(part, language=language))


@pytest.mark.parametrize(
    ("model", "role"),
    [
        (attempts.Realtime, Role.REALTIME), (attempts.Hearing, Role.HEARING),
        (attempts.Thinking, Role.THINKING), (attempts.Speaking, Role.SPEAKING),
    ],
)  # fmt: skip
def test_the_kinds_that_may_be_written_are_those_of_the_table(model: Any, role: Role):
    assert set(get_args(model.model_fields["kind"].annotation)) == {
        name for name, kind in KINDS.items() if kind.role is role
    }


@pytest.mark.parametrize("kind", ["loopback", "cascade", "smoke-signals"])
def test_a_kind_that_is_not_in_the_table_has_nothing_to_be_held_against(kind: str):
    assert wrong(part(kind, model="", base_url="", options={"a": 1}, query={"b": "c"})) == []


# Models and addresses.


def test_a_model_is_named_where_its_kind_has_no_usual_one():
    assert wrong(part("openai", model="")) == [("model", "openai needs one")]
    assert wrong(part("anthropic", model="")) == [("model", "anthropic needs one")]
    assert [wrong(part(kind, model="")) for kind in ("deepgram-nova", "cartesia", "elevenlabs")] == [[], [], []]


@pytest.mark.parametrize(
    ("model", "agent", "fits"), [("m", False, True), ("", True, True), ("m", True, False), ("", False, False)]
)
def test_an_agent_of_voice_live_takes_the_models_place(model: str, agent: bool, fits: bool):
    options = {"agent": "desk", "project": "clinic"} if agent else {"agent": ""}
    found = wrong(part("azure-voice-live", model=model, options=options))
    assert found == ([] if fits else [("model", "azure-voice-live takes either a model or options.agent")])


LIVE = part("gpt-live", base_url="wss://api.openai.com/v1/live/sessions", options={"backendModel": "gpt-5"})


def test_the_path_of_a_live_session_is_its_own_and_it_takes_no_query():
    assert wrong(LIVE) == wrong(replace(LIVE, base_url="wss://x.openai.azure.com/openai/v1/live/sessions/")) == []
    assert wrong(replace(LIVE, base_url="wss://api.openai.com/v1/realtime", query={"a": "b"})) == [
        ("baseUrl", "the path of gpt-live ends in /v1/live/sessions"), ("query", "gpt-live takes none"),
    ]  # fmt: skip


def test_what_azure_would_refuse_as_a_wrong_key_is_told_before():
    azure = part("azure-openai", base_url="wss://x.openai.azure.com/openai/v1/realtime", query={"x": "y"})
    assert wrong(azure) == []
    assert wrong(replace(azure, base_url="wss://x.openai.azure.com/openai/realtime/")) == [
        ("baseUrl", "the path of azure-openai does not end in /openai/realtime any more")
    ]
    assert wrong(replace(azure, query={"API-Version": "2024-10-01", "x": "y"})) == [
        ("query.API-Version", "azure-openai takes no such parameter")
    ]


@pytest.mark.parametrize(("name", "value"), [("", "a"), ("X Y", "a"), ("X:", "a"), ("X", "a\r\nY: b"), ("X", "\0")])
def test_a_header_that_cannot_be_sent_is_named_without_its_value(name: str, value: str):
    headers = {"X-Tenant": "a\tb", "traceparent": "{call}", name: value}
    assert wrong(part("openai", headers=headers)) == [(f"headers.{name}", "its name or its value cannot be sent")]


# Options.


def test_an_option_that_is_not_known_is_named_and_its_value_is_not_repeated():
    assert wrong(part("bedrock", options={"secretAccessKey": "hush", "region": "eu-central-1"})) == [
        ("options.secretAccessKey", "bedrock has no such option; it has cache, extra, region, toolsApart")
    ]
    ((name, words),) = wrong(part("openai", options={"x" * 10_000: "hush"}))
    assert (name, words) == ("options." + "x" * 64, "openai has no such option; it has extra, transcription")


def test_an_option_that_a_kind_needs_is_asked_for():
    assert wrong(replace(LIVE, options={})) == [("options.backendModel", "gpt-live needs it")]
    assert wrong(part("bedrock")) == [("options.region", "bedrock needs it")]


def test_an_agents_project_is_given_with_it_and_only_then():
    words = "agent and project are given together"
    assert wrong(part("azure-voice-live", options={"project": "p"})) == [("options.project", words)]
    assert wrong(part("azure-voice-live", model="", options={"agent": "a"})) == [("options.agent", words)]


def test_options_are_bounded_and_too_long_ones_are_not_looked_at():
    frame = len('{"extra": {"a": ""}}')
    for size, found in ((16_384, []), (16_385, [("options", "16385 bytes, at most 16384 are allowed")])):
        assert wrong(part("anthropic", options={"extra": {"a": "x" * (size - frame)}})) == found
    assert len(wrong(part("anthropic", options={"none": "x" * 20_000}))) == 1


@pytest.mark.parametrize(
    ("kind", "option", "good", "bad", "words"),
    [
        ("anthropic", "version", ["", "2026-10-21"], [1, True, None, [], {}], "a string"),
        ("bedrock", "toolsApart", [True, False], ["true", 1, 0, None], "true or false"),
        ("openai-chat", "extra", [{}, {"a": [1]}], ["", [], 1, None], "an object"),
        ("elevenlabs", "speed", [1, 0.5, -1], ["1", True, None, []], "a number"),
        ("gpt-live", "backendModel", ["gpt-5"], ["", 5, None], "a string that is not empty"),
        ("openai-chat", "keyHeader", ["api-key"], ["", "api key", "x:", 1], "the name of a header"),
        ("gemini", "toolBehavior", ["", "BLOCKING"], ["blocking", None], "one of (nothing), BLOCKING, NON_BLOCKING"),
        ("deepgram-nova", "keyterms", [[], ["a"] * 101], ["a", [1], {"a": "b"}, None], "a list of strings"),
        ("deepgram-flux", "keyterms", [[], ["a"] * 100], [["a"] * 101, "a"], "a list of at most 100 strings"),
        ("deepgram-flux", "endThreshold", [0.5, 1, 0.7], [0.49, 1.01, True, "1"], "a number from 0.5 to 1"),
        ("deepgram-flux", "endTimeoutMs", [500, 60_000], [499, 60_001, 500.0], "a whole number from 500 to 60000"),
        ("openai-chat", "notesRole", ["user", "system"], ["assistant", 1, [], {}], "one of system, developer, user"),
        (
            "gemini", "vertex", [{"project": "p", "location": "l"}],
            [{"project": "p"}, {"project": "p", "location": 1}, {"project": "p", "location": "l", "key": "k"}, "p"],
            "an object with project, location, and maybe audience, of a workload identity provider",
        ),
    ],
)  # fmt: skip
def test_an_option_has_the_type_that_its_kind_says(kind: str, option: str, good: list[Any], bad: list[Any], words: str):
    of = KINDS[kind]
    whole = part(kind, base_url=f"wss://x.com{of.path_ends}", options=dict.fromkeys(of.needs, "x"))
    for value in good:
        assert wrong(replace(whole, options={**whole.options, option: value})) == [], value
    for value in bad:
        found = wrong(replace(whole, options={**whole.options, option: value}))
        assert found == [(f"options.{option}", f"it must be {words}")], value


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"eagerThreshold": 0.7}, True), ({"eagerThreshold": 0.71}, False), ({"eagerThreshold": 0.29}, False),
        ({"eagerThreshold": 0.9, "endThreshold": 0.9}, True), ({"eagerThreshold": 0.91, "endThreshold": 1.0}, False),
        ({"eagerThreshold": 0.8, "endThreshold": 0.79}, False), ({"eagerThreshold": "0.5"}, False),
    ],
)  # fmt: skip
def test_a_turn_is_not_likely_over_later_than_it_is_over(options: dict[str, Any], fits: bool):
    words = "it must be a number from 0.3 to 0.9, and not above endThreshold"
    assert wrong(replace(FLUX, options=options)) == ([] if fits else [("options.eagerThreshold", words)])


def test_of_two_wrong_thresholds_each_is_blamed_for_itself():
    found = wrong(replace(FLUX, options={"eagerThreshold": 0.8, "endThreshold": "high"}))
    assert [field for field, _ in found] == ["options.endThreshold"]


# Languages.


@pytest.mark.parametrize(
    ("model", "language", "hints", "found"),
    [
        ("", "en-GB", None, None),
        ("", "de", None, None),
        ("flux-general-multi", "PT-br", None, None),
        ("", "pl", None, "deepgram-flux hears de, en, es, fr, hi, it, ja, nl, pt, ru, and not pl"),
        ("flux-general-en", "de-AT", None, "flux-general-en hears en only, and not de"),
        ("flux-general-en", "de", ["en", "de"], None),
        ("flux-general-en", "en", ["fr", "de"], "flux-general-en hears en only, and not de, fr"),
        ("", "en", ["de"], "its usual model hears en only, and not de"),
        ("", "de", ["fr"], None),
        ("", "pl", ["fr"], None),
        ("", "pl", [], None),
        ("flux-general-en", "en", [], None),
        ("", "de", ["fr", "sv", "pl"], "deepgram-flux hears de, en, es, fr, hi, it, ja, nl, pt, ru, and not pl, sv"),
    ],
)
def test_what_is_spoken_is_heard(model: str, language: str, hints: list[str] | None, found: str | None):
    """Hints stand for the agent's own language where they are given."""
    options = {} if hints is None else {"languageHints": hints}
    where = "kind" if hints is None else "options.languageHints"
    assert wrong(replace(FLUX, model=model, options=options), language) == ([(where, found)] if found else [])


def test_hints_that_are_none_are_told_for_what_they_are():
    found = wrong(replace(FLUX, options={"languageHints": "de"}))
    assert found == [("options.languageHints", "it must be a list of strings")]


def test_whoever_keeps_no_list_hears_every_language():
    assert wrong(part("deepgram-nova"), "pl") == wrong(part("openai"), "tlh") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from(sorted({name for kind in KINDS.values() for name in kind.options}))


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(KNOWN | st.text(max_size=8), JSON, max_size=5))
def test_whatever_is_written_is_told_in_words_and_breaks_nothing(kind: str, options: dict[str, Any]):
    for field, words in wrong(part(kind, options=options)):
        assert field
        assert words
