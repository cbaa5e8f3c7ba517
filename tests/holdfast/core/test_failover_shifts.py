"""Regions taken out on purpose: by a person before all, by a rehearsal only in peace, and always for a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import DEGRADED, DOWN, UNKNOWN, UP, all_say, cordoned, joined, origins, said, view, zone

from holdfast.core import failover, reasons
from holdfast.core.plans import Plan, SetOrigin, StoreMemory, Turn, View
from holdfast.core.values import Cause, Cordon, RegionMemory, Shift

THREE = zone(("fra", "ams", "iad"), ("lon",))
PERSON = Shift("fra", Cause.HUMAN, 600.0, "new switches", "ams")
REHEARSAL = Shift("fra", Cause.GAME_DAY, 600.0, "loss of a region", "ams")
FRA_OFF = origins(zone(), off=["fra"])
OUT_BY_PERSON = joined(zone(), fra=cordoned(Cause.HUMAN, 60.0, 1, "new switches", remaining_s=540.0, told_by="ams"))
OUT_BY_REHEARSAL = joined(zone(), fra=cordoned(Cause.GAME_DAY, 60.0, 1, "loss", remaining_s=540.0, told_by="ams"))


def decided(seen: View) -> Plan:
    return failover.decide(seen, 50.0)


def moved(plan: Plan) -> list[tuple[str, Turn, Cause]]:
    return [(move.region, move.turn, move.cause) for move in plan.moves]


def refused(plan: Plan) -> list[str]:
    return [refusal.reason.code for refusal in plan.refusals]


def stored(plan: Plan) -> dict[str, RegionMemory]:
    assert isinstance(plan.steps[0], StoreMemory)
    return dict(plan.steps[0].memory)


def test_a_persons_cordon_is_remembered_with_its_end_and_its_teller():
    plan = decided(view(shifts=(PERSON,)))
    words = "cordoned for another 600 s, told in ams: new switches"
    assert moved(plan) == [("fra", Turn.OUT, Cause.HUMAN)]
    assert stored(plan)["fra"].cordons == {Cause.HUMAN: Cordon(True, 0.0, 1, words, 600.0, "ams")}
    assert [(step.region, step.enabled) for step in plan.steps if isinstance(step, SetOrigin)] == [("fra", False)]
    assert plan.wake_at == 650.0


def test_it_needs_neither_a_quorum_of_observers_nor_a_dwell():
    memory = joined(zone(), fra=cordoned(ago_s=1.0, stands=False))
    plan = decided(view(memory=memory, shifts=(PERSON,), observations=[said("iad", "ams", UP)]))
    assert moved(plan) == [("fra", Turn.OUT, Cause.HUMAN)]


@pytest.mark.parametrize(
    "observations",
    [
        [said("ams", "fra", DOWN), said("iad", "fra", UP)],
        [said("ams", "fra", DEGRADED), said("iad", "fra", UP)],
    ],
    ids=["suspected", "found ill by one"],
)
def test_it_does_not_wait_for_an_incident_to_be_confirmed(observations: list):
    plan = decided(view(observations=[*observations, *all_say(zone())[2:]], shifts=(PERSON,)))
    assert moved(plan) == [("fra", Turn.OUT, Cause.HUMAN)]
    assert refused(plan) == [reasons.NOT_CONFIRMED]


def test_nor_for_the_dwell_of_a_degradation():
    memory = joined(zone(), fra=cordoned(ago_s=1.0, stands=False))
    plan = decided(view(verdicts={"fra": DEGRADED}, memory=memory, shifts=(PERSON,)))
    assert moved(plan) == [("fra", Turn.OUT, Cause.HUMAN)]
    assert refused(plan) == [reasons.DWELL]


def test_a_region_may_be_out_for_a_loss_and_a_person_at_once():
    plan = decided(view(verdicts={"fra": DOWN}, shifts=(PERSON,)))
    assert moved(plan) == [("fra", Turn.OUT, Cause.LOST), ("fra", Turn.OUT, Cause.HUMAN)]
    assert stored(plan)["fra"].standing == (Cause.LOST, Cause.HUMAN)


def test_a_loss_that_heals_leaves_the_persons_cordon_standing():
    both = RegionMemory({
        Cause.LOST: Cordon(True, 300.0), Cause.HUMAN: Cordon(True, 60.0, remaining_s=540.0, told_by="ams"),
    })
    plan = decided(view(memory=joined(zone(), fra=both), routes=FRA_OFF, shifts=(PERSON,)))
    assert moved(plan) == [("fra", Turn.BACK, Cause.LOST)]
    assert stored(plan)["fra"].standing == (Cause.HUMAN,)
    assert [step for step in plan.steps if isinstance(step, SetOrigin)] == []


def test_no_person_takes_the_last_region_out():
    plan = decided(view(memory=joined(zone(), ams=cordoned(ago_s=9.0)), shifts=(PERSON,)))
    assert (moved(plan), refused(plan)) == ([], [reasons.DWELL, reasons.LAST_SERVING])


def test_a_cordon_that_runs_changes_nothing():
    plan = decided(view(memory=OUT_BY_PERSON, routes=FRA_OFF, shifts=(replace(PERSON, remaining_s=550.0),)))
    assert (plan.steps, plan.moves, plan.refusals, plan.wake_at) == ((), (), (), 590.0)


@pytest.mark.parametrize(
    ("told", "remembered"),
    [
        (replace(PERSON, remaining_s=550.1), (550.1, "ams")),
        (replace(PERSON, remaining_s=529.9), (529.9, "ams")),
        (replace(PERSON, remaining_s=540.0, told_by="iad"), (540.0, "iad")),
    ],
    ids=["extended", "shortened", "told elsewhere"],
)
def test_a_cordon_that_is_told_anew_goes_by_what_is_told_now(told: Shift, remembered: tuple[float, str]):
    """Or the silence of the cluster it is told in would end it at the time it first had."""
    plan = decided(view(memory=OUT_BY_PERSON, routes=FRA_OFF, shifts=(told,)))
    cordon = stored(plan)["fra"].cordons[Cause.HUMAN]
    assert (cordon.remaining_s, cordon.told_by) == remembered
    assert (cordon.changed_ago_s, cordon.flaps, cordon.reason) == (60.0, 1, "new switches")
    assert plan.moves == ()


def test_a_cordon_that_is_over_is_not_kept_by_another_told_for_the_region():
    memory = joined(zone(), fra=cordoned(Cause.HUMAN, 60.0, stands=False))
    assert decided(view(memory=memory, shifts=(replace(PERSON, by=Cause.GAME_DAY),))).moves != ()


@pytest.mark.parametrize("memory", [OUT_BY_PERSON, OUT_BY_REHEARSAL], ids=["person", "rehearsal"])
def test_lifted_where_it_was_told_it_ends_without_dwell_at_the_first_step_of_the_ramp(memory):
    plan = decided(view(memory=memory, routes=FRA_OFF))
    assert [(region, turn) for region, turn, _ in moved(plan)] == [("fra", Turn.BACK)]
    assert plan.reasons[0].message == "the cordon of fra was lifted in ams"
    assert (stored(plan)["fra"].step, stored(plan)["fra"].standing) == (0, ())


def test_an_ended_cordon_remembers_neither_an_end_nor_flaps_away():
    plan = decided(view(memory=OUT_BY_PERSON, routes=FRA_OFF))
    assert stored(plan)["fra"].cordons[Cause.HUMAN] == Cordon(
        False, 0.0, 1, "the cordon of fra was lifted in ams", None, "ams"
    )


def test_while_its_teller_is_silent_it_stands():
    plan = decided(view(memory=OUT_BY_PERSON, routes=FRA_OFF, heard_ago_s={"ams": 3.1}))
    assert (plan.moves, plan.wake_at) == ((), 590.0)


@pytest.mark.parametrize(("remaining_s", "turns"), [(0.1, []), (0.0, [Turn.BACK]), (-9.0, [Turn.BACK])])
def test_but_not_beyond_its_time(remaining_s: float, turns: list[Turn]):
    memory = joined(zone(), fra=cordoned(Cause.HUMAN, 600.0, remaining_s=remaining_s, told_by="ams"))
    plan = decided(view(memory=memory, routes=FRA_OFF, heard_ago_s={}))
    assert [move.turn for move in plan.moves] == turns


def test_a_region_that_died_meanwhile_is_not_brought_back_by_the_end_of_a_cordon():
    plan = decided(view(verdicts={"fra": DOWN}, memory=OUT_BY_PERSON, routes=FRA_OFF))
    assert moved(plan) == [("fra", Turn.OUT, Cause.LOST)]
    assert refused(plan) == [reasons.TARGET_LOST]


def test_of_an_unknown_region_the_cordon_ends():
    """The person who lifts it answers for it; the origin is on until a quorum sees it down."""
    plan = decided(view(verdicts={"fra": UNKNOWN}, memory=OUT_BY_PERSON, routes=FRA_OFF))
    assert moved(plan) == [("fra", Turn.BACK, Cause.HUMAN)]


def test_a_rehearsal_begins_in_peace():
    assert moved(decided(view(THREE, shifts=(REHEARSAL,)))) == [("fra", Turn.OUT, Cause.GAME_DAY)]


@pytest.mark.parametrize(
    "trouble",
    [{"memory": joined(THREE, iad=cordoned(ago_s=9.0))}, {"verdicts": {"iad": DEGRADED}}],
    ids=["a region is out", "a region is ill"],
)
def test_it_does_not_begin_in_an_incident_wherever_that_is(trouble: dict[str, object]):
    plan = decided(view(THREE, shifts=(REHEARSAL,), **trouble))
    assert ("fra", Turn.OUT, Cause.GAME_DAY) not in moved(plan)
    assert reasons.INCIDENT in refused(plan)


def test_it_ends_at_once_when_an_incident_comes():
    memory = joined(THREE, fra=OUT_BY_REHEARSAL["fra"])
    plan = decided(view(THREE, {"iad": DOWN}, memory=memory, shifts=(REHEARSAL,), routes=origins(THREE, off=["fra"])))
    assert moved(plan) == [("fra", Turn.BACK, Cause.GAME_DAY), ("iad", Turn.OUT, Cause.LOST)]
    assert plan.reasons[0].message == "the rehearsal gives way to the incident of iad"


def test_a_persons_cordon_does_not_end_for_an_incident():
    memory = joined(THREE, fra=OUT_BY_PERSON["fra"])
    plan = decided(view(THREE, {"iad": DOWN}, memory=memory, shifts=(PERSON,), routes=origins(THREE, off=["fra"])))
    assert moved(plan) == [("iad", Turn.OUT, Cause.LOST)]


def test_a_rehearsal_beside_a_persons_cordon_adds_nothing():
    plan = decided(view(memory=OUT_BY_PERSON, routes=FRA_OFF, shifts=(PERSON, REHEARSAL)))
    assert plan.moves == ()
    both = decided(view(THREE, shifts=(REHEARSAL, PERSON)))
    assert moved(both) == [("fra", Turn.OUT, Cause.HUMAN)]


@pytest.mark.parametrize("paused", [{"paused": "we move house"}, {"of": zone(paused=True)}], ids=["fleet", "zone"])
def test_a_pause_holds_losses_returns_and_writes_alike(paused: dict):
    memory = joined(zone(), fra=cordoned(ago_s=900.0))
    plan = decided(view(**paused, verdicts={"ams": DOWN}, memory=memory))
    assert (plan.steps, plan.moves) == ((), ())
    assert set(refused(plan)) == {reasons.PAUSED}


def test_a_pause_does_not_stop_reading_nor_the_memory():
    plan = decided(view(paused="we move house", routes=[], memory={}))
    assert [type(step).__name__ for step in plan.steps] == ["StoreMemory", "ReadBack", "ReadBack"]
