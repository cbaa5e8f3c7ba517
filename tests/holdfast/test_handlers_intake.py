"""What the watches bring, in any order, ends in the same `Desired`."""

import itertools

import pytest
from api_objects import AGENT, POLICY, REGIONS, changed, stored

from holdfast.core.values import AgentRef
from holdfast.desired import Desired
from holdfast.handlers.intake import AGENT as VOICE_AGENT
from holdfast.handlers.intake import POLICY as FAILOVER_POLICY
from holdfast.handlers.intake import REGION, Intake
from holdfast.handlers.pending import Key

REF = AgentRef("clinic", "front-desk")
KEY = Key(VOICE_AGENT, "clinic", "front-desk")
POLICY_KEY = Key(FAILOVER_POLICY, "", "eu")


def filled() -> Intake:
    intake = Intake(Desired())
    for region in REGIONS:
        intake.take(REGION, None, stored(region))
    intake.take(FAILOVER_POLICY, None, stored(POLICY))
    intake.take(VOICE_AGENT, None, stored(AGENT))
    return intake


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_arrival_does_not_matter(order):
    intake = Intake(Desired())
    arrivals = [(VOICE_AGENT, [AGENT]), (FAILOVER_POLICY, [POLICY]), (REGION, list(REGIONS))]
    for index in order:
        kind, objects = arrivals[index]
        for each in objects:
            intake.take(kind, "ADDED", stored(each))

    assert intake.desired.agents[REF].accepted
    assert not intake.refused


def test_an_event_without_news_wakes_nobody():
    intake = filled()
    revision = intake.desired.revision

    assert intake.take(VOICE_AGENT, "MODIFIED", stored(AGENT)) == set()
    assert intake.desired.revision == revision


def test_a_refused_edit_keeps_the_last_good_one_in_force():
    intake = filled()
    bad = changed(AGENT, "spec.telephony.numbers.0.number", "+4930555099")
    intake.take(VOICE_AGENT, "MODIFIED", stored(bad, generation=2))

    entry = intake.desired.agents[REF]
    assert not entry.accepted
    assert entry.generation == 1
    assert entry.spec.numbers[0].number == "+4930555010"


def test_an_object_older_than_a_rule_is_refused_by_field_without_its_content():
    intake = filled()
    bad = changed(AGENT, "spec.attempts.0.realtime.apiKey", "sk-a-misplaced-key")
    intake.take(VOICE_AGENT, "MODIFIED", stored(bad, generation=2))

    reason, *_ = intake.refused[KEY]
    assert reason.code == "InvalidSpec"
    assert "spec.attempts.0.realtime.apiKey" in reason.message
    assert "sk-a-misplaced-key" not in reason.message


def test_a_policy_that_breaks_residency_is_not_followed_and_its_agents_run_on():
    intake = filled()
    bad = changed(changed(POLICY, "spec.witnesses", []), "spec.regions.1.name", "iad")
    intake.take(FAILOVER_POLICY, "MODIFIED", stored(bad, generation=2))

    assert intake.refused[POLICY_KEY][0].code == "RegionOutsideResidency"
    assert intake.desired.zones["eu"].members == ("fra", "ams")
    assert intake.desired.agents[REF].accepted


def test_a_listing_takes_away_what_no_watch_told():
    """A watch that broke and resumed never tells of what was deleted in between."""
    intake = filled()
    dirty = intake.listed(VOICE_AGENT, [])

    assert KEY in dirty
    assert REF not in intake.desired.agents


def test_an_agent_whose_policy_is_deleted_says_so_and_runs_on():
    intake = filled()
    dirty = intake.take(FAILOVER_POLICY, "DELETED", stored(POLICY))

    assert KEY in dirty
    assert intake.refused[KEY][0].code == "UnknownPolicy"
    assert intake.desired.agents[REF].spec.zone == "eu"


def test_a_namespace_that_no_tenant_entry_names_may_not_use_the_zone():
    intake = filled()
    foreign = changed(AGENT, "metadata.namespace", "elsewhere")
    intake.take(VOICE_AGENT, "ADDED", stored(foreign, uid="u-2"))

    assert intake.refused[Key(VOICE_AGENT, "elsewhere", "front-desk")][0].code == "NamespaceNotAllowed"


def test_parameters_beyond_bounds_are_refused_by_name():
    intake = filled()
    huge = changed(AGENT, "spec.tools.0.parameters", {"description": "x" * 20_000})
    intake.take(VOICE_AGENT, "MODIFIED", stored(huge, generation=2))

    assert intake.refused[KEY][0].message.startswith("spec.tools[book].parameters: 20")


def test_a_lever_without_an_origin_in_a_region_is_a_problem_of_the_policy():
    intake = filled()
    intake.take(REGION, "MODIFIED", stored(changed(REGIONS[1], "spec.origins", {"other": "p"}), generation=2))

    assert intake.refused[POLICY_KEY][0].code == "MissingOrigin"
