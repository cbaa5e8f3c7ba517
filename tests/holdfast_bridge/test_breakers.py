"""A pod's own breakers: what opens them, for how long, who may try then, and what closes them."""

from __future__ import annotations

import pytest
from control_builders import built
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.core import breakers as br
from holdfast_bridge.core import directive
from holdfast_bridge.core.breakers import Breakers, State
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.tallies import ProviderResults

OUTAGES = [Failure.ERROR, Failure.TIMEOUT, Failure.STALL, Failure.RATE_LIMITED]
OURS = [Failure.AUTH, Failure.QUOTA, Failure.CONFIG]
ANY = st.sampled_from(list(Failure))


def failed(*times: float, failure: Failure = Failure.ERROR, part: str = "a") -> Breakers:
    found = Breakers()
    for now in times:
        found.failed(part, failure, now=now)
    return found


def open_for(found: Breakers, since: float, part: str = "a") -> float:
    """How many whole seconds it is still open."""
    return next(s for s in range(1_000) if found.state(part, now=since + s) is not State.OPEN)


# --- what opens it


@pytest.mark.parametrize("failure", OUTAGES)
def test_two_outages_within_thirty_seconds_open_it_for_ten(failure: Failure) -> None:
    assert failed(100.0, failure=failure).state("a", now=100.0) is State.CLOSED
    assert failed(100.0, 130.0, failure=failure).state("a", now=130.0) is State.CLOSED
    found = failed(100.0, 129.9, failure=failure)
    assert found.state("a", now=139.8) is State.OPEN
    assert found.state("a", now=139.9) is State.HALF_OPEN


def test_a_success_between_two_outages_does_not_hide_that_there_were_two() -> None:
    found = failed(100.0)
    found.opened("a", now=101.0)
    found.failed("a", Failure.ERROR, now=102.0)
    assert found.state("a", now=102.0) is State.OPEN


@pytest.mark.parametrize("failure", OURS)
def test_what_lies_with_us_opens_it_at_once_for_a_minute(failure: Failure) -> None:
    assert open_for(failed(100.0, failure=failure), 100.0) == 60


@pytest.mark.parametrize(("asked_s", "open_s"), [(1.0, 1), (20.0, 20), (60.0, 60), (3600.0, 60)])
def test_a_provider_that_asks_us_to_wait_is_passed_by_for_as_long_but_a_minute_at_most(
    asked_s: float, open_s: int
) -> None:
    found = Breakers()
    found.failed("a", Failure.RATE_LIMITED, now=100.0, retry_after_s=asked_s)
    assert open_for(found, 100.0) == open_s


def test_how_long_to_wait_is_taken_of_a_429_only() -> None:
    found = Breakers()
    found.failed("a", Failure.ERROR, now=100.0, retry_after_s=20.0)
    assert found.state("a", now=100.0) is State.CLOSED


def test_each_time_that_it_opens_again_soon_it_does_for_twice_as_long_until_a_minute() -> None:
    found, now, lasted = failed(0.0), 0.0, []
    for _ in range(5):
        found.failed("a", Failure.ERROR, now=now)
        lasted.append(open_for(found, now))
        now += lasted[-1]
        found.opened("a", now=now)
        found.failed("a", Failure.ERROR, now=now + 31.0)
        now += 32.0
    assert lasted == [10, 20, 40, 60, 60]


def test_after_a_calm_minute_it_opens_for_ten_seconds_again() -> None:
    found = failed(0.0, 1.0)
    found.opened("a", now=11.0)
    for now in (71.0, 72.0):
        found.failed("a", Failure.ERROR, now=now)
    assert open_for(found, 72.0) == 10


def test_the_calm_begins_when_it_is_closed_and_not_when_it_would_have_been() -> None:
    found = failed(0.0, 1.0)
    found.opened("a", now=2.0)
    for now in (62.0, 63.0):
        found.failed("a", Failure.ERROR, now=now)
    assert open_for(found, 63.0) == 10


def test_an_outage_while_it_is_open_does_not_hold_it_open() -> None:
    found = failed(100.0, 101.0, 105.0, 110.0)
    assert found.state("a", now=111.0) is State.HALF_OPEN


def test_what_is_graver_or_asks_for_more_keeps_it_open_for_longer_and_never_for_less() -> None:
    found = failed(100.0, 101.0)
    found.failed("a", Failure.AUTH, now=102.0)
    assert open_for(found, 102.0) == 60
    found.failed("a", Failure.RATE_LIMITED, now=103.0, retry_after_s=5.0)
    assert open_for(found, 102.0) == 60


