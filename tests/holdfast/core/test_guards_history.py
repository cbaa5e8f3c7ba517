"""The guards on capacity, history and means at their boundaries; break-glass; and the table of `guards` as tests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import (
    DEGRADED,
    DOWN,
    FENCE,
    UP,
    back,
    cordoned,
    joined,
    loads,
    out,
    raised,
    said,
    view,
    zone,
)

from holdfast.core import guards, reasons
from holdfast.core.plans import Move, SetOrigin, View
from holdfast.core.values import Budget, Cause, Cordon, Load, Observation, OriginState, Reason, RegionMemory, Zone

WHY = Reason("Test", "")
TURN_OFF = SetOrigin("edge", "fra", False, FENCE, "key", WHY)
TURN_ON = SetOrigin("edge", "fra", True, FENCE, "key", WHY)
HUMAN, DEGRADES = out("fra", Cause.HUMAN), out("fra", Cause.DEGRADED)
FRA_OUT = joined(zone(), fra=cordoned())
ALL_OUT = joined(zone(), fra=cordoned(), ams=cordoned())
TOO_SOON = "fra was moved less than 300 s ago"


def told(fra: Load, ams: Load, **more) -> View:
    return view(loads={"fra": fra, "ams": ams}, **more)


def out_for(cause: Cause, ago_s: float | None, flaps: int = 1, **more) -> View:
    return view(memory=joined(zone(), fra=cordoned(cause, ago_s, flaps)), **more)


def was_out(cause: Cause, ago_s: float | None, flaps: int = 1, **more) -> View:
    return view(memory=joined(zone(), fra=cordoned(cause, ago_s, flaps, stands=False)), **more)


def well_for(held_s: float) -> list[Observation]:
    seen = (("ams", "fra", held_s), ("iad", "fra", held_s), ("fra", "ams", 1000.0), ("iad", "ams", 1000.0))
    return [said(observer, target, UP, held_s=since_s) for observer, target, since_s in seen]


def at_step(step: int | None, stepped_ago_s: float | None, well_for_s: float = 1000.0, **more) -> View:
    memory = joined(zone(), fra=RegionMemory({}, step, stepped_ago_s))
    return view(memory=memory, observations=well_for(well_for_s), **more)


def spends(left: int, reserve: int = 0, **more) -> View:
    return view(budgets={"edge": Budget(left, reserve)}, **more)


Case = tuple[guards.Guard, Move | SetOrigin, View, str | None]

CAPACITY: dict[str, Case] = {
    "80 of 100 are room for 80 calls with a fifth kept": (
        guards.capacity, HUMAN, told(Load(2, 40, 60), Load(2, 40, 60)), None,
    ),
    "and not for 81": (
        guards.capacity, HUMAN, told(Load(2, 41, 59), Load(2, 40, 60)),
        "without fra the others have room for 80 of 81 calls, headroom kept",
    ),
    "room is cut to whole calls": (
        guards.capacity, HUMAN, told(Load(2, 39, 60), Load(2, 40, 58)),
        "without fra the others have room for 78 of 79 calls, headroom kept",
    ),
    "a region that tells nothing has no room": (
        guards.capacity, HUMAN, view(loads={"fra": Load(2, 1, 9)}),
        "without fra the others have room for 0 of 1 calls, headroom kept",
    ),
    "calls of other zones are not counted": (
        guards.capacity, HUMAN, view(loads={**loads(zone(), calls=40, room=60), "mars": Load(2, 900, 0)}), None,
    ),
    "while no region has pods there is nothing to reckon with": (
        guards.capacity, HUMAN, view(loads=loads(zone(), calls=90, pods=0)), None,
    ),
    "nor while no region tells its load": (guards.capacity, HUMAN, view(), None),
    "a lost region's calls are gone, room or not": (
        guards.capacity, out(), view(verdicts={"fra": DOWN}, loads=loads(zone(), calls=100, room=0)), None,
    ),
    "a region that is out already moves no calls": (
        guards.capacity, HUMAN, view(memory=FRA_OUT, loads=loads(zone(), calls=100, room=0)), None,
    ),
    "a mild cause needs room elsewhere": (
        guards.capacity, DEGRADES, view(verdicts={"fra": DEGRADED}, loads=loads(zone(), calls=60, room=40)),
        "without fra the others have room for 80 of 120 calls, headroom kept",
    ),
    "a write moves nothing that was not decided": (
        guards.capacity, TURN_OFF, view(loads=loads(zone(), calls=100, room=0)), None,
    ),
    "a region comes back with room for its first step": (
        guards.capacity, back(), told(Load(2, 0, 5), Load(2, 100, 0), memory=FRA_OUT), None,
    ),
    "one call less of room is too little": (
        guards.capacity, back(), told(Load(2, 0, 4), Load(2, 100, 0), memory=FRA_OUT),
        "at 5 % fra would get 4 calls and has room for 3",
    ),
    "and it needs room for one call when there are none": (
        guards.capacity, back(), told(Load(2, 0, 1), Load(2, 0, 9), memory=FRA_OUT),
        "at 5 % fra would get 0 calls and has room for 0",
    ),
    "nothing is asked for when nothing else is able": (
        guards.capacity, back(), told(Load(1, 0, 0), Load(2, 9, 0), memory=ALL_OUT), None,
    ),
    "nor while another cause keeps it out": (
        guards.capacity, back(),
        told(Load(1, 0, 0), Load(2, 9, 0), memory=joined(zone(), fra=RegionMemory({
            Cause.LOST: Cordon(True, 900.0), Cause.HUMAN: Cordon(True, 900.0),
        }))), None,
    ),
    "a raise needs room for the next step": (
        guards.capacity, raised(), at_step(0, 100.0, loads={"fra": Load(2, 5, 19), "ams": Load(2, 95, 0)}),
        "at 25 % fra would get 20 calls and has room for 19",
    ),
    "and is granted with it": (
        guards.capacity, raised(), at_step(0, 100.0, loads={"fra": Load(2, 5, 20), "ams": Load(2, 95, 0)}), None,
    ),
    "the last raise is to the whole weight": (
        guards.capacity, raised(), at_step(2, 100.0, loads={"fra": Load(2, 30, 0), "ams": Load(2, 70, 0)}),
        "at 100 % fra would get 50 calls and has room for 24",
    ),
    "a step beyond the ramp is the last": (
        guards.capacity, raised(), at_step(7, 100.0, loads={"fra": Load(2, 30, 0), "ams": Load(2, 70, 0)}),
        "at 100 % fra would get 50 calls and has room for 24",
    ),
}

HISTORY: dict[str, Case] = {
    "after a rewind nothing is known of when it was moved": (
        guards.rewound_history, back(), out_for(Cause.LOST, 900.0, rewound=True),
        "the memory of zone eu is older than our marks at the levers, as after a restored backup",
    ),
    "without a rewind it is": (guards.rewound_history, back(), out_for(Cause.LOST, 900.0), None),
    "a rewind does not keep a lost region": (
        guards.rewound_history, out(), was_out(Cause.LOST, 9.0, rewound=True), None,
    ),
    "a rewind holds no write": (guards.rewound_history, TURN_ON, out_for(Cause.LOST, 9.0, rewound=True), None),
    "unknown history": (
        guards.unknown_history, back(), out_for(Cause.LOST, None),
        "when fra was last moved is unknown, which counts as just now",
    ),
    "known history": (guards.unknown_history, back(), out_for(Cause.LOST, 0.0), None),
    "any unknown cause makes the way out for a mild one unknown": (
        guards.unknown_history, DEGRADES, was_out(Cause.LOST, None),
        "when fra was last moved is unknown, which counts as just now",
    ),
    "unknown history does not keep a lost region": (guards.unknown_history, out(), was_out(Cause.LOST, None), None),
    "too soon to come back": (guards.dwell, back(), out_for(Cause.LOST, 299.9), TOO_SOON),
    "just long enough away": (guards.dwell, back(), out_for(Cause.LOST, 300.0), None),
    "of unknown age is of age 0": (guards.dwell, back(), out_for(Cause.LOST, None), TOO_SOON),
    "not well for long enough": (
        guards.dwell, back(),
        out_for(Cause.LOST, 900.0, observations=well_for(299.9)),
        "fra has been well for less than 300 s",
    ),
    "just well for long enough": (
        guards.dwell, back(),
        out_for(Cause.LOST, 900.0, observations=well_for(300.0)), None,
    ),
    "an outage of another cause a moment ago does not lengthen this one's dwell": (
        guards.dwell, back(),
        view(memory=joined(zone(), fra=RegionMemory({
            Cause.LOST: Cordon(True, 300.0), Cause.WITHDRAWN: Cordon(False, 1.0),
        }))), None,
    ),
    "the second time it takes twice as long": (
        guards.dwell, back(), out_for(Cause.LOST, 599.9, 2), "fra was moved less than 600 s ago",
    ),
    "when nothing else is able there is no time to wait": (
        guards.dwell, back(), view(memory=joined(zone(), fra=cordoned(ago_s=1.0), ams=cordoned())), None,
    ),
    "too soon to go for a mild reason": (guards.dwell, DEGRADES, was_out(Cause.LOST, 299.9), TOO_SOON),
    "long enough there to go for a mild reason": (guards.dwell, DEGRADES, was_out(Cause.LOST, 300.0), None),
    "never moved, and so free to go": (guards.dwell, DEGRADES, view(), None),
    "how long it was well does not matter on the way out": (
        guards.dwell, DEGRADES, was_out(Cause.LOST, 300.0, verdicts={"fra": DEGRADED}), None,
    ),
    "dwell does not keep a lost region": (guards.dwell, out(), was_out(Cause.LOST, 5.0), None),
    "dwell is asked once, when the mind is made up": (guards.dwell, TURN_OFF, out_for(Cause.LOST, 5.0), None),
    "a step is held for a third of the dwell": (
        guards.ramp, raised(), at_step(0, 99.9), "fra takes 5 % for 100 s first",
    ),
    "then the next is taken": (guards.ramp, raised(), at_step(0, 100.0), None),
    "and the region was well all that time": (
        guards.ramp, raised(), at_step(1, 500.0, well_for_s=99.9), "fra takes 25 % for 100 s first",
    ),
    "just long enough well": (guards.ramp, raised(), at_step(1, 500.0, well_for_s=100.0), None),
    "a step of unknown age was taken just now": (
        guards.ramp, raised(), at_step(2, None), "fra takes 50 % for 100 s first",
    ),
    "a return is no raise": (guards.ramp, back(), at_step(0, 0.0), None),
    "nor is a write": (guards.ramp, TURN_ON, at_step(0, 0.0), None),
}

MEANS: dict[str, Case] = {
    "what is kept for failover is not spent on routine": (
        guards.budget, TURN_ON, spends(20, 20), "lever edge has 20 requests left, 20 are kept for failover",
    ),
    "what lies above it may be": (guards.budget, TURN_ON, spends(21, 20), None),
    "a loss spends what is kept": (guards.budget, TURN_OFF, spends(1, 20, verdicts={"fra": DOWN}), None),
    "but cannot spend what is not there": (
        guards.budget, TURN_OFF, spends(0, 20, verdicts={"fra": DOWN}), "lever edge has 0 requests left",
    ),
    "turning off a living region is routine": (
        guards.budget, TURN_OFF, spends(20, 20), "lever edge has 20 requests left, 20 are kept for failover",
    ),
    "turning on a region while another is able is routine, also after a loss": (
        guards.budget, TURN_ON, spends(20, 20, verdicts={"fra": DOWN}),
        "lever edge has 20 requests left, 20 are kept for failover",
    ),
    "a region that is needed because nothing else serves spends what is kept": (
        guards.budget, TURN_ON, spends(1, 20, memory=ALL_OUT), None,
    ),
    "a lever without a budget has none to keep": (
        guards.budget, TURN_ON, view(budgets={"second": Budget(0)}), None,
    ),
    "a move costs no request": (guards.budget, out(), spends(0), None),
}

REPORTS = replace(zone(), levers=(replace(zone().levers[0], enforce=False),))
SHARES = replace(REPORTS, levers=(replace(REPORTS.levers[0], weighted=True),))
TRIAL = replace(zone(), levers=(replace(zone().levers[0], dry_run=True),))


def found(of: Zone, *, enabled: bool, share: int | None = None, settled: tuple[bool, int | None] | None) -> View:
    return view(of, routes=[OriginState("edge", "fra", enabled, 1.0, share, settled)])


MODES: dict[str, Case] = {
    "what others turned off is left off where the policy only reports": (
        guards.drift, TURN_ON, found(REPORTS, enabled=False, settled=(True, None)),
        "fra was found off at lever edge, which somebody else did; its drift is report",
    ),
    "and so is a share that others changed": (
        guards.drift, TURN_ON, found(SHARES, enabled=True, share=40, settled=(True, 100)),
        "fra was found at 40 % at lever edge, which somebody else did; its drift is report",
    ),
    "a step of the ramp is our own wish": (
        guards.drift, replace(TURN_ON, share=25), found(SHARES, enabled=True, share=5, settled=(True, 5)), None,
    ),
    "a region comes back though it was off": (
        guards.drift, TURN_ON, found(REPORTS, enabled=False, settled=(False, None)), None,
    ),
    "what was never seen settled is ours to settle": (
        guards.drift, TURN_ON, found(REPORTS, enabled=False, settled=None), None,
    ),
    "where the policy enforces it is put back": (
        guards.drift, TURN_ON, found(zone(), enabled=False, settled=(True, None)), None,
    ),
    "a region that is out is turned off again, whoever turned it on": (
        guards.drift, TURN_OFF, found(REPORTS, enabled=True, settled=(False, None)), None,
    ),
    "no mind is made up by a lever's drift": (guards.drift, back(), view(REPORTS), None),
    "a lever on trial is not turned off": (
        guards.dry_run, TURN_OFF, view(TRIAL), "fra would be turned off at lever edge, which is dryRun",
    ),
    "nor on": (
        guards.dry_run, replace(TURN_ON, share=25), view(TRIAL),
        "fra would be turned on at 25 % at lever edge, which is dryRun",
    ),
    "a lever in force is": (guards.dry_run, TURN_OFF, view(), None),
    "a mind is made up though all levers are on trial": (guards.dry_run, out(), view(TRIAL), None),
}

CODES = {
    guards.drift: reasons.DRIFT,
    guards.dry_run: reasons.DRY_RUN,
    guards.capacity: reasons.CAPACITY,
    guards.rewound_history: reasons.REWOUND_HISTORY,
    guards.unknown_history: reasons.UNKNOWN_HISTORY,
    guards.dwell: reasons.DWELL,
    guards.ramp: reasons.RAMP,
    guards.budget: reasons.BUDGET,
}


@pytest.mark.parametrize("claim", [*CAPACITY, *HISTORY, *MEANS, *MODES])
def test_guard(claim: str):
    guard, action, seen, words = {**CAPACITY, **HISTORY, **MEANS, **MODES}[claim]
    assert guard(action, seen) == (None if words is None else Reason(CODES[guard], words))
