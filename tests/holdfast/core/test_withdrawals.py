"""Whether a region asks to be taken out of service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import reasons, withdrawals
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.values import AgentRef, Reason, Withdrawal
from holdfast.core.withdrawals import AgentHere, LocalView, Standing

DESK, SHOP = AgentRef("clinic", "desk"), AgentRef("shop", "sales")


def agent(ready_pods: int = 2, *tried: str, wanted_pods: int = 2, calls: int = 0, only_in: str = "") -> AgentHere:
    regions = frozenset({only_in} if only_in else ())
    lines = tuple(AttemptLine(name, provider=name, regions=regions) for name in tried or ("openai", "azure"))
    return AgentHere(ready_pods, wanted_pods, calls, Attempts(lines))


def here(*agents: AgentHere, ill: tuple[str, ...] = (), elsewhere: tuple[str, ...] = ()) -> LocalView:
    named = dict(zip((DESK, SHOP), agents, strict=False))
    return LocalView("fra", named, frozenset(ill), frozenset(elsewhere))


def code(wished: Withdrawal | Reason | None) -> str | None:
    return wished.code if isinstance(wished, Reason) else wished and f"asks: {wished.reason.code}"


ASKS_FOR_PODS = f"asks: {reasons.PODS_NOT_READY}"


def test_a_region_in_good_order_asks_for_nothing():
    assert withdrawals.wish(here(agent(), agent())) is None
    assert withdrawals.wish(here()) is None


def test_a_region_asks_when_no_agent_has_enough_ready_pods():
    assert withdrawals.wish(here(agent(0), agent(0))) == Withdrawal(
        "fra", Reason(reasons.PODS_NOT_READY, "agents with too few ready pods: 2"), 0.0, agents=2, of_agents=2
    )


@pytest.mark.parametrize(("ready", "asks"), [(4, True), (5, False)])
def test_half_of_the_pods_are_enough_not_to_ask(ready: int, asks: bool):
    assert isinstance(withdrawals.wish(here(agent(ready, wanted_pods=10))), Withdrawal) is asks


@pytest.mark.parametrize(("ready", "asks"), [(7, True), (8, False)])
def test_four_fifths_of_the_pods_are_needed_to_stop_asking(ready: int, asks: bool):
    assert isinstance(withdrawals.wish(here(agent(ready, wanted_pods=10)), asking=True), Withdrawal) is asks


def test_a_region_does_not_ask_for_some_of_its_agents():
    """Moving all calls for one agent's fault would make its trouble everybody's."""
    found = withdrawals.wish(here(agent(0), agent(2)))
    assert found == Reason(reasons.ONLY_SOME_AGENTS, "only 1 of 2 agents of fra are affected")


def test_an_agent_that_should_have_no_pods_and_has_no_calls_does_not_count():
    assert code(withdrawals.wish(here(agent(0, wanted_pods=1), agent(0, wanted_pods=0)))) == ASKS_FOR_PODS
    assert code(withdrawals.wish(here(agent(0), agent(0, wanted_pods=0, calls=1)))) == reasons.ONLY_SOME_AGENTS


def test_a_region_asks_when_nothing_works_here_that_works_elsewhere():
    found = withdrawals.wish(here(agent(), agent(2, "azure"), ill=("openai", "azure", "other")))
    assert isinstance(found, Withdrawal)
    assert found.ill == ("azure", "openai")
    assert found.reason == Reason(
        reasons.NO_WORKING_ATTEMPT, "agents without an attempt that works here: 2 (ill: azure, openai)"
    )


def test_one_attempt_that_works_is_enough_to_stay():
    assert withdrawals.wish(here(agent(), ill=("openai",))) is None


def test_a_region_never_asks_for_what_others_see_too():
    """A provider's outage: its calls would meet it again wherever they went."""
    found = withdrawals.wish(here(agent(), ill=("openai", "azure"), elsewhere=("openai", "azure")))
    assert found == Reason(reasons.SEEN_ELSEWHERE, "not only fra sees it: azure, openai")


def test_only_what_is_ill_here_alone_is_blamed():
    found = withdrawals.wish(here(agent(), ill=("openai", "azure"), elsewhere=("azure",)))
    assert isinstance(found, Withdrawal)
    assert found.ill == ("openai",)


def test_a_shared_fault_of_one_agent_keeps_the_region_in_service():
    found = withdrawals.wish(here(agent(0), agent(2, "azure"), ill=("azure",), elsewhere=("azure",)))
    assert code(found) == reasons.SEEN_ELSEWHERE


def test_lost_pods_and_lost_providers_are_told_together():
    found = withdrawals.wish(here(agent(0), agent(2, "azure"), ill=("azure",)))
    assert isinstance(found, Withdrawal)
    assert found.reason == Reason(
        reasons.NO_WORKING_ATTEMPT,
        "agents with too few ready pods: 1, agents without an attempt that works here: 1 (ill: azure)",
    )


def test_an_agent_with_nothing_to_try_here_is_not_a_fault_of_the_region():
    assert withdrawals.wish(here(agent(2, "openai", only_in="ams"), ill=("openai",))) is None


