"""Pods rise at once and before they are short, and fall slowly, one by one, in calm only, and never with a call."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import DEGRADED, DOWN, cordoned, joined, loads, origins, out, regions, said, view, zone
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core import capacity, readiness, reasons, room
from holdfast.core.capacity import AgentLoad, Due, Limits, Memory, PodLoad, Wanted
from holdfast.core.plans import View
from holdfast.core.values import NEVER_S, Cause, Cordon, Guards, Reason, RegionMemory, Shift, Withdrawal
from holdfast.core.values import Load as Values

LIMITS = Limits(min_pods=2, max_pods=20, calls_per_pod=50)
TROUBLE = Reason(reasons.INCIDENT, "fra is cordoned")
THREE = zone(("fra", "ams", "iad"), ())


def pods(*calls: int) -> AgentLoad:
    return AgentLoad({f"p-{number}": PodLoad(each, ready=each < 45) for number, each in enumerate(calls)})


def look(
    calls: int | Due, load: AgentLoad, *, live: int, memory: Memory | None = None, hold: Reason | None = None,
    now: float = 0.0, limits: Limits = LIMITS,
) -> tuple[Wanted, Memory]:
    expected = calls if isinstance(calls, Due) else Due(calls, calls)
    return capacity.wanted_replicas(load, limits, expected, live=live, memory=memory, hold=hold, now=now)


def calm(replicas: int, *, since: float = 0.0) -> Memory:
    """So many are in force, two were enough ever since, and the last step was long ago."""
    return Memory(replicas, ((since, 2),), -capacity.STEP_S)


def due(calls: dict[str, int], seen: capacity.Outlook) -> Due:
    """Without what is held here, which is only asked where a tenant's calls are bounded."""
    return replace(capacity.due(calls, seen), here=0)


