"""Flows read from the kernel's table, and what NetworkPolicies say to them: the API's rules, none of Holdfast's."""

import pytest

from holdfast_gameday import flow_check, flows
from holdfast_gameday.flows import Flow, Pod

# As conntrack 1.4.7 prints them.
THROUGH_A_SERVICE = (
    "ipv4     2 tcp      6 431999 ESTABLISHED src=10.101.0.5 dst=10.96.0.1 sport=48765 dport=443 "
    "src=172.30.0.11 dst=10.101.0.5 sport=6443 dport=48765 [ASSURED] mark=0 use=1"
)
QUESTION = (
    "ipv4     2 udp      17 29 src=10.101.0.5 dst=172.30.0.11 sport=45216 dport=53 [UNREPLIED] "
    "src=172.30.0.11 dst=10.101.0.5 sport=53 dport=45216 mark=0 use=1"
)
OUT_BEHIND_THE_NODE = (
    "ipv4     2 tcp      6 117 TIME_WAIT src=10.101.0.5 dst=172.30.0.104 sport=50000 dport=443 packets=9 bytes=900 "
    "src=172.30.0.104 dst=172.30.0.11 sport=443 dport=50000 packets=7 bytes=800 [ASSURED] mark=0 use=1"
)
ECHO = (
    "ipv4     2 icmp     1 29 src=10.101.0.5 dst=10.101.0.6 type=8 code=0 id=7 "
    "src=10.101.0.6 dst=10.101.0.5 type=0 code=0 id=7 mark=0 use=1"
)
PICKED_UP_MIDWAY = (
    "ipv4     2 tcp      6 299 ESTABLISHED src=10.101.0.6 dst=10.101.0.5 sport=6379 dport=40000 [UNREPLIED] "
    "src=10.101.0.5 dst=10.101.0.6 sport=40000 dport=6379 mark=0 use=1"
)
NEVER_ANSWERED = (
    "ipv4     2 tcp      6 100 SYN_SENT src=10.101.0.5 dst=10.101.0.6 sport=40000 dport=22 [UNREPLIED] "
    "src=10.101.0.6 dst=10.101.0.5 sport=22 dport=40000 mark=0 use=1"
)


BEFORE_THE_SERVICE_LED_ANYWHERE = (
    "ipv4     2 tcp      6 100 SYN_SENT src=10.1.0.1 dst=10.96.14.116 sport=40000 dport=8090 [UNREPLIED] "
    "src=10.96.14.116 dst=10.1.0.1 sport=8090 dport=40000 mark=0 use=1"
)


def test_the_destination_is_the_one_behind_the_service():
    assert flows.parse(THROUGH_A_SERVICE) == [Flow("10.101.0.5", "172.30.0.11", 6443)]


def test_the_source_is_the_pod_and_not_the_node_that_lends_its_address():
    assert flows.parse(OUT_BEHIND_THE_NODE) == [Flow("10.101.0.5", "172.30.0.104", 443)]


def test_an_attempt_counts_even_when_nobody_answered():
    assert flows.parse(QUESTION) == [Flow("10.101.0.5", "172.30.0.11", 53, "UDP")]
    assert flows.parse(NEVER_ANSWERED) == [Flow("10.101.0.5", "10.101.0.6", 22)]


def test_what_has_no_port_or_no_known_opener_is_left_out():
    assert flows.parse(f"{ECHO}\n{PICKED_UP_MIDWAY}\n\nconntrack v1.4.7: 2 flow entries") == []


def test_the_short_format_says_the_same_and_repetitions_count_once():
    short = THROUGH_A_SERVICE.removeprefix("ipv4     2 ")

    assert flows.parse(f"{THROUGH_A_SERVICE}\n{short}") == flows.parse(short) != []


NAMESPACES = {
    "clinic": {"kubernetes.io/metadata.name": "clinic", "team": "health"},
    "system": {"kubernetes.io/metadata.name": "system"},
}
WEB = Pod("clinic", "web", {"app": "web"}, ("10.1.0.1",), ("172.30.0.11",), {("http", "TCP"): 8080})
SHOP = Pod("clinic", "shop", {"app": "shop"}, ("10.1.0.2",))
STORE = Pod("system", "store", {"app": "store"}, ("10.1.0.3",), (), {("http", "TCP"): 6379})
PODS = [WEB, SHOP, STORE]
OUTSIDE = "203.0.113.10"