def cascading(*tried: AttemptLine) -> AgentHere:
    stages = tuple(AttemptLine(f"cascade/{name}", provider=name) for name in ("hearing", "thinking"))
    return AgentHere(2, 2, 0, Attempts((*tried, AttemptLine("cascade", stages=stages))))


def test_a_cascade_does_not_work_when_one_of_its_stages_does_not():
    found = withdrawals.wish(here(cascading(), ill=("thinking",)))
    assert isinstance(found, Withdrawal)
    assert found.ill == ("thinking",)
    assert withdrawals.wish(here(cascading(AttemptLine("openai", "openai")), ill=("thinking",))) is None


def test_a_region_does_not_ask_for_a_cascade_that_fails_elsewhere_at_another_stage():
    """Its calls would meet that one wherever they went."""
    found = withdrawals.wish(here(cascading(), ill=("thinking",), elsewhere=("hearing",)))
    assert found == Reason(reasons.SEEN_ELSEWHERE, "not only fra sees it: hearing")


ASKED = Withdrawal("fra", Reason(reasons.PODS_NOT_READY, "no pods"), 0.0)
WHY_NOT = Reason(reasons.ONLY_SOME_AGENTS, "only one")


def told(*wished: tuple[float, Withdrawal | Reason | None], start: Standing | None = None) -> Standing:
    standing = start or Standing()
    for now, each in wished:
        standing = withdrawals.standing(standing, each, now=now)
    return standing


def test_a_reason_must_stand_for_ten_seconds_before_anything_is_told():
    assert told((5.0, ASKED), (14.9, ASKED)) == Standing(since=5.0)
    assert told((5.0, ASKED), (14.9, ASKED), (15.0, ASKED)) == Standing(told=ASKED)


@pytest.mark.parametrize("nothing", [None, WHY_NOT])
def test_a_moment_without_a_reason_starts_the_count_anew(nothing: Reason | None):
    assert told((0.0, ASKED), (9.0, nothing), (12.0, ASKED)) == Standing(since=12.0)


@pytest.mark.parametrize("nothing", [None, WHY_NOT])
def test_a_region_asks_until_the_reason_has_been_gone_for_half_a_minute(nothing: Reason | None):
    asking = Standing(told=ASKED)
    assert told((20.0, nothing), (49.9, nothing), start=asking) == Standing(told=ASKED, since=20.0)
    assert told((20.0, nothing), (50.0, nothing), start=asking) == Standing()
    assert told((20.0, nothing), (40.0, ASKED), start=asking) == asking


def test_what_is_told_is_the_latest_reason():
    newer = Withdrawal("fra", Reason(reasons.PODS_NOT_READY, "still no pods"), 0.0)
    assert told((1.0, newer), start=Standing(told=ASKED)).told == newer


def test_an_alternating_fault_is_asked_for_at_most_once_in_forty_seconds():
    standing, turns = Standing(), []
    for second in range(3_600):
        before = standing
        standing = withdrawals.standing(before, ASKED if second // 11 % 2 else None, now=float(second))
        turns += [second] if (standing.told is None) is not (before.told is None) else []
    assert turns == [21]


AGENTS = st.builds(
    AgentHere,
    ready_pods=st.integers(0, 4),
    wanted_pods=st.integers(0, 4),
    calls=st.integers(0, 2),
    attempts=st.lists(st.sampled_from("pqr"), max_size=3, unique=True).map(
        lambda tried: Attempts(tuple(AttemptLine(name, provider=name) for name in tried))
    ),
)
PROVIDERS = st.frozensets(st.sampled_from("pqr"))


@given(st.lists(AGENTS, max_size=4), PROVIDERS, PROVIDERS, st.booleans())
def test_a_region_never_asks_for_some_agents_or_blames_what_others_see(agents, ill, elsewhere, asking: bool):
    named = {AgentRef("clinic", str(number)): each for number, each in enumerate(agents)}
    found = withdrawals.wish(LocalView("fra", named, ill, elsewhere), asking=asking)
    if isinstance(found, Withdrawal):
        assert found.agents == found.of_agents > 0
        assert set(found.ill) <= ill - elsewhere


def test_an_agent_that_is_on_its_way_up_misses_no_pods():
    assert withdrawals.wanted_pods(4, were_ready=False, known_for_s=withdrawals.STARTING_S - 0.1) == 0
    assert withdrawals.wanted_pods(4, were_ready=False, known_for_s=withdrawals.STARTING_S) == 4
    assert withdrawals.wanted_pods(4, were_ready=True, known_for_s=0.0) == 4


@pytest.mark.parametrize(("ready", "up"), [(3, False), (4, True)])
def test_an_agent_has_come_up_with_four_fifths_of_its_pods(ready: int, up: bool):
    assert withdrawals.were_ready(ready, 5) is up


def test_an_operator_that_takes_over_goes_on_asking_for_what_was_asked_before():
    assert withdrawals.taken_up("fra", ()) == Standing()
    assert withdrawals.taken_up("fra", ("agents with too few ready pods: 2",)) == Standing(
        told=Withdrawal("fra", Reason(reasons.PODS_NOT_READY, "agents with too few ready pods: 2"), 0.0)
    )
