"""What a region decides alone, explained in the words of the module that decided."""

from __future__ import annotations

from holdfast.core import explain_here, providers, reasons, relays
from holdfast.core.explain import Entry, Kind, Outcome, Said, Subject
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.relays import Home, Relay, Sight, Transport
from holdfast.core.values import AgentRef, Reason, Withdrawal

DESK = AgentRef("clinic", "front-desk")
AGENT = Subject(Kind.AGENT, "clinic/front-desk")
FRA = Subject(Kind.REGION, "fra")
OPENAI = AttemptLine("openai", "openai/realtime")
AZURE = AttemptLine("azure", "azure/realtime")
ABROAD = AttemptLine("gemini", "gemini/live", regions=frozenset({"iad"}))
ONE = Relay("turn-1", "eu", {Transport.UDP: "turn:one"})


def told(spec: Attempts, *sick: str) -> tuple[Entry, ...]:
    order = providers.order(spec, frozenset(sick), region="fra")
    return explain_here.attempts(DESK, spec, order, zone="eu", region="fra")


def test_the_specs_own_order_needs_no_explanation():
    assert told(Attempts((OPENAI, AZURE))) == ()


def test_an_ill_attempt_is_tried_last_and_the_entry_says_the_order():
    said = (Said("fra", "down", 0.0, 12.0, detail="5xx"),)
    spec = Attempts((OPENAI, AZURE))
    order = providers.order(spec, frozenset({"openai/realtime"}), region="fra")
    (entry,) = explain_here.attempts(DESK, spec, order, zone="eu", region="fra", evidence=said)

    assert entry == Entry(
        AGENT, "eu", Outcome.PREFERRED, "try azure, then openai", order.reasons[0], region="fra", evidence=said
    )
    assert entry.reason.code == reasons.ATTEMPT_ILL


def test_when_all_are_ill_the_order_is_the_specs_and_says_so():
    (entry,) = told(Attempts((OPENAI, AZURE)), "openai/realtime", "azure/realtime")

    assert (entry.outcome, entry.action) == (Outcome.PREFERRED, "try openai, then azure")
    assert entry.reason.code == reasons.ALL_ATTEMPTS_ILL


def test_each_attempt_that_is_left_out_is_refused_by_name():
    uncompliant = AttemptLine("azure", "azure/realtime", declares=frozenset())
    refused = told(Attempts((OPENAI, uncompliant, ABROAD), compliance=frozenset({"hipaa"})))

    assert [(entry.outcome, entry.action, entry.guard) for entry in refused] == [
        (Outcome.REFUSED, "try openai in fra", reasons.ATTEMPT_NOT_COMPLIANT),
        (Outcome.REFUSED, "try azure in fra", reasons.ATTEMPT_NOT_COMPLIANT),
        (Outcome.REFUSED, "try gemini in fra", reasons.ATTEMPT_NOT_HERE),
        (Outcome.REFUSED, "take calls in fra", reasons.NO_ATTEMPT),
    ]


def test_the_ice_servers_of_a_region_are_a_preference():
    two = Relay("turn-2", "eu", {Transport.UDP: "turn:two", Transport.TLS: "turns:two"})
    ice = relays.servers([ONE, two], {("turn-1", Transport.UDP): Sight.FULL}, home=Home("eu"))
    entry = explain_here.relays(ice, zone="eu", region="fra")

    assert (entry.subject, entry.outcome, entry.reason) == (FRA, Outcome.PREFERRED, ice.reason)
    assert entry.action == "offer turn-2 over udp, then turn-2 over tls, then turn-1 over udp"


def test_no_relay_that_may_be_offered_is_a_refusal():
    ice = relays.servers([ONE], {}, home=Home("us"))
    entry = explain_here.relays(ice, zone="us", region="iad")

    assert (entry.outcome, entry.action, entry.guard) == (Outcome.REFUSED, "offer a relay", reasons.NO_RELAY)


def test_a_region_that_asks_decides_and_one_that_does_not_refuses():
    reason = Reason(reasons.PODS_NOT_READY, "agents with too few ready pods: 3")
    (asks,) = explain_here.withdrawal(Withdrawal("fra", reason, 0.0), zone="eu", region="fra")
    shared = Reason(reasons.SEEN_ELSEWHERE, "not only fra sees it: openai")
    (silent,) = explain_here.withdrawal(shared, zone="eu", region="fra")

    assert asks == Entry(FRA, "eu", Outcome.DECIDED, "ask to be taken out of service", reason)
    assert (silent.outcome, silent.reason, silent.guard) == (Outcome.REFUSED, shared, reasons.SEEN_ELSEWHERE)
    assert explain_here.withdrawal(None, zone="eu", region="fra") == ()