def policy(*, namespace="clinic", pods=None, **spec):
    return {
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": pods or {}}, **spec},
    }


def said(source: str, destination: str, *policies, port=8080, protocol="TCP") -> bool:
    return flows.allowed(Flow(source, destination, port, protocol), policies, PODS, NAMESPACES).allowed


def incoming(*rules, **more):
    return policy(pods={"app": "web"}, policyTypes=["Ingress"], ingress=list(rules), **more)


def outgoing(*rules):
    return policy(pods={"app": "web"}, policyTypes=["Egress"], egress=list(rules))


def test_without_a_policy_everything_flows():
    assert said("10.1.0.2", "10.1.0.1")
    assert said("10.1.0.1", OUTSIDE)


def test_a_selected_pod_is_closed_in_the_direction_that_is_named_and_in_no_other():
    assert not said("10.1.0.2", "10.1.0.1", incoming())
    assert said("10.1.0.1", "10.1.0.2", incoming())
    assert not said("10.1.0.1", "10.1.0.2", outgoing())
    assert said("10.1.0.2", "10.1.0.1", outgoing())


def test_a_policy_of_another_namespace_isolates_nobody_here():
    assert said("10.1.0.2", "10.1.0.1", policy(namespace="system", policyTypes=["Ingress"]))


def test_without_types_ingress_is_meant_and_egress_where_it_has_rules():
    assert not said("10.1.0.2", "10.1.0.1", policy(pods={"app": "web"}))
    assert said("10.1.0.1", OUTSIDE, policy(pods={"app": "web"}))
    assert not said("10.1.0.1", OUTSIDE, policy(pods={"app": "web"}, egress=[{"ports": [{"port": 443}]}]))


def test_policies_add_up():
    assert said("10.1.0.2", "10.1.0.1", incoming(), incoming({"ports": [{"port": 8080}]}))


def test_both_ends_must_agree():
    closed = policy(namespace="system", policyTypes=["Ingress"])
    verdict = flows.allowed(Flow("10.1.0.1", "10.1.0.3", 6379), [outgoing({}), closed], PODS, NAMESPACES)

    assert not verdict.allowed
    assert "system/p isolates system/store for Ingress" in verdict.by


def test_the_verdict_names_the_policies_that_let_it_through():
    opened = policy(namespace="system", policyTypes=["Ingress"], ingress=[{}])

    assert flows.allowed(Flow("10.1.0.1", "10.1.0.3", 1), [outgoing({}), opened], PODS, NAMESPACES).by == (
        "clinic/p; system/p"
    )


@pytest.mark.parametrize(
    ("peer", "from_shop", "from_store", "from_outside"),
    [
        ({"podSelector": {}}, True, False, False),
        ({"podSelector": {"matchLabels": {"app": "store"}}}, False, False, False),
        ({"namespaceSelector": {}}, True, True, False),
        ({"namespaceSelector": {"matchLabels": {"team": "health"}}}, True, False, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "store"}}}, False, True, False),
        ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}, False, False, True),
        ({"ipBlock": {"cidr": "::/0"}}, False, False, False),
    ],
)
def test_a_peer_is_found_by_pod_by_namespace_or_by_block(peer, from_shop, from_store, from_outside):
    rule = incoming({"from": [peer]})

    assert [said(source, "10.1.0.1", rule) for source in ("10.1.0.2", "10.1.0.3", OUTSIDE)] == [
        from_shop, from_store, from_outside,
    ]  # fmt: skip


def test_no_peers_listed_means_every_peer():
    assert said(OUTSIDE, "10.1.0.1", incoming({"from": []}))


@pytest.mark.parametrize(
    ("ports", "port", "protocol", "let_in"),
    [
        ([{"port": 8080}], 8080, "TCP", True),
        ([{"port": 8080}], 8080, "UDP", False),
        ([{"port": 8080, "endPort": 8090}], 8090, "TCP", True),
        ([{"port": 8080, "endPort": 8090}], 8091, "TCP", False),
        ([{"port": "http"}], 8080, "TCP", True),
        ([{"port": "http"}], 6379, "TCP", False),
        ([{"port": "https"}], 8080, "TCP", False),
        ([{"protocol": "UDP"}], 5000, "UDP", True),
        ([{"protocol": "UDP"}], 5000, "TCP", False),
        ([{"port": 53, "protocol": "UDP"}, {"port": 53}], 53, "TCP", True),
    ],
)
def test_a_port_is_a_number_a_range_a_name_or_all(ports, port, protocol, let_in):
    assert said("10.1.0.2", "10.1.0.1", incoming({"ports": ports}), port=port, protocol=protocol) is let_in