def test_parts_are_ill_by_themselves() -> None:
    found = failed(100.0, 101.0, part="cascade/thinking")
    assert found.ill == {"cascade/thinking"}
    assert found.state("cascade/hearing", now=101.0) is State.CLOSED


# --- who may try


def test_half_open_one_call_that_begins_tries_and_the_others_pass_it_by_until_its_outcome() -> None:
    found = failed(100.0, 101.0)
    assert found.passed_by(("a",), now=110.9, begins=True), "its time is not over"
    assert not found.passed_by(("a",), now=111.0, begins=True)
    assert found.passed_by(("a",), now=111.0, begins=False), "a call in progress does not try"
    found.tried(("a",), now=111.0)
    assert found.passed_by(("a",), now=111.1, begins=True)
    found.opened("a", now=111.5)
    assert not found.passed_by(("a",), now=111.5, begins=True)
    assert not found.passed_by(("a",), now=111.5, begins=False)


def test_one_failure_of_the_call_that_tried_opens_it_anew_for_twice_as_long() -> None:
    found = failed(100.0, 101.0)
    found.tried(("a",), now=111.0)
    found.failed("a", Failure.TIMEOUT, now=113.0)
    assert open_for(found, 113.0) == 20
    assert not found.passed_by(("a",), now=133.0, begins=True), "the trial that failed is over"


def test_the_next_call_may_try_as_soon_as_the_time_that_the_last_one_met_is_over() -> None:
    found = failed(100.0, 101.0)
    found.tried(("a",), now=111.0)
    found.failed("a", Failure.RATE_LIMITED, now=111.5, retry_after_s=1.0)
    assert found.passed_by(("a",), now=112.4, begins=True)
    assert not found.passed_by(("a",), now=112.5, begins=True)


def test_a_call_that_tried_and_was_hung_up_leaves_the_trial_to_another() -> None:
    found = failed(100.0, 101.0)
    found.tried(("a",), now=111.0)
    assert found.passed_by(("a",), now=120.9, begins=True)
    assert not found.passed_by(("a",), now=121.0, begins=True)


def test_a_call_that_began_before_its_time_was_over_is_no_trial() -> None:
    found = failed(100.0, 101.0)
    found.tried(("a", "b"), now=110.0)
    assert not found.passed_by(("a", "b"), now=111.0, begins=True)


def test_one_part_that_is_open_puts_the_whole_attempt_behind() -> None:
    found = failed(100.0, 101.0, part="c/speaking")
    parts = ("c/hearing", "c/thinking", "c/speaking")
    assert found.passed_by(parts, now=102.0, begins=True)
    found.failed("c/hearing", Failure.AUTH, now=103.0)
    found.opened("c/speaking", now=104.0)
    assert found.passed_by(parts, now=104.0, begins=True)


# --- what closes it


@pytest.mark.parametrize("failure", [Failure.ERROR, Failure.TIMEOUT, Failure.RATE_LIMITED])
def test_a_success_closes_it_even_before_its_time_is_over(failure: Failure) -> None:
    found = failed(100.0, 101.0, failure=failure)
    found.opened("a", now=103.0)
    assert (found.state("a", now=103.0), found.ill) == (State.CLOSED, frozenset())


def test_a_provider_that_stalled_is_not_well_because_a_link_to_it_opens() -> None:
    found = failed(100.0, 101.0, failure=Failure.STALL)
    found.opened("a", now=112.0)
    assert found.state("a", now=112.0) is State.HALF_OPEN
    found.replied("a", now=114.0)
    assert found.state("a", now=114.0) is State.CLOSED


def test_a_reply_on_an_older_link_does_not_prove_that_a_new_one_would_open() -> None:
    found = failed(100.0, 101.0)
    found.replied("a", now=112.0)
    assert found.state("a", now=112.0) is State.HALF_OPEN


def test_a_language_model_is_proved_by_its_reply() -> None:
    found = failed(100.0, 101.0, part="c/thinking")
    found.replied("c/thinking", now=105.0)
    assert found.state("c/thinking", now=105.0) is State.OPEN, "others' replies may have been asked for before"
    found.replied("c/thinking", now=111.0)
    assert found.state("c/thinking", now=111.0) is State.CLOSED


