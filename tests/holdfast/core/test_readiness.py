"""What each single loss would do is known before it happens, from what is seen and not from what is configured."""

from __future__ import annotations

import pytest
from core_builders import DOWN, UNKNOWN, cordoned, joined, loads, regions, view, zone

from holdfast.core import readiness, reasons, remedies
from holdfast.core.plans import View
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.readiness import Loss, Providers
from holdfast.core.relays import IceList, IceServer, Transport
from holdfast.core.values import AgentRef, Load, Reason, Tier

CALM = {"fra": Load(2, 40, 60), "ams": Load(1, 10, 40)}
DESK, SHOP = AgentRef("clinic", "desk"), AgentRef("shop", "line")


def of(seen: View, name: str = "fra") -> Loss:
    (found,) = [loss for loss in readiness.losses(seen) if loss.target == name]
    return found


def told(found: Loss) -> tuple[bool | None, str, str]:
    return found.survived, found.reason.code, found.reason.message


def attempts(*lines: tuple[str, str]) -> Attempts:
    return Attempts(tuple(AttemptLine(name, provider) for name, provider in lines))


def provider(agents: dict[AgentRef, Attempts], sick_in: dict[str, frozenset[str]]) -> dict[str, Loss]:
    found = readiness.losses(view(loads=CALM), providers=Providers(agents, sick_in))
    return {loss.target: loss for loss in found if loss.tier is Tier.PROVIDER}


def offered(*relays: str) -> IceList:
    return IceList(tuple(IceServer(name, Transport.UDP, f"turn:{name}") for name in relays), Reason("RelaysWell", ""))


# Regions.


def test_a_region_may_be_lost_while_the_others_have_room_for_its_calls():
    assert of(view(loads=CALM)) == Loss(Tier.REGION, "fra", True, ("ams",), Reason(
        reasons.ENOUGH_PODS, "without fra its calls have room in ams"
    ))
    short = {**CALM, "ams": Load(1, 10, 39)}
    assert told(of(view(loads=short))) == (
        False, reasons.NOT_ENOUGH_PODS, "without fra the others have room for 90 % of its calls"
    )


def test_every_region_that_serves_is_judged_and_not_only_the_largest():
    short = {"fra": Load(2, 40, 5), "ams": Load(1, 10, 40)}
    seen = view(loads=short)
    assert [(loss.target, loss.survived) for loss in readiness.losses(seen)] == [("fra", True), ("ams", False)]
    out = view(loads=CALM, memory=joined(zone(), ams=cordoned()))
    assert [loss.target for loss in readiness.losses(out)] == ["fra"]


def test_room_without_a_ready_pod_is_no_room_even_when_nobody_calls():
    assert told(of(view(loads={"fra": Load(2, 0, 100), "ams": Load(0, 0, 100)}))) == (
        False, reasons.NOT_ENOUGH_PODS, "without fra the others have room for none of its calls"
    )
    assert of(view(loads={"fra": Load(2, 0, 100)})).survived is False
    assert of(view(loads={"fra": Load(2, 0, 100), "ams": Load(1, 0, 0)})).survived is True


def test_a_region_that_does_not_tell_its_calls_is_unknown():
    assert told(of(view(loads={"ams": CALM["ams"]}))) == (None, reasons.LOAD_UNKNOWN, "fra does not tell its calls")


def test_a_standby_takes_over_only_when_no_other_has_a_weight():
    three = zone(("fra", "ams", "iad"), (), weights={"iad": 0})
    everybody = {**CALM, "iad": Load(2, 0, 90)}
    assert of(view(three, loads=everybody)).instead == ("ams",)
    assert of(view(three, {"ams": DOWN}, loads=everybody)).instead == ("iad",)
    tight = {**everybody, "ams": Load(1, 10, 0)}
    assert of(view(three, loads=tight)).survived is True, "what overflows goes to the standby"


def test_a_region_that_is_down_takes_nothing_over():
    assert told(of(view(loads=CALM, verdicts={"ams": DOWN}))) == (
        False, reasons.NO_OTHER_REGION, "without fra no other region serves that is seen up"
    )
    assert of(view(loads=CALM, verdicts={"ams": UNKNOWN})).survived is None
    assert of(view(loads=CALM, memory=joined(zone(), ams=cordoned()))).survived is False


def test_a_loss_that_takes_the_majority_with_it_is_a_gap():
    assert told(of(view(loads=CALM, heard_ago_s={"fra": 0.5, "ams": 0.5, "iad": 3.1}))) == (
        False, reasons.NO_MAJORITY,
        "without fra 1 of 3 votes are left and 2 are needed: routing would be held as it is",
    )
    assert told(of(view(zone(witnesses=()), loads=CALM))) == (
        False, reasons.NO_WITNESS, "without fra one vote of two is left, which is no majority"
    )


def test_one_region_is_one_gap():
    alone = zone(("fra",))
    assert told(of(view(alone, loads=loads(alone)))) == (
        False, reasons.ONE_REGION, "the zone has one region: its loss is survived at the carrier only"
    )
    abroad = view(loads=CALM, regions=regions(zone(), abroad=["ams"]))
    assert of(abroad).reason.code == reasons.ONE_REGION


# Providers.


