"""Conditions say what was decided in the same words, and are never truer than what was read."""

from __future__ import annotations

from core_builders import DOWN, UNKNOWN, origins, said, view, zone

from holdfast.core import failover, fallback, reasons, status
from holdfast.core.plans import Plan
from holdfast.core.status import Condition, Load
from holdfast.core.values import Intent, OriginState, Reason, RegionMemory

CORDONED = {"fra": RegionMemory(Intent.CORDONED, 9.0, 1, "2 of 2 observers see fra down")}


def told(condition: Condition) -> tuple[bool | None, str]:
    assert condition.reason.message
    return condition.status, condition.reason.code


def region(seen, plan: Plan | None = None) -> dict[str, Condition]:
    return {each.type: each for each in status.region("fra", seen, plan=plan or Plan())}


def test_a_zone_is_ready_while_a_region_that_serves_is_seen_up():
    assert told(status.ready(view(verdicts={"fra": DOWN}))) == (True, reasons.READY)
    assert told(status.ready(view(verdicts={"fra": DOWN, "ams": DOWN}))) == (False, reasons.NO_REGION_SERVES)
    assert told(status.ready(view(verdicts={"fra": UNKNOWN, "ams": UNKNOWN}))) == (None, reasons.NO_REGION_SERVES)


def test_a_quorum_is_held_by_a_leader():
    assert told(status.quorum(zone(), leader="ams")) == (True, reasons.LEADER_ELECTED)
    assert told(status.quorum(zone(), leader=None)) == (False, reasons.NO_MAJORITY)


def test_two_voters_are_told_to_name_a_witness():
    assert told(status.quorum(zone(witnesses=()), leader="ams")) == (False, reasons.NO_WITNESS)


def test_ready_for_loss_when_the_others_have_room_for_the_largest():
    loads = {"fra": Load(2, 40, 60), "ams": Load(2, 10, 40)}
    assert told(status.ready_for_loss(zone(), loads=loads)) == (False, reasons.ENOUGH_PODS)
    loads["ams"] = Load(2, 10, 39)
    assert told(status.ready_for_loss(zone(), loads=loads)) == (True, reasons.NOT_ENOUGH_PODS)


def test_not_ready_for_loss_without_another_ready_pod_even_when_nobody_calls():
    assert told(status.ready_for_loss(zone(), loads={"fra": Load(2, 0, 100)})) == (True, reasons.NOT_ENOUGH_PODS)
    assert told(status.ready_for_loss(zone(("fra",)), loads={})) == (True, reasons.ONE_REGION)
    assert told(status.ready_for_loss(zone(), loads={})) == (None, reasons.NOT_ENOUGH_PODS)


def test_a_lever_that_does_not_answer_is_named():
    assert told(status.levers_reachable(zone(), failing={})) == (True, reasons.LEVER_ANSWERS)
    failing = status.levers_reachable(zone(), failing={"edge": "429, back in 300 s", "foreign": "x"})
    assert (failing.status, failing.reason.message) == (False, "edge: 429, back in 300 s")


def test_a_cordoned_region_tells_why_in_the_words_of_the_decision():
    ready = region(view(memory=CORDONED))["Ready"]
    assert (ready.status, ready.reason) == (False, Reason(reasons.REGION_CORDONED, "2 of 2 observers see fra down"))
    assert told(region(view())["Ready"]) == (True, reasons.READY)


def test_reachable_is_true_false_or_unknown():
    assert told(region(view())["Reachable"]) == (True, reasons.READY)
    assert told(region(view(verdicts={"fra": DOWN}))["Reachable"]) == (False, reasons.REGION_LOST)
    assert told(region(view(observations=[said("ams", "fra", DOWN)]))["Reachable"]) == (None, reasons.NOT_CONFIRMED)


def test_a_route_is_in_sync_only_when_it_was_read_to_be():
    def in_sync(seen) -> tuple[bool | None, str]:
        return told(region(seen)["RouteInSync"])

    assert in_sync(view()) == (True, reasons.READ_BACK)
    assert in_sync(view(memory=CORDONED)) == (False, reasons.ROUTE_DIFFERS)
    assert in_sync(view(routes=origins(zone(), off=["fra"]))) == (False, reasons.ROUTE_DIFFERS)
    assert in_sync(view(memory=CORDONED, routes=origins(zone(), off=["fra"]))) == (True, reasons.READ_BACK)
    assert in_sync(view(routes=[])) == (None, reasons.ROUTE_UNKNOWN)
    assert in_sync(view(zone(levers=()))) == (None, reasons.NO_ORIGIN)


def test_one_lever_that_differs_outweighs_another_that_is_unknown():
    of = zone(levers=("edge", "second"))
    seen = view(of, routes=[OriginState("edge", "fra", False)])
    assert told(region(seen)["RouteInSync"]) == (False, reasons.ROUTE_DIFFERS)


def test_what_a_guard_holds_back_is_shown_with_its_reason():
    seen = view(verdicts={"fra": DOWN}, fence=None)
    held = region(seen, failover.decide(seen, 1.0))["ActionHeld"]
    assert told(held) == (True, reasons.NO_QUORUM)
    assert told(region(view())["ActionHeld"]) == (False, reasons.NOTHING_HELD)


def test_a_fallback_is_ready_when_read_back_and_apart():
    apart = fallback.Fallback("ams", apart=True, reason=Reason(reasons.SEPARATE_REGION, "apart"))
    alone = fallback.Fallback("fra", apart=False, reason=Reason(reasons.NO_OTHER_REGION, "alone"))
    assert told(status.fallback_ready(apart, read_back=True)) == (True, reasons.SEPARATE_REGION)
    assert told(status.fallback_ready(alone, read_back=True)) == (False, reasons.NO_OTHER_REGION)
    assert told(status.fallback_ready(apart, read_back=False)) == (False, reasons.ROUTE_DIFFERS)
    assert told(status.fallback_ready(apart, read_back=None)) == (None, reasons.ROUTE_UNKNOWN)


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
    assert {each["observedGeneration"] for each in rendered} == {4}
    assert len(rendered[1]["message"]) == status.MESSAGE_CHARS_MAX
