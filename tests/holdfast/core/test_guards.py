"""Each guard by itself: what it refuses, what it lets pass, and that it says which."""

from __future__ import annotations

import pytest
from core_builders import DOWN, FENCE, UNKNOWN, UP, all_say, origins, said, view, zone

from holdfast.core import guards, reasons
from holdfast.core.plans import Move, SetOrigin, View
from holdfast.core.values import Guards, Intent, Reason, RegionMemory

WHY = Reason("Test", "")
CORDON = Move("fra", Intent.CORDONED, WHY)
RESTORE = Move("fra", Intent.SERVING, WHY)
TURN_OFF = SetOrigin("edge", "fra", False, FENCE, "key", WHY)
TURN_ON = SetOrigin("edge", "fra", True, FENCE, "key", WHY)
LOST = {"fra": DOWN}
CORDONED_LONG_AGO = {"fra": RegionMemory(Intent.CORDONED, 900.0, 1)}
THREE = zone(("fra", "ams", "iad"), ())


def code(guard: guards.Guard, action: Move | SetOrigin, seen: View) -> str | None:
    reason = guard(action, seen)
    assert reason is None or reason.message, "a refusal is a sentence"
    return reason.code if reason else None


CASES = {
    "no fence, no write": (guards.no_quorum, CORDON, view(fence=None), reasons.NO_QUORUM),
    "a fence is not outlived by hope": (guards.no_quorum, TURN_OFF, view(last_ack_age_s=3.3), reasons.NO_QUORUM),
    "a leader may act": (guards.no_quorum, TURN_OFF, view(last_ack_age_s=3.2), None),
    "silence may hide the missing word": (
        guards.stale_evidence, CORDON, view(observations=[said("ams", "fra", DOWN)]), reasons.STALE_EVIDENCE,
    ),
    "silence of one does not matter when the others agree": (
        guards.stale_evidence, CORDON, view(verdicts=LOST), None,
    ),
    "silence is not the reason when even it would not suffice": (
        guards.stale_evidence, CORDON, view(observations=[said("ams", "fra", UP)]), None,
    ),
    "a write follows its move and asks for no evidence": (guards.stale_evidence, TURN_OFF, view(observations=[]), None),
    "doubt may hide the missing word": (
        guards.observer_doubts, CORDON,
        view(observations=[said("ams", "fra", DOWN), said("iad", "fra", DOWN, self_doubt=True)]),
        reasons.OBSERVER_DOUBTS,
    ),
    "doubt does not matter when the others agree": (guards.observer_doubts, CORDON, view(verdicts=LOST), None),
    "doubt is not the reason when even it would not suffice": (guards.observer_doubts, CORDON, view(), None),
    "a write asks nobody's doubts": (guards.observer_doubts, TURN_OFF, view(), None),
    "one word against a region is not enough": (
        guards.not_confirmed, CORDON, view(observations=[said("ams", "fra", DOWN), said("iad", "fra", UP)]),
        reasons.NOT_CONFIRMED,
    ),
    "one word for a region does not bring it back": (
        guards.not_confirmed, RESTORE, view(observations=[said("ams", "fra", UP)]), reasons.NOT_CONFIRMED,
    ),
    "confirmed by all": (guards.not_confirmed, CORDON, view(verdicts=LOST), None),
    "well by all": (guards.not_confirmed, RESTORE, view(), None),
    "a write needs no confirmation": (guards.not_confirmed, TURN_OFF, view(), None),
    "a lost region is not turned on": (guards.target_lost, TURN_ON, view(verdicts=LOST), reasons.TARGET_LOST),
    "a region of unknown health may be turned on": (guards.target_lost, TURN_ON, view(observations=[]), None),
    "turning a lost region off is the point": (guards.target_lost, TURN_OFF, view(verdicts=LOST), None),
    "all look ill": (
        guards.everything_ill, CORDON, view(verdicts={"fra": DOWN, "ams": DOWN}), reasons.EVERYTHING_ILL,
    ),
    "nothing is known of the others": (
        guards.everything_ill, CORDON, view(verdicts={"fra": DOWN, "ams": UNKNOWN}), reasons.EVERYTHING_ILL,
    ),
    "another is well": (guards.everything_ill, CORDON, view(verdicts=LOST), None),
    "a lone region has no others": (guards.everything_ill, CORDON, view(zone(("fra",))), None),
    "a return is never held for that": (guards.everything_ill, RESTORE, view(verdicts={"ams": DOWN}), None),
    "the last serving": (
        guards.last_serving, CORDON, view(memory={"ams": RegionMemory(Intent.CORDONED, 9.0)}), reasons.LAST_SERVING,
    ),
    "a lone region is the last": (guards.last_serving, CORDON, view(zone(("fra",))), reasons.LAST_SERVING),
    "not the last serving": (guards.last_serving, CORDON, view(), None),
    "a return is never the last": (guards.last_serving, RESTORE, view(memory=CORDONED_LONG_AGO), None),
    "fewer than minServing would be left": (
        guards.min_serving, CORDON, view(zone(guards=Guards(min_serving=2)), LOST), reasons.MIN_SERVING,
    ),
    "the one left would be ill": (
        guards.min_serving, CORDON, view(THREE, {"fra": DOWN, "ams": DOWN, "iad": UNKNOWN}), reasons.MIN_SERVING,
    ),
    "minServing holds": (guards.min_serving, CORDON, view(verdicts=LOST), None),
    "a return leaves more": (guards.min_serving, RESTORE, view(zone(guards=Guards(min_serving=2))), None),
    "the lever would be empty": (
        guards.never_empty, TURN_OFF, view(routes=origins(zone(), off=["ams"])), reasons.NEVER_EMPTY,
    ),
    "what is left is not known to be on": (
        guards.never_empty, CORDON, view(routes=origins(zone(), unknown=["ams"])), reasons.NEVER_EMPTY,
    ),
    "what is left is on but ill": (
        guards.never_empty, TURN_OFF, view(verdicts={"fra": DOWN, "ams": DOWN}), reasons.NEVER_EMPTY,
    ),
    "what is left is on but about to be turned off": (
        guards.never_empty, TURN_OFF, view(memory={"ams": RegionMemory(Intent.CORDONED, 9.0)}), reasons.NEVER_EMPTY,
    ),
    "another origin is on": (guards.never_empty, TURN_OFF, view(verdicts=LOST), None),
    "turning on empties nothing": (guards.never_empty, TURN_ON, view(routes=[]), None),
    "one too many would be cordoned": (
        guards.max_cordoned, CORDON, view(THREE, memory={"ams": RegionMemory(Intent.CORDONED, 9.0)}),
        reasons.MAX_CORDONED,
    ),
    "maxCordoned holds": (guards.max_cordoned, CORDON, view(THREE), None),
    "maxCordoned does not bind for a region confirmed lost": (
        guards.max_cordoned, CORDON, view(THREE, LOST, memory={"ams": RegionMemory(Intent.CORDONED, 9.0)}), None,
    ),
    "maxCordoned counts no returns": (guards.max_cordoned, RESTORE, view(memory=CORDONED_LONG_AGO), None),
    "unknown history": (
        guards.unknown_history, RESTORE, view(memory={"fra": RegionMemory(Intent.CORDONED, None)}),
        reasons.UNKNOWN_HISTORY,
    ),
    "known history": (guards.unknown_history, RESTORE, view(memory=CORDONED_LONG_AGO), None),
    "unknown history does not keep a lost region": (
        guards.unknown_history, CORDON, view(verdicts=LOST, memory={"fra": RegionMemory(Intent.SERVING, None)}), None,
    ),
    "too soon to come back": (
        guards.dwell, RESTORE, view(memory={"fra": RegionMemory(Intent.CORDONED, 299.0, 1)}), reasons.DWELL,
    ),
    "long enough away": (guards.dwell, RESTORE, view(memory=CORDONED_LONG_AGO), None),
    "not well for long enough": (
        guards.dwell, RESTORE,
        view(memory=CORDONED_LONG_AGO, observations=[said(who, "fra", UP, held_s=299.0) for who in ("ams", "iad")]),
        reasons.DWELL,
    ),
    "too soon to go for a mild reason": (
        guards.dwell, CORDON, view(memory={"fra": RegionMemory(Intent.SERVING, 5.0, 1)}), reasons.DWELL,
    ),
    "long enough there to go for a mild reason": (
        guards.dwell, CORDON, view(memory={"fra": RegionMemory(Intent.SERVING, 500.0, 1)}), None,
    ),
    "dwell does not keep a lost region": (
        guards.dwell, CORDON, view(verdicts=LOST, memory={"fra": RegionMemory(Intent.SERVING, 5.0, 1)}), None,
    ),
    "dwell is asked once, when the mind is made up": (
        guards.dwell, TURN_OFF, view(memory={"fra": RegionMemory(Intent.CORDONED, 5.0, 1)}), None,
    ),
}


