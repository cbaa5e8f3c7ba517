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
from holdfast.shifts import Order, Orders

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


def test_what_a_person_orders_of_a_region_is_held_until_the_order_is_taken_back():
    intake = filled()
    order = {"until": "2026-11-21T12:00:00Z", "reason": "new disks"}
    dirty = intake.take(REGION, "MODIFIED", stored(changed(REGIONS[0], "spec.cordon", order), generation=2))

    assert Key(REGION, "", "fra") in dirty
    assert intake.desired.orders == {"fra": Orders(cordon=Order(1_795_262_400.0, "new disks"))}
    assert intake.desired.regions["fra"].host == "fra.voice.example.com"
    intake.take(REGION, "MODIFIED", stored(REGIONS[0], generation=3))
    assert intake.desired.orders == {}


def test_an_order_that_cannot_be_read_leaves_the_last_one_in_force():
    intake = filled()
    order = {"until": "2026-11-21T12:00:00Z", "reason": "new disks"}
    intake.take(REGION, "MODIFIED", stored(changed(REGIONS[0], "spec.cordon", order), generation=2))
    bad = changed(REGIONS[0], "spec.cordon", {**order, "until": "noon"})
    intake.take(REGION, "MODIFIED", stored(bad, generation=3))

    assert intake.refused[Key(REGION, "", "fra")][0].message.startswith("spec.cordon.until: ")
    assert "fra" in intake.desired.orders


def test_the_orders_are_known_once_all_regions_were_listed():
    """Until then an order that is not there may only not have arrived yet."""
    intake = filled()
    assert not intake.desired.orders_known
    intake.listed(REGION, [stored(each) for each in REGIONS])
    assert intake.desired.orders_known


def test_the_orders_of_a_region_end_with_it():
    intake = filled()
    order = {"until": "2026-11-21T12:00:00Z", "reason": "new disks"}
    intake.take(REGION, "MODIFIED", stored(changed(REGIONS[0], "spec.cordon", order), generation=2))
    intake.take(REGION, "DELETED", stored(REGIONS[0], generation=2))

    assert intake.desired.orders == {}


SECOND = changed(changed(POLICY, "metadata.name", "eu-2"), "spec.host", "eu-2.voice.example.com")
SECOND_KEY = Key(FAILOVER_POLICY, "", "eu-2")


@pytest.mark.parametrize("order", list(itertools.permutations([POLICY, SECOND, AGENT])))
def test_a_number_that_two_policies_name_is_told_on_both_whoever_came_first(order):
    intake = Intake(Desired())
    for each in REGIONS:
        intake.take(REGION, None, stored(each))
    for each in order:
        intake.take(each["kind"], None, stored(each))

    for key in (POLICY_KEY, SECOND_KEY):
        (reason,) = intake.refused[key]
        assert reason.code == "NumberContested"
        assert "eu, eu-2" in reason.message
    assert intake.refused[KEY][0].code == "NumberContested"
    assert set(intake.desired.zones) == {"eu", "eu-2"}, "regions of both are still failed over"


def test_an_agent_keeps_a_number_that_a_second_policy_comes_to_name():
    intake = filled()
    dirty = intake.take(FAILOVER_POLICY, "ADDED", stored(SECOND))

    assert {POLICY_KEY, SECOND_KEY, KEY} <= dirty
    entry = intake.desired.agents[REF]
    assert [reason.code for reason in entry.problems] == ["NumberContested"]
    assert entry.spec.numbers[0].number == "+4930555010"


@pytest.mark.parametrize("letting_go", ["DELETED", "MODIFIED"])
def test_a_contest_ends_when_one_policy_is_left(letting_go):
    intake = filled()
    intake.take(FAILOVER_POLICY, "ADDED", stored(SECOND))
    dirty = intake.take(
        FAILOVER_POLICY, letting_go, stored(changed(SECOND, "spec.tenants.0.numbers", []), generation=2)
    )

    assert {POLICY_KEY, KEY} <= dirty
    assert not intake.refused
    assert intake.desired.agents[REF].accepted


def test_a_policy_that_cannot_be_read_stays_refused_whatever_else_arrives():
    intake = filled()
    intake.take(FAILOVER_POLICY, "MODIFIED", stored(changed(POLICY, "spec.regions", "all"), generation=2))
    intake.take(REGION, "MODIFIED", stored(REGIONS[0], generation=2))

    assert intake.refused[POLICY_KEY][0].code == "InvalidSpec"
    assert intake.desired.zones["eu"].members == ("fra", "ams")
