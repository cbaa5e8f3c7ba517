"""Conditions say what was decided in the same words, and are never truer than what was read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import DEGRADED, DOWN, UNKNOWN, cordoned, joined, origins, regions, said, view, zone

from holdfast.core import failover, fallback, reasons, status
from holdfast.core.agents import AgentSpec, Attempt, Persona
from holdfast.core.evidence import History
from holdfast.core.latency import Standing
from holdfast.core.plans import CarrierMove, Plan, Refusal, Turn, View
from holdfast.core.providers import Order
from holdfast.core.readiness import Loss
from holdfast.core.status import Condition
from holdfast.core.values import OriginState, Reason, RegionMemory, Tier, Verdict

CORDONED = joined(zone(), fra=cordoned(ago_s=9.0, reason="2 of 2 observers see fra down"))


def told(condition: Condition) -> tuple[bool | None, str]:
    assert condition.reason.message
    return condition.status, condition.reason.code


def said_of(condition: Condition) -> tuple[bool | None, str, str]:
    return condition.status, condition.reason.code, condition.reason.message


def region(seen: View, plan: Plan | None = None) -> dict[str, Condition]:
    return {each.type: each for each in status.region("fra", seen, plan=plan or Plan())}


def test_a_zone_is_ready_while_a_region_that_serves_is_seen_up():
    assert status.ready(view()) == Condition("Ready", True, Reason(reasons.READY, "new calls go to fra, ams"))
    assert said_of(status.ready(view(verdicts={"fra": DOWN}))) == (True, reasons.READY, "new calls go to ams")
    assert told(status.ready(view(verdicts={"fra": DEGRADED, "ams": DOWN}))) == (True, reasons.READY)


def test_it_is_not_when_all_are_down_and_unknown_when_nobody_says_so():
    words = "no region of zone eu is both meant to serve and seen up"
    assert said_of(status.ready(view(verdicts={"fra": DOWN, "ams": DOWN}))) == (False, reasons.NO_REGION_SERVES, words)
    assert said_of(status.ready(view(verdicts={"fra": UNKNOWN, "ams": UNKNOWN}))) == (
        None, reasons.NO_REGION_SERVES, words,
    )
    assert told(status.ready(view(verdicts={"fra": DOWN, "ams": UNKNOWN}))) == (False, reasons.NO_REGION_SERVES)


def test_a_zone_without_a_legal_region_is_not_ready():
    seen = view(regions=regions(zone(), abroad=["fra", "ams"]))
    assert told(status.ready(seen)) == (False, reasons.NO_REGION_SERVES)


def test_a_quorum_is_held_by_a_leader():
    assert status.quorum(zone(), leader="ams") == Condition(
        "QuorumHeld", True, Reason(reasons.LEADER_ELECTED, "ams leads zone eu")
    )
    assert said_of(status.quorum(zone(), leader=None)) == (
        False, reasons.NO_MAJORITY, "nobody holds 2 of 3 votes; routing is held as it is"
    )


def test_two_voters_are_told_to_name_a_witness():
    assert status.quorum(zone(witnesses=()), leader="ams") == Condition("QuorumHeld", False, Reason(
        reasons.NO_WITNESS, "fra and ams have no majority without each other: name a witness"
    ))


def loss(target: str, survived: bool | None, code: str = "Code", tier: Tier = Tier.REGION) -> Loss:
    return Loss(tier, target, survived, (), Reason(code, f"what of {target}"))


def test_a_zone_is_ready_for_loss_while_any_one_thing_may_be_lost():
    found = [loss("fra", True), loss("ams", True), loss("twilio", True, tier=Tier.CARRIER)]
    assert status.ready_for_loss(found) == Condition("ReadyForLoss", True, Reason(
        reasons.READY_FOR_LOSS, "any one may be lost now: region fra, ams; carrier twilio"
    ))


def test_the_worst_gap_is_named_with_what_closes_it():
    found = [
        loss("fra", None, reasons.LOAD_UNKNOWN), loss("ams", False, reasons.NOT_ENOUGH_PODS),
        loss("turn-1", False, reasons.NO_OTHER_RELAY, Tier.RELAY),
    ]
    assert said_of(status.ready_for_loss(found)) == (
        False, reasons.NOT_ENOUGH_PODS,
        "what of ams. More bridge pods are ready in the other regions. 1 more would not be survived.",
    )
    assert status.ready_for_loss(found[:2]).reason.message.endswith("in the other regions.")


def test_what_is_not_known_makes_no_zone_ready():
    assert said_of(status.ready_for_loss([loss("ams", True), loss("fra", None, reasons.LOAD_UNKNOWN)])) == (
        None, reasons.LOAD_UNKNOWN, "what of fra"
    )


def test_a_zone_in_which_nothing_serves_is_not_ready():
    assert said_of(status.ready_for_loss([])) == (False, reasons.NO_REGION_SERVES, "no region of the zone serves")


def test_a_lever_that_does_not_answer_is_named():
    assert status.levers_reachable(zone(), failing={}) == Condition(
        "LeverReachable", True, Reason(reasons.LEVER_ANSWERS, "every lever answers")
    )
    of = zone(levers=("edge", "second", "third"))
    failing = status.levers_reachable(of, failing={"third": "timeout", "edge": "429, back in 300 s", "foreign": "x"})
    assert failing == Condition("LeverReachable", False, Reason(
        reasons.LEVER_UNREACHABLE, "edge: 429, back in 300 s; third: timeout"
    ))


def test_a_region_has_these_four_conditions():
    assert list(region(view())) == ["Ready", "Reachable", "RouteInSync", "ActionHeld"]


def test_a_cordoned_region_tells_why_in_the_words_of_the_decision():
    assert said_of(region(view(memory=CORDONED))["Ready"]) == (
        False, reasons.REGION_CORDONED, "2 of 2 observers see fra down"
    )
    healed = joined(zone(), fra=cordoned(stands=False, reason="2 of 2 observers see fra up"))
    assert said_of(region(view(memory=healed))["Ready"]) == (True, reasons.READY, "2 of 2 observers see fra up")


def test_without_such_words_it_is_told_plainly():
    assert said_of(region(view())["Ready"]) == (True, reasons.READY, "fra takes calls")
    assert said_of(region(view(memory=joined(zone(), fra=cordoned())))["Ready"]) == (
        False, reasons.REGION_CORDONED, "fra takes no new calls"
    )


def test_a_region_abroad_never_takes_calls_whatever_is_remembered_of_it():
    seen = region(view(regions=regions(zone(), abroad=["fra"])))
    assert told(seen["Ready"]) == (False, reasons.REGION_CORDONED)
    assert said_of(seen["RouteInSync"]) == (False, reasons.ROUTE_DIFFERS, "not yet off at edge")


def test_reachable_is_true_false_or_unknown():
    assert said_of(region(view())["Reachable"]) == (True, reasons.READY, "2 of 2 observers see fra up")
    assert said_of(region(view(verdicts={"fra": DOWN}))["Reachable"]) == (
        False, reasons.REGION_LOST, "2 of 2 observers see fra down, 2 are needed (ams; iad)"
    )
    assert said_of(region(view(observations=[said("ams", "fra", DOWN)]))["Reachable"]) == (
        None, reasons.NOT_CONFIRMED, "0 of 2 observers see fra up"
    )


@pytest.mark.parametrize(
    ("seen", "status_is", "code", "words"),
    [
        (view(), True, reasons.READ_BACK, "on at edge, read back"),
        (view(memory=CORDONED), False, reasons.ROUTE_DIFFERS, "not yet off at edge"),
        (view(routes=origins(zone(), off=["fra"])), False, reasons.ROUTE_DIFFERS, "not yet on at edge"),
        (view(memory=CORDONED, routes=origins(zone(), off=["fra"])), True, reasons.READ_BACK, "off at edge, read back"),
        (view(zone(levers=("edge", "second")), routes=[]), None, reasons.ROUTE_UNKNOWN, "not read at edge, second"),
        (view(zone(levers=())), None, reasons.NO_ORIGIN, "fra has no origin at any lever"),
        (view(zone(levers=("edge", "second"))), True, reasons.READ_BACK, "on at edge, second, read back"),
    ],
    ids=["on", "to be off", "to be on", "off", "not read", "nowhere", "on at both"],
)
def test_a_route_is_in_sync_only_when_it_was_read_to_be(
    seen: View, status_is: bool | None, code: str, words: str
):
    assert said_of(region(seen)["RouteInSync"]) == (status_is, code, words)


def test_one_lever_that_differs_outweighs_another_that_is_unknown():
    seen = view(zone(levers=("edge", "second")), routes=[OriginState("edge", "fra", False)])
    assert said_of(region(seen)["RouteInSync"]) == (False, reasons.ROUTE_DIFFERS, "not yet on at edge")


def test_every_lever_that_differs_is_named():
    of = zone(levers=("edge", "second"))
    seen = view(of, routes=origins(of, off=["fra"]))
    assert region(seen)["RouteInSync"].reason.message == "not yet on at edge, second"


def test_a_share_that_is_not_as_wanted_is_not_in_sync():
    of = zone(weighted=["edge"])
    climbing = joined(of, fra=RegionMemory({}, 0))
    whole = view(of, memory=climbing, routes=[OriginState("edge", "fra", True, share=100)])
    assert said_of(region(whole)["RouteInSync"]) == (False, reasons.ROUTE_DIFFERS, "not yet on with 5 % at edge")
    as_wanted = view(of, memory=climbing, routes=[OriginState("edge", "fra", True, share=5)])
    assert told(region(as_wanted)["RouteInSync"]) == (True, reasons.READ_BACK)


def test_what_a_guard_holds_back_is_shown_with_its_reason():
    seen = view(verdicts={"fra": DOWN}, fence=None)
    assert said_of(region(seen, failover.decide(seen, 1.0))["ActionHeld"]) == (
        True, reasons.NO_QUORUM, "this operator does not hold a majority of the votes"
    )
    assert said_of(region(view())["ActionHeld"]) == (
        False, reasons.NOTHING_HELD, "no action on this region is held back"
    )


def test_what_is_held_elsewhere_or_of_a_carrier_is_not_shown_here():
    seen = view(verdicts={"ams": DOWN}, fence=None)
    carrier = Refusal(CarrierMove("fra", Turn.OUT, Reason("CarrierIll", "x")), Reason("Dwell", "y"))
    plan = Plan(refusals=(carrier, *failover.decide(seen, 1.0).refusals))
    assert told(region(seen, plan)["ActionHeld"]) == (False, reasons.NOTHING_HELD)


def test_a_fallback_is_ready_when_read_back_and_apart():
    apart = fallback.Fallback("ams", apart=True, reason=Reason(reasons.SEPARATE_REGION, "apart"))
    alone = fallback.Fallback("fra", apart=False, reason=Reason(reasons.NO_OTHER_REGION, "alone"))
    assert status.fallback_ready(apart, read_back=True) == Condition("FallbackReady", True, apart.reason)
    assert status.fallback_ready(alone, read_back=True) == Condition("FallbackReady", False, alone.reason)
    assert said_of(status.fallback_ready(apart, read_back=False)) == (
        False, reasons.ROUTE_DIFFERS, "the carrier's application differs"
    )
    assert said_of(status.fallback_ready(apart, read_back=None)) == (
        None, reasons.ROUTE_UNKNOWN, "the carrier was not read yet"
    )


def test_without_a_legal_region_there_is_nowhere_to_fall_back_to():
    assert status.fallback_ready(None, read_back=True) == Condition("FallbackReady", False, Reason(
        reasons.OUTSIDE_RESIDENCY, "no region of the zone may legally take calls, so there is nowhere to fall back to"
    ))


def test_rendered_conditions_keep_the_time_of_their_last_turn():
    before = [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "Reachable", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]
    conditions = [
        Condition("Reachable", None, Reason("NotConfirmed", "x" * 5000)),
        Condition("Ready", True, Reason("Ready", "a")),
        Condition("QuorumHeld", False, Reason("NoMajority", "b")),
    ]
    rendered = status.rendered(conditions, before=before, generation=4, now="2026-02-02T00:00:00Z")
    assert [(each["type"], each["status"], each["lastTransitionTime"]) for each in rendered] == [
        ("QuorumHeld", "False", "2026-02-02T00:00:00Z"),
        ("Reachable", "Unknown", "2026-02-02T00:00:00Z"),
        ("Ready", "True", "2026-01-01T00:00:00Z"),
    ]
    assert rendered[0] == {
        "type": "QuorumHeld", "status": "False", "reason": "NoMajority", "message": "b", "observedGeneration": 4,
        "lastTransitionTime": "2026-02-02T00:00:00Z",
    }
    assert len(rendered[1]["message"]) == status.MESSAGE_CHARS_MAX


def test_a_lever_on_trial_is_not_waited_for():
    of = zone(levers=("edge", "second"))
    trial = replace(of, levers=(of.levers[0], replace(of.levers[1], dry_run=True)))
    seen = view(trial, routes=[OriginState("edge", "fra", True), OriginState("second", "fra", False)])
    assert told(region(seen)["RouteInSync"]) == (True, reasons.READ_BACK)


def test_what_others_changed_at_levers_is_told_lever_by_lever():
    assert told(status.levers_as_kept({})) == (True, reasons.AS_KEPT)
    drift = {"numbers": ("+4930123",), "edge": ("country_pools.DE lacks ams", "steering_policy is geo")}
    assert said_of(status.levers_as_kept(drift)) == (
        False, reasons.DRIFT, "edge: country_pools.DE lacks ams, steering_policy is geo; numbers: +4930123"
    )


def test_an_agents_attempts_are_well_or_the_reasons_are_told_one_by_one():
    assert told(status.attempts_well(Order(("openai", "azure")))) == (True, reasons.ATTEMPTS_AS_WISHED)
    ill = Reason(reasons.ATTEMPT_ILL, "openai is ill in fra and tried last")
    barred = Reason(reasons.HOST_NOT_GRANTED, "the policy does not grant x.example.com, the host of x")
    assert said_of(status.attempts_well(Order(("azure", "openai"), (ill, barred)))) == (
        False, reasons.ATTEMPT_ILL, f"{ill.message}; {barred.message}"
    )


def test_an_attempt_that_is_meant_for_other_regions_is_as_the_spec_has_it():
    not_here = Reason(reasons.ATTEMPT_NOT_HERE, "openai is not meant for fra")
    none = Reason(reasons.NO_ATTEMPT, "no attempt is permitted in fra, so no call is taken there")
    assert told(status.attempts_well(Order(("azure",), (not_here,)))) == (True, reasons.ATTEMPTS_AS_WISHED)
    assert said_of(status.attempts_well(Order((), (not_here, none)))) == (
        False, reasons.ATTEMPT_NOT_HERE, f"{not_here.message}; {none.message}"
    )


def stored(*parts: Attempt, vendors_keep: bool = False) -> AgentSpec:
    return AgentSpec(zone="eu", persona=Persona("", ""), attempts=parts, vendors_keep=vendors_keep)


def test_nothing_is_said_of_vendors_while_nobody_asks_what_they_store():
    assert status.vendor_storage_off(stored(Attempt("a", "openai"), vendors_keep=True)) is None


def test_every_vendor_is_told_to_store_nothing_or_is_named():
    told_all = stored(Attempt("g", "gemini", options={"noStore": True}), Attempt("l", "gpt-live"))
    assert said_of(status.vendor_storage_off(told_all)) == (
        True, reasons.VENDORS_TOLD, "every vendor is told to store nothing",
    )  # fmt: skip
    stages = (
        Attempt("c/hearing", "deepgram-nova", options={"noStore": True}), Attempt("c/thinking", "anthropic"),
        Attempt("c/speaking", "elevenlabs", options={"noStore": False}),
    )  # fmt: skip
    none = "there is no switch, and what the vendor keeps is a matter of the contract with it"
    left = "c/speaking (elevenlabs): options.noStore says that it may be stored"
    cascade = Attempt("c", "cascade", stages=stages)
    assert said_of(status.vendor_storage_off(stored(Attempt("a", "openai"), cascade))) == (
        False, reasons.BY_CONTRACT_ONLY, f"a (openai), c/thinking (anthropic): {none}; {left}",
    )  # fmt: skip
    alone = replace(stages[2], name="c/speaking")
    assert said_of(status.vendor_storage_off(stored(alone))) == (False, reasons.LEFT_ON, left)


WELL = History(0.0, Verdict.UP)
UNHEARD = History(0.0)


def test_tools_are_well_when_each_was_seen_to_answer_and_unknown_before():
    assert said_of(status.tools_well({"lookup": WELL, "book": WELL})) == (
        True, reasons.TOOLS_ANSWER, "well: book, lookup",
    )  # fmt: skip
    assert said_of(status.tools_well({"lookup": WELL, "book": UNHEARD})) == (
        None, reasons.TOOL_UNHEARD, "not called often enough here: book",
    )  # fmt: skip


def test_of_several_tools_the_worst_is_told():
    refusing = History(0.0, Verdict.UNKNOWN, detail="refused")
    assert said_of(status.tools_well({"lookup": refusing, "book": UNHEARD})) == (
        False, reasons.TOOL_REFUSES,
        "lookup refuses our calls: its address or what it asks for is not as in the spec",
    )  # fmt: skip
    inside = History(0.0, Verdict.UNKNOWN, detail="forbidden-address")
    unsigned = History(0.0, Verdict.UNKNOWN, detail="unsigned")
    assert said_of(status.tools_well({"lookup": inside, "book": unsigned})) == (
        False, reasons.TOOL_REFUSES,
        (
            "book is not asked: the secret that signs its requests is missing; lookup is not asked: it lies where "
            "tools may not go, see webhook.network and tenants[].toolNetworks"
        ),
    )  # fmt: skip
    down = History(0.0, Verdict.DOWN, detail="timeout")
    slow = History(0.0, Verdict.DEGRADED, detail="3 of the last 9 answers were bad")
    assert said_of(status.tools_well({"lookup": refusing, "book": down, "cancel": slow, "ask": WELL})) == (
        False, reasons.TOOL_ILL, "book: down (timeout); cancel: degraded (3 of the last 9 answers were bad)",
    )  # fmt: skip


def test_stages_are_in_time_as_long_as_none_is_slow_and_any_was_heard():
    slow, well, unheard = Standing(Verdict.DEGRADED, 410), Standing(Verdict.UP, 90), Standing()
    assert said_of(status.stages_in_time({"c/thinking": (slow, 150), "c": (slow, 800), "o": (well, 800)})) == (
        False, reasons.BROWN_OUT, "c took 410 ms (p95) of 800 ms; c/thinking took 410 ms (p95) of 150 ms",
    )  # fmt: skip
    assert said_of(status.stages_in_time({"o": (well, 800), "c": (unheard, 800)})) == (
        True, reasons.IN_TIME, "within their budgets: o",
    )  # fmt: skip
    assert said_of(status.stages_in_time({"o": (unheard, 800), "c": (unheard, 800)})) == (
        None, reasons.LATENCY_UNHEARD, "too few turns here to tell: c, o",
    )  # fmt: skip