@pytest.mark.parametrize("claim", CASES)
def test_guard(claim: str):
    guard, action, seen, expected = CASES[claim]
    assert code(guard, action, seen) == expected


def test_every_guard_of_the_module_is_asked():
    named = {name for name, value in vars(guards).items() if getattr(value, "__module__", "") == guards.__name__}
    unasked = named - {guard.__name__ for guard in guards.GUARDS} - {"refuse", "authority", "dwell_s"}
    assert {name for name in unasked if not name.startswith("_")} == set()


def test_the_first_refusal_is_the_one_that_is_told():
    nothing_right = view(fence=None, observations=[], routes=[])
    reason = guards.refuse(CORDON, nothing_right)
    assert reason is not None
    assert reason.code == reasons.NO_QUORUM


@pytest.mark.parametrize(
    ("flaps", "dwell_s"), [(0, 300.0), (1, 300.0), (2, 600.0), (3, 1200.0), (4, 2400.0), (50, 2400.0)]
)
def test_dwell_doubles_with_each_flap_up_to_eightfold(flaps: int, dwell_s: float):
    assert guards.dwell_s("fra", view(memory={"fra": RegionMemory(Intent.CORDONED, 1.0, flaps)})) == dwell_s


def test_a_healthy_zone_under_a_leader_would_let_a_lost_region_go():
    assert guards.refuse(CORDON, view(observations=all_say(zone(), LOST))) is None
