"""Each guard by itself: what it refuses, in which words, and what it lets pass. History and means: the other files."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import (
    DEGRADED,
    DOWN,
    FENCE,
    UNKNOWN,
    UP,
    all_say,
    back,
    cordoned,
    joined,
    loads,
    origins,
    out,
    raised,
    regions,
    said,
    view,
    zone,
)

from holdfast.core import guards, reasons
from holdfast.core.means import Lever
from holdfast.core.plans import Move, SetOrigin, View
from holdfast.core.values import Cause, Guards, Load, Observation, OriginState, Reason, Tier, Verdict, Withdrawal

WHY = Reason("Test", "")
TURN_OFF = SetOrigin("edge", "fra", False, FENCE, "key", WHY)
TURN_ON = SetOrigin("edge", "fra", True, FENCE, "key", WHY)
LOST = {"fra": DOWN}
ALL_LOST = {"fra": DOWN, "ams": DOWN}
THREE = zone(("fra", "ams", "iad"), ())
FIVE_VOTERS = zone(witnesses=("iad", "lon", "par"))
AMS_OUT = joined(zone(), ams=cordoned())
AMS_STALE = (OriginState("edge", "fra", True), OriginState("edge", "ams", True, contradicts=True))
FRA_OUT = joined(zone(), fra=cordoned())
ALL_OUT = joined(zone(), fra=cordoned(), ams=cordoned())


def asks(agents: int = 4, of_agents: int = 4, ill: tuple[str, ...] = (), heard_age_s: float = 0.5) -> Withdrawal:
    return Withdrawal("fra", WHY, heard_age_s, agents, of_agents, ill)


def provider(
    observer: str, verdict: Verdict = DOWN, heard_age_s: float = 0.5, target: str = "openai"
) -> Observation:
    return Observation(observer, target, verdict, heard_age_s, tier=Tier.PROVIDER)


def blamed(*seen: Observation, ill: tuple[str, ...] = ("openai",)) -> View:
    return view(observations=(*all_say(zone()), *seen), withdrawals=(asks(ill=ill),))


NUMBERS = Lever("numbers", "twilioNumber", "", "", "", points=True)
WITH_NUMBERS = replace(zone(), levers=(*zone().levers, NUMBERS))
ON_TRIAL = replace(zone(), levers=(*zone().levers, replace(NUMBERS, dry_run=True)))
GUARDS_TYPES = ["View", "Reason | None"]
Case = tuple[guards.Guard, Move | SetOrigin, View, Reason | str | None]

RIGHT_TO_ACT: dict[str, Case] = {
    "no fence, no write": (
        guards.no_quorum, out(), view(fence=None),
        Reason(reasons.NO_QUORUM, "this operator does not hold a majority of the votes"),
    ),
    "a fence is not outlived by hope": (guards.no_quorum, TURN_OFF, view(last_ack_age_s=3.3), reasons.NO_QUORUM),
    "a leader may act until then": (guards.no_quorum, TURN_OFF, view(last_ack_age_s=3.29), None),
    "a paused fleet": (
        guards.paused, TURN_ON,
        view(paused="we move house"), Reason(reasons.PAUSED, "the fleet is paused: we move house"),
    ),
    "a paused zone": (
        guards.paused, back(), view(zone(paused=True)),
        Reason(reasons.PAUSED, "spec.paused of FailoverPolicy eu is true"),
    ),
    "nothing is paused": (guards.paused, out(), view(), None),
    "no rehearsal beside a lost region": (
        guards.incident, out("fra", Cause.GAME_DAY), view(memory=AMS_OUT),
        Reason(reasons.INCIDENT, "no rehearsal while ams is in trouble"),
    ),
    "no rehearsal in a region that is ill itself": (
        guards.incident, out("fra", Cause.GAME_DAY), view(verdicts={"fra": DEGRADED}), reasons.INCIDENT,
    ),
    "a rehearsal in peace": (guards.incident, out("fra", Cause.GAME_DAY), view(), None),
    "a rehearsal may end in an incident": (guards.incident, back("fra", Cause.GAME_DAY), view(memory=AMS_OUT), None),
    "a person may cordon in an incident": (guards.incident, out("fra", Cause.HUMAN), view(memory=AMS_OUT), None),
    "writes go on in an incident": (guards.incident, TURN_OFF, view(memory=AMS_OUT), None),
}

EVIDENCE: dict[str, Case] = {
    "silence may hide the missing word": (
        guards.stale_evidence, out(), view(observations=[said("ams", "fra", DOWN, detail="refused")]),
        Reason(
            reasons.STALE_EVIDENCE,
            "not heard within 3 s: iad; 1 of 2 observers see fra down, 2 are needed (ams: refused)",
        ),
    ),
    "every silent observer is named": (
        guards.stale_evidence, out(), view(observations=[]),
        Reason(reasons.STALE_EVIDENCE, "not heard within 3 s: ams, iad; 0 of 2 observers see fra down, 2 are needed"),
    ),
    "silence may hide the word for a return": (
        guards.stale_evidence, back(), view(observations=[said("ams", "fra", UP)]),
        Reason(reasons.STALE_EVIDENCE, "not heard within 3 s: iad; 1 of 2 observers see fra up, 2 are needed (ams)"),
    ),
    "silence may hide the word for a raise": (
        guards.stale_evidence, raised(), view(observations=[said("ams", "fra", UP)]), reasons.STALE_EVIDENCE,
    ),
    "a word of 3 s ago still counts": (
        guards.stale_evidence, out(),
        view(observations=[said(w, "fra", DOWN, heard_age_s=3.0) for w in ("ams", "iad")]),
        None,
    ),
    "a word older than 3 s does not": (
        guards.stale_evidence, out(),
        view(observations=[said(w, "fra", DOWN, heard_age_s=3.1) for w in ("ams", "iad")]),
        reasons.STALE_EVIDENCE,
    ),
    "silence of two of four does not matter when the others agree": (
        guards.stale_evidence, out(),
        view(FIVE_VOTERS, observations=[said(w, "fra", DOWN) for w in ("ams", "iad", "lon")]),
        None,
    ),
    "silence is not the reason when even it would not suffice": (
        guards.stale_evidence, out(),
        view(FIVE_VOTERS, observations=[said(w, "fra", UP) for w in ("ams", "iad")]), None,
    ),
    "silence is the reason when it would just suffice": (
        guards.stale_evidence, out(),
        view(FIVE_VOTERS, observations=[said("ams", "fra", DOWN), said("iad", "fra", UP)]),
        reasons.STALE_EVIDENCE,
    ),
    "a write follows its move and asks for no evidence": (guards.stale_evidence, TURN_OFF, view(observations=[]), None),
    "a person asks for no evidence": (guards.stale_evidence, out("fra", Cause.HUMAN), view(observations=[]), None),
    "doubt may hide the missing word": (
        guards.observer_doubts, out(),
        view(observations=[said("ams", "fra", DOWN), said("iad", "fra", DOWN, self_doubt=True)]),
        Reason(
            reasons.OBSERVER_DOUBTS,
            "in doubt of their own connection: iad; 1 of 2 observers see fra down, 2 are needed (ams)",
        ),
    ),
    "every doubting observer is named": (
        guards.observer_doubts, out(),
        view(observations=[said(who, "fra", DOWN, self_doubt=True) for who in ("ams", "iad")]),
        Reason(
            reasons.OBSERVER_DOUBTS,
            "in doubt of their own connection: ams, iad; 0 of 2 observers see fra down, 2 are needed",
        ),
    ),
    "doubt and silence together may hide it": (
        guards.observer_doubts, out(), view(observations=[said("iad", "fra", DOWN, self_doubt=True)]),
        reasons.OBSERVER_DOUBTS,
    ),
    "doubt does not matter when the others agree": (guards.observer_doubts, out(), view(verdicts=LOST), None),
    "doubt is not the reason when even it would not suffice": (
        guards.observer_doubts, out(),
        view(observations=[said("ams", "fra", UP), said("iad", "fra", DOWN, self_doubt=True)]), None,
    ),
    "a write asks nobody's doubts": (guards.observer_doubts, TURN_OFF, view(), None),
    "one word against a region is not enough": (
        guards.not_confirmed, out(), view(observations=[said("ams", "fra", DOWN), said("iad", "fra", UP)]),
        Reason(reasons.NOT_CONFIRMED, "1 of 2 observers see fra down, 2 are needed (ams)"),
    ),
    "half of the observers are not more than half": (
        guards.not_confirmed, out(), view(FIVE_VOTERS, observations=[said(w, "fra", DOWN) for w in ("ams", "iad")]),
        reasons.NOT_CONFIRMED,
    ),
    "one word for a region does not bring it back": (
        guards.not_confirmed, back(), view(observations=[said("ams", "fra", UP)]),
        Reason(reasons.NOT_CONFIRMED, "1 of 2 observers see fra up, 2 are needed (ams)"),
    ),
    "down and degraded together are ill": (
        guards.not_confirmed, out("fra", Cause.DEGRADED),
        view(observations=[said("ams", "fra", DOWN), said("iad", "fra", DEGRADED)]), None,
    ),
    "one word of illness is not enough": (
        guards.not_confirmed, out("fra", Cause.DEGRADED),
        view(observations=[said("ams", "fra", UP), said("iad", "fra", DEGRADED)]),
        Reason(reasons.NOT_CONFIRMED, "1 of 2 observers see fra ill, 2 are needed (iad)"),
    ),
    "a degraded region is not lost": (
        guards.not_confirmed, out(), view(observations=[said("ams", "fra", DOWN), said("iad", "fra", DEGRADED)]),
        reasons.NOT_CONFIRMED,
    ),
    "confirmed by all": (guards.not_confirmed, out(), view(verdicts=LOST), None),
    "well by all": (guards.not_confirmed, back(), view(), None),
    "a write needs no confirmation": (guards.not_confirmed, TURN_OFF, view(verdicts={"fra": UNKNOWN}), None),
    "when nothing else is able a region comes back on the word of all who are heard": (
        guards.not_confirmed, back(), view(observations=[said("ams", "fra", UP)], memory=ALL_OUT), None,
    ),
    "but not against any word": (
        guards.not_confirmed, back(),
        view(observations=[said("ams", "fra", UP), said("iad", "fra", DEGRADED)], memory=ALL_OUT),
        reasons.NOT_CONFIRMED,
    ),
    "nor on no word at all": (
        guards.not_confirmed, back(), view(observations=[], memory=ALL_OUT), reasons.NOT_CONFIRMED,
    ),
    "nor is a region taken out on such a word": (
        guards.not_confirmed, out(), view(observations=[said("ams", "fra", UP)], memory=ALL_OUT), reasons.NOT_CONFIRMED,
    ),
    "a fault seen elsewhere": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(provider("ams")),
        Reason(reasons.SEEN_ELSEWHERE, "not only fra sees it: openai"),
    ),
    "its own sight of it is not elsewhere": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(provider("fra")), None,
    ),
    "another provider is another fault": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(provider("ams"), ill=("azure",)), None,
    ),
    "every shared fault is named": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN),
        blamed(provider("ams"), provider("ams", target="azure"), ill=("openai", "x", "azure")),
        Reason(reasons.SEEN_ELSEWHERE, "not only fra sees it: openai, azure"),
    ),
    "elsewhere it is merely degraded": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(provider("ams", DEGRADED)), None,
    ),
    "elsewhere it was seen 3 s ago": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(provider("ams", heard_age_s=3.0)),
        reasons.SEEN_ELSEWHERE,
    ),
    "elsewhere it was seen long ago": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(provider("ams", heard_age_s=3.1)), None,
    ),
    "a region of that name elsewhere is no provider": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), blamed(said("ams", "openai", DOWN)), None,
    ),
    "who does not ask blames nothing": (
        guards.seen_elsewhere, out("fra", Cause.WITHDRAWN), view(observations=[provider("ams")]), None,
    ),
    "a shared fault is no reason to stay for other causes": (
        guards.seen_elsewhere, out(), blamed(provider("ams")), None,
    ),
    "nor to stay out": (guards.seen_elsewhere, back("fra", Cause.WITHDRAWN), blamed(provider("ams")), None),
    "nor to hold a write": (guards.seen_elsewhere, TURN_OFF, blamed(provider("ams")), None),
    "only some agents": (
        guards.only_some_agents, out("fra", Cause.WITHDRAWN), view(withdrawals=(asks(3, 4),)),
        Reason(reasons.ONLY_SOME_AGENTS, "only 3 of 4 agents of fra are affected"),
    ),
    "all agents": (guards.only_some_agents, out("fra", Cause.WITHDRAWN), view(withdrawals=(asks(4, 4),)), None),
    "who does not ask counts no agents": (guards.only_some_agents, out("fra", Cause.WITHDRAWN), view(), None),
    "some agents do not hold another cause": (guards.only_some_agents, out(), view(withdrawals=(asks(3, 4),)), None),
    "some agents do not keep it out": (
        guards.only_some_agents, back("fra", Cause.WITHDRAWN), view(withdrawals=(asks(3, 4),)), None,
    ),
    "some agents do not hold a write": (guards.only_some_agents, TURN_OFF, view(withdrawals=(asks(3, 4),)), None),
}

WHAT_IS_LEFT: dict[str, Case] = {
    "a lost region is not turned on": (
        guards.target_lost, TURN_ON, view(verdicts=LOST),
        Reason(reasons.TARGET_LOST, "2 of 2 observers see fra down, 2 are needed (ams; iad)"),
    ),
    "nor brought back when a person's cordon ends": (
        guards.target_lost, back("fra", Cause.HUMAN), view(verdicts=LOST), reasons.TARGET_LOST,
    ),
    "a region of unknown health may be turned on": (guards.target_lost, TURN_ON, view(observations=[]), None),
    "turning a lost region off is the point": (guards.target_lost, TURN_OFF, view(verdicts=LOST), None),
    "so is taking it out": (guards.target_lost, out(), view(verdicts=LOST), None),
    "all look ill": (
        guards.everything_ill, out(), view(verdicts=ALL_LOST),
        Reason(reasons.EVERYTHING_ILL, "no region of zone eu is seen up; routing is held as it is"),
    ),
    "nothing is known of the others": (
        guards.everything_ill, TURN_OFF, view(verdicts={"fra": DOWN, "ams": UNKNOWN}), reasons.EVERYTHING_ILL,
    ),
    "another is well": (guards.everything_ill, out(), view(verdicts=LOST), None),
    "another is degraded, and so answers": (
        guards.everything_ill, out(), view(verdicts={"fra": DOWN, "ams": DEGRADED}), None,
    ),
    "that it is well itself does not count": (
        guards.everything_ill, out(), view(verdicts={"ams": DOWN}), reasons.EVERYTHING_ILL,
    ),
    "a lone region has no others": (guards.everything_ill, out(), view(zone(("fra",))), None),
    "a return is never held for that": (guards.everything_ill, back(), view(verdicts={"ams": DOWN}), None),
    "the last serving": (
        guards.last_serving, out(), view(memory=AMS_OUT),
        Reason(reasons.LAST_SERVING, "fra is the last serving region of zone eu"),
    ),
    "a lone region is the last": (guards.last_serving, TURN_OFF, view(zone(("fra",))), reasons.LAST_SERVING),
    "not the last serving": (guards.last_serving, out(), view(), None),
    "a return is never the last": (guards.last_serving, back(), view(memory=ALL_OUT), None),
    "a region abroad does not serve": (
        guards.last_serving, out(), view(regions=regions(zone(), abroad=["ams"])), reasons.LAST_SERVING,
    ),
    "the lever would be empty": (
        guards.never_empty, TURN_OFF, view(routes=origins(zone(), off=["ams"])),
        Reason(reasons.NEVER_EMPTY, "lever edge would have no origin left that is on and well"),
    ),
    "what is left is not known to be on": (
        guards.never_empty, out(), view(routes=origins(zone(), unknown=["ams"])), reasons.NEVER_EMPTY,
    ),
    "what is left is on only in what may be a stale copy": (
        guards.never_empty, TURN_OFF, view(routes=AMS_STALE), reasons.NEVER_EMPTY,
    ),
    "a move does not lean on a stale copy either": (
        guards.never_empty, out(), view(routes=AMS_STALE), reasons.NEVER_EMPTY,
    ),
    "what is left is on but ill": (guards.never_empty, TURN_OFF, view(verdicts=ALL_LOST), reasons.NEVER_EMPTY),
    "what is left is on but about to be turned off": (
        guards.never_empty, TURN_OFF, view(memory=AMS_OUT), reasons.NEVER_EMPTY,
    ),
    "one lever that cannot be read does not hold a move": (
        guards.never_empty, out(), view(zone(levers=("edge", "second")), routes=origins(zone())), None,
    ),
    "a move that would empty every lever is held": (
        guards.never_empty, out(), view(zone(levers=("edge", "second")), routes=[]),
        Reason(reasons.NEVER_EMPTY, "lever edge would have no origin left that is on and well"),
    ),
    "numbers can be pointed elsewhere though the edge cannot be read": (
        guards.never_empty, out(), view(WITH_NUMBERS, routes=[]), None,
    ),
    "but not where nobody is left to point at": (
        guards.never_empty, out(), view(WITH_NUMBERS, routes=[], verdicts=ALL_LOST), reasons.NEVER_EMPTY,
    ),
    "nor by a lever on trial": (
        guards.never_empty, out(), view(ON_TRIAL, routes=[]), reasons.NEVER_EMPTY,
    ),
    "a write at the edge is held all the same": (
        guards.never_empty, TURN_OFF, view(WITH_NUMBERS, routes=origins(zone(), unknown=["ams"])), reasons.NEVER_EMPTY,
    ),
    "a region without levers empties none": (
        guards.never_empty, out(), view(zone(levers=())), None,
    ),
    "a write asks its own lever only": (
        guards.never_empty, TURN_OFF, view(zone(levers=("edge", "second")), routes=origins(zone())), None,
    ),
    "and does not lean on another": (
        guards.never_empty, TURN_OFF, view(zone(levers=("edge", "second")), routes=origins(zone(levers=("second",)))),
        Reason(reasons.NEVER_EMPTY, "lever edge would have no origin left that is on and well"),
    ),
    "another origin is on": (guards.never_empty, TURN_OFF, view(verdicts=LOST), None),
    "turning on empties nothing": (guards.never_empty, TURN_ON, view(routes=[]), None),
    "coming back empties nothing": (guards.never_empty, back(), view(routes=[]), None),
    "fewer than minServing would be left": (
        guards.min_serving, out(), view(zone(guards=Guards(min_serving=2)), LOST),
        Reason(reasons.MIN_SERVING, "without fra only 1 regions serve, minServing is 2"),
    ),
    "the one left would be ill": (
        guards.min_serving, TURN_OFF, view(THREE, {"ams": DOWN, "iad": UNKNOWN}), reasons.MIN_SERVING,
    ),
    "just minServing are left": (guards.min_serving, out(), view(THREE, {"fra": DOWN, "iad": DOWN}), None),
    "a return leaves more": (guards.min_serving, back(), view(zone(guards=Guards(min_serving=2))), None),
    "one too many would be cordoned": (
        guards.max_cordoned, out("fra", Cause.DEGRADED), view(THREE, memory=joined(THREE, ams=cordoned())),
        Reason(reasons.MAX_CORDONED, "1 regions are cordoned already, maxCordoned is 1"),
    ),
    "a person is bound by it too": (
        guards.max_cordoned, out("fra", Cause.HUMAN), view(THREE, memory=joined(THREE, ams=cordoned())),
        reasons.MAX_CORDONED,
    ),
    "just maxCordoned": (
        guards.max_cordoned, out("fra", Cause.HUMAN),
        view(zone(("fra", "ams", "iad"), (), guards=Guards(max_cordoned=2)), memory=joined(THREE, ams=cordoned())),
        None,
    ),
    "nothing is cordoned yet": (guards.max_cordoned, out("fra", Cause.WITHDRAWN), view(THREE), None),
    "maxCordoned 0 lets no living region go": (
        guards.max_cordoned, out("fra", Cause.GAME_DAY),
        view(zone(guards=Guards(max_cordoned=0))), reasons.MAX_CORDONED,
    ),
    "maxCordoned does not bind for a region confirmed lost": (
        guards.max_cordoned, out(), view(THREE, LOST, memory=joined(THREE, ams=cordoned())), None,
    ),
    "nor for one that is dead and asked for by a person": (
        guards.max_cordoned, out("fra", Cause.HUMAN), view(THREE, LOST, memory=joined(THREE, ams=cordoned())), None,
    ),
    "nor for one that is out already": (
        guards.max_cordoned, out("fra", Cause.HUMAN), view(THREE, memory=joined(THREE, fra=cordoned())), None,
    ),
    "maxCordoned counts no returns": (
        guards.max_cordoned, back("fra", Cause.HUMAN), view(THREE, memory=joined(THREE, ams=cordoned())), None,
    ),
    "maxCordoned is asked once, when the mind is made up": (
        guards.max_cordoned, TURN_OFF, view(THREE, memory=joined(THREE, ams=cordoned())), None,
    ),
}


@pytest.mark.parametrize("claim", [*RIGHT_TO_ACT, *EVIDENCE, *WHAT_IS_LEFT])
def test_guard(claim: str):
    guard, action, seen, expected = {**RIGHT_TO_ACT, **EVIDENCE, **WHAT_IS_LEFT}[claim]
    reason = guard(action, seen)
    assert (reason.code if reason and isinstance(expected, str) else reason) == expected


def test_no_two_claims_hide_each_other():
    assert not set(RIGHT_TO_ACT) & set(EVIDENCE)
    assert not (set(RIGHT_TO_ACT) | set(EVIDENCE)) & set(WHAT_IS_LEFT)


def test_every_guard_of_the_module_is_asked():
    """A guard is what takes an action and a view and may give a reason."""
    written = {
        name for name, value in vars(guards).items()
        if not name.startswith("_") and list(getattr(value, "__annotations__", {}).values())[1:] == GUARDS_TYPES
    }
    assert written == {guard.__name__ for guard in guards.GUARDS}


def test_a_healthy_zone_under_a_leader_lets_a_lost_region_go():
    assert guards.refuse(out(), view(verdicts=LOST)) == (None, ())


def test_authority_is_the_fence_while_leadership_lasts():
    assert guards.authority(view()) == FENCE
    assert guards.authority(view(fence=None)) is None
    assert guards.authority(view(last_ack_age_s=3.3)) is None


def test_a_load_without_ready_pods_has_room_for_nobody():
    """Else a region whose heartbeat survives its pods would be given calls."""
    dead = {**loads(zone(), calls=0), "fra": Load(0, 0, 1000)}
    assert guards.capacity(back(), view(memory=FRA_OUT, loads=dead)) == Reason(
        reasons.CAPACITY, "at 5 % fra would get 0 calls and has room for 0"
    )