class Region:
    """An agent's pods in one region, looked at every second; what is allowed to go goes at once."""

    def __init__(self, live: int = 2, limits: Limits = LIMITS) -> None:
        self.live, self.limits, self.now = live, limits, 0.0
        self.memory: Memory | None = None
        self.history: list[int] = []

    def pass_time(self, seconds: float, *, calls: int, hold: Reason | None = None) -> None:
        until = self.now + seconds
        while self.now < until:
            spread = [calls // self.live + (number < calls % self.live) for number in range(self.live)] if calls else []
            load = pods(*spread, *[0] * (self.live - len(spread)))
            wanted, self.memory = look(
                calls, load, live=self.live, memory=self.memory, hold=hold, now=self.now, limits=self.limits
            )
            self.live = wanted.replicas
            if wanted.lower is not None:
                self.live, self.memory = wanted.lower, capacity.lowered(self.memory, self.now)
            self.history.append(self.live)
            self.now += 1.0


# How many.


def test_another_pod_is_asked_for_while_the_last_slot_is_free():
    """45 of 50 calls make a pod unready: two pods take 90 calls, and with 89 one slot is left."""
    assert [capacity.pods_for(calls, LIMITS) for calls in (0, 43, 44, 88, 89, 90)] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(("per_pod", "slots"), [(1, 1), (2, 2), (9, 9), (10, 9), (11, 10), (50, 45), (2000, 1800)])
def test_a_pod_takes_calls_until_it_is_ninety_percent_full(per_pod: int, slots: int):
    assert replace(LIMITS, calls_per_pod=per_pod).slots == slots


def test_headroom_is_kept_free_as_the_guards_reckon_it():
    assert capacity.pods_for(100, replace(LIMITS, headroom_percent=20)) == 3
    assert capacity.pods_for(108, replace(LIMITS, headroom_percent=20)) == 3
    assert capacity.pods_for(109, replace(LIMITS, headroom_percent=20)) == 4
    assert capacity.pods_for(100, replace(LIMITS, headroom_percent=90)) == 23


def test_the_need_stays_within_the_bounds_of_the_spec_and_the_tenants_share():
    assert capacity.needed(Due(0, 0), LIMITS) == 2
    assert capacity.needed(Due(0, 9_999), LIMITS) == 20
    assert capacity.needed(Due(0, 9_999), replace(LIMITS, ceiling=7)) == 7
    assert capacity.needed(Due(0, 0), replace(LIMITS, ceiling=1)) == 1
    assert capacity.needed(Due(0, 0), replace(LIMITS, ceiling=0)) == 1, "none at all would answer nobody"


def test_no_pods_are_kept_for_more_calls_than_the_tenant_may_have_but_those_here_have_theirs():
    bounded = replace(LIMITS, max_calls=100)
    assert capacity.needed(Due(90, 400, here=90), LIMITS) == 9
    assert capacity.needed(Due(90, 400, here=90), bounded) == 3
    assert capacity.needed(Due(200, 400, here=200), bounded) == 5
    seen = capacity.outlook("ams", view(), in_force={})
    assert capacity.due({"fra": 40, "ams": 60}, seen).here == 60


def test_what_is_needed_is_for_the_calls_after_the_next_loss():
    assert capacity.needed(Due(10, 100), LIMITS) == 3


@settings(deadline=None)
@given(calls=st.integers(0, 5_000), more=st.integers(0, 500), per_pod=st.integers(1, 2_000), head=st.integers(0, 90))
def test_more_calls_never_need_fewer_pods(calls: int, more: int, per_pod: int, head: int):
    limits = Limits(1, 500, per_pod, head)
    assert capacity.pods_for(calls, limits) <= capacity.pods_for(calls + more, limits)
    assert capacity.pods_for(calls, limits) * limits.slots >= calls + capacity.SPARE_SLOTS


def test_how_long_a_pod_is_as_it_is_counts_from_when_it_first_said_so():
    first = PodLoad(0, ready=False, heard_at=10.0).after(None)
    same = PodLoad(1, ready=False, heard_at=20.0).after(first)
    ready = PodLoad(1, ready=True, heard_at=30.0).after(same)
    assert [each.since for each in (first, same, ready)] == [10.0, 10.0, 30.0]
    assert ready.same(replace(ready, heard_at=40.0))
    assert not ready.same(replace(ready, calls=2))
    assert not ready.same(same)


def test_a_pod_that_has_been_unready_for_a_minute_is_made_up_for():
    def told(*ready: bool, calls: int = 0, ago_s: float = 60.0, draining: bool = False) -> AgentLoad:
        return AgentLoad({
            f"p-{number}": PodLoad(calls, ready=each, draining=draining, since=100.0 - ago_s)
            for number, each in enumerate(ready)
        })  # fmt: skip

    assert told(True, False).broken(45, 100.0) == 1
    assert told(True, False, ago_s=59.9).broken(45, 100.0) == 0, "it may still be starting"
    assert told(False, False, calls=45).broken(45, 100.0) == 0, "they are full"
    assert told(False, False).broken(45, 100.0) == 0, "more of what none can do would not help"
    assert told(True, False, draining=True).broken(45, 100.0) == 0
    assert look(0, told(True, False), live=2, now=100.0)[0].replicas == 3
    assert capacity.needed(Due(0, 0), LIMITS, broken=9) == 4, "at most as many again"
    assert capacity.needed(Due(0, 600), LIMITS, broken=9) == 20


def test_free_slots_of_a_pod_whose_loop_runs_late_are_none():
    def told(calls: int, *, late: bool = True, ready: bool = False, draining: bool = False) -> AgentLoad:
        burdened = PodLoad(calls, ready=ready, draining=draining, late=late, since=0.0)
        return AgentLoad({"p-0": burdened, "p-1": PodLoad(1, ready=True)})

    assert told(30).no_room(45) == 15
    assert told(50).no_room(45) == 0
    assert told(30, late=False).no_room(45) == 0
    assert told(30, draining=True).no_room(45) == 0, "it takes none anyhow"
    assert told(11).no_room(45) == 0, "its machine is slow, and more pods would be as slow"
    assert told(30).broken(45, 100.0) == 0, "it carries what it can"
    assert told(11).broken(45, 100.0) == 1
    assert look(70, told(30, ready=True), live=2, now=100.0)[0].replicas == 2
    assert look(80, told(30, ready=True), live=2, now=100.0)[0].replicas == 3
    assert look(80, told(30, ready=True, late=False), live=2, now=100.0)[0].replicas == 2
    assert not PodLoad(1, ready=True).same(PodLoad(1, ready=True, late=True))


def test_a_broken_pod_that_more_do_not_make_up_for_is_told_at_the_maximum():
    load = AgentLoad({"p-0": PodLoad(40, ready=True), "p-1": PodLoad(0, ready=False)})
    tight = replace(LIMITS, max_pods=2)
    assert look(0, load, live=2, now=60.0, limits=tight)[0].reason.code == reasons.AT_MAXIMUM


# What is about to come.


def outlook(seen: View, region: str = "ams", **weights: int) -> capacity.Outlook:
    return capacity.outlook(region, seen, in_force=weights or {"fra": 50, "ams": 50})


def test_a_region_keeps_room_for_all_calls_of_the_other_of_two():
    assert due({"fra": 40, "ams": 60}, outlook(view())) == Due(60, 100, "fra")


def test_the_loss_that_brings_most_is_reckoned_with():
    seen = outlook(view(THREE), "ams", fra=50, ams=50, iad=50)
    assert due({"fra": 30, "ams": 30, "iad": 60}, seen) == Due(40, 70, "iad")


def test_a_region_with_too_few_calls_for_its_weight_is_about_to_get_them():
    assert due({"fra": 100, "ams": 0}, outlook(view())) == Due(50, 100, "fra")


def test_a_standby_keeps_room_only_when_it_would_be_the_last_one():
    warm = zone(weights={"fra": 100, "ams": 0})
    assert due({"fra": 80, "ams": 0}, outlook(view(warm), fra=100, ams=0)) == Due(0, 80, "fra")
    third = zone(("fra", "ams", "iad"), (), weights={"iad": 0})
    assert due({"fra": 40, "ams": 40}, outlook(view(third), "iad", fra=50, ams=50)) == Due(0, 0, "fra")


def test_calls_that_the_weights_in_force_send_are_reckoned_with():
    """The others are full, so the leader sends a part to the standby."""
    warm = zone(("fra", "ams", "iad"), (), weights={"iad": 0})
    assert due({"fra": 50, "ams": 50}, outlook(view(warm), "iad", fra=8, ams=8, iad=4)).now == 20


@pytest.mark.parametrize(
    "seen",
    [
        view(THREE, {"fra": DOWN}),
        view(THREE, observations=[said("ams", "fra", DOWN)]),
        view(THREE, {"fra": DEGRADED}),
        view(THREE, memory=joined(THREE, fra=cordoned())),
        view(THREE, shifts=(Shift("fra", Cause.HUMAN, 600.0, "new disks"),)),
        view(THREE, withdrawals=(Withdrawal("fra", Reason(reasons.PODS_NOT_READY, "no pods"), 0.5),)),
    ],
    ids=["lost", "suspected by one", "degraded", "cordoned", "a person's cordon is told", "asks to be out"],
)
def test_survivors_are_made_able_before_traffic_moves(seen: View):
    """Two of three are left: half of all calls now, and all of them were the other one lost, too."""
    calls = {"fra": 60, "ams": 30, "iad": 30}
    before = due(calls, outlook(view(THREE), "ams", fra=50, ams=50, iad=50))
    assert before == Due(40, 70, "fra")
    assert due(calls, outlook(seen, "ams", fra=50, ams=50, iad=50)) == Due(60, 120, "iad")


def test_a_raised_weight_is_reckoned_with_before_a_call_comes():
    heavier = zone(weights={"fra": 20, "ams": 80})
    assert due({"fra": 50, "ams": 50}, outlook(view(heavier))).now == 80


def test_a_region_that_is_out_itself_keeps_what_it_needs_to_come_back():
    out = view(memory=joined(zone(), ams=cordoned()))
    assert due({"fra": 100, "ams": 0}, outlook(out, fra=50, ams=0)) == Due(50, 100, "fra")


def test_a_region_alone_has_all_calls_and_no_loss_to_survive():
    alone = zone(("fra",), ())
    assert due({"fra": 10}, outlook(view(alone), "fra", fra=50)) == Due(10, 10)
    assert due({}, outlook(view(alone), "fra", fra=0)) == Due(0, 0)


def test_an_agent_has_the_part_elsewhere_that_it_has_here_or_an_even_one_if_that_is_more():
    totals = {"fra": 100, "ams": 50}
    assert capacity.of_agent(25, "ams", totals, agents=10) == {"fra": 50, "ams": 25}
    assert capacity.of_agent(0, "ams", totals, agents=10) == {"fra": 10, "ams": 0}
    assert capacity.of_agent(0, "ams", {"fra": 100, "ams": 0}, agents=4) == {"fra": 25, "ams": 0}
    assert capacity.of_agent(3, "ams", {}, agents=0) == {"ams": 3}


@settings(deadline=None)
@given(
    calls=st.fixed_dictionaries({name: st.integers(0, 900) for name in ("fra", "ams", "iad")}),
    more=st.integers(0, 100), weights=st.tuples(st.integers(1, 100), st.integers(1, 100), st.integers(0, 100)),
    down=st.sets(st.sampled_from(["fra", "iad"])),
)  # fmt: skip
def test_more_calls_here_are_never_fewer_due(calls, more, weights, down):
    of = zone(("fra", "ams", "iad"), (), weights=dict(zip(("fra", "ams", "iad"), weights, strict=True)))
    seen = capacity.outlook("ams", view(of, dict.fromkeys(down, DOWN)), in_force={})
    before, after = capacity.due(calls, seen), capacity.due({**calls, "ams": calls["ams"] + more}, seen)
    assert before.now <= after.now
    assert before.after <= after.after
    assert calls["ams"] <= before.now <= before.after <= sum(calls.values())


def test_a_region_that_tells_nothing_any_more_is_taken_to_have_the_calls_it_last_told_of():
    """Those of a lost region are the very ones that are about to come."""
    before = capacity.last_told({}, {"fra": Values(2, 60, 30), "ams": Values(2, 10, 80)}, 100.0)
    lost = capacity.last_told(before, {"ams": Values(2, 20, 70)}, 400.0)
    assert lost == {"fra": (100.0, 60), "ams": (400.0, 20)}
    assert capacity.last_told(lost, {}, 400.1) == {"ams": (400.0, 20)}


@settings(deadline=None)
@given(
    calls=st.fixed_dictionaries({name: st.integers(0, 900) for name in ("fra", "ams", "iad")}),
    weights=st.tuples(st.integers(1, 100), st.integers(0, 100), st.integers(0, 100)),
    per_pod=st.integers(1, 400), head=st.sampled_from([0, 20, 50, 90]),
)  # fmt: skip
def test_the_pods_that_are_kept_in_calm_let_the_guards_take_any_region_out(calls, weights, per_pod, head):
    """The capacity guard and the readiness for loss reckon by themselves; what is kept ready must satisfy both."""
    of = zone(
        ("fra", "ams", "iad"), ("lon",), guards=Guards(headroom_percent=head),
        weights=dict(zip(("fra", "ams", "iad"), weights, strict=True)),
    )  # fmt: skip
    limits = Limits(1, 100_000, per_pod, head)
    kept = {}
    for name in of.members:
        expected = capacity.due(calls, capacity.outlook(name, view(of), in_force={}))
        pods = capacity.needed(expected, limits)
        kept[name] = Values(pods, calls[name], pods * per_pod - calls[name])
    seen = view(of, loads=kept)
    assert [room.elsewhere(out(name), seen) for name in of.members] == [None, None, None]
    assert readiness.gaps(readiness.losses(seen)) == ()


# Rising.


def test_pods_rise_at_once_to_all_that_is_needed():
    wanted, memory = look(300, pods(45, 45), live=2, memory=calm(2))
    assert (wanted.replicas, wanted.lower, memory.replicas) == (7, None, 7)
    assert wanted.reason.code == reasons.FOLLOWS_CALLS


def test_they_rise_during_an_impairment_and_while_pods_are_unheard():
    assert look(300, pods(45), live=2, memory=calm(2), hold=TROUBLE)[0].replicas == 7


def test_they_are_never_raised_above_the_maximum_and_that_is_said():
    wanted, _ = look(9_999, pods(45, 45), live=2)
    assert wanted.replicas == 20
    assert wanted.reason == Reason(
        reasons.AT_MAXIMUM, "calls, headroom and the next loss ask for more pods than the 20 of spec.replicas.max"
    )
    tenant, _ = look(9_999, pods(45, 45), live=2, limits=replace(LIMITS, ceiling=3))
    assert tenant.replicas == 3
    assert tenant.reason.message.endswith("the 3 of the tenant's maxReplicas")


def test_the_first_pods_are_the_minimum():
    assert look(0, AgentLoad(), live=0)[0].replicas == 2


def test_what_a_person_scaled_down_is_raised_again_and_what_he_scaled_up_is_followed_at_first():
    assert look(0, pods(0, 0, 0, 0), live=0, memory=calm(4))[0].replicas == 4
    assert look(0, pods(0, 0, 0, 0), live=9, memory=calm(4))[0].replicas == 9


def test_an_operator_that_has_just_started_leaves_what_runs():
    wanted, memory = look(0, AgentLoad(), live=9)
    assert (wanted.replicas, wanted.lower) == (9, None)
    assert memory.replicas == 9


# Falling.


def test_one_pod_goes_when_nothing_more_was_needed_for_the_whole_window():
    region = Region(live=4)
    region.pass_time(capacity.STABLE_S, calls=0)
    assert region.live == 4
    region.pass_time(1.0, calls=0)
    assert region.live == 3


def test_the_next_one_goes_only_after_a_while():
    region = Region(live=5)
    region.pass_time(capacity.STABLE_S + capacity.STEP_S, calls=0)
    assert region.live == 4
    region.pass_time(1.0, calls=0)
    assert region.live == 3
    region.pass_time(3 * capacity.STEP_S, calls=0)
    assert region.live == 2


def test_a_need_that_comes_back_within_the_window_takes_no_pod_away():
    region = Region(live=2)
    for _ in range(8):
        region.pass_time(30.0, calls=300)
        region.pass_time(200.0, calls=0)
    assert set(region.history[1:]) == {7}


def test_what_pods_hold_together_is_their_sum():
    assert (pods(3, 0, 45).calls, pods(3, 0, 45).busy) == (48, 2)


def test_pods_with_calls_are_counted_and_as_many_stay():
    """Ten pods with one call each need three pods by the sum, and ten stay."""
    assert look(10, pods(*[1] * 10), live=10, memory=calm(10))[0].lower is None
    assert look(9, pods(*[1] * 9, 0), live=10, memory=calm(10))[0].lower == 9


def test_the_last_pod_never_goes():
    lone = replace(LIMITS, min_pods=1)
    assert look(0, pods(0), live=1, memory=Memory(1, ((0.0, 1),), -60.0), limits=lone)[0].lower is None


def test_nothing_goes_during_an_impairment_nor_within_the_window_after_it():
    region = Region(live=4)
    region.pass_time(2 * capacity.STABLE_S, calls=0, hold=TROUBLE)
    region.pass_time(capacity.STABLE_S - 1.0, calls=0)
    assert region.live == 4
    region.pass_time(2.0, calls=0)
    assert region.live == 3


def test_why_nothing_goes_is_said_only_where_fewer_would_do():
    assert look(0, pods(0, 0, 0), live=3, memory=calm(3), hold=TROUBLE)[0].held == TROUBLE
    assert look(0, pods(0, 0), live=2, memory=calm(2), hold=TROUBLE)[0].held is None
    assert look(0, pods(0, 0), live=3, memory=calm(3))[0].held == Reason(
        reasons.PODS_UNHEARD, "only 2 of 3 pods have told of their calls"
    )


def test_nothing_goes_while_a_pod_has_not_been_heard_and_one_on_its_way_out_does_not_count():
    assert look(0, pods(0, 0, 0, 0), live=5, memory=calm(5))[0].lower is None
    leaving = AgentLoad({**pods(0, 0, 0, 0).pods, "old": PodLoad(3, ready=False, draining=True)})
    assert leaving.staying == 4
    assert look(0, leaving, live=5, memory=calm(5))[0].lower is None
    assert look(0, pods(0, 0, 0, 0, 0), live=5, memory=calm(5))[0].lower == 4


def test_a_step_that_was_taken_is_remembered():
    assert capacity.lowered(Memory(5, ((0.0, 2),), 0.0), 77.0) == Memory(4, ((0.0, 2),), 77.0)


def test_a_lowered_maximum_is_reached_slowly():
    """Pods above it may hold calls."""
    region = Region(live=6, limits=replace(LIMITS, min_pods=4, max_pods=4))
    region.pass_time(10.0, calls=0)
    assert region.live == 6
    region.pass_time(capacity.STABLE_S + 3 * capacity.STEP_S, calls=0)
    assert region.live == 4


@settings(max_examples=20, deadline=None)
@given(
    story=st.lists(
        st.tuples(st.sampled_from([1, 7, 65, 310]), st.integers(0, 1_200), st.sampled_from([None, TROUBLE])),
        min_size=1,
        max_size=5,
    ),
    live=st.integers(0, 30),
)  # fmt: skip
def test_whatever_happens_pods_rise_at_once_fall_one_by_one_and_never_below_those_with_calls(story, live):
    region = Region(live=max(live, 1))
    before, stepped = region.live, -NEVER_S
    for seconds, calls, hold in story:
        for _ in range(seconds):
            region.pass_time(1.0, calls=calls, hold=hold)
            after = region.live
            assert after >= min(capacity.needed(Due(calls, calls), LIMITS), LIMITS.max_pods)
            assert after <= max(before, LIMITS.max_pods)
            if after < before:
                assert after == before - 1
                assert hold is None
                assert after >= min(calls, before)
                assert region.now - stepped >= capacity.STEP_S
                stepped = region.now
            before = after


@settings(max_examples=20, deadline=None)
@given(calls=st.integers(0, 900), live=st.integers(1, 30))
def test_under_a_steady_load_pods_never_rise_again_once_they_fell(calls: int, live: int):
    region = Region(live=live)
    region.pass_time(capacity.STABLE_S + 3 * capacity.STEP_S, calls=calls)
    risen = region.history[1:]
    assert risen == sorted(risen, reverse=True)


# What speaks against taking a pod away.


CALM = loads(zone())


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "the zone was not looked at yet"),
        (view(loads=CALM, paused="new network"), "zone eu is paused: new network"),
        (view(zone(paused=True), loads=CALM), "zone eu is paused: by its policy"),
        (
            view(loads=CALM, observations=[said("ams", "fra", DOWN, self_doubt=True)]),
            "ams doubts its own connection",
        ),
        (view(loads=CALM, memory=joined(zone(), fra=cordoned())), "fra is cordoned"),
        (view(loads=CALM, memory=joined(zone(), ams=cordoned(Cause.HUMAN))), "ams is cordoned"),
        (view(loads=CALM, memory=joined(zone(), fra=RegionMemory({}, 1))), "fra is on its ramp"),
        (view(loads=CALM, verdicts={"fra": DEGRADED}), "fra is in trouble, or about to leave"),
        (view(loads=CALM, observations=[said("iad", "ams", DOWN)]), "ams is in trouble, or about to leave"),
        (view(loads={"ams": CALM["ams"]}), "fra is not heard"),
        (view(loads=CALM, heard_ago_s={"ams": 0.1, "fra": 3.1}), "fra is not heard"),
        (view(loads=CALM, carriers={"twilio-eu": Cordon(True, 5.0)}), "carriers are set back: twilio-eu"),
    ],
)
def test_nothing_is_taken_away_while_anything_is_wrong_in_the_zone(seen: View | None, words: str):
    held = capacity.impairment("ams", seen)
    assert held is not None
    assert held.message == words


@pytest.mark.parametrize(
    "seen",
    [
        view(loads=CALM),
        view(loads=CALM, carriers={"twilio-eu": Cordon(False, 5.0)}),
        view(loads=CALM, observations=[said("fra", "ams", DOWN, heard_age_s=9.0)]),
        view(loads={"ams": CALM["ams"]}, memory=joined(zone(), fra=cordoned(Cause.ABSENT))),
        view(loads={"ams": CALM["ams"]}, memory={"ams": RegionMemory()}),
        view(loads={"ams": CALM["ams"]}, regions=regions(zone(), abroad=["fra"]), routes=origins(zone(), off=["fra"])),
    ],
    ids=["calm", "carrier came back", "a silent observer", "absent", "never joined", "abroad"],
)
def test_what_carried_no_calls_is_no_impairment(seen: View):
    assert capacity.impairment("ams", seen) is None


def test_another_order_of_attempts_than_the_specs_is_an_impairment():
    assert capacity.reordered(("azure", "openai")) == Reason(
        reasons.INCIDENT, "attempts are tried in another order than the spec's: azure, openai"
    )
    assert capacity.reordered(()).message.endswith("none")
