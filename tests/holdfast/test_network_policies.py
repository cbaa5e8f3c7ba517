"""The NetworkPolicies of chart and placement against the flows that Holdfast needs and those that must not be."""

import copy

import chart
import policy_stage
import pytest
from api_objects import AGENT, POLICY, changed

from holdfast.core import placement
from holdfast.settings import Settings
from holdfast_gameday import flows, listed_flows
from holdfast_gameday.flows import Flow
from holdfast_gameday.listed_flows import (
    ENTRY_NAMED,
    FORBIDDEN,
    INTERNET,
    METRICS_NAMED,
    NEEDED,
    OPEN,
    RANGES_NAMED,
    Listed,
)

pytestmark = pytest.mark.skipif(not chart.available(), reason="no helm: run `make tools`")
FROM_MONITORING = {"metrics": {"namespaces": ["monitoring"]}}
FROM_THE_ENTRY = ({"ipBlock": {"cidr": f"{policy_stage.NODE}/32"}},)


@pytest.fixture(scope="module")
def open_stage():
    """As the chart is without further values: entry and figures from anywhere."""
    return policy_stage.staged()


@pytest.fixture(scope="module")
def narrow_stage():
    return policy_stage.staged(
        {**chart.VALUES, **FROM_MONITORING}, ingress_from=FROM_THE_ENTRY, cluster_ranges=policy_stage.RANGES
    )


def test_every_role_that_is_listed_is_played(open_stage):
    cast, _ = open_stage
    listed = {role for each in (*NEEDED, *FORBIDDEN, *OPEN) for role in (each.source, each.destination)}

    assert listed <= set(cast.roles)


def test_everything_that_runs_is_isolated_both_ways(open_stage):
    cast, policies = open_stage
    ours = [pod for role in ("agent", "canary", "operator", "redis", "gameday") for pod in cast.roles[role]]
    never = "203.0.113.99"

    assert len(ours) == 5
    for address in ours:
        for flow in (Flow(address, never, 7), Flow(never, address, 7)):
            assert not flows.allowed(flow, policies, cast.pods, cast.namespaces).allowed, flow


@pytest.mark.parametrize("stage", ["open_stage", "narrow_stage"])
@pytest.mark.parametrize("listed", NEEDED, ids=str)
def test_what_is_needed_is_let_through(listed, stage, request):
    cast, policies = request.getfixturevalue(stage)

    assert listed_flows.flows(listed, cast) != []
    assert listed_flows.denied([listed], cast, policies) == []


@pytest.mark.parametrize("listed", [each for each in FORBIDDEN if not each.when], ids=str)
def test_what_is_forbidden_is_denied_without_further_values(listed, open_stage):
    cast, policies = open_stage

    assert listed_flows.flows(listed, cast) != []
    assert listed_flows.let_through([listed], cast, policies) == []


@pytest.mark.parametrize("listed", FORBIDDEN, ids=str)
def test_what_is_forbidden_is_denied_with_entry_figures_and_ranges_narrowed(listed, narrow_stage):
    cast, policies = narrow_stage

    assert listed_flows.let_through([listed], cast, policies, values={ENTRY_NAMED, METRICS_NAMED, RANGES_NAMED}) == []


@pytest.mark.parametrize("listed", [each for each in FORBIDDEN if each.when], ids=str)
def test_a_condition_is_listed_only_where_the_flow_needs_it(listed, open_stage):
    """Otherwise the condition would hide a row from the check on a cluster without the value."""
    cast, policies = open_stage

    assert listed_flows.let_through([listed], cast, policies, values={listed.when}) != []


@pytest.mark.parametrize("listed", OPEN, ids=str)
def test_what_is_said_to_be_open_is_open(listed, narrow_stage):
    """So that the list is shortened on the day that one is closed."""
    cast, policies = narrow_stage

    assert listed_flows.let_through([listed], cast, policies) != []


def test_the_entry_is_let_in_by_a_rule_and_not_for_being_on_the_same_node(narrow_stage):
    cast, policies = narrow_stage
    (agent,) = cast.roles["agent"]

    verdict = flows.allowed(Flow(policy_stage.NODE, agent, 8081), policies, cast.pods, cast.namespaces)

    assert verdict == flows.Verdict(True, "clinic/front-desk-bridge")


def test_a_missing_policy_is_noticed(open_stage):
    """The check itself can fail: without Redis's policy the strangers get in, without a bridge's rules nothing goes."""
    cast, policies = open_stage
    without = [each for each in policies if each["metadata"]["name"] != "holdfast-redis"]
    mute = copy.deepcopy(policies)
    for each in mute:
        each["spec"].pop("egress", None)

    assert any("shop -> redis" in line for line in listed_flows.let_through(FORBIDDEN, cast, without))
    assert any("agent -> dns" in line for line in listed_flows.denied(NEEDED, cast, mute))


def _agent_reaches(port: int, **placed) -> bool:
    cast, policies = policy_stage.staged(**placed)
    return listed_flows.denied([Listed("agent", "internet", port, "asked")], cast, policies) == []


def test_a_carrier_on_another_port_is_reached_by_its_agents():
    elsewhere = changed(POLICY, "spec.carriers.0.twilio.apiUrl", "https://api.twilio.com:8443")

    assert not _agent_reaches(8443)
    assert _agent_reaches(8443, policy=elsewhere)


def test_a_tool_on_another_port_is_reached():
    assert _agent_reaches(9443, agent=changed(AGENT, "spec.tools.0.webhook.url", "https://tools.example.com:9443/book"))


def test_reference_targets_are_reached_on_the_ports_that_they_name():
    values = copy.deepcopy(chart.VALUES)
    values["fleet"]["referenceTargets"] = [
        "http://one.example.com", "https://two.example.com:8443/health", "https://three.example.com",
    ]  # fmt: skip
    cast, policies = policy_stage.staged(values)
    (operator,) = cast.roles["operator"]

    def reached(port: int) -> bool:
        return flows.allowed(Flow(operator, INTERNET, port), policies, cast.pods, cast.namespaces).allowed

    assert [reached(port) for port in (80, 443, 8443, 25)] == [True, True, True, False]


def test_an_external_redis_is_reached_on_its_port_by_agent_and_canary():
    cast, policies = policy_stage.staged(redis_url="rediss://cache.example.com:6380/0")
    wanted = [Listed(role, "internet", 6380, "the journal") for role in ("agent", "canary")]

    assert listed_flows.denied(wanted, cast, policies) == []


def test_the_clusters_ranges_reach_the_operator():
    objects = chart.rendered({**chart.VALUES, "networkPolicy": {"clusterRanges": ["10.101.0.0/16"]}})
    told = Settings.model_validate_json(objects["ConfigMap", "holdfast-operator"]["data"]["settings.json"])

    assert told.cluster_ranges == ("10.101.0.0/16",)


def test_a_range_is_left_out_of_the_block_of_its_own_kind():
    agent, _ = policy_stage.sites(cluster_ranges=policy_stage.RANGES)
    (rule,) = [each for each in placement.network_policy(agent)["spec"]["egress"] if {"port": 443, "protocol": "TCP"}
               in each["ports"]]

    assert rule["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.101.0.0/16", "10.96.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00:101::/48"]}},
    ]
