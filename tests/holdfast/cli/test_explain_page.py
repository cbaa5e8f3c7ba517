"""The examples of docs/explain.md: one for everything that can be decided or refused, and as the code says it today."""

from __future__ import annotations

import explain_page
import explain_stories
import pytest

from holdfast.core import reasons
from holdfast.core.explain import Kind, Outcome

CODES = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
# What is said of a state in a condition, and by no decision. All others need an example.
STATES = {
    reasons.READY, reasons.NO_REGION_SERVES, reasons.NOTHING_HELD, reasons.REGION_CORDONED, reasons.LEADER_ELECTED,
    reasons.NO_MAJORITY, reasons.NO_WITNESS, reasons.ENOUGH_PODS, reasons.NOT_ENOUGH_PODS, reasons.ONE_REGION,
    reasons.READ_BACK, reasons.ROUTE_DIFFERS, reasons.ROUTE_UNKNOWN, reasons.NO_ORIGIN, reasons.LEVER_ANSWERS,
    reasons.LEVER_UNREACHABLE, reasons.ORPHANED, reasons.SPEC_CONFLICT, reasons.LOWER_GENERATION,
    reasons.COPY_DIFFERS, reasons.COPY_REFUSED,
    reasons.FOLLOWS_CALLS, reasons.AT_MAXIMUM, reasons.SCALED_BY_ANOTHER, reasons.NOT_LOOKED, reasons.PODS_UNHEARD,
    reasons.ROLLING_OUT, reasons.BUSY_POD_WOULD_GO, reasons.READY_FOR_LOSS, reasons.LOAD_UNKNOWN,
    reasons.OTHER_ATTEMPT, reasons.NO_OTHER_ATTEMPT, reasons.OTHER_RELAY, reasons.NO_OTHER_RELAY,
    reasons.OTHER_CARRIER, reasons.NO_OTHER_CARRIER, reasons.AS_KEPT,
    reasons.BY_EDGE, reasons.EDGE_BYPASSED, reasons.NO_EDGE, reasons.ATTEMPTS_AS_WISHED,
    reasons.IN_TIME, reasons.BROWN_OUT, reasons.LATENCY_UNHEARD,
    reasons.TOOLS_ANSWER, reasons.TOOL_ILL, reasons.TOOL_REFUSES, reasons.TOOL_UNHEARD,
    reasons.VENDORS_TOLD, reasons.BY_CONTRACT_ONLY, reasons.LEFT_ON,
}  # fmt: skip


@pytest.fixture(scope="module")
def stories():
    return explain_stories.stories()


def test_every_reason_of_a_decision_or_refusal_has_an_example(stories):
    assert {story.code for story in stories} == CODES - STATES


def test_every_outcome_and_every_kind_of_subject_has_one(stories):
    assert {story.entry.outcome for story in stories} == set(Outcome)
    assert {story.entry.subject.kind for story in stories} == set(Kind)


def test_every_answer_says_the_reason_and_a_command_and_fits_a_screen(stories):
    for story in stories:
        lines = explain_page.answer(story).splitlines()

        assert story.code in lines[0], story.code
        assert lines[-1].startswith("next: kubectl"), story.code
        assert len(lines) <= 24, story.code
        assert max(map(len, lines)) <= 100, story.code


def test_the_page_is_fresh():
    page = explain_page.PAGE.read_text()

    assert page == explain_page.written(page), "run `make explain-page`"
