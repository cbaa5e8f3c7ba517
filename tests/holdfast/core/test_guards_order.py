"""How the guards work together: who is asked for which cause, who comes first, and what a person may override."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import DEGRADED, DOWN, FENCE, back, cordoned, joined, loads, origins, out, regions, view, zone

from holdfast.core import guards, reasons
from holdfast.core.plans import Action, Overridden, SetOrigin, View
from holdfast.core.values import Cause, Cordon, Guards, Load, Override, Reason, RegionMemory

WHY = Reason("Test", "")
TURN_OFF = SetOrigin("edge", "fra", False, FENCE, "key", WHY)
TURN_ON = SetOrigin("edge", "fra", True, FENCE, "key", WHY)
THREE = zone(("fra", "ams", "iad"), ())
FULL = loads(THREE, calls=100, room=0)
NO_ROOM_IN_FRA = {**loads(THREE), "fra": Load(2, 0, 0)}
MOVED_JUST_NOW = RegionMemory({Cause.FOUND_OFF: Cordon(stands=False, changed_ago_s=1.0)})


def code(action: Action, seen: View) -> str | None:
    reason, _ = guards.refuse(action, seen)
    return reason.code if reason else None


def breaking(guard: str, region: str = "fra", remaining_s: float = 60.0) -> Override:
    return Override(region, guard, remaining_s, "the hall is on fire")


# The table of the module, read row by row: cause, and whether quorum, capacity, maxCordoned and dwell bind.
WAY_OUT = [
    (Cause.ILLEGAL, False, False, False, False),
    (Cause.LOST, True, False, False, False),
    (Cause.ABSENT, True, False, False, False),
    (Cause.WITHDRAWN, False, True, True, True),
    (Cause.DEGRADED, True, True, True, True),
    (Cause.HUMAN, False, True, True, False),
    (Cause.GAME_DAY, False, True, True, False),
]
WAY_BACK = [
    (Cause.ILLEGAL, False, True, False),
    (Cause.LOST, True, True, True),
    (Cause.ABSENT, True, True, False),
    (Cause.FOUND_OFF, True, True, True),
    (Cause.WITHDRAWN, True, True, True),
    (Cause.DEGRADED, True, True, True),
    (Cause.HUMAN, False, True, False),
    (Cause.GAME_DAY, False, True, False),
]


def ill(cause: Cause) -> dict[str, object]:
    """What is seen while this cause is against a region and everything speaks for the move."""
    if cause is Cause.ILLEGAL:
        return {"regions": regions(THREE, abroad=["fra"])}
    return {"verdicts": {"fra": {Cause.LOST: DOWN, Cause.ABSENT: DOWN, Cause.DEGRADED: DEGRADED}.get(cause)}}


def seen_ill(cause: Cause, **more) -> View:
    told = {**ill(cause), **more}
    verdicts = {name: verdict for name, verdict in dict(told.pop("verdicts", {})).items() if verdict}
    return view(told.pop("of", THREE), verdicts, **told)


@pytest.mark.parametrize(("cause", "quorum", "capacity", "max_cordoned", "dwell"), WAY_OUT, ids=str)
def test_what_binds_on_the_way_out(cause: Cause, quorum: bool, capacity: bool, max_cordoned: bool, dwell: bool):
    leave = out("fra", cause)
    ams_out = joined(THREE, ams=cordoned(Cause.HUMAN))
    unseen = seen_ill(cause, verdicts={})
    assert code(leave, seen_ill(cause)) is None
    assert code(leave, unseen) == (reasons.NOT_CONFIRMED if quorum else None)
    assert code(leave, seen_ill(cause, loads=FULL)) == (reasons.CAPACITY if capacity else None)
    if cause is not Cause.GAME_DAY:
        assert code(leave, seen_ill(cause, memory=ams_out)) == (reasons.MAX_CORDONED if max_cordoned else None)
    moved = joined(THREE, fra=MOVED_JUST_NOW)
    assert code(leave, seen_ill(cause, memory=moved)) == (reasons.DWELL if dwell else None)


@pytest.mark.parametrize(("cause", "quorum", "capacity", "dwell"), WAY_BACK, ids=str)
def test_what_binds_on_the_way_back(cause: Cause, quorum: bool, capacity: bool, dwell: bool):
    come, long_out = back("fra", cause), joined(THREE, fra=cordoned(cause, 300.0))
    assert code(come, view(THREE, memory=long_out)) is None
    assert code(come, view(THREE, {"fra": DEGRADED}, memory=long_out)) == (reasons.NOT_CONFIRMED if quorum else None)
    assert code(come, view(THREE, memory=long_out, loads=NO_ROOM_IN_FRA)) == (reasons.CAPACITY if capacity else None)
    just_out = joined(THREE, fra=cordoned(cause, 299.9))
    assert code(come, view(THREE, memory=just_out)) == (reasons.DWELL if dwell else None)
    assert code(come, view(THREE, memory=joined(THREE, fra=cordoned(cause, None)))) == (
        reasons.UNKNOWN_HISTORY if dwell else None
    )
    assert code(come, view(THREE, memory=long_out, rewound=True)) == (reasons.REWOUND_HISTORY if dwell else None)


NOTHING_RIGHT = {"fence": None, "paused": "stop", "observations": [], "routes": [], "memory": {}}


def test_the_first_refusal_is_the_one_that_is_told():
    assert code(out(), view(**NOTHING_RIGHT)) == reasons.NO_QUORUM
    assert code(out(), view(**{**NOTHING_RIGHT, "fence": FENCE})) == reasons.PAUSED
    assert code(out(), view(**{**NOTHING_RIGHT, "fence": FENCE, "paused": ""})) == reasons.STALE_EVIDENCE


def test_the_guards_are_asked_in_this_order():
    assert [guard.__name__ for guard in guards.GUARDS] == [
        "no_quorum", "paused", "incident", "stale_evidence", "observer_doubts", "not_confirmed", "seen_elsewhere",
        "only_some_agents", "target_lost", "everything_ill", "last_serving", "never_empty", "min_serving",
        "max_cordoned", "capacity", "rewound_history", "unknown_history", "dwell", "ramp", "drift",
        "dry_run", "budget",
    ]
    assert list(guards.RESIDENCY_GUARDS) == [guards.no_quorum, guards.dry_run]


ABROAD = {"regions": regions(zone(), abroad=["fra"])}


@pytest.mark.parametrize("action", [out("fra", Cause.ILLEGAL), TURN_OFF], ids=["move", "write"])
@pytest.mark.parametrize(
    "hindered",
    [{"paused": "stop"}, {"routes": []}, {"memory": joined(zone(), ams=cordoned())}, {"verdicts": {"ams": DOWN}}],
    ids=["paused", "never empty", "last serving", "everything ill"],
)
def test_a_region_abroad_goes_whatever_else_stands_against_it(action: Action, hindered: dict[str, object]):
    """Residency comes before health and before availability, even if nothing is left."""
    assert guards.refuse(action, view(**ABROAD, **hindered)) == (None, ())
    assert code(action, view(**hindered)) is not None


def test_but_never_without_the_right_to_write():
    assert code(out("fra", Cause.ILLEGAL), view(**ABROAD, fence=None)) == reasons.NO_QUORUM
    assert code(TURN_OFF, view(**ABROAD, fence=None)) == reasons.NO_QUORUM


def test_what_brings_a_region_abroad_back_is_guarded_as_ever():
    seen = view(**ABROAD, paused="stop")
    assert code(back("fra", Cause.HUMAN), seen) == reasons.PAUSED
    assert code(TURN_ON, seen) == reasons.PAUSED


def test_a_person_overrides_the_guard_that_is_named():
    named = breaking(reasons.CAPACITY)
    seen = view(THREE, loads=FULL, overrides=(named,))
    reason, kept = guards.refuse(out("fra", Cause.HUMAN), seen)
    words = "without fra the others have room for 160 of 300 calls, headroom kept"
    assert reason is None
    assert kept == (Overridden(out("fra", Cause.HUMAN), Reason(reasons.CAPACITY, words), named),)


@pytest.mark.parametrize(
    "named",
    [breaking(reasons.DWELL), breaking(reasons.CAPACITY, "ams"), breaking(reasons.CAPACITY, remaining_s=0.0)],
    ids=["another guard", "another region", "its time is over"],
)
def test_and_no_other(named: Override):
    seen = view(THREE, loads=FULL, overrides=(named,))
    assert guards.refuse(out("fra", Cause.HUMAN), seen)[0] == guards.capacity(out("fra", Cause.HUMAN), seen)


def test_the_right_override_is_found_among_others():
    named = (breaking(reasons.DWELL), breaking(reasons.CAPACITY, "ams"), breaking(reasons.CAPACITY, remaining_s=0.5))
    assert code(out("fra", Cause.HUMAN), view(THREE, loads=FULL, overrides=named)) is None


def test_several_guards_are_overridden_one_by_one_and_all_are_told():
    of = zone(("fra", "ams", "iad"), (), guards=Guards(max_cordoned=0))
    named = (breaking(reasons.CAPACITY), breaking(reasons.MAX_CORDONED))
    _, kept = guards.refuse(out("fra", Cause.HUMAN), view(of, loads=FULL, overrides=named))
    assert [each.guard.code for each in kept] == [reasons.MAX_CORDONED, reasons.CAPACITY]


def test_what_was_overridden_is_told_even_if_a_later_guard_refuses():
    seen = view(
        THREE, {"fra": DEGRADED}, loads=FULL, memory=joined(THREE, fra=MOVED_JUST_NOW),
        overrides=(breaking(reasons.CAPACITY),),
    )
    reason, kept = guards.refuse(out("fra", Cause.DEGRADED), seen)
    assert reason == Reason(reasons.DWELL, "fra was moved less than 300 s ago")
    assert [each.guard.code for each in kept] == [reasons.CAPACITY]


@pytest.mark.parametrize(
    ("action", "seen", "guard"),
    [
        (out(), view(fence=None), reasons.NO_QUORUM),
        (out(), view(paused="stop"), reasons.PAUSED),
        (out(), view(), reasons.NOT_CONFIRMED),
        (out("fra", Cause.HUMAN), view(verdicts={"ams": DOWN}), reasons.EVERYTHING_ILL),
        (out("fra", Cause.HUMAN), view(memory=joined(zone(), ams=cordoned())), reasons.LAST_SERVING),
        (TURN_OFF, view(routes=origins(zone(), off=["ams"])), reasons.NEVER_EMPTY),
        (TURN_ON, view(verdicts={"fra": DOWN}), reasons.TARGET_LOST),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_no_hurry_is_worth_cannot_be_overridden(action: Action, seen: View, guard: str):
    named = replace(seen, overrides=(breaking(guard),))
    assert code(action, seen) == guard
    assert code(action, named) == guard


def test_only_these_can_be_overridden():
    assert {
        reasons.BUDGET, reasons.CAPACITY, reasons.DWELL, reasons.MAX_CORDONED, reasons.MIN_SERVING, reasons.RAMP,
        reasons.REWOUND_HISTORY, reasons.UNKNOWN_HISTORY,
    } == reasons.OVERRIDABLE