def test_a_provider_may_be_lost_while_each_agent_has_another_attempt():
    found = provider({DESK: attempts(("main", "openai"), ("spare", "azure"))}, {"fra": frozenset()})
    assert found["openai"] == Loss(Tier.PROVIDER, "openai", True, ("spare",), Reason(
        reasons.OTHER_ATTEMPT, "without openai calls go on with spare"
    ))
    assert found["azure"].instead == ("main",)


def test_an_attempt_that_is_ill_takes_nothing_over_and_who_is_left_bare_is_named():
    two = attempts(("main", "openai"), ("spare", "azure"))
    found = provider({DESK: two, SHOP: two}, {"fra": frozenset(), "ams": frozenset({"azure"})})
    assert told(found["openai"]) == (
        False, reasons.NO_OTHER_ATTEMPT,
        "without openai no other attempt is well for clinic/desk in ams, shop/line in ams",
    )
    assert found["openai"].instead == ("spare",)
    assert list(found) == ["openai", "azure"], "the one that leaves most agents bare comes first"


def test_of_many_bare_agents_a_few_are_named():
    agents = {AgentRef("clinic", f"a-{number}"): attempts(("main", "openai")) for number in range(5)}
    found = provider(agents, {"fra": frozenset()})
    assert found["openai"].reason.message.endswith("clinic/a-0 in fra, clinic/a-1 in fra, clinic/a-2 in fra and 2 more")


def test_a_second_attempt_at_the_same_provider_is_no_other():
    found = provider({DESK: attempts(("main", "openai"), ("again", "openai"))}, {"fra": frozenset()})
    assert found["openai"].survived is False


CASCADE = AttemptLine(
    "cascade", stages=(AttemptLine("cascade/hearing", "deepgram"), AttemptLine("cascade/thinking", "anthropic", "key"))
)
MAIN = AttemptLine("main", "openai")


def test_each_provider_of_a_cascade_may_be_lost_while_there_is_an_attempt_without_it():
    found = provider({DESK: Attempts((MAIN, CASCADE))}, {"fra": frozenset()})
    assert {name: (loss.survived, loss.instead) for name, loss in found.items()} == {
        "openai": (True, ("cascade",)), "deepgram": (True, ("main",)), "anthropic": (True, ("main",)),
    }  # fmt: skip
    alone = provider({DESK: Attempts((CASCADE,))}, {"fra": frozenset()})
    assert {name: loss.survived for name, loss in alone.items()} == {"deepgram": False, "anthropic": False}


@pytest.mark.parametrize("sick", ["deepgram", "anthropic", "key"])
def test_a_cascade_with_one_ill_stage_takes_nothing_over(sick: str):
    found = provider({DESK: Attempts((MAIN, CASCADE))}, {"fra": frozenset({sick})})
    assert {name: loss.survived for name, loss in found.items()} == {"openai": False}


# Relays and carriers.


def test_a_relay_may_be_lost_while_each_region_offers_another():
    found = readiness.losses(view(loads=CALM), relays={"fra": offered("one", "two"), "ams": offered("one")})
    one, two = [loss for loss in found if loss.tier is Tier.RELAY]
    assert told(one) == (False, reasons.NO_OTHER_RELAY, "without one callers of ams are offered no relay")
    assert one.instead == ("two",)
    assert told(two) == (True, reasons.OTHER_RELAY, "without two callers are offered one")


def test_a_carrier_may_be_lost_while_another_is_in_the_order():
    found = readiness.losses(view(loads=CALM), carriers=("twilio-eu", "telnyx-eu"))
    first = next(loss for loss in found if loss.tier is Tier.CARRIER)
    assert told(first) == (
        True, reasons.OTHER_CARRIER,
        "without twilio-eu the order is telnyx-eu; numbers that lie with it are out of reach",
    )
    (only,) = [loss for loss in readiness.losses(view(loads=CALM), carriers=("a",)) if loss.tier is Tier.CARRIER]
    assert told(only) == (False, reasons.NO_OTHER_CARRIER, "a is the only carrier")


def test_what_is_not_handed_in_is_not_judged():
    assert {loss.tier for loss in readiness.losses(view(loads=CALM))} == {Tier.REGION}


# As shown.


def test_gaps_are_those_that_would_not_be_survived_and_regions_come_first():
    found = readiness.losses(
        view(loads={**CALM, "ams": Load(1, 10, 3)}), relays={"fra": offered("one")}, carriers=("a", "b")
    )
    assert [(loss.tier, loss.target) for loss in readiness.gaps(found)] == [(Tier.REGION, "fra"), (Tier.RELAY, "one")]


def test_the_picture_is_plain_data_with_a_remedy_for_each():
    (fra, _) = readiness.picture(readiness.losses(view(loads=CALM)))
    assert fra == {
        "tier": "region", "target": "fra", "survived": True, "instead": ["ams"], "reason": "EnoughPods",
        "message": "without fra its calls have room in ams", "remedy": remedies.NOTHING,
    }  # fmt: skip


def test_what_is_not_known_is_left_out_of_the_picture():
    """A null is no boolean to the API server: the policy's whole status would be refused, leader and all."""
    (fra, _) = readiness.picture(readiness.losses(view(loads=CALM, verdicts={"ams": UNKNOWN})))
    assert "survived" not in fra
