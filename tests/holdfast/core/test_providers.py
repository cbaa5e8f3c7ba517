"""One breaker for each provider, and one order of attempts for each agent and region."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import providers, reasons
from holdfast.core.providers import AttemptLine, Attempts, Breaker, Failure, Rule, State
from holdfast.core.values import AgentRef, Verdict

RULE = Rule(failures=2, window_s=30.0, cooldown_s=60.0)
ERROR, RATE_LIMITED, AUTH = Failure.ERROR, Failure.RATE_LIMITED, Failure.AUTH
OURS = (Failure.AUTH, Failure.QUOTA, Failure.CONFIG)
OUTAGES = (Failure.ERROR, Failure.TIMEOUT, Failure.STALL)


def after(*outcomes: tuple[float, Failure | None], start: Breaker | None = None, rule: Rule = RULE) -> Breaker:
    breaker = start or Breaker()
    for now, failure in outcomes:
        breaker = providers.observe(breaker, failure, now=now, rule=rule)
    return breaker


def opened(*, again: int = 0) -> Breaker:
    """Opened at 10.0, and as often again as its trial failed."""
    breaker = after((0.0, ERROR), (10.0, ERROR))
    for _ in range(again):
        breaker = after((breaker.until, ERROR), start=breaker)
    return breaker


def test_closed_until_enough_failures_lie_in_the_window():
    assert providers.state(after((0.0, ERROR)), 1.0) is State.CLOSED
    assert providers.state(after((0.0, ERROR), (30.0, ERROR)), 31.0) is State.CLOSED
    assert providers.state(after((0.0, ERROR), (29.9, ERROR)), 31.0) is State.OPEN


def test_a_success_in_between_does_not_hide_failures():
    """Half of all calls failing is an outage for half of all callers."""
    assert providers.state(after((0.0, ERROR), (1.0, None), (2.0, ERROR)), 3.0) is State.OPEN


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (500, ERROR), (529, ERROR), (1011, ERROR), (429, RATE_LIMITED), (401, AUTH), (1008, AUTH), (402, Failure.QUOTA),
        (404, Failure.CONFIG), (200, None), (400, None), (422, None), (499, None), (600, None), (1000, None),
    ],
)
def test_what_a_code_says_of_the_provider(code: int, failure: Failure | None):
    """A planned end and a request refused for its content are no failures of the provider."""
    assert providers.failure_of(code) is failure


def test_an_account_without_credit_is_told_from_a_rate_limit():
    assert providers.failure_of(429, out_of_credit=True) is Failure.QUOTA


@pytest.mark.parametrize("failure", OUTAGES)
def test_an_outage_is_told_to_the_zone_until_a_trial_went_well(failure: Failure):
    breaker = after((0.0, failure), (10.0, failure))
    assert (breaker.verdict, breaker.closed) == (Verdict.DOWN, False)
    assert after((70.0, None), start=breaker).verdict is Verdict.UP


def test_failures_that_the_policy_does_not_name_do_not_count():
    rule = Rule(on=frozenset({Failure.TIMEOUT}))
    assert after((0.0, ERROR), (1.0, ERROR), rule=rule) == Breaker()


def test_open_lets_nobody_through_and_then_exactly_one():
    breaker = opened()
    assert [providers.may_try(breaker, now) for now in (10.0, 69.9, 70.0)] == [False, False, True]
    trial = providers.tried(breaker, 70.0)
    assert not providers.may_try(trial, 71.0)
    assert providers.state(trial, 71.0) is State.HALF_OPEN


def test_a_trial_without_an_answer_is_taken_for_lost():
    trial = providers.tried(opened(), 70.0)
    assert [providers.may_try(trial, now) for now in (99.9, 100.0)] == [False, True]


def test_only_a_trial_is_recorded():
    assert providers.tried(Breaker(), 5.0) == Breaker()
    assert providers.tried(opened(), 20.0) == opened()
    assert providers.may_try(Breaker(), 5.0)


def test_a_success_that_comes_late_does_not_close_what_is_open():
    assert after((20.0, None), start=opened()) == opened()


def test_a_trial_that_fails_opens_again_for_twice_as_long_up_to_a_bound():
    waits = [breaker.until - breaker.opened_at for breaker in (opened(again=again) for again in range(5))]
    assert waits == [60.0, 120.0, 240.0, 480.0, 600.0]
    assert opened(again=2_000).until - opened(again=2_000).opened_at == 600.0


def test_a_provider_that_falls_again_soon_is_kept_out_longer_and_forgiven_after_a_calm():
    closed = after((70.0, None), start=opened())
    soon = after((100.0, ERROR), (101.0, ERROR), start=closed)
    late = after((669.0, ERROR), (670.0, ERROR), start=closed)
    assert (soon.trips, soon.until) == (2, 221.0)
    assert (late.trips, late.until) == (1, 730.0)


def test_a_provider_that_flaps_for_an_hour_is_switched_to_at_most_once_a_cooldown():
    """Twenty seconds up, twenty down, a call each second."""
    breaker, moves = Breaker(), []
    for second in range(3_600):
        if not providers.may_try(breaker, second):
            continue
        outcome = ERROR if second // 20 % 2 else None
        before, breaker = breaker, providers.observe(breaker, outcome, now=second, rule=RULE)
        moves += [second] if breaker.until != before.until else []
    assert all(later - earlier >= RULE.cooldown_s for earlier, later in pairwise(moves))
    assert len(moves) <= 10


@pytest.mark.parametrize("failure", OURS)
def test_what_is_our_own_opens_at_once_and_is_no_outage(failure: Failure):
    """A revoked key, a spent account, a removed model: the next call would end the same, here as elsewhere."""
    breaker = after((10.0, failure), rule=Rule(on=frozenset()))
    assert providers.state(breaker, 11.0) is State.OPEN
    assert breaker.until == 310.0
    assert breaker.verdict is Verdict.UNKNOWN
    assert failure.ours
    assert not failure.outage


def test_being_asked_to_wait_is_no_outage():
    breaker = after((0.0, RATE_LIMITED), (1.0, RATE_LIMITED))
    assert (breaker.until, breaker.verdict) == (61.0, Verdict.UNKNOWN)


def test_a_retry_after_is_kept_to():
    asked = providers.observe(Breaker(), RATE_LIMITED, now=10.0, rule=RULE, retry_after_s=20.0)
    assert (providers.may_try(asked, 29.9), providers.may_try(asked, 30.0)) == (False, True)
    again = providers.observe(asked, RATE_LIMITED, now=30.0, rule=RULE, retry_after_s=900.0)
    assert again.until == 930.0


@pytest.mark.parametrize(("asked_s", "until"), [(-5.0, 0.0), (1e9, 3_610.0)])
def test_a_retry_after_that_makes_no_sense_is_bounded(asked_s: float, until: float):
    assert providers.observe(Breaker(), RATE_LIMITED, now=10.0, rule=RULE, retry_after_s=asked_s).until == until


def test_only_a_rate_limit_carries_a_retry_after():
    assert providers.observe(Breaker(), ERROR, now=10.0, rule=RULE, retry_after_s=20.0).closed


def test_a_graver_failure_does_not_wait_for_a_milder_ones_cooldown():
    asked = providers.observe(Breaker(), RATE_LIMITED, now=0.0, rule=RULE, retry_after_s=600.0)
    one = after((10.0, ERROR), start=asked)
    assert one.failure is RATE_LIMITED
    outage = after((11.0, ERROR), start=one)
    assert (outage.failure, outage.until, outage.trips) == (ERROR, 71.0, 1)
    assert after((12.0, AUTH), start=outage).until == 312.0


def test_a_milder_failure_changes_nothing_about_a_graver_one():
    revoked = after((0.0, AUTH))
    assert after((1.0, ERROR), (2.0, ERROR), (3.0, RATE_LIMITED), (4.0, AUTH), start=revoked) == revoked


def test_each_kind_of_failure_has_its_own_growth():
    limited = after((0.0, RATE_LIMITED), (1.0, RATE_LIMITED), (61.0, RATE_LIMITED))
    assert limited.trips == 2
    assert after((181.0, ERROR), start=limited).until == 241.0


@given(st.lists(st.tuples(st.floats(0.1, 100.0), st.sampled_from([None, *Failure])), max_size=60))
def test_a_breaker_is_never_open_for_longer_than_its_bound_and_always_let_a_trial_through(steps):
    breaker, now = Breaker(), 0.0
    for passed_s, failure in steps:
        now += passed_s
        before = breaker
        breaker = providers.observe(before, failure, now=now, rule=RULE)
        assert breaker.until <= now + providers.COOLDOWN_MAX_S
        assert not (before.closed and not breaker.closed and failure is None)
        assert providers.may_try(breaker, max(breaker.until, now) + providers.TRIAL_S)


def test_ill_are_those_that_have_not_closed_since():
    breakers = {"a": Breaker(), "b": opened(), "c": after((70.0, None), start=opened())}
    assert providers.ill(breakers) == {"b"}


# The order of attempts.


def line(name: str, provider: str = "", **changes: object) -> AttemptLine:
    return AttemptLine(name, provider or name, key=f"key-{name}", **changes)  # type: ignore[arg-type]


THREE = Attempts((line("openai"), line("azure"), line("cascade")))


def names(attempts: Attempts, *sick: str, region: str = "fra") -> tuple[str, ...]:
    return providers.order(attempts, frozenset(sick), region=region).names


def codes(attempts: Attempts, *sick: str, region: str = "fra") -> list[str]:
    return [reason.code for reason in providers.order(attempts, frozenset(sick), region=region).reasons]


def test_the_specs_order_while_all_are_well():
    assert providers.order(THREE, frozenset(), region="fra") == providers.Order(("openai", "azure", "cascade"))


def test_the_ill_come_last_as_the_spec_has_them():
    assert names(THREE, "openai") == ("azure", "cascade", "openai")
    assert names(THREE, "azure", "openai") == ("cascade", "openai", "azure")
    assert codes(THREE, "azure", "openai") == [reasons.ATTEMPT_ILL, reasons.ATTEMPT_ILL]


def test_a_key_of_our_own_sets_back_only_who_uses_it():
    other = Attempts((AttemptLine("openai", "openai", key="other"), line("azure")))
    assert names(THREE, "key-openai") == ("azure", "cascade", "openai")
    assert names(other, "key-openai") == ("openai", "azure")


def test_when_all_are_ill_they_stand_as_in_the_spec():
    """The fault is as likely ours, and an attempt that may fail is better than none."""
    assert names(THREE, "openai", "azure", "cascade") == ("openai", "azure", "cascade")
    assert codes(THREE, "openai", "azure", "cascade") == [reasons.ALL_ATTEMPTS_ILL]


def test_an_attempt_is_not_made_in_a_region_it_is_not_meant_for():
    attempts = Attempts((line("openai", regions=frozenset({"ams"})), line("azure")))
    assert (names(attempts, region="fra"), names(attempts, region="ams")) == (("azure",), ("openai", "azure"))
    assert codes(attempts) == [reasons.ATTEMPT_NOT_HERE]


def test_an_attempt_is_not_made_without_the_compliance_that_is_asked_for():
    lines = (line("openai", declares=frozenset({"hipaa", "soc2"})), line("azure", declares=frozenset({"soc2"})))
    attempts = Attempts(lines, compliance=frozenset({"hipaa"}))
    assert (names(attempts), codes(attempts)) == (("openai",), [reasons.ATTEMPT_NOT_COMPLIANT])


def test_an_attempt_is_not_made_at_a_host_that_the_policy_does_not_grant():
    lines = (line("openai", host="api.openai.com"), line("azure", host="eu.azure.com"))
    attempts = Attempts(lines, hosts=frozenset({"eu.azure.com"}))
    assert (names(attempts), codes(attempts)) == (("azure",), [reasons.HOST_NOT_GRANTED])


def test_illness_of_all_that_is_permitted_brings_back_nothing_that_is_not():
    attempts = Attempts((line("openai", regions=frozenset({"iad"})), line("azure")))
    assert names(attempts, "azure") == ("azure",)


def test_nothing_permitted_is_no_order_at_all():
    attempts = Attempts((line("openai"),), compliance=frozenset({"hipaa"}))
    assert names(attempts) == ()
    assert codes(attempts) == [reasons.ATTEMPT_NOT_COMPLIANT, reasons.NO_ATTEMPT]


WEIGHTED = Attempts((line("a", weight=20), line("b", weight=80), line("spare"), line("c", weight=0)))


def test_weights_order_by_weight_and_then_as_the_spec_has_them():
    assert names(WEIGHTED) == ("b", "a", "spare", "c")
    assert names(WEIGHTED, "b") == ("a", "spare", "c", "b")


def test_the_ill_are_named_so_that_no_caller_is_drawn_for_one():
    """The order alone does not tell: of two with a weight the lighter one is last when both are well, too."""
    assert providers.order(WEIGHTED, frozenset(), region="fra").ill == ()
    assert providers.order(WEIGHTED, frozenset({"a"}), region="fra").ill == ("a",)
    assert providers.order(WEIGHTED, frozenset({"key-b", "a"}), region="fra").ill == ("a", "b")


STAGES = tuple(line(f"cascade/{role}", role, host=f"{role}.com") for role in ("hearing", "thinking", "speaking"))
CASCADE = AttemptLine("cascade", stages=STAGES)
TWO = Attempts((CASCADE, line("openai", host="openai.com")))


def messages(attempts: Attempts, *sick: str) -> list[str]:
    return [reason.message for reason in providers.order(attempts, frozenset(sick), region="fra").reasons]


@pytest.mark.parametrize("sick", ["hearing", "thinking", "speaking", "key-cascade/thinking"])
def test_a_cascade_is_ill_when_any_of_its_stages_is(sick: str):
    assert names(TWO, sick) == ("openai", "cascade")
    assert codes(TWO, sick) == [reasons.ATTEMPT_ILL]


def test_the_reason_says_which_stages_are_ill():
    assert messages(TWO, "thinking") == ["cascade/thinking is ill in fra, so cascade is tried last"]
    assert messages(TWO, "thinking", "speaking") == [
        "cascade/thinking, cascade/speaking are ill in fra, so cascade is tried last"
    ]
    assert messages(TWO, "openai") == ["openai is ill in fra and tried last"]


def test_a_cascade_needs_the_grant_of_every_host():
    granted = frozenset({"hearing.com", "thinking.com", "speaking.com", "openai.com"})
    assert names(Attempts(TWO.lines, hosts=granted)) == ("cascade", "openai")
    ungranted = Attempts(TWO.lines, hosts=granted - {"speaking.com"})
    assert names(ungranted) == ("openai",)
    assert messages(ungranted) == ["the policy does not grant speaking.com, the host of cascade/speaking"]


def test_what_pods_count_are_the_parts():
    assert [part.name for part in TWO.parts] == ["cascade/hearing", "cascade/thinking", "cascade/speaking", "openai"]
    assert [part.name for part in CASCADE.ailing(frozenset({"speaking", "openai"}))] == ["cascade/speaking"]


def test_an_order_is_turned_by_illness_and_not_by_weights_or_by_what_is_not_permitted():
    weighted = Attempts((line("a", weight=20), line("b", weight=80), line("c", regions=frozenset({"ams"}))))
    turned = {sick: providers.order(weighted, frozenset({sick}), region="fra").turned for sick in ("z", "a", "b", "c")}
    assert turned == {"z": False, "a": False, "b": True, "c": False}
    assert providers.order(Attempts(weighted.lines[2:]), frozenset(), region="fra").turned, "there is nothing to try"


NAMES = ("p", "q", "r", "s")
LINES = st.lists(
    st.builds(
        AttemptLine,
        name=st.text("abcdef", min_size=1, max_size=4),
        provider=st.sampled_from(NAMES),
        key=st.sampled_from(("k", "l", "")),
        host=st.sampled_from(("in", "out")),
        weight=st.integers(0, 3),
        regions=st.frozensets(st.sampled_from(("fra", "ams"))),
        declares=st.frozensets(st.sampled_from(("hipaa", "soc2"))),
        stages=st.lists(st.sampled_from(NAMES), max_size=2).map(
            lambda drawn: tuple(AttemptLine(f"stage {name}", name, host="in") for name in drawn)
        ),
    ),
    max_size=6,
    unique_by=lambda entry: entry.name,
).map(tuple)
AGENTS = st.builds(
    Attempts,
    lines=LINES,
    compliance=st.frozensets(st.sampled_from(("hipaa", "soc2"))),
    hosts=st.none() | st.just(frozenset({"in"})),
)
SICK = st.frozensets(st.sampled_from((*NAMES, "k", "l")))


@given(AGENTS, SICK)
def test_an_order_is_a_permutation_of_what_is_permitted(attempts: Attempts, sick: frozenset[str]):
    """Illness and weights never add an attempt and never take one away."""
    found = names(attempts, *sick)
    assert sorted(found) == sorted(entry.name for entry in attempts.permitted("fra"))


@given(AGENTS, SICK)
def test_nothing_ill_stands_before_anything_well(attempts: Attempts, sick: frozenset[str]):
    by_name = {entry.name: entry for entry in attempts.lines}
    found = [
        any(part.provider in sick or part.key in sick for part in by_name[name].parts)
        for name in names(attempts, *sick)
    ]
    assert found == sorted(found)


@given(st.lists(AGENTS, max_size=4), st.dictionaries(st.sampled_from(("fra", "ams", "iad")), SICK))
def test_orders_tell_of_each_region_exactly_the_agents_whose_order_is_unusual(agents, sick_in):
    named = {AgentRef("clinic", str(number)): attempts for number, attempts in enumerate(agents)}
    expected = {
        region: {
            ref: found
            for ref, attempts in named.items()
            if (found := names(attempts, *sick, region=region)) != names(attempts, region=region)
        }
        for region, sick in sick_in.items()
    }
    assert providers.orders(named, sick_in) == expected


def test_regions_in_which_the_same_is_ill_share_one_answer():
    sick = frozenset({"openai"})
    found = providers.orders({AgentRef("clinic", "desk"): THREE}, {"fra": sick, "ams": sick, "iad": frozenset()})
    assert found["fra"] is found["ams"]
    assert found["fra"] == {AgentRef("clinic", "desk"): ("azure", "cascade", "openai")}
    assert found["iad"] == {}