def test_on_the_way_out_a_name_is_the_receivers():
    named = outgoing({"ports": [{"port": "http"}]})

    assert said("10.1.0.1", "10.1.0.3", named, port=6379)
    assert not said("10.1.0.1", OUTSIDE, named, port=8080)


def test_a_pods_own_node_reaches_it_and_another_node_does_not():
    assert said("172.30.0.11", "10.1.0.1", incoming())
    assert not said("172.30.0.12", "10.1.0.1", incoming())


def test_a_pod_does_not_reach_its_own_node_for_nothing():
    assert not said("10.1.0.1", "172.30.0.11", outgoing(), port=6443)


def test_a_pod_cannot_be_kept_from_itself():
    assert said("10.1.0.1", "10.1.0.1", incoming(), outgoing())


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "shop"]}, True),
        ({"key": "app", "operator": "In", "values": ["store"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
    ],
)
def test_expressions_select_as_the_api_says(expression, selected):
    assert flows.selects({"matchExpressions": [expression]}, WEB.labels) is selected


def test_an_unknown_operator_is_no_silent_match():
    with pytest.raises(ValueError, match="no operator 'Gt'"):
        flows.selects({"matchExpressions": [{"key": "app", "operator": "Gt"}]}, WEB.labels)


def _item(name: str, address: str, phase: str = "Running", **spec) -> dict:
    return {
        "metadata": {"namespace": "clinic", "name": name, "labels": {"app": name}},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9}]}], **spec},
        "status": {
            "phase": phase, "podIP": address, "podIPs": [{"ip": address}],
            "hostIP": "172.30.0.11", "hostIPs": [{"ip": "172.30.0.11"}],
        },
    }  # fmt: skip


def test_pods_are_read_with_addresses_and_named_ports():
    (pod,) = flows.pods_of({"items": [_item("web", "10.1.0.1")]}, node=["10.1.0.254"])

    assert (str(pod), pod.addresses, pod.labels) == ("clinic/web", ("10.1.0.1",), {"app": "web"})
    assert pod.node == ("172.30.0.11", "10.1.0.254")
    assert pod.ports == {("http", "TCP"): 8080}


def test_pods_of_the_host_and_ended_pods_are_nobodys_address():
    waiting = _item("new", "10.1.0.9", phase="Pending")
    waiting["status"] = {"phase": "Pending"}
    items = [_item("host", "172.30.0.11", hostNetwork=True), _item("old", "10.1.0.2", phase="Succeeded"), waiting]

    assert flows.pods_of({"items": items}) == []


def test_a_flow_with_a_pod_that_is_gone_is_not_judged_and_one_without_pods_neither():
    alive, gone, node_side = "10.1.0.1", "10.1.0.77", "172.30.0.11"
    seen = [
        Flow(alive, OUTSIDE, 443), Flow(alive, gone, 6379), Flow(gone, alive, 8080), Flow(gone, OUTSIDE, 443),
        Flow(node_side, OUTSIDE, 443), Flow(node_side, alive, 8080),
    ]  # fmt: skip

    assert flow_check.judgeable(seen, PODS, "10.1.0.0/16") == [Flow(alive, OUTSIDE, 443), Flow(node_side, alive, 8080)]


def test_a_service_that_led_nowhere_yet_was_reached_by_nobody():
    """Regression: a pod that asked for the operator before the node knew the way was said to break its policy."""
    seen = flows.parse(BEFORE_THE_SERVICE_LED_ANYWHERE)

    assert seen == [Flow("10.1.0.1", "10.96.14.116", 8090)]
    assert flow_check.judgeable(seen, PODS, "10.1.0.0/16") == []


def test_a_violation_names_both_ends_the_port_and_the_policy():
    rules = [outgoing({"ports": [{"port": 443}]})]

    assert flow_check.unexplained([Flow("10.1.0.1", OUTSIDE, 443)], rules, PODS, NAMESPACES) == []
    (sentence,) = flow_check.unexplained([Flow("10.1.0.1", "10.1.0.3", 6379)], rules, PODS, NAMESPACES)
    assert sentence.startswith("clinic/web reached system/store on TCP 6379, but clinic/p")
