"""From what is wanted to requests: in which order, under which key, and what is held back."""

from __future__ import annotations

from core_builders import DOWN, FENCE, UNKNOWN, cordoned, joined, origins, regions, view, zone

from holdfast.core import reasons, writes
from holdfast.core.plans import Overridden, ReadBack, SetOrigin, View
from holdfast.core.values import Budget, Cause, Cordon, OriginState, Override, Reason, RegionMemory

TWO_LEVERS = zone(levers=("edge", "second"))
WEIGHTED = zone(weighted=["edge"])


def asked(seen: View) -> list[tuple[str, str, bool]]:
    return [(step.region, step.lever, step.enabled) for step in writes.steps(seen, FENCE).steps
            if isinstance(step, SetOrigin)]


def shares(fra: int | None, ams: int | None = 100) -> list[OriginState]:
    return [OriginState("edge", "fra", True, share=fra), OriginState("edge", "ams", True, share=ams)]


def test_nothing_is_written_while_the_levers_say_what_is_wanted():
    assert writes.steps(view(), FENCE) == writes.Writes()
    assert not writes.Writes().writes


def test_a_cordoned_region_is_turned_off_and_read_back():
    memory = joined(zone(), fra=cordoned(Cause.LOST, 0.0, reason="2 of 2 observers see fra down"))
    wanted = writes.steps(view(memory=memory), FENCE)
    assert wanted == writes.Writes((
        SetOrigin(
            "edge", "fra", False, FENCE, "eu/7/edge/fra/off",
            Reason(reasons.REGION_LOST, "2 of 2 observers see fra down"), 0,
        ),
        ReadBack("edge", "fra", False),
    ))
    assert wanted.writes


def test_a_region_that_serves_is_turned_on_and_read_back():
    wanted = writes.steps(view(routes=origins(zone(), off=["fra"])), FENCE)
    assert wanted.steps == (
        SetOrigin(
            "edge", "fra", True, FENCE, "eu/7/edge/fra/on", Reason(reasons.REGION_RECOVERED, "fra is to be on"), 100,
        ),
        ReadBack("edge", "fra", True),
    )


def test_a_reading_that_our_last_write_contradicts_is_written_again_whatever_it_says():
    """Regression (seed 387): it was read to be on out of a stale copy, had been turned off, and was leaned on."""
    stale = [OriginState("edge", "fra", True), OriginState("edge", "ams", True, contradicts=True)]
    fra_out = joined(zone(), fra=cordoned())
    assert asked(view(memory=fra_out, routes=stale)) == [("ams", "edge", True)]
    refused = writes.steps(view(memory=fra_out, routes=stale), FENCE).refusals
    assert [refusal.reason.code for refusal in refused] == [reasons.NEVER_EMPTY]
    off = [OriginState("edge", "fra", False, contradicts=True), OriginState("edge", "ams", True)]
    assert asked(view(memory=fra_out, routes=off)) == [("fra", "edge", False)]


def test_the_words_of_a_return_are_those_of_the_move():
    memory = joined(zone(), fra=cordoned(stands=False, reason="2 of 2 observers see fra up"))
    (first, _) = writes.steps(view(memory=memory, routes=origins(zone(), off=["fra"])), FENCE).steps
    assert isinstance(first, SetOrigin)
    assert first.reason == Reason(reasons.REGION_RECOVERED, "2 of 2 observers see fra up")


def test_a_cordon_without_words_gets_some():
    (first, _) = writes.steps(view(memory=joined(zone(), fra=cordoned(Cause.HUMAN))), FENCE).steps
    assert isinstance(first, SetOrigin)
    assert first.reason == Reason(reasons.HUMAN_SHIFT, "fra is to be off")


def test_every_cause_has_its_code():
    assert writes.CODES == {
        Cause.ILLEGAL: "OutsideResidency", Cause.LOST: "RegionLost", Cause.ABSENT: "RegionAbsent",
        Cause.FOUND_OFF: "FoundOff", Cause.WITHDRAWN: "RegionWithdrawn", Cause.DEGRADED: "RegionDegraded",
        Cause.HUMAN: "HumanShift", Cause.GAME_DAY: "GameDayShift",
    }


def test_of_several_causes_the_gravest_is_told():
    both = {Cause.HUMAN: Cordon(True, 9.0, reason="person"), Cause.LOST: Cordon(True, 1.0, reason="lost")}
    (first, _) = writes.steps(view(memory=joined(zone(), fra=RegionMemory(both))), FENCE).steps
    assert isinstance(first, SetOrigin)
    assert first.reason == Reason(reasons.REGION_LOST, "lost")