def test_what_closed_early_and_fails_again_is_open_for_longer() -> None:
    found = failed(100.0, 101.0)
    found.forgive(("a", "never heard of"), now=102.0)
    assert found.ill == frozenset()
    found.failed("a", Failure.ERROR, now=103.0)
    assert open_for(found, 103.0) == 20


# --- whatever happens


OUTCOME = st.one_of(st.tuples(ANY, st.floats(0, 7200)), st.sampled_from(["opened", "replied"]))


@given(st.lists(st.tuples(st.floats(0, 50), OUTCOME)))
def test_no_history_keeps_it_open_for_more_than_a_minute_or_shuts_out_the_next_call_after_it(
    history: list[tuple[float, object]],
) -> None:
    found, now = Breakers(), 0.0
    for passed_s, what in history:
        now += passed_s
        match what:
            case (failure, asked_s):
                found.failed("a", failure, now=now, retry_after_s=asked_s)
            case "opened":
                found.opened("a", now=now)
            case "replied":
                found.replied("a", now=now)
        if not found.passed_by(("a",), now=now, begins=True):
            found.tried(("a",), now=now)
    assert found.state("a", now=now + 60.0) is not State.OPEN
    assert not found.passed_by(("a",), now=now + 60.0, begins=True)
    assert found.ill <= {"a"}


@given(st.permutations(["a", "b", "c"]), st.sets(st.sampled_from(["a", "b", "c"])))
def test_an_order_loses_nobody_and_keeps_the_operators_order_among_the_well_and_among_the_open(
    names: list[str], is_open: set[str]
) -> None:
    agent = built(attempts=[{"name": name, "kind": "loopback"} for name in ("a", "b", "c")]).agent
    order = [each.name for each in directive.in_order(agent, tuple(names), last=is_open).attempts]
    assert order == [n for n in names if n not in is_open] + [n for n in names if n in is_open]


def test_names_that_edits_take_away_make_room() -> None:
    found = Breakers()
    for number in range(br.MAX_PARTS + 1):
        found.failed(f"p{number}", Failure.AUTH, now=100.0)
    assert len(found.ill) == br.MAX_PARTS
    assert "p0" not in found.ill


# --- fed by the same outcomes as the report


class Pod:
    def __init__(self) -> None:
        self.now = 100.0
        self.turns = 0
        self.results = ProviderResults(on_turn=self.turned, clock=lambda: self.now)

    def turned(self) -> None:
        self.turns += 1

    def met(self, *words: str, part: str = "a", retry_after_s: float = 0.0) -> None:
        """Empty: well."""
        for word in words:
            self.results.add(part, not word, word, retry_after_s)


def test_what_is_reported_moves_the_breakers_and_a_turn_is_told_once() -> None:
    pod = Pod()
    pod.met("server")
    assert (pod.turns, pod.results.open("a")) == (0, False)
    pod.met("disconnected", "timeout", "server")
    assert (pod.turns, pod.results.open("a")) == (1, True)
    assert pod.results.report()[0]["failed"] == [
        {"kind": "5xx", "count": 3, "ago": 0.0, "retryAfter": 0.0},
        {"kind": "timeout", "count": 1, "ago": 0.0, "retryAfter": 0.0},
    ]
    pod.met("", "")
    assert (pod.turns, pod.results.open("a")) == (2, False)


def test_a_planned_end_or_a_callers_content_opens_nothing() -> None:
    pod = Pod()
    pod.met("closed_1000", "closed_1001", "session_expired", "content_filter", "closed_1007")
    assert (pod.turns, pod.results.report()) == (0, [])


def test_a_429_and_its_retry_after_come_through() -> None:
    pod = Pod()
    pod.met("rate", retry_after_s=20.0)
    pod.now += 19.9
    assert pod.results.passed_by(("a",), begins=True)
    pod.now += 0.2
    assert not pod.results.passed_by(("a",), begins=True)
    assert not pod.results.open("a"), "nobody is kept from it any more"
    pod.results.began(("a",))
    assert pod.results.passed_by(("a",), begins=True)


def test_a_reply_and_an_operator_that_knows_better_are_turns_too() -> None:
    pod = Pod()
    pod.met("stall", "stall")
    pod.now += 10.0
    pod.results.spoke("a")
    assert (pod.turns, pod.results.well_within("a", 1.0)) == (2, True)
    pod.met("auth")
    pod.results.forgive(("a",))
    assert (pod.turns, pod.results.open("a")) == (4, False)
