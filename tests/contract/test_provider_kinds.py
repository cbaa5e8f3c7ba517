"""What the operator says of each kind of provider is what a bridge takes: they share no code, so they meet here.

The bridge's own word is what it would say of an agent when a pod starts: a configuration that it cannot mean stops it.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_parts import told, written

from holdfast.core import kinds
from holdfast.core.agents import Attempt as Written
from holdfast.core.kinds import KINDS, Role
from holdfast_bridge import providing, speech_codecs, stage_codecs
from holdfast_bridge.errors import SettingsError

STAGES = {
    Role.HEARING: stage_codecs.HEARING, Role.THINKING: stage_codecs.THINKING, Role.SPEAKING: stage_codecs.SPEAKING,
}  # fmt: skip
OVERRIDES = {"deepgram-flux": {"languageHints"}, "deepgram-nova": {"language"}}
"""Options for what the codec takes from the agent's language otherwise: for callers who speak one of several."""


def refused(part: Written, language: str = "en") -> str:
    try:
        providing.fit(told(part, language))
    except SettingsError as error:
        return str(error)
    return ""


def operators_word(part: Written, language: str = "en") -> str:
    return "; ".join(f"{field}: {words}" for field, words in kinds.wrong(part, language=language))


def agree(part: Written, language: str = "en") -> None:
    ours, theirs = operators_word(part, language), refused(part, language)
    assert bool(ours) is bool(theirs), f"operator: {ours or 'well'}; bridge: {theirs or 'well'}"


def test_the_kinds_are_the_same():
    assert {name for name, kind in KINDS.items() if kind.role is Role.REALTIME} == speech_codecs.KINDS.keys() - {
        "loopback"
    }
    for role, known in STAGES.items():
        assert {name for name, kind in KINDS.items() if kind.role is role} == known.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_with_nothing_wrong_is_taken(kind: str):
    assert (operators_word(written(kind)), refused(written(kind))) == ("", "")


def left_to_options(kind: str) -> set[str]:
    """What the bridge fills from nothing else: it lists them when it is asked for an option that there is not."""
    part = written(kind, query={"a": "b"}, headers={"c": "d"}, options={"noSuchOption": 1})
    with pytest.raises(SettingsError, match="options has no 'noSuchOption'; it has ") as met:
        providing.fit(told(part))
    listed = str(met.value).rpartition("it has ")[2]
    return set() if listed == "none" else set(listed.split(", "))


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_are_what_the_bridge_fills_from_nothing_else(kind: str):
    assert KINDS[kind].options.keys() - OVERRIDES.get(kind, set()) == left_to_options(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_that_are_needed_are_needed(kind: str):
    for option in KINDS[kind].needs:
        others = dict.fromkeys(KINDS[kind].needs - {option}, "x")
        assert refused(written(kind, options=others))
        assert operators_word(written(kind, options=others)) == f"options.{option}: {kind} needs it"


SAMPLES: tuple[Any, ...] = (
    "", "de", "system", "developer", "user", "max_tokens", "max_completion_tokens", "config", "packed", "content",
    "realtime-text", True, False, -1, 0, 1, 2, 300, 499, 500, 999, 1_000, 5_000, 5_001, 60_000, 60_001, 0.29, 0.3, 0.49,
    0.5, 0.59, 0.6, 0.7, 0.71, 0.9, 1.01, 1.5, 1.51, 2.01, "BLOCKING", "x-key", "x key",
    [], ["de"], ["de"] * 100, ["de"] * 101, [1], [120, 160], [0.5], [True], {}, {"a": 1},
    {"project": "p", "location": "l"}, {"project": "p"}, {"project": 1, "location": "l"},
    {"project": "p", "location": "l", "audience": 1},
    {"project": "p", "location": "l",
     "audience": "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/p/providers/q"},
)  # fmt: skip


OPTIONS = [(kind, option) for kind, of in KINDS.items() for option in sorted(of.options)]


@pytest.mark.parametrize(("kind", "option"), OPTIONS)
def test_a_value_of_an_option_that_one_takes_the_other_takes(kind: str, option: str):
    """A pod must not stop at what the operator let pass, and nobody be refused what would have worked."""
    needed = written(kind).options
    for value in SAMPLES:
        agree(written(kind, options={**needed, option: value}))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_options_that_the_operator_lets_pass_stop_a_pod(data: st.DataObject):
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    fitting = {
        name: [value for value in SAMPLES if of.fits(value, {})] for name, of in KINDS[kind].options.items()
    }
    drawn = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in fitting.items()})
    part = written(kind, options={**written(kind).options, **data.draw(drawn)})
    assert operators_word(part) or not refused(part)


@pytest.mark.parametrize("end", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("eager", [0.5, 0.51, 0.8, 0.81, 0.9])
def test_thresholds_are_compared_alike(eager: float, end: float):
    agree(written("deepgram-flux", options={"eagerThreshold": eager, "endThreshold": end}))


@pytest.mark.parametrize("model", ["", "flux-general-en", "flux-general-multi"])
@pytest.mark.parametrize("language", ["en-GB", "de", "pt-BR", "pl", "zh"])
@pytest.mark.parametrize("hints", [None, [], ["en"], ["de", "fr"], ["de", "pl"], ["EN-us", "de"]])
def test_both_know_what_is_heard(model: str, language: str, hints: list[str] | None):
    given = {} if hints is None else {"languageHints": hints}
    agree(written("deepgram-flux", model=model, options=given), language)


@pytest.mark.parametrize("kind", ["azure-openai", "gpt-live", "openai", "azure-voice-live", "gemini"])
@pytest.mark.parametrize(
    "path",
    ["", "/v1/realtime", "/openai/realtime", "/openai/realtime/", "/openai/v1/realtime", "/v1/live/sessions",
     "/openai/v1/live/sessions"],
)  # fmt: skip
@pytest.mark.parametrize("query", [{}, {"a": "b"}, {"api-version": "1"}, {"API-Version": "1"}, {"model": "n"}])
def test_both_know_which_addresses_a_kind_has(kind: str, path: str, query: dict[str, str]):
    agree(written(kind, base_url=f"wss://x.com{path}", query=query))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "value"), [("X-Tenant", "a"), ("", "a"), ("X Y", "a"), ("X", "a\nY: b"), ("X", "\0")])
def test_a_header_that_stops_a_pod_is_told_before(kind: str, name: str, value: str):
    part = written(kind, headers={name: value})
    assert operators_word(part) or not refused(part)


@pytest.mark.parametrize("given", [{}, {"agent": ""}, {"agent": "a"}, {"project": "p"}, {"agent": "a", "project": "p"}])
@pytest.mark.parametrize("model", ["", "gpt-realtime"])
def test_both_know_that_an_agent_takes_the_models_place(model: str, given: dict[str, str]):
    agree(written("azure-voice-live", model=model, options=given))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_the_operator_lets_be_left_out_may_be(kind: str):
    without = written(kind, model="")
    assert operators_word(without) or not refused(without)