def test_what_may_not_be_there_goes_first_then_what_comes_then_what_goes():
    of = zone(("fra", "ams", "iad", "lon"), (), ("edge", "second"))
    memory = joined(of, fra=cordoned())
    routes = [
        OriginState(lever, name, on)
        for lever in ("edge", "second")
        for name, on in (("fra", True), ("ams", False), ("iad", True), ("lon", True))
    ]
    assert asked(view(of, memory=memory, routes=routes, regions=regions(of, abroad=["lon"]))) == [
        ("lon", "edge", False), ("lon", "second", False), ("ams", "edge", True), ("ams", "second", True),
        ("fra", "edge", False), ("fra", "second", False),
    ]


def test_a_region_abroad_is_turned_off_though_nothing_else_is_on():
    seen = view(routes=origins(zone(), off=["ams"]), regions=regions(zone(), abroad=["fra"]), paused="stop")
    wanted = writes.steps(seen, FENCE)
    assert asked(seen) == [("fra", "edge", False)]
    assert [refusal.reason.code for refusal in wanted.refusals] == [reasons.PAUSED]


def test_a_region_abroad_is_never_turned_on():
    assert asked(view(routes=origins(zone(), off=["fra"]), regions=regions(zone(), abroad=["fra"]))) == []


def test_what_is_unknown_is_read_after_everything_else_and_not_written():
    routes = [OriginState("edge", "fra", None), OriginState("edge", "ams", True), OriginState("second", "ams", True),
              OriginState("second", "fra", False)]
    assert writes.steps(view(TWO_LEVERS, routes=routes), FENCE).steps == (
        SetOrigin("second", "fra", True, FENCE, "eu/7/second/fra/on",
                  Reason(reasons.REGION_RECOVERED, "fra is to be on"), 100),
        ReadBack("second", "fra", True),
        ReadBack("edge", "fra"),
    )


def test_what_was_just_written_is_not_leaned_on_before_it_is_read():
    """The plan may stop between the two, and the write may not have come about."""
    seen = view(memory=joined(zone(), fra=cordoned()), routes=origins(zone(), off=["ams"]))
    wanted = writes.steps(seen, FENCE)
    assert asked(seen) == [("ams", "edge", True)]
    assert [(refusal.action.key, refusal.reason.code) for refusal in wanted.refusals] == [
        ("eu/7/edge/fra/off", reasons.NEVER_EMPTY)
    ]


def test_a_lever_that_would_be_empty_does_not_hold_the_other():
    routes = [OriginState("edge", "fra", True), OriginState("edge", "ams", None), *origins(zone(levers=("second",)))]
    seen = view(TWO_LEVERS, memory=joined(zone(), fra=cordoned()), routes=routes)
    assert asked(seen) == [("fra", "second", False)]
    assert [each.reason.message for each in writes.steps(seen, FENCE).refusals] == [
        "lever edge would have no origin left that is on and well"
    ]


def test_a_region_is_written_only_where_it_has_an_origin():
    seen = view(TWO_LEVERS, {"fra": DOWN}, memory=joined(zone(), fra=cordoned()))
    bare = {**seen.regions, "fra": regions(zone(levers=("second",)))["fra"]}
    assert asked(view(TWO_LEVERS, {"fra": DOWN}, memory=joined(zone(), fra=cordoned()), regions=bare)) == [
        ("fra", "second", False)
    ]


def test_an_override_is_told_with_its_write():
    named = Override("fra", reasons.BUDGET, 60.0, "now")
    seen = view(routes=origins(zone(), off=["fra"]), budgets={"edge": Budget(5, 5)}, overrides=(named,))
    wanted = writes.steps(seen, FENCE)
    (write, _) = wanted.steps
    words = "lever edge has 5 requests left, 5 are kept for failover"
    assert wanted.overridden == (Overridden(write, Reason(reasons.BUDGET, words), named),)
    assert writes.steps(view(routes=origins(zone(), off=["fra"])), FENCE).overridden == ()


def test_the_writes_of_one_plan_do_not_together_spend_what_each_alone_may():
    of = zone(("fra", "ams", "iad"), ())
    seen = view(of, routes=origins(of, off=["fra", "ams"]), budgets={"edge": Budget(21, 20)})
    wanted = writes.steps(seen, FENCE)
    assert asked(seen) == [("fra", "edge", True)]
    assert [refusal.reason for refusal in wanted.refusals] == [
        Reason(reasons.BUDGET, "lever edge has 20 requests left, 20 are kept for failover")
    ]


