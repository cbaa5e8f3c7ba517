"""From outcomes to who is to blame."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import heart
from holdfast.core import providers, results
from holdfast.core.agents import AgentSpec, Attempt, KeyRef, Persona
from holdfast.core.means import ProviderRule, Tenant
from holdfast.core.providers import AttemptLine, Breaker, Failure, Rule
from holdfast.core.results import Outcome
from holdfast.core.values import AgentRef, Zone, ZoneRegion

LINE = AttemptLine("openai", "api/model", key="Secret a/b key c", own="VoiceAgent a/d attempt openai")


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (None, {LINE.provider: None, LINE.key: None, LINE.own: None}),
        (Failure.ERROR, {LINE.provider: Failure.ERROR}),
        (Failure.TIMEOUT, {LINE.provider: Failure.TIMEOUT}),
        (Failure.STALL, {LINE.provider: Failure.STALL}),
        (Failure.RATE_LIMITED, {LINE.key: Failure.RATE_LIMITED}),
        (Failure.AUTH, {LINE.key: Failure.AUTH, LINE.provider: None}),
        (Failure.QUOTA, {LINE.key: Failure.QUOTA, LINE.provider: None}),
        (Failure.CONFIG, {LINE.own: Failure.CONFIG, LINE.provider: None}),
    ],
)
def test_a_failure_is_told_to_what_it_lies_with(failure: Failure | None, told: dict[str, Failure | None]):
    assert dict(results.told(LINE, failure)) == told


OUTCOMES = st.lists(st.tuples(st.sampled_from([None, *Failure]), st.floats(0, 100)), max_size=30)


@given(OUTCOMES)
def test_no_trouble_of_ours_ever_makes_a_provider_ill(drawn: list[tuple[Failure | None, float]]):
    breakers: dict[str, Breaker] = {}
    now = 0.0
    for failure, wait_s in drawn:
        if failure is None or not failure.outage:
            now += wait_s
            breakers |= results.fold(breakers, LINE, Outcome(failure), now=now, rule=Rule())
    assert breakers.get(LINE.provider, Breaker()).closed


def test_a_policys_words_become_the_rule():
    rule = results.rule(ProviderRule(failures=4, window_s=9.0, on=("timeout", "no such word"), cooldown_s=3.0))
    assert rule == Rule(4, 9.0, frozenset({Failure.TIMEOUT}), 3.0)
    assert results.rule(ProviderRule()) == Rule()


def test_an_agents_list_has_the_hosts_that_its_namespace_was_granted():
    zone = Zone(
        name="eu", uid="z", generation=1, residency="eu", host="h", regions=(ZoneRegion("fra", 1),),
        tenants=(
            Tenant(("a",), hosts=("x.com",)),
            Tenant(("a", "b"), hosts=("y.com",)),
            Tenant(("c",), hosts=("z.com",)),
        ),
    )  # fmt: skip
    tried = (
        Attempt("one", "openai", model="m", base_url="wss://x.com:8443/v1", key=KeyRef("s", "k")),
        Attempt("two", "openai", model="m", base_url="wss://z.com/v1"),
    )
    found = results.attempts(AgentRef("a", "d"), AgentSpec("eu", Persona("", ""), tried), zone)
    assert found.hosts == {"x.com", "y.com"}
    assert [(line.provider, line.key) for line in found.lines] == [
        ("x.com:8443/m", "Secret a/s key k"), ("z.com/m", ""),
    ]  # fmt: skip
    assert providers.order(found, frozenset(), region="fra").names == ("one",)


ZONE = Zone(
    name="eu", uid="z", generation=1, residency="eu", host="h", regions=(ZoneRegion("fra", 1),),
    tenants=(Tenant(("a",), hosts=("hear.com", "think.com")),),
)  # fmt: skip
CASCADE = Attempt(
    "cascade", "cascade", weight=30, regions=frozenset({"fra"}), declares=frozenset({"hipaa"}),
    stages=(
        Attempt("cascade/hearing", "deepgram-flux", base_url="wss://hear.com", key=KeyRef("deepgram", "k")),
        Attempt("cascade/thinking", "anthropic", model="m", base_url="https://think.com/v1", key=KeyRef("claude", "k")),
        Attempt("cascade/speaking", "cartesia", voice="v", base_url="wss://speak.com"),
    ),
)  # fmt: skip


def cascade(attempt: Attempt = CASCADE) -> AttemptLine:
    spec = AgentSpec("eu", Persona("", ""), (attempt,), compliance=frozenset({"hipaa"}))
    found = results.attempts(AgentRef("a", "d"), spec, ZONE)
    assert found.compliance == {"hipaa"}
    return found.lines[0]


def test_each_stage_of_a_cascade_has_its_own_names_and_the_cascade_what_concerns_all():
    line = cascade()
    assert (line.name, line.weight, line.regions, line.declares) == ("cascade", 30, {"fra"}, {"hipaa"})
    assert line.breakers == ()
    assert [(part.name, part.provider, part.key, part.host) for part in line.parts] == [
        ("cascade/hearing", "hear.com/deepgram-flux", "Secret a/deepgram key k", "hear.com"),
        ("cascade/thinking", "think.com/m", "Secret a/claude key k", "think.com"),
        ("cascade/speaking", "speak.com/cartesia", "", "speak.com"),
    ]


def test_the_host_of_every_stage_has_to_be_granted():
    attempts = results.attempts(AgentRef("a", "d"), AgentSpec("eu", Persona("", ""), (CASCADE,)), ZONE)
    assert [reason.message for reason in providers.order(attempts, frozenset(), region="fra").reasons] == [
        "the policy does not grant speak.com, the host of cascade/speaking",
        "no attempt is permitted in fra, so no call is taken there",
    ]


@pytest.mark.parametrize(
    "mended",
    [
        {"model": "n"}, {"options": {"version": "1"}}, {"query": {"a": "b"}}, {"headers": {"a": "b"}},
        {"kind": "openai-chat"}, {"voice": "w"}, {"base_url": "https://think.com/v2"},
    ],
    ids=lambda mended: next(iter(mended)),
)  # fmt: skip
def test_what_was_wrong_with_a_configuration_is_history_once_it_is_mended(mended: dict[str, object]):
    hearing, thinking, speaking = CASCADE.stages
    after = cascade(replace(CASCADE, stages=(hearing, replace(thinking, **mended), speaking)))
    changed = [
        part.name
        for part, before in zip(after.parts, cascade().parts, strict=True)
        if part.own != before.own
    ]
    assert changed == ["cascade/thinking"]


def test_credentials_in_an_address_are_in_no_name():
    assert results.provider_name("wss://user:secret@x.com/v1", "m") == "x.com/m"


def test_a_name_is_never_longer_than_a_heartbeat_carries_and_two_models_keep_two():
    long = "wss://" + "x" * 120 + ".com/v1"
    one, two = results.provider_name(long, "one"), results.provider_name(long, "two")
    assert len(one) == len(two) == results.NAME_CHARS == heart.MAX_TARGET
    assert one != two
