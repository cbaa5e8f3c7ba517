"""The kinds deepgram-flux and deepgram-nova of a hearing stage: from what agent.json says to the URL as dialled."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from control_builders import built

from holdfast_bridge import stage_codecs
from holdfast_bridge.agent_config import Stage
from holdfast_bridge.cascade_provider import Address
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.providers import HearingCodec
from holdfast_bridge.providers.deepgram_flux import FluxHearing
from holdfast_bridge.providers.deepgram_nova import NovaHearing


def made(kind: str, *, language: str = "en", **fields: Any) -> tuple[HearingCodec, Address]:
    stage = Stage(kind=kind, base_url="wss://api.eu.deepgram.com", **fields)
    settings = built(persona={"language": language}, turns={"silenceMs": 700})
    return stage_codecs.HEARING[kind](stage, "dg-key", settings)


def asked(kind: str, **fields: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(made(kind, **fields)[1].url).query, strict_parsing=True)


def test_a_stage_is_dialled_with_its_key_and_the_headers_and_the_query_of_the_operator() -> None:
    codec, at = made("deepgram-flux", headers={"x-tenant": "clinic"}, query={"tag": "front-desk"})
    assert isinstance(codec, FluxHearing)
    assert at.url == (
        "wss://api.eu.deepgram.com/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000"
        "&eot_threshold=0.7&eot_timeout_ms=5000&tag=front-desk"
    )
    assert at.headers == {"x-tenant": "clinic", "Authorization": "Token dg-key"}
    assert "dg-key" not in repr(at)


@pytest.mark.parametrize(
    ("language", "model", "hints"),
    [
        ("en-GB", ["flux-general-en"], None),
        ("de", ["flux-general-multi"], ["de"]),
        ("ja-JP", ["flux-general-multi"], ["ja"]),
    ],
)
def test_flux_hears_the_language_of_the_persona(language: str, model: list[str], hints: list[str] | None) -> None:
    query = asked("deepgram-flux", language=language)
    assert query["model"] == model
    assert query.get("language_hint") == hints


def test_flux_takes_its_options() -> None:
    options = {"eagerThreshold": 0.4, "endThreshold": 0.8, "endTimeoutMs": 3000, "keyterms": ["Weiß"], "noStore": True}
    query = asked("deepgram-flux", options=options)
    assert query["eager_eot_threshold"] == ["0.4"]
    assert query["eot_threshold"] == ["0.8"]
    assert query["eot_timeout_ms"] == ["3000"]
    assert query["keyterm"] == ["Weiß"]
    assert query["mip_opt_out"] == ["true"]


def test_flux_may_expect_other_languages_than_the_personas() -> None:
    query = asked("deepgram-flux", language="de", options={"languageHints": ["de", "fr"]})
    assert query["language_hint"] == ["de", "fr"]


def test_nova_hears_the_language_of_the_persona_and_ends_turns_as_the_agent_wants() -> None:
    codec, at = made("deepgram-nova", language="ja")
    assert isinstance(codec, NovaHearing)
    assert at.url == (
        "wss://api.eu.deepgram.com/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&channels=1&language=ja"
        "&interim_results=true&endpointing=700&utterance_end_ms=1000&vad_events=true&punctuate=true"
    )
    assert at.headers == {"Authorization": "Token dg-key"}


def test_nova_takes_its_options() -> None:
    options = {"language": "multi", "silenceMs": 300, "utteranceEndMs": 2000, "keyterms": ["Weiß", "予約"]}
    query = asked("deepgram-nova", model="nova-3-medical", language="de", options=options)
    assert query["model"] == ["nova-3-medical"]
    assert query["language"] == ["multi"]
    assert query["endpointing"] == ["300"]
    assert query["utterance_end_ms"] == ["2000"]
    assert query["keyterm"] == ["Weiß", "予約"]


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("deepgram-flux", {"options": {"eagerEotThreshold": 0.4}}, "has no 'eagerEotThreshold'; it has eagerThr"),
        ("deepgram-flux", {"options": {"eagerThreshold": 0.8}}, "deepgram-flux: options: eagerThreshold must be"),
        ("deepgram-flux", {"options": {"eagerThreshold": "high"}}, "deepgram-flux: options: Expected `float | null`"),
        ("deepgram-flux", {"language": "sv"}, "Flux does not hear sv; it hears de, en"),
        ("deepgram-flux", {"language": "fil"}, "Flux does not hear fil"),
        ("deepgram-flux", {"language": "de", "model": "flux-general-en"}, "de needs flux-general-multi"),
        ("deepgram-nova", {"options": {"utteranceEndMs": 500}}, "utteranceEndMs must be from 1000 to 5000"),
        ("deepgram-nova", {"options": {"endpointing": 300}}, "options has no 'endpointing'"),
    ],
)
def test_a_stage_that_could_never_hear_is_refused_before_a_call_needs_it(
    kind: str, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        made(kind, **fields)