def test_a_weighted_lever_is_given_the_share_of_the_ramp():
    seen = view(WEIGHTED, memory=joined(zone(), fra=RegionMemory({}, 0)), routes=shares(100))
    (write, read) = writes.steps(seen, FENCE).steps
    assert isinstance(write, SetOrigin)
    assert (write.enabled, write.share, write.key) == (True, 5, "eu/7/edge/fra/on-5")
    assert write.reason.message == "fra is to be on-5"
    assert read == ReadBack("edge", "fra", True)


def test_a_share_that_is_as_wanted_is_left_alone():
    assert asked(view(WEIGHTED, memory=joined(zone(), fra=RegionMemory({}, 0)), routes=shares(5))) == []


def test_a_share_that_was_not_read_is_written():
    assert asked(view(WEIGHTED, routes=shares(None))) == [("fra", "edge", True)]


def test_a_lever_that_only_knows_on_and_off_is_not_written_for_a_share():
    assert asked(view(memory=joined(zone(), fra=RegionMemory({}, 0)), routes=shares(100))) == []


def test_a_lever_is_weighted_by_its_own_entry():
    of = zone(levers=("edge", "second"), weighted=["second"])
    routes = [OriginState(lever, name, True, share=100) for lever in ("edge", "second") for name in ("fra", "ams")]
    seen = view(of, memory=joined(of, fra=RegionMemory({}, 1)), routes=routes)
    assert asked(seen) == [("fra", "second", True)]


def test_what_is_off_as_wanted_is_off_whatever_share_it_keeps():
    routes = [OriginState("edge", "fra", False, share=100), OriginState("edge", "ams", True, share=100)]
    assert asked(view(WEIGHTED, memory=joined(zone(), fra=cordoned()), routes=routes)) == []


def test_keys_are_unique_for_each_epoch_lever_region_and_word():
    """A vendor or a log can tell a repeated request from a new one."""
    of = zone(("fra", "ams"), ("iad",), ("edge", "second"), weighted=["edge"])
    keys = set()
    for step in (None, 0, 1, 2):
        for off in ([], ["fra"]):
            memory = joined(of, fra=RegionMemory({}, step)) if not off else joined(of, fra=cordoned())
            routes = [OriginState(lever, name, bool(off) or name == "ams", share=None if name == "fra" else 100)
                      for lever in ("edge", "second") for name in ("fra", "ams")]
            wanted = writes.steps(view(of, memory=memory, routes=routes), FENCE)
            keys |= {step.key for step in wanted.steps if isinstance(step, SetOrigin)}
    assert keys == {
        "eu/7/edge/fra/on", "eu/7/edge/fra/on-5", "eu/7/edge/fra/on-25", "eu/7/edge/fra/on-50", "eu/7/edge/fra/off",
        "eu/7/second/fra/on", "eu/7/second/fra/on-5", "eu/7/second/fra/on-25", "eu/7/second/fra/on-50",
        "eu/7/second/fra/off",
    }


def test_an_unknown_region_is_turned_on_if_it_is_meant_to_serve():
    assert asked(view(verdicts={"fra": UNKNOWN}, routes=origins(zone(), off=["fra"]))) == [("fra", "edge", True)]


def test_a_region_whose_share_was_just_written_is_not_leaned_on_either():
    routes = [OriginState("edge", "fra", True, share=100), OriginState("edge", "ams", True, share=5)]
    wanted = writes.steps(view(WEIGHTED, memory=joined(zone(), fra=cordoned()), routes=routes), FENCE)
    assert [step.key for step in wanted.steps if isinstance(step, SetOrigin)] == ["eu/7/edge/ams/on"]
    assert [refusal.reason.code for refusal in wanted.refusals] == [reasons.NEVER_EMPTY]


def test_every_override_of_a_plan_is_told():
    named = tuple(Override(name, reasons.BUDGET, 60.0, "now") for name in ("fra", "ams"))
    seen = view(routes=origins(zone(), off=["fra", "ams"]), budgets={"edge": Budget(0)}, overrides=named)
    assert [each.override for each in writes.steps(seen, FENCE).overridden] == list(named)


def test_a_region_on_its_ramp_that_is_alone_is_given_everything():
    """What its pool sheds would go nowhere: nobody else is able to take it."""
    of = zone(weighted=("edge",))
    memory = joined(of, fra=cordoned(ago_s=1000.0, stands=False, step=0))
    states = (OriginState("edge", "fra", True, share=5), OriginState("edge", "ams", True, share=100))
    beside, alone = view(of, memory=memory, routes=states), view(of, {"ams": DOWN}, memory=memory, routes=states)

    assert not [each for each in writes.steps(beside, FENCE).steps if isinstance(each, SetOrigin)]
    (write,) = [each for each in writes.steps(alone, FENCE).steps if isinstance(each, SetOrigin)]
    assert (write.region, write.enabled, write.share) == ("fra", True, 100)
